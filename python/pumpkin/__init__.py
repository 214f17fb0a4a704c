"""Pumpkin for Python: what a seed file imports.

A seed that is a function needs nothing from here, except State to name the
state of what it gives:

    # pmk: Tweet:RAW -> Tweet:ENGLISH | Tweet:FOREIGN
    from pumpkin import State

    def run(tweet):
        return State("ENGLISH" if " the " in tweet else "FOREIGN", tweet)

One that knows how it failed raises Fail, which no other attempt would mend, or
Retry, which is tried again later.

An injector of many records yields them as Batch, some hundreds at a time.

A seed that is a class, the classic shape, says `from pumpkin import *` and
has PmkSeed, and the modules that old seed files use without importing them.
They are loaded when they are asked for, since most seeds ask for none.
"""

from pumpkin.values import Batch, Fail, Retry, State

# The modules that `from pumpkin import *` gave in the old Pumpkin and old
# seed files rely on.
_OLD_MODULES = ("copy", "json", "logging", "os", "re", "shutil", "socket",
                "subprocess", "sys", "tarfile", "threading", "time", "uuid")

__all__ = ("State", "Batch", "Fail", "Retry", "PmkSeed") + _OLD_MODULES


def __getattr__(name):
    if name == "PmkSeed":
        import pumpkin.PmkSeed as module
    elif name in _OLD_MODULES:
        module = __import__(name)
    else:
        raise AttributeError("module 'pumpkin' has no attribute %r; it has State, Batch, Fail, Retry and PmkSeed" % name)
    globals()[name] = module
    return module
