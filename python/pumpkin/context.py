"""What a seed of the classic shape knows of its node: self.context."""

import os

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
            raise AttributeError("self.context.%s no longer exists; instead: %s" % (name, GONE[name]))
        raise AttributeError("the context has no %r" % name)


def _declared(states):
    """States as the classic header declares them: an entry for each type."""
    names = {}
    for state in states:
        kind, _, name = state.partition(":")
        names.setdefault(kind, []).append(name)
    return [{"name": "data", "type": kind, "state": "|".join(n)} for kind, n in names.items()]
