"""Finds out what a seed has imported from its own folder."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_DEEPEST = 100  # causes of an error; they may go in a circle
_MOST = 2000  # files; what a node reads in one header


def files(folder, error=None):
    """The files of modules that lie in the folder or below it, but not of installed packages.

    With an error, those as well that it came by: a module that raises is none.
    """
    paths = set()
    for module in list(sys.modules.values()):
        paths.add(getattr(module, "__dict__", {}).get("__file__"))
    for _ in range(_DEEPEST):
        if error is None:
            break
        if isinstance(error, SyntaxError):
            paths.add(error.filename)
        trace = error.__traceback__
        while trace is not None:
            paths.add(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    # The standard library may lie below, in a home with a Python of its own.
    others = [_HERE] + [p + os.sep for p in (sys.prefix, sys.base_prefix) if _below(p, folder)]
    found = [p for p in paths if isinstance(p, str) and _own(p, folder) and not p.startswith(tuple(others))]
    return sorted(found)[:_MOST]


def _below(path, folder):
    return path.startswith(os.path.join(folder, ""))


def _own(path, folder):
    if not _below(path, folder):
        return False
    parts = path[len(folder):].split(os.sep)
    return not any(part.startswith(".") or part in ("site-packages", "dist-packages") for part in parts)
