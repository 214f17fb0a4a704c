"""What is told of a run that failed: one line, and where it happened."""

import os
import sys

from pumpkin import python2
from pumpkin.values import Fail, Retry

_HERE = os.path.dirname(os.path.abspath(__file__))
_MAX_REASON = 1 << 10  # characters
_MAX_OUTPUT = 4 << 10  # bytes
_MAX_AFTER = 1e9       # seconds


class Terminated(SystemExit):
    """The worker was sent SIGTERM: it ends, and the run with it."""


class Reporter:
    """Tells of failures in one seed file."""

    def __init__(self, path):
        self.path = path
        self.source = b""  # what was loaded; the file may be another by now
        self.module = ""   # the name of the module that the file became

    def describe(self, error):
        """(reason, output) of an exception: one line, and a traceback of at most 4 KiB.

        The traceback leaves out the frames of this library.
        """
        if isinstance(error, SystemExit):
            said = "" if error.code is None or isinstance(error.code, int) else str(error.code)
            return "exit status %d" % exit_status(error), _tail(said)
        kind = type(error)
        if isinstance(error, (Fail, Retry)) and _text(error).strip():
            return " ".join(_text(error).split("\n")).strip()[:_MAX_REASON], _tail(self._traceback(error))
        name = kind.__qualname__
        if kind.__module__ not in ("builtins", self.module):
            name = kind.__module__ + "." + name
        text = " ".join(_text(error).split("\n")).strip()
        reason = name + ": " + text if text else name
        return reason[:_MAX_REASON], _tail(self._traceback(error) + self._advice(error))

    def hint(self, error):
        """What to do when the file is Python 2; else "". """
        return python2.explain(error, self.path)

    def _advice(self, error):
        if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
            return "The data is not UTF-8 text. Ask for bytes: def run(data: bytes):\n"
        if isinstance(error, ModuleNotFoundError):
            return which()
        hint = self.hint(error)
        return hint + "\n" if hint else ""

    def _traceback(self, error):
        try:
            import linecache
            import traceback
            lines = self.source.decode("utf-8", "replace").splitlines(True)
            linecache.cache[self.path] = (len(self.source), None, lines, self.path)
            report = traceback.TracebackException(type(error), error, error.__traceback__)
            _strip(report, set())
            return "".join(report.format())
        except Exception as e:  # a __str__ of the seed's own that raises
            return "(no traceback: %s)\n" % type(e).__name__


def which():
    """Which Python this is, and how to choose another, for a module that it lacks."""
    return ("This is %s, Python %d.%d.%d. Another is chosen by a #! line in the seed's file, a folder .venv beside it, "
            "or PUMPKIN_PYTHON.\n" % ((sys.executable,) + sys.version_info[:3]))


def how(error):
    """What the error says of how it failed, as JSON: of what is to be done, and
    not of its text; "" for nothing.
    """
    status = exit_status(error) if isinstance(error, SystemExit) else 0
    if isinstance(error, Fail) or status == os.EX_DATAERR:
        return '{"final":true}'
    if isinstance(error, Retry):
        after = error.after
        try:
            if hasattr(after, "total_seconds"):
                after = after.total_seconds()
            after = float(after or 0)
        except OverflowError:  # an int that no float holds
            after = _MAX_AFTER if after > 0 else 0.0
        except (TypeError, ValueError):
            after = 0.0  # the usual pause
        if not after > 0:  # nor is what is no number
            after = 0.0
        after = min(after, _MAX_AFTER)
        return '{"later":true,"after":%.3f}' % after
    return '{"later":true}' if status == os.EX_TEMPFAIL else ""


def exit_status(error):
    """The exit status that a SystemExit stands for."""
    code = error.code
    if code is None:
        return 0
    return code & 0xff if isinstance(code, int) else 1


def _text(error):
    try:
        return str(error)
    except Exception as e:  # a __str__ of the seed's own
        return "(its __str__ raised %s)" % type(e).__name__


def _tail(text):
    data = text.encode("utf-8", "replace")
    if len(data) > _MAX_OUTPUT:
        data = b"..." + data[3 - _MAX_OUTPUT:]
    return data.decode("utf-8", "ignore")


def _strip(report, seen):
    """Take the frames of this library out of a traceback and its causes."""
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    report.stack[:] = [f for f in report.stack if not f.filename.startswith((_HERE, "<frozen importlib"))]
    _strip(report.__cause__, seen)
    _strip(report.__context__, seen)


def shout(text):
    """Say something on standard error, whatever became of sys.stderr."""
    os.write(2, (text.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))


def flush_output():
    """Send on its way what the seed printed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the seed closed it, or put something else there
