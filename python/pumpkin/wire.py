"""The worker protocol's frames, and the pipe that they come in by.

A frame is two big-endian u32, the lengths of its header and its blob, then
the header, a JSON object in UTF-8, then the blob. What the frames say is told
in internal/runner/worker/doc.go.

Nothing here imports the json package, which takes longer to load than all of
this library: its C scanner can be had without it.
"""

import os

try:
    from _json import encode_basestring_ascii as quote, make_scanner

    class _Plain:
        """The settings that json.loads has."""
        strict = True
        object_hook = object_pairs_hook = None
        parse_float = parse_constant = float
        parse_int = int
        memo = {}

    _scan = make_scanner(_Plain)

    def loads(text):
        """The value that a JSON text holds, without white space around it."""
        value, end = _scan(text, 0)
        if end != len(text):
            raise ValueError("something follows the JSON value at %d" % end)
        return value

except ImportError:  # a Python that is not CPython
    from json import dumps as quote, loads

MAX_HEADER = 1 << 20  # bytes; the protocol's limit
_READ = 64 << 10      # bytes; what a pipe holds


class ProtocolError(Exception):
    """The other end broke the protocol."""


class Inbox:
    """Reads frames from a descriptor."""

    def __init__(self, fd):
        self._fd = fd
        self._rest = b""  # of what was read, behind the last frame

    def read(self):
        """The next frame as (header, blob), None at the end.

        The header is a dict, the blob bytes or a bytearray.
        """
        data = self._rest
        while len(data) < 8:
            more = os.read(self._fd, _READ)
            if not more:
                if data:
                    raise ProtocolError("the pipe ended within a frame")
                return None
            data = data + more if data else more
        head = int.from_bytes(data[:4], "big")
        size = 8 + head + int.from_bytes(data[4:8], "big")
        if head > MAX_HEADER:
            raise ProtocolError("a header of %d bytes; at most %d are allowed" % (head, MAX_HEADER))
        self._rest = data[size:]
        if len(data) < size:
            data = self._fill(data, size)
        try:
            header = loads(data[8:8 + head].decode())
        except (ValueError, StopIteration) as e:  # StopIteration: the text ended
            raise ProtocolError("a header that is not JSON: %s" % (e or "it is cut short")) from None
        if type(header) is not dict:
            raise ProtocolError("a header that is not a JSON object")
        return header, data[8 + head:size]

    def _fill(self, data, size):
        """Read the rest of a frame of that size, of which data is the beginning."""
        whole = bytearray(size)
        have = len(data)
        whole[:have] = data
        with memoryview(whole) as view:
            while have < size:
                n = os.readv(self._fd, [view[have:]])
                if n == 0:
                    raise ProtocolError("the pipe ended within a frame")
                have += n
        return whole
