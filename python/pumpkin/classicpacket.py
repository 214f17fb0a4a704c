"""What a seed of the classic shape is given: a packet and its data."""


class Data(str):
    """A packet's data: text in everything but data[i].

    data[i] is the i-th of its parts, which are separated by |,|. Old seeds use
    both: the node they were written for gave a text or a list of the parts.
    """

    __slots__ = ()

    def __getitem__(self, i):
        if isinstance(i, slice):
            return str.__getitem__(self, i)
        parts = self.split("|,|")
        try:
            return parts[i]
        except IndexError:
            raise IndexError("data[%d]: the data has %d part%s, separated by |,|"
                             % (i, len(parts), "" if len(parts) == 1 else "s")) from None


class ClassicPacket:
    """The packet that a seed class is given: pkt.id, or as the old list, pkt[0]["ship"]."""

    __slots__ = ("n", "id", "ship", "state", "attempt", "attributes", "traceparent", "data", "_group", "_list")

    def __init__(self, n, id, ship, state, attempt, attributes, data, group, traceparent=""):
        self.n = n  # None once its run has ended
        self.id = id
        self.ship = ship
        self.state = state
        self.attempt = attempt
        self.attributes = attributes
        self.traceparent = traceparent
        self.data = data
        self._group = group
        self._list = None

    def _old(self):
        if self._list is None:
            kind, _, name = (self.state or "NONE:NONE").partition(":")
            tag = self._group + ":" + self.state if self.state else "NONE:NONE"
            self._list = [
                {"ship": self.ship, "container": self.id, "box": "0", "fragment": "0", "e": 0, "state": "PROCESSING",
                 "c_tag": tag, "ttl": "D", "aux": 0, "t_state": name, "t_otype": kind, "stop_func": "None",
                 "last_contact": "None", "last_func": "None", "last_timestamp": 0},
                {},
                {"stag": tag, "func": "None", "exstate": "0001", "ep": "local", "data": self.data},
            ]
        return self._list

    def __getitem__(self, i):
        return self._old()[i]

    def __len__(self):
        return len(self._old())

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self  # a copy would outlive the run

    def __repr__(self):
        return "Packet(id=%r, ship=%r, state=%r, attempt=%r)" % (self.id, self.ship, self.state, self.attempt)
