"""The classic shape of a seed: a class that extends PmkSeed.Seed.

    from pumpkin import *

    class greet(PmkSeed.Seed):

        def __init__(self, context, poi=None):
            PmkSeed.Seed.__init__(self, context, poi)

        def run(self, pkt, data):
            self.dispatch(pkt, "Hello " + data, "GREETING")

What the old Pumpkin's seeds could do and these cannot raises an error that
names the replacement: see GONE. What they had to do and the node does by
itself does nothing.
"""

import os

from pumpkin import failure

# What no longer exists, by name, and what to do instead.
GONE = {
    "_blankpacket": "pmk send STATE DATA",
    "broadcast": "self.dispatch: every seed that accepts the state gets a copy",
    "clean_header": "nothing yet: splits are not run yet",
    "disable": "remove the seed's file, or write pmk-load: no",
    "enable": "put the seed's file into a watched folder, or name it with --seed",
    "error": "raise an exception: the packet then goes to the state Error:<seed>",
    "fragment_pkt": "self.fork_dispatch: splits are not run yet",
    "getConfEntry": "pmk ps --json",
    "get_all_counters": "pmk ps --json",
    "get_complexity_list": "pmk ps --json",
    "get_forecast": "pmk ps --json",
    "get_state_counters": "pmk ps --json",
    "last_fragment_pkt": "self.fork_dispatch: splits are not run yet",
    "merge_pkt": "nothing yet: gathers are not run yet",
    "moveto_fileserver": "send the file's content: self.dispatch(pkt, open(path, 'rb').read(), state)",
    "rawrun": "pmk send STATE DATA",
    "re_dispatch": "raise an exception: the packet is tried again",
    "regression": "pmk ps --json",
    "track": "pmk send --track",
}


def _needless(name, why):
    """A method that does nothing, and says so the first time."""
    said = False

    def method(self, *args, **kwargs):
        nonlocal said
        if not said:
            said = True
            failure.shout("self.%s does nothing, the call can be removed: %s" % (name, why))

    method.__name__ = name
    method.__doc__ = "Nothing: %s." % why
    return method


class Seed:
    """What a seed class extends.

    self.context is the Context, self.logger a logger, self.name the class's
    name, self.conf the seed's declaration.
    """

    def __init__(self, context, poi=None):
        self.context = context
        self.name = type(self).__name__
        self.poi = poi
        self.conf = context._conf
        self._emit = context._emit
        self._logger = None

    # What a seed class defines.

    def on_load(self):
        """Called once, before the first packet."""

    def on_unload(self):
        """Called once, after the last packet."""

    def pre_run(self, pkt, *args):
        """Called before run; False ends the packet here."""
        return True

    def split(self, pkt, *args):
        """Called before run; True says that it has given all there is, in place of run."""
        return False

    def run(self, pkt, *args):
        """run(self, pkt, data), or run(self, pkt) without input. Every seed has it."""
        raise NotImplementedError

    def merge(self, pkt, *args):
        """Not called: it is for the fragments that a split makes."""

    # What a seed class calls.

    def dispatch(self, dpkt, msg, tag, type=None, fragment=False, dispatch=True):
        """Give msg in the state tag, which is NAME or, with a type, type:NAME."""
        if fragment:
            raise NotImplementedError("dispatch with fragment=True: splits are not run yet")
        if dispatch:
            self._emit(dpkt, msg, tag, type)
        return dpkt

    def fork_dispatch(self, pkt, msg, state):
        """The same as dispatch: every output is a packet of its own."""
        self._emit(pkt, msg, state, None)

    def finalize(self, pkt, msg=None, type="END", tag="END"):
        """Nothing: a packet that is not dispatched ends here."""

    ack_pkt = _needless("ack_pkt", "a packet is acknowledged when the network is done with it")
    pack_ok = _needless("pack_ok", "a packet is acknowledged when the network is done with it")
    add_flight_pkt = _needless("add_flight_pkt", "the node keeps a packet until it is done")
    inc_state_counter = _needless("inc_state_counter", "the node counts, see pmk ps")
    look_ahead = _needless("look_ahead", "the node measures what a seed costs")
    adj_forecast = _needless("adj_forecast", "the node measures what a seed costs")
    start_recording = _needless("start_recording", "the node measures what a seed costs")
    stop_recording = _needless("stop_recording", "the node measures what a seed costs")

    @property
    def logger(self):
        """A logging.Logger whose lines go to the node's log."""
        if self._logger is None:
            import logging  # slow to load, and not every seed logs
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
            self._logger = logging.getLogger(self.get_name())
            self._logger.addHandler(handler)
            self._logger.propagate = False
            self._logger.setLevel(logging.INFO)
        return self._logger

    # Questions about the seed.

    def get_name(self):
        return type(self).__name__

    def get_group(self):
        return self.context.get_group()

    def get_fullname(self):
        return self.get_group() + ":" + self.get_name()

    def get_conf(self):
        return self.conf

    def getpoi(self):
        return self.poi

    def hasInputs(self):
        return bool(self.conf["parameters"])

    def is_enabled(self):
        return True

    def get_in_tag_list(self):
        return self.context._tags("in")

    def get_out_tag_list(self):
        return self.context._tags("out")

    # Questions about a packet.

    def get_pkt_id(self, pkt):
        return pkt.id

    def get_cont_id(self, pkt):
        return pkt[0]["container"]

    def get_ship_id(self, pkt):
        return pkt[0]["ship"]

    def get_state(self, pkt):
        return pkt[0]["state"]

    def get_last_stag(self, pkt):
        """The NAME of the packet's state."""
        return pkt[-1]["stag"].split(":")[-1]

    def get_pkt_data(self, pkt):
        return pkt[-1]["data"]

    def set_pkt_data(self, pkt, data):
        pkt[-1]["data"] = data
        return pkt

    def is_final(self, pkt):
        return pkt[0]["stop_func"] == self.get_name()

    def is_duplicate(self, pkt):
        return False

    def is_fragment(self, pkt):
        return False

    def is_last_fragment(self, pkt):
        return True

    def get_fragment_id(self, pkt):
        return int(pkt[0]["fragment"])

    get_pkt_fragment_no = get_fragment_id

    def duplicate_pkt_new_container(self, pkt, shallow=False):
        """The same packet: every output gets an id of its own."""
        return pkt

    def get_new_container(self):
        import uuid
        return str(uuid.uuid4())[:8]

    get_new_box = get_new_container

    # Files. Paths are in the working folder, which is the worker's own and is
    # removed after it.

    def ifFile(self, msg):
        return str(msg).startswith("file://")

    def fileparts(self, filepath):
        """file://dir/name as [protocol, dir/, name, dir/name, the same within the working folder]."""
        protocol, _, rest = filepath.partition("://")
        folder, _, name = rest.rpartition("/")
        folder = (folder + "/").replace("//", "/")
        return [protocol, folder, name, folder + name, folder.replace(self.context.getWorkingDir(), "/") + name]

    def get_relative_path(self, file):
        return "." + str(file)

    def _ensure_dir(self, f):
        os.makedirs(f, mode=0o775, exist_ok=True)

    def copy_file_to_wd(self, file, mode=0o644):
        import shutil
        name = os.path.basename(file)
        path = self._path(name)
        new = path + ".new"  # an earlier packet's may run still, or be read-only
        shutil.copy(file, new)
        os.chmod(new, mode)
        os.replace(new, path)
        return name

    def move_file_to_wd(self, file):
        import shutil
        name = os.path.basename(file)
        shutil.move(self._path(file), self._path(name))
        return name

    def move_data_file(self, src, dst, postfix=None):
        import shutil
        self._ensure_dir(self._path(dst))
        path = self._path(dst, src + "-" + postfix if postfix else src)
        shutil.move(self._path(src), path)
        return path

    def _path(self, *parts):
        return os.path.join(self.context.getWorkingDir(), *[p.lstrip("/") for p in parts])

    def _tar_to_gz(self, source, destination=None, suffix=None):
        """Pack source, within the working folder; returns the archive's path."""
        import tarfile
        path = self._path(source)
        name = source + "-" + suffix if suffix else source
        if destination is not None:
            self._ensure_dir(self._path(destination))
            name = os.path.join(destination, os.path.basename(name))
        archive = self._path(name + ".tar.gz")
        with tarfile.open(archive, "w:gz") as t:
            t.add(path, os.path.basename(path))
        return archive

    def _untar_to_wd(self, source, destination=None, rename=None):
        """Unpack source into the working folder; returns the archive's members.

        The archive's first folder is then called rename, in place of what an
        earlier packet left there; its other folders go into that.
        """
        import tarfile
        path = source if os.path.isfile(source) else self._path(source)
        destination = destination or self.context.getWorkingDir()
        with tarfile.open(path) as t:
            members = t.getmembers()
            # The filter refuses what would land outside; old versions of
            # Python do not know it.
            t.extractall(destination, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        if rename:
            self._rename_folders(destination, members, rename.strip("/"))
        return members

    def _rename_folders(self, destination, members, rename):
        import shutil
        if rename in ("", ".", "..") or "/" in rename:
            raise ValueError("rename=%r: expected a folder's name, without a /" % rename)
        names = [os.path.normpath(m.name) for m in members if m.isdir()]  # of dir, ./dir and dir/sub
        names = [n for n in names if n != "." and "/" not in n]
        if not names or rename in names:
            return
        target = os.path.join(destination, rename)
        if os.path.lexists(target):
            own = os.path.realpath(self.context.getWorkingDir())
            if not (os.path.realpath(destination) + "/").startswith(own + "/"):  # it may be anybody's
                raise FileExistsError("%s exists, and is not in the working folder: remove it first" % target)
            if os.path.isdir(target) and not os.path.islink(target):
                shutil.rmtree(target)
            else:
                os.remove(target)
        for name in names:
            shutil.move(os.path.join(destination, name), target)

    def _add_to_tar(self, file, tar, postfix=None, rename=None):
        """Add file to the archive's first folder; returns the new archive's path."""
        import shutil
        members = self._untar_to_wd(tar)
        folder = next(m.name for m in members if m.isdir())
        name = os.path.basename(file)
        shutil.copy(self._path(file), self._path(folder, name + "-" + postfix if postfix else name))
        archive = self._tar_to_gz(folder, suffix=postfix)
        if rename is not None:
            archive = shutil.move(archive, self._path(rename + ".tar.gz"))
        shutil.rmtree(self._path(folder))
        return archive

    def __getattr__(self, name):
        if name in GONE:
            raise AttributeError("self.%s no longer exists; instead: %s" % (name, GONE[name]))
        raise AttributeError("%r object has no attribute %r" % (type(self).__name__, name))
