"""Runs a seed on the packets of a run frame, one after the other."""

from types import GeneratorType

from pumpkin import failure
from pumpkin.outbox import ENTRY
from pumpkin.packet import Packet
from pumpkin.values import Batch, State, attributes_json, encode, state_json
from pumpkin.wire import quote

_ONLY = '""'   # the state of an output that names none, as JSON
_SHORT = 4096  # characters; a longer text goes the way that looks at its size first


def prepare(seed, hello, outbox, report):
    """Make ready to run a loaded seed.

    Returns the function that runs what is ahead of one run frame, the one that
    ends the seed, and whether entries must have all fields.
    """
    if seed.cls is not None:
        from pumpkin import classic  # most seeds are functions
        call, close = classic.open_seed(seed.cls, hello, outbox)
        return _runner(call, True, False, outbox, report), close, True
    call, function = seed.function, seed.function
    if not hello["in"]:
        def call(data):
            return function()
    elif seed.wants_packet:
        def call(data, entry):
            n, state, length, id, ship, attempt, attributes = entry[:7]
            return function(data, Packet(id, ship, state, attempt, attributes, entry[7] if len(entry) > 7 else ""))
    return _runner(call, seed.wants_packet, seed.wants_bytes, outbox, report), lambda: None, seed.wants_packet


def _runner(call, wants_entry, wants_bytes, outbox, report):
    """The loop that everything else is quick for: its names are local, and
    what most seeds do, a text in and a text out, takes no call but the seed's.
    """
    give, give_all = _givers(outbox)
    emits, done = outbox.emits, outbox.done

    def run_all(blob):
        # Text that is all ASCII is decoded at once: a character is a byte.
        text = blob.decode("ascii") if not wants_bytes and blob.isascii() else None
        end = 0
        begin = outbox.ahead.popleft
        while True:
            try:
                entry = begin()
            except IndexError:  # none is left, or the rest was given back
                return
            n = entry[0]
            pos, end = end, end + entry[2]
            size = 8
            if text is not None:
                data = text[pos:end]
            elif wants_bytes:
                data = bytes(blob[pos:end])
            else:
                data = blob[pos:end].decode("utf-8", "surrogateescape")
            try:
                out = call(data, entry) if wants_entry else call(data)
                kind = type(out)
                if (kind is str or kind is bytes) and len(out) < _SHORT:
                    if kind is str:
                        out = out.encode("utf-8", "surrogateescape")
                    size = ENTRY + len(out)
                    emits.append((n, _ONLY, out, ""))
                elif kind is GeneratorType:
                    give_all(n, out)
                elif out is not None:
                    give(n, out)
            except BaseException as e:
                n = _failed(n, e, report)
                size = ENTRY + len(str(n))
            done(n, size)

    return run_all


def _givers(outbox):
    """The functions that send on one output, and all of a generator."""
    emit = outbox.emit
    names = {}  # the states that were named, as JSON

    def give(n, out):
        if type(out) is State:
            state = names.get(out.name) if type(out.name) is str else None
            if state is None:
                if len(names) > 1000:  # a seed that makes them up
                    names.clear()
                state = names[out.name] = state_json(out.name)
            emit(n, state, encode(out.data), attributes_json(out.attributes))
        elif type(out) is Batch:
            with outbox.together():
                for one in out.outputs:
                    give(n, one)
        elif out is not None:
            emit(n, _ONLY, encode(out))

    def give_all(n, outs):
        for out in outs:
            if type(out) is str:
                emit(n, _ONLY, out.encode("utf-8", "surrogateescape"))
            else:
                give(n, out)

    return give, give_all


def _failed(n, error, report):
    """The done entry of a run that raised, without its brackets."""
    if isinstance(error, failure.Terminated):
        raise error
    if isinstance(error, SystemExit) and failure.exit_status(error) == 0:
        return n
    reason, output = report.describe(error)
    entry = "%d,%s,%s" % (n, quote(reason), quote(output))
    how = failure.how(error)
    return entry + "," + how if how else entry
