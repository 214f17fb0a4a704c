"""Runs a seed class of the classic shape: its context, its packets, its data."""

import os
from _thread import allocate_lock

from pumpkin.PmkSeed import Seed
from pumpkin.load import LoadError
from pumpkin.values import encode, state_json

# What the old context gave and this does not, and what to do instead.
GONE = {
    "fallback_rabbitmq": "False: there is no message broker",
    "getExternalDispatch": "self.dispatch",
    "getFileServerEndPoint": "send the file's content: self.dispatch(pkt, open(path, 'rb').read(), state)",
    "getProcGraph": "pmk graph --json",
    "getRx": "pmk send STATE DATA",
    "getTx": "self.dispatch",
    "get_cmd_queue": "pmk",
    "get_local_ip": "socket.gethostbyname(socket.gethostname())",
    "get_mx": "pmk send --track",
    "get_pkt_from_shelve": "pmk waiting",
    "get_public_ip": "socket.gethostbyname(socket.gethostname())",
    "get_rabbitmq": "a connection that the seed opens itself",
    "get_rabbitmq_cred": "a connection that the seed opens itself, with settings from os.environ",
    "get_rx_size": "pmk ps --json",
    "get_stat": "pmk ps --json",
    "get_tx_size": "pmk ps --json",
    "load_seed": "put the file into a watched folder",
    "load_seed_from_string": "put the file into a watched folder",
}


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

    __slots__ = ("n", "id", "ship", "state", "attempt", "data", "_group", "_list")

    def __init__(self, n, id, ship, state, attempt, data, group):
        self.n = n  # None once its run has ended
        self.id = id
        self.ship = ship
        self.state = state
        self.attempt = attempt
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


class Context:
    """What a seed class knows of the node it runs on: self.context."""

    def __init__(self, hello, emit):
        self._hello = hello
        self._emit = emit
        self._conf = {
            "object_name": hello["seed"],
            "group": hello["group"],
            "parameters": _declared(hello["in"]),
            "return": _declared(hello["out"]),
        }

    def _tags(self, side):
        return [self._hello["group"] + ":" + state for state in self._hello[side]] or ["NONE:NONE"]

    def getWorkingDir(self):
        """An empty folder of this worker's own, with a / behind it, removed after it."""
        return self._hello["work"].rstrip("/") + "/"

    def getFileDir(self):
        return self.getWorkingDir()

    def getTaskDir(self):
        """The folder that the seed's file lies in."""
        return os.path.dirname(os.path.abspath(self._hello["file"]))

    def getUuid(self):
        """The node's name."""
        return self._hello["node"]

    getExecContext = getUuid

    def get_group(self):
        return self._hello["group"]

    def get_cores(self):
        return os.cpu_count()

    def is_debug(self):
        return False

    is_speedy = with_acks = with_shelve = is_ghost = isSupernode = hasShell = is_debug

    def __getattr__(self, name):
        if name in GONE:
            raise AttributeError("self.context.%s is no more; instead: %s" % (name, GONE[name]))
        raise AttributeError("the context has no %r" % name)


def _declared(states):
    """States as the classic header declares them: an entry for each type."""
    names = {}
    for state in states:
        kind, _, name = state.partition(":")
        names.setdefault(kind, []).append(name)
    return [{"name": "data", "type": kind, "state": "|".join(n)} for kind, n in names.items()]


def _refuse(cls):
    """Refuse a class that cannot be run."""
    if cls.run is Seed.run:
        raise LoadError("the class %s has no method run; expected def run(self, pkt, data):" % cls.__name__)
    for name in ("split", "merge"):
        if hasattr(cls, name):
            raise LoadError("the class %s has a method %s: splits are not run yet" % (cls.__name__, name))


def open_seed(cls, hello, outbox):
    """Make the seed of a class. Returns what runs it and what ends it:
    call(data, entry), and close().
    """
    lock = allocate_lock()
    group = hello["group"]
    work = hello["work"].rstrip("/") + "/"
    types = [state.partition(":")[0] for state in hello["out"]]
    states = {}  # (tag, type) -> the state as JSON

    def state_of(tag, type):
        name = tag
        if type is not None:
            name = "%s:%s" % (type, tag)
        elif types and "%s:%s" % (types[0], tag) in hello["out"]:
            name = "%s:%s" % (types[0], tag)
        if len(states) > 1000:  # a seed that makes them up
            states.clear()
        text = states[tag, type] = state_json(name)
        return text

    def emit(pkt, msg, tag, type):
        if isinstance(msg, str) and msg.startswith("file://" + work):
            raise ValueError("%s lies in the working folder, which no other seed sees; "
                             "dispatch the file's content: open(path, 'rb').read()" % msg)
        data = encode(msg)
        state = states.get((tag, type)) or state_of(tag, type)
        with lock:
            n = getattr(pkt, "n", None)
            if n is None:
                if not isinstance(pkt, ClassicPacket):
                    raise TypeError("dispatch takes the packet first; got %s" % pkt.__class__.__name__)
                raise RuntimeError("the run of this packet has ended; dispatch before run returns")
            outbox.emit(n, state, data)

    _refuse(cls)
    seed = cls(Context(hello, emit), None)
    seed.on_load()
    injector = not hello["in"]

    def call(data, entry):
        n, state, length, id, ship, attempt = entry[:6]
        pkt = ClassicPacket(n, id, ship, state, attempt, data, group)
        try:
            if injector:
                if seed.pre_run(pkt):
                    seed.run(pkt)
            else:
                data = Data(data)
                if seed.pre_run(pkt, data):
                    seed.run(pkt, data)
        finally:
            with lock:
                pkt.n = None

    return call, seed.on_unload
