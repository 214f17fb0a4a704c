"""What a seed gives: data, and which state it is in."""

from pumpkin.wire import quote

_MAX_STATE = 193            # characters: two names of 96 and a colon
_MAX_ATTRIBUTES = 16 << 10  # bytes


class State:
    """One output in a state of the contract: `return State("ENGLISH", text)`.

    name is NAME or Type:NAME, as in the contract; data is what a seed may
    return. Every other argument sets an attribute of the output, beside those
    that it inherits: `State("BAM", data, sample="S07")`. They are in
    attributes, a dictionary.
    """

    __slots__ = ("name", "data", "attributes")

    def __init__(self, name, data="", **attributes):
        self.name = name
        self.data = data
        self.attributes = attributes

    def __repr__(self):
        parts = ["%r, %r" % (self.name, self.data)] + ["%s=%r" % item for item in self.attributes.items()]
        return "State(%s)" % ", ".join(parts)


class Batch:
    """Several outputs that go on together: `yield Batch(records)`.

    outputs is anything that can be looped over; each element is what a seed
    may return. An injector that yields a Batch waits for the disk once, and
    not once for each.
    """

    __slots__ = ("outputs",)

    def __init__(self, outputs):
        self.outputs = outputs

    def __repr__(self):
        return "Batch(%r)" % (self.outputs,)


class Fail(Exception):
    """A failure that no other attempt would mend: `raise Fail("no such galaxy")`.

    The packet is a dead letter at once.
    """


class Retry(Exception):
    """What the run needs is not there now: `raise Retry("no server", after=60)`.

    It is tried again after so many seconds, or a timedelta; None is the usual
    pause. That counts as an attempt.
    """

    def __init__(self, *args, after=None):
        super().__init__(*args)
        self.after = after


# Advice for what is often given and is no data, by the name of its type.
_ADVICE = {
    "list": "yield each element for a packet each, or return json.dumps(...) for one packet",
    "tuple": 'return State("NAME", data) to name the state, or yield for a packet each',
    "dict": "return json.dumps(...)",
    "NoneType": "return nothing at all to end the packet here",
    "set": "yield each element for a packet each",
    "coroutine": "the function must not be async",
    "map": "yield from it for a packet each",
    "range": "yield from it for a packet each",
    "State": "a State cannot hold a State",
    "Batch": "a State cannot hold a Batch; a Batch holds States",
}


def encode(value):
    """The bytes of one output.

    Text is UTF-8; what came in as bytes that are no UTF-8 goes out as the
    same bytes. Numbers and booleans are what str() makes of them. Anything
    else is a TypeError that says what to do instead.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (int, float)):
        return str(value).encode()
    kind = type(value).__name__
    if kind == "coroutine":
        value.close()  # it would warn that nobody awaited it
    raise TypeError("a seed gives str, bytes or a number, not %s: %s"
                    % (kind, _ADVICE.get(kind, "make text of it, for example with json.dumps(...)")))


def attributes_json(attributes):
    """What an output's attributes add to its entry of a header. Whether their
    names are allowed, and what they make together with inherited ones, the node
    says.
    """
    if not attributes:
        return ""
    parts, size = [], 0
    for name, value in attributes.items():
        if not isinstance(name, str):
            raise TypeError("an attribute's name is text, such as \"sample\", not %r" % (name,))
        if isinstance(value, (int, float)):
            value = str(value)
        elif not isinstance(value, str):
            raise TypeError("the attribute %s is text or a number, not %s" % (name, type(value).__name__))
        try:
            size += len(name) + len(value.encode())
        except UnicodeEncodeError:
            raise ValueError("the attribute %s is not UTF-8 text: %r" % (name, value)) from None
        parts.append(quote(name) + ":" + quote(value))
    if size > _MAX_ATTRIBUTES:
        raise ValueError("the attributes have %d bytes, names and values together; at most %d are allowed"
                         % (size, _MAX_ATTRIBUTES))
    return ",{%s}" % ",".join(parts)


def state_json(name):
    """The name of a state as it goes into a header. Whether the contract has
    it, the node says.
    """
    if not isinstance(name, str):
        raise TypeError("a state's name is text, such as \"ENGLISH\", not %r" % (name,))
    if not name or len(name) > _MAX_STATE:
        raise ValueError("a state's name has 1 to %d characters, not %d" % (_MAX_STATE, len(name)))
    return quote(name)
