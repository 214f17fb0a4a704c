"""Starts a worker: python3 .../pumpkin/__main__.py, with PMK_WORKER set; or, with the words
look FILE, says what keeps a seed file from being loaded.

Before any code of a user's runs, the protocol's pipes are put where neither
the seed nor its children reach them, standard input is empty, and standard
output is standard error.
"""

import os
import sys


def _pipes():
    """The two descriptors of PMK_WORKER, made private."""
    value = os.environ.pop("PMK_WORKER", None)
    try:
        fds = [int(part) for part in value.split(",")]
        in_fd, out_fd = fds
        for fd in fds:
            os.set_inheritable(fd, False)
    except (AttributeError, ValueError, OSError) as e:
        sys.exit("pumpkin: this is a worker of a Pumpkin node and is started by one: "
                 "PMK_WORKER is %r; expected two open descriptors, IN,OUT (%s)" % (value, e))
    return in_fd, out_fd


def _move_aside():
    """Make standard input empty and standard output standard error."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null > 2:
        os.close(null)
    os.dup2(2, 1)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", line_buffering=True)


def _signals():
    """Ctrl-C is the node's business, SIGTERM ends the run as sys.exit does, so
    that finally and atexit have their turn, and SIGQUIT asks for the stack.

    Both have handlers of their own and are not ignored: what the seed starts
    has the defaults again.
    """
    import _signal
    import faulthandler
    from pumpkin.failure import Terminated

    def ignore(number, frame):
        pass

    def end(number, frame):
        _signal.signal(_signal.SIGTERM, ignore)  # a second one must not stop what the first has begun
        raise Terminated(128 + number)

    def forked():
        for number, handler in ((_signal.SIGINT, _signal.default_int_handler), (_signal.SIGTERM, _signal.SIG_DFL)):
            if _signal.getsignal(number) in (ignore, end):
                _signal.signal(number, handler)

    _signal.signal(_signal.SIGINT, ignore)
    _signal.signal(_signal.SIGTERM, end)
    os.register_at_fork(after_in_child=forked)
    faulthandler.enable(file=2)
    faulthandler.register(_signal.SIGQUIT, file=2, all_threads=True)


def _look(path):
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from pumpkin import look
    sys.path.append(sys.path.pop(0))
    look.tell(path)


def main():
    if sys.argv[1:2] == ["look"]:
        return _look(sys.argv[2])
    in_fd, out_fd = _pipes()
    _move_aside()
    # sys.path[0] is this file's folder. The library is found first while it
    # is imported, and last by processes that the seed starts.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _signals()
    from pumpkin import worker
    sys.path.append(sys.path.pop(0))
    return worker.serve(in_fd, out_fd)


if __name__ == "__mp_main__":  # a process of multiprocessing
    from pumpkin import importable
    importable.learn()

if __name__ == "__main__":
    sys.exit(main())
