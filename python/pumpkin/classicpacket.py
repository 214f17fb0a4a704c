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


# What to do instead of writing a field of the old list.
_INSTEAD = {
    "aux": "pmk send --track keeps the data of every hop",
    "box": "the node gives every output an id of its own",
    "c_tag": "self.dispatch(pkt, data, NAME, type=TYPE) names an output's state",
    "container": "the node gives every output an id of its own",
    "e": "splits are not run yet; self.fork_dispatch gives several packets",
    "fragment": "splits are not run yet; self.fork_dispatch gives several packets",
    "ship": "an output belongs to the ship of the packet that it comes of",
    "stag": "self.dispatch(pkt, data, NAME, type=TYPE) names an output's state",
    "state": "the node knows how far a packet is",
    "t_otype": "self.dispatch(pkt, data, NAME, type=TYPE) names an output's state",
    "t_state": "self.dispatch(pkt, data, NAME, type=TYPE) names an output's state",
    "ttl": "the node tries again as pmk-retries says",
}


class _Part(dict):
    """One dictionary of the old list.

    Nothing but what free has takes note of what is written here, so that it is
    an error, which names the field. A copy is a plain dictionary.
    """

    __slots__ = ("_name", "_free")

    def __init__(self, name, fields, free):
        super().__init__(fields)
        self._name = name  # as a seed writes it: pkt[0]
        self._free = free  # fields that may be written, and what makes the value that is kept

    def _refuse(self, field):
        raise TypeError('%s["%s"] cannot be written, since nothing comes of it: %s'
                        % (self._name, field, _INSTEAD.get(field, "what goes with a packet is its data")))

    def __setitem__(self, field, value):
        if field in self._free:
            super().__setitem__(field, self._free[field](value))
        elif field not in self or self[field] != value:
            self._refuse(field)

    def __delitem__(self, field):
        self._refuse(field)

    def __ior__(self, other):
        self.update(other)
        return self

    def __reduce__(self):
        return dict, (dict(self),)

    def update(self, *fields, **more):
        for field, value in dict(*fields, **more).items():
            self[field] = value

    def setdefault(self, field, default=None):
        if field not in self:
            self[field] = default
        return self[field]

    def pop(self, field, *default):
        return self._refuse(field) if field in self else super().pop(field, *default)

    def popitem(self):
        for field in reversed(self):
            self._refuse(field)
        return super().popitem()

    def clear(self):
        for field in self:
            self._refuse(field)


def stop_at(names):
    """What takes a write of stop_func, in a seed with these names: its class's, and its own."""
    def value(seed):
        name = str(seed).rpartition(":")[2]  # old nodes put the group in front
        if name.lower() in ("", "none"):
            return "None"
        if name in names:
            return names[0]
        raise ValueError('pkt[0]["stop_func"] = %r: a seed can end a packet at itself, %s; pmk send --stop %s ends it elsewhere'
                         % (seed, names[-1], name))
    return value


class ClassicPacket:
    """The packet that a seed class is given: pkt.id, or as the old list, pkt[0]["ship"]."""

    __slots__ = ("n", "id", "ship", "state", "attempt", "attributes", "traceparent", "data", "_group", "_stop", "_list")

    def __init__(self, n, id, ship, state, attempt, attributes, data, group, stop, traceparent=""):
        self.n = n  # None once its run has ended
        self.id = id
        self.ship = ship
        self.state = state
        self.attempt = attempt
        self.attributes = attributes
        self.traceparent = traceparent
        self.data = data
        self._group = group
        self._stop = stop  # of stop_at
        self._list = None

    def _old(self):
        if self._list is None:
            kind, _, name = (self.state or "NONE:NONE").partition(":")
            tag = self._group + ":" + self.state if self.state else "NONE:NONE"
            self._list = [
                _Part("pkt[0]", {
                    "ship": self.ship, "container": self.id, "box": "0", "fragment": "0", "e": 0, "state": "PROCESSING",
                    "c_tag": tag, "ttl": "D", "aux": 0, "t_state": name, "t_otype": kind, "stop_func": "None",
                    "last_contact": "None", "last_func": "None", "last_timestamp": 0,
                }, {"stop_func": self._stop}),
                _Part("pkt[1]", {}, {}),
                _Part("pkt[-1]", {"stag": tag, "func": "None", "exstate": "0001", "ep": "local", "data": self.data},
                      {"data": lambda data: data}),  # for get_pkt_data
            ]
        return self._list

    @property
    def stopped(self):
        """Whether the seed has said that the packet ends here: what it gives from then on is dropped."""
        return self._list is not None and self._list[0]["stop_func"] != "None"

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
