"""Says what keeps a seed file from being loaded, as far as it shows without running it."""

import ast
import os
import sys
from importlib.util import find_spec

from pumpkin import failure
from pumpkin.load import add_folder


def tell(path):
    """Print what is wrong with the file: a line number (0 for the whole file) and a text."""
    found = look(path)
    if found:
        sys.stdout.buffer.write(("%d %s" % found).encode("utf-8", "backslashreplace"))


def look(path):
    """What is wrong with the file: a line and a text; None for nothing."""
    report = failure.Reporter(path)
    with open(path, "rb") as f:
        report.source = f.read()
    try:
        compile(report.source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as e:
        return getattr(e, "lineno", 0) or 0, report.hint(e) or report.describe(e)[0]
    return _missing(path, report)


def _missing(path, report):
    """The first module that the file always imports and that this Python does not find."""
    add_folder(os.path.dirname(path))
    for node in ast.parse(report.source, path).body:  # what stands in a try, an if or a function may be meant to fail
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        for name in names:
            top = name.split(".")[0]  # to look for more would run the module
            try:
                found = top in sys.modules or find_spec(top) is not None
            except (ImportError, ValueError):
                found = True  # a finder of the user's own
            if not found:
                e = ModuleNotFoundError("No module named %r" % top, name=top)
                return node.lineno, report.hint(e) or "%s. %s" % (report.describe(e)[0], failure.which().strip())
    return None

