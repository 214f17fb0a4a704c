"""Runs a seed of the classic shape."""

from _thread import allocate_lock

from pumpkin.PmkSeed import Seed
from pumpkin.classicpacket import ClassicPacket, Data, stop_at
from pumpkin.context import Context
from pumpkin.load import LoadError
from pumpkin.values import encode, state_json

_FRAGMENTS = frozenset(("fragment_pkt", "last_fragment_pkt", "merge_pkt"))  # what a split makes them with


def _refuse(cls):
    """Refuse a class that cannot be run."""
    if cls.run is Seed.run:
        raise LoadError("the class %s has no method run; expected def run(self, pkt, data):" % cls.__name__)
    for name in ("split", "run"):  # merge is only called for fragments
        code = getattr(getattr(cls, name), "__code__", None)
        if code is not None and not _FRAGMENTS.isdisjoint(code.co_names):
            raise LoadError("%s of the class %s makes fragments: splits are not run yet; "
                            "self.fork_dispatch in run gives several packets" % (name, cls.__name__))


def open_seed(cls, hello, outbox):
    """Make the seed of a class. Returns what runs it and what ends it:
    call(data, entry), and close().
    """
    lock = allocate_lock()
    group = hello["group"]
    stop = stop_at((cls.__name__, hello["seed"]))
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
        if isinstance(pkt, ClassicPacket) and pkt.stopped:
            return
        if isinstance(msg, str) and msg.startswith("file://" + work):
            raise ValueError("%s is in the working folder, which no other seed sees; "
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
        n, state, length, id, ship, attempt, attributes = entry[:7]
        pkt = ClassicPacket(n, id, ship, state, attempt, attributes, data, group, stop,
                            entry[7] if len(entry) > 7 else "")
        try:
            if injector:
                if seed.pre_run(pkt):
                    seed.run(pkt)
            else:
                data = Data(data)
                if seed.pre_run(pkt, data) and not seed.split(pkt, data):
                    seed.run(pkt, data)
        finally:
            with lock:
                pkt.n = None

    return call, seed.on_unload
