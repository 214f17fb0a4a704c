"""The pipe that a worker's frames go out by."""

import os
import sys
import time
from _collections import deque
from _signal import SIGKILL
from _thread import allocate_lock, start_new_thread

MAX_BLOB = (1 << 32) - 1  # bytes; what a frame can say
GATHER = 48 << 10         # bytes; so much is sent without waiting for more
ENTRY = 32                # bytes that an entry of a header counts for, about

_TICK = 0.0005    # seconds between two looks of the flusher
_LINGER = 40      # looks without anything to send before the flusher sleeps
_SWITCH = 0.0005  # seconds that a computing seed keeps the interpreter from it


class Outbox:
    """Gathers what the runs give, and sends it.

    What runs the seed appends to emits and dones without a lock, and calls
    flush when there is enough. A second thread, the flusher, sends what has
    lain for a tick. Appending to a list and cutting off its head are atomic;
    what matters of the order between the two lists, that a packet's emits
    are told before its done, holds because the one who appends does so in
    that order and the one who takes them takes the dones first.
    """

    def __init__(self, fd):
        self.emits = []      # (n, state as JSON, data, attributes) of each output, as emit takes them
        self.dones = []      # the entry of each packet that ended: n, or JSON
        self.waiting = 0     # bytes in the two, about
        self.asleep = False  # the flusher waits for wake()
        self._gathering = 0  # blocks of together() that have begun
        self.stored = None   # waits until the node has stored what was sent; None where it does not say
        self._fd = fd        # -1 in a process that the seed forked
        self.ahead = deque()  # the entries of the run frame that have not begun
        self._run = ()       # the entries of the run frame that is worked on
        self._since = 0.0    # when it came
        self.patience = 0    # seconds that it may take before what has not begun is given back; 0 for ever
        self._told = 0       # how many of them were told done
        self._started = -1   # which of them was told started last
        self._writing = allocate_lock()
        self._bell = allocate_lock()
        self._bell.acquire()
        self._flusher_runs = False

    def send(self, header):
        """Send a frame by itself. The header is JSON."""
        with self._writing:
            self._write(_frame(header))

    def begin(self, run):
        """A run frame has come, with these entries."""
        with self._writing:  # the flusher must not see half of it
            self.ahead = deque(run)
            self._run = run
            self._since = time.monotonic()
            self._told = 0
            self._started = -1
        if self.asleep:
            self.wake()
        elif not self._flusher_runs:
            self._flusher_runs = True
            sys.setswitchinterval(_SWITCH)
            start_new_thread(self._flush_often, ())

    def emit(self, n, state, data, attributes=""):
        """Take one output: its state as JSON, its data as bytes, and what its
        attributes add to its entry, a comma and a JSON object.
        """
        size = len(data)
        if size > MAX_BLOB:
            raise ValueError("an output of %d bytes; at most %d are allowed" % (size, MAX_BLOB))
        if self.waiting + size > GATHER and self.waiting:
            self.flush()
        self.emits.append((n, state, data, attributes))
        self.waiting += size + ENTRY + len(attributes)
        if self.stored is not None and not self._gathering:
            self._settle()
        elif self.waiting > GATHER:
            self.flush()
        elif self.asleep:
            self.wake()

    def _settle(self):
        """Wait until what was given is stored."""
        self.flush()
        self.send('{"sync":true}')
        self.stored()

    def together(self):
        """A block whose outputs are waited for once, at its end."""
        return _Together(self)

    def done(self, entry, size):
        """A packet has ended. size is what its entry and last output have, in bytes."""
        self.dones.append(entry)
        self.waiting += size
        if self.waiting > GATHER:
            self.flush()
        elif self.asleep:
            self.wake()

    def flush(self):
        """Send what was gathered, and which packet runs now, if that is news."""
        if self._fd < 0:
            os._exit(0)  # a process that the seed forked came back from its run
        with self._writing:
            dones = self.dones[:]
            del self.dones[:len(dones)]
            emits = self.emits[:]
            del self.emits[:len(emits)]
            self.waiting = 0
            self._told += len(dones)
            started = -1
            if self._started < self._told < len(self._run):
                # Packets run in order: it is the first that is not done.
                self._started = self._told
                started = self._run[self._told][0]
            if dones:
                # started counts before done, and these were done before.
                self._write_gathered(emits, dones, -1)
                emits = dones = ()
            if emits or started >= 0:
                self._write_gathered(emits, dones, started)

    def _write_gathered(self, emits, dones, started):
        parts = []
        blobs = [data for _, _, data, _ in emits]
        if started >= 0:
            parts.append('"started":%d' % started)
        if emits:
            parts.append('"emit":[%s]' % ",".join([f"[{n},{state},{len(data)}{more}]" for n, state, data, more in emits]))
        if dones:
            parts.append('"done":[[%s]]' % "],[".join(map(str, dones)))
        header = "{%s}" % ",".join(parts)
        if len(blobs) == 1 and len(blobs[0]) > GATHER:  # not worth a copy
            self._write(_frame(header, len(blobs[0])))
            self._write(blobs[0])
        else:
            blob = b"".join(blobs)
            self._write(_frame(header, len(blob)) + blob)

    def wake(self):
        """Wake the flusher: there is something to send."""
        self.asleep = False
        try:
            self._bell.release()
        except RuntimeError:
            pass  # another thread was faster

    def _flush_often(self):
        idle = 0
        while self._fd >= 0:
            if idle < _LINGER or self.ahead and self.patience:
                time.sleep(_TICK)
                if self.ahead and 0 < self.patience < time.monotonic() - self._since:
                    self._give_back()
            else:
                self.asleep = True
                if not self._pending():  # looked at once more: it may have come in between
                    self._bell.acquire()
                self.asleep = False
                idle = 0
            if self._pending():
                self.flush()
                idle = 0
            else:
                idle += 1

    def _give_back(self):
        """Give back the runs that have not begun. Who takes an entry off either end
        of ahead has it alone.
        """
        with self._writing:
            left = list(self._run)
            first = None
            try:
                while True:
                    first = self.ahead.pop()
                    left.pop()
            except IndexError:
                pass
            if first is not None:
                self._run = left
                self._write(_frame('{"back":%d}' % first[0]))

    def _pending(self):
        return self.emits or self.dones or self._started < self._told < len(self._run)

    def _write(self, data):
        try:
            n = os.write(self._fd, data)
            if n < len(data):
                with memoryview(data) as view:
                    while n < len(data):
                        n += os.write(self._fd, view[n:])
        except BrokenPipeError:
            end_with_node()

    def forget(self):
        """Close the pipe, in a process that the seed forked."""
        os.close(self._fd)
        self._fd = -1


class _Together:
    def __init__(self, outbox):
        self.outbox = outbox

    def __enter__(self):
        self.outbox._gathering += 1

    def __exit__(self, kind, *_):
        self.outbox._gathering -= 1
        if kind is None and self.outbox.stored is not None and not self.outbox._gathering:
            self.outbox._settle()


def _frame(header, blob=0):
    """A frame, but for its blob of so many bytes."""
    header = header.encode()
    return len(header).to_bytes(4, "big") + blob.to_bytes(4, "big") + header


def end_with_node():
    """End at once, with all processes that the seed started: the node is gone."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, SIGKILL)
    os._exit(1)
