"""Loads a seed file and finds in it what is to run."""

import os
import sys

from pumpkin import importable


class LoadError(Exception):
    """The file is no seed, for a reason that needs no traceback."""


class Seed:
    """What a seed file holds: a function run, or a class of the classic shape."""

    def __init__(self, function=None, cls=None):
        self.function = function
        self.cls = cls
        self.wants_packet = False  # the function takes the packet beside the data
        self.wants_bytes = False   # the function takes the data as bytes


def load(path, source, name, takes_data, report):
    """Load the file of the seed of that name, the text of which is in source.
    What a user's code raises passes through; report learns what was loaded.
    """
    with open(source, "rb") as f:
        report.source = f.read()
    code = compile(report.source, path, "exec", dont_inherit=True)
    module = _module(path)
    report.module = module.__name__
    importable.tell(module.__name__, path, source)
    add_folder(os.path.dirname(path))
    sys.argv = [path]
    exec(code, module.__dict__)
    return _find(module, name, takes_data)


def _standard():
    """The folders of the standard library."""
    lib = os.path.dirname(os.path.abspath(os.__file__))
    return [lib, os.path.join(lib, "lib-dynload")]


def add_folder(folder):
    """Let the seed import what lies beside it.

    The folder comes before installed packages and behind the standard
    library: seed files are named for what they do, and one that is called
    copy.py or csv.py must not be what its neighbours get for the standard
    module of that name.
    """
    standard = _standard()
    places = [i for i, p in enumerate(sys.path) if p in standard]
    sys.path.insert(max(places, default=-1) + 1, folder)


def _module(path):
    """An empty module for the file: named for it, unless that name is taken."""
    from importlib.machinery import PathFinder
    name = os.path.splitext(os.path.basename(path))[0]
    if not name.isidentifier() or name in sys.modules or name in sys.builtin_module_names \
            or PathFinder.find_spec(name, _standard()):
        name = "seed_" + "".join(c if c.isalnum() else "_" for c in name)
    module = type(sys)(name)
    module.__file__ = path
    sys.modules[name] = module
    return module


def _find(module, name, takes_data):
    run = module.__dict__.get("run")
    classes = _classes(module)
    if run is None and classes:
        return Seed(cls=_pick(classes, name))
    if classes:
        raise LoadError("there are both a function run and the class %s; keep one" % classes[0].__name__)
    if run is None:
        raise LoadError("there is no function run; expected def run(%s):" % ("data" if takes_data else ""))
    if not callable(run):
        raise LoadError("run is of type %s; expected a function" % type(run).__name__)
    return _function(run, takes_data)


def _classes(module):
    """The classes of the classic shape that the module defines."""
    classic = sys.modules.get("pumpkin.PmkSeed")
    if classic is None:
        return []
    return [v for v in module.__dict__.values()
            if isinstance(v, type) and issubclass(v, classic.Seed) and v.__module__ == module.__name__]


def _pick(classes, name):
    for c in classes:
        if c.__name__ == name:
            return c
    if len(classes) == 1:
        return classes[0]
    raise LoadError("there are %d seed classes, %s; expected one of them to be named like the seed, %s"
                    % (len(classes), ", ".join(c.__name__ for c in classes), name))


_VARARGS, _COROUTINE, _ASYNC_GENERATOR = 0x4, 0x80, 0x200  # of co_flags


def _function(run, takes_data):
    """Find out how the function wants to be called; refuse what cannot be."""
    inner = run
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code = getattr(inner, "__code__", None)
    where = "line %d: " % code.co_firstlineno if code is not None else ""
    if code is not None and code.co_flags & (_COROUTINE | _ASYNC_GENERATOR):
        raise LoadError(where + "run is async; expected a plain def run")
    names, needed = _parameters(inner, where)
    if takes_data and not names:
        raise LoadError(where + "run takes no argument, and the seed has an input; expected def run(data):")
    if takes_data and needed > 2:
        raise LoadError(where + "run takes %d arguments; expected def run(data): or def run(data, pkt):" % needed)
    if needed and not takes_data:
        raise LoadError(where + "run takes an argument, and the seed has no input; expected def run():")
    seed = Seed(function=run)
    if takes_data:
        seed.wants_packet = needed == 2 or names[1:2] == ["pkt"]
        seed.wants_bytes = getattr(inner, "__annotations__", {}).get(names[0]) in (bytes, "bytes")
    return seed


def _parameters(function, where):
    """The names of a function's positional parameters, and how many of them have no default."""
    if type(function) is type(_parameters):
        code = function.__code__
        if code.co_kwonlyargcount > len(function.__kwdefaults__ or ()):
            raise LoadError(where + "run has a keyword argument without a default; expected def run(data):")
        names = list(code.co_varnames[:code.co_argcount])
        if not names and code.co_flags & _VARARGS:
            names = ["*"]
        return names, max(0, code.co_argcount - len(function.__defaults__ or ()))
    import inspect  # slow to load, and rarely needed: an object that can be called
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a function written in C that does not tell
        return ["data"], 1
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    return names, len(needed)
