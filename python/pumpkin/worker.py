"""The worker: loads the seed, runs it on what the node gives, tells what comes of it."""

import os
import select
import sys
from _thread import start_new_thread

from pumpkin import failure, imported, run
from pumpkin.load import LoadError, load
from pumpkin.outbox import Outbox, end_with_node
from pumpkin.wire import Inbox, ProtocolError, quote

VERSION = 1  # of the worker protocol


def serve(in_fd, out_fd):
    """Serve the node until it says stop. Returns the exit status."""
    inbox, outbox = Inbox(in_fd), Outbox(out_fd)

    def forked():
        # A process that the seed forks must not keep the pipes open, nor
        # write to them.
        os.close(in_fd)
        outbox.forget()

    os.register_at_fork(after_in_child=forked)
    start_new_thread(_watch, (out_fd,))
    try:
        frame = inbox.read()
        return 0 if frame is None else _serve(frame[0], inbox, outbox)
    except ProtocolError as e:
        failure.shout("the node broke the worker protocol: %s" % e)
        return 1


def _watch(out_fd):
    """Wait until nobody reads what the worker writes: a node that was killed
    cannot end its workers, and a seed may run on for ever without a word.
    """
    poll = select.poll()
    poll.register(out_fd, 0)
    while not poll.poll():
        pass
    end_with_node()


def _serve(hello, inbox, outbox):
    if hello.get("pumpkin") != VERSION:
        raise ProtocolError("it speaks version %r; this library speaks version %d" % (hello.get("pumpkin"), VERSION))
    if hello.get("stores"):
        outbox.stored = lambda: _await_stored(inbox)
    outbox.patience = hello.get("back", 0) / 1000
    missing = [key for key in ("seed", "file", "in", "out") if key not in hello]
    if missing:
        raise ProtocolError("its hello lacks %s" % ", ".join(missing))
    path = os.path.abspath(hello["file"])
    report = failure.Reporter(path)
    try:
        seed = load(path, hello.get("source", path), hello["seed"], bool(hello["in"]), report)
        run_all, close, meta = run.prepare(seed, hello, outbox, report)
    except BaseException as e:
        failure.flush_output()
        outbox.send('{"pumpkin":%d,"error":%s,"output":%s%s}' % ((VERSION,) + _why(e, path, report) + (_imported(path, e),)))
        return 1
    failure.flush_output()
    python = "%s %d.%d.%d" % ((sys.implementation.name.replace("cpython", "python"),) + sys.version_info[:3])
    outbox.send('{"pumpkin":%d,"worker":%s%s%s}' % (VERSION, quote(python), ',"meta":true' if meta else "", _imported(path)))
    try:
        _loop(inbox, outbox, run_all, 7 if meta else 3)
    finally:
        try:
            close()
        except Exception as e:
            failure.shout("on_unload: %s\n%s" % report.describe(e))
    return 0


def _why(error, path, report):
    """Why the seed was not loaded, as two JSON strings: the error and the output."""
    if isinstance(error, LoadError):
        return quote("%s (%s)" % (error, os.path.basename(path))), quote("")
    reason, output = report.describe(error)
    return quote(report.hint(error) or reason), quote(output)


def _imported(path, error=None):
    """What the seed has imported from its own folder, for the end of a hello."""
    files = [p for p in imported.files(os.path.dirname(path), error) if p != path]
    return ',"imported":[%s]' % ",".join(map(quote, files)) if files else ""


def _await_stored(inbox):
    """Wait until the node says that it has stored what it was sent."""
    frame = inbox.read()
    if frame is None:
        end_with_node()
    stored = frame[0].get("stored")
    if stored is None:
        raise ProtocolError("it answers a sync with %r" % sorted(frame[0]))
    if not stored:
        raise OSError("not stored: %s" % frame[0].get("error", "the node does not say why"))


def _loop(inbox, outbox, run_all, width):
    while True:
        frame = inbox.read()
        if frame is None:
            return
        header, blob = frame
        entries = header.get("run")
        if entries is not None:
            _check(entries, blob, width)
            outbox.begin(entries)
            run_all(blob)
            failure.flush_output()
            outbox.flush()
        if header.get("stop"):
            return


def _check(entries, blob, width):
    """Refuse a run frame whose entries do not fit its blob."""
    try:
        size = sum([entry[2] for entry in entries])
        short = [entry for entry in entries if len(entry) < width]
    except (TypeError, LookupError) as e:
        raise ProtocolError("a run that is no list of entries: %s" % e) from None
    if short:
        raise ProtocolError("a run entry with %d fields; expected %d" % (len(short[0]), width))
    if size != len(blob):
        raise ProtocolError("a run of %d bytes with a blob of %d" % (size, len(blob)))
