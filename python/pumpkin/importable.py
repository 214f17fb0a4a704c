"""Lets processes that a seed starts by multiprocessing import the seed's module.

They begin anew in this library's __main__, and what they are to run is named by its
module. That may be one that no import finds: of a file called fit-curve.py, or copy.py.
"""

import os
import sys

_VARIABLE = "PMK_SEED_MODULE"


def tell(name, path, source):
    """Tell children what the seed's module is called, its file, and the text of it."""
    import json
    os.environ[_VARIABLE] = json.dumps([name, path, source])


def learn():
    """In such a child: import the seed's module by its name."""
    value = os.environ.get(_VARIABLE)
    if value:
        import json
        sys.meta_path.insert(0, _Finder(*json.loads(value)))


class _Finder:
    """Finds and loads the module of one seed."""

    def __init__(self, name, path, source):
        self.name = name
        self.path = path
        self.source = source

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        from importlib.machinery import ModuleSpec
        return ModuleSpec(name, self, origin=self.path)

    def create_module(self, spec):
        return None  # the usual one

    def exec_module(self, module):
        module.__file__ = self.path
        with open(self.source, "rb") as f:
            code = compile(f.read(), self.path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
