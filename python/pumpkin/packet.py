"""The packet that a seed sees beside its data."""


class Packet:
    """What is known of the packet that runs.

    id and ship are text; state is Type:NAME, "" for an injector; attempt
    counts the runs of this packet that failed, from 0. attributes are its
    own, a dictionary of texts, which its outputs inherit whatever is changed
    in it. traceparent is the run's place in a trace (W3C Trace Context), "" if
    it has none.
    """

    __slots__ = ("id", "ship", "state", "attempt", "attributes", "traceparent")

    def __init__(self, id, ship, state, attempt, attributes, traceparent=""):
        self.id = id
        self.ship = ship
        self.state = state
        self.attempt = attempt
        self.attributes = attributes
        self.traceparent = traceparent

    def __repr__(self):
        return "Packet(id=%r, ship=%r, state=%r, attempt=%r)" % (self.id, self.ship, self.state, self.attempt)
