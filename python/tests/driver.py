"""Drives a worker as a node does: a real process, spoken to over two pipes."""

import array
import fcntl
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import time
import unittest

# The library that a program carries, where it has put it; else the one beside.
LIBRARY = os.environ.get("PMK_TEST_LIBRARY") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAIN = os.path.join(LIBRARY, "pumpkin", "__main__.py")
PATIENCE = 30  # seconds; a worker that says nothing for so long has failed


class Worker:
    """One worker. It runs the interpreter that runs the tests."""

    def __init__(self, path, name="greet", takes=("String:A",), gives=("String:B",), work="", say_hello=True, leader=False, stores=False):
        to_read, self._in = os.pipe()
        self.out, to_write = os.pipe()
        self.errors = tempfile.TemporaryFile()
        env = dict(os.environ, PMK_WORKER="%d,%d" % (to_read, to_write), PYTHONDONTWRITEBYTECODE="1")
        with open(MAIN) as not_for_the_seed:
            self.process = subprocess.Popen([sys.executable, MAIN], stdin=not_for_the_seed, stdout=subprocess.DEVNULL,
                                            stderr=self.errors, pass_fds=(to_read, to_write), env=env,
                                            start_new_session=leader)
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._next = 0
        if say_hello:
            self.send({"pumpkin": 1, "seed": name, "node": "lab-1", "group": "default", "file": path,
                       "in": list(takes), "out": list(gives), "work": work, "stores": stores, "of a later version": 1})
            self.hello = self.receive()[0]

    def send(self, header, blob=b""):
        self.write(frame(json.dumps(header).encode(), blob))

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self._in, view):]

    def give(self, *data, meta=(), state="String:A", attributes=None):
        """Send a run frame with these packets; returns an empty Outcome for each."""
        numbers = range(self._next, self._next + len(data))
        self._next += len(data)
        meta = list(meta)
        if meta:
            meta.insert(3, attributes or {})
        self.send({"run": [[n, state, len(d)] + meta for n, d in zip(numbers, data)]}, b"".join(data))
        return {n: Outcome() for n in numbers}

    def receive(self):
        """The next frame as (header, blob); None at the end."""
        head = self._read(8)
        if not head:
            return None
        header, blob = struct.unpack(">II", head)
        assert header <= 1 << 20, "a header of %d bytes" % header
        return json.loads(self._read(header).decode()), self._read(blob)

    def _read(self, size):
        parts = [self._buffer]
        have = len(self._buffer)
        while have < size:
            if not select.select([self.out], [], [], PATIENCE)[0]:
                raise AssertionError("the worker said nothing for %d seconds\n%s" % (PATIENCE, self.said()))
            data = os.read(self.out, 1 << 20)
            if not data:
                assert have == 0, "the worker ended within a frame"
                return b""
            parts.append(data)
            have += len(data)
        data = b"".join(parts)
        self._buffer = data[size:]
        return data[:size]

    def run(self, *data, **settings):
        """Run these packets; returns the Outcome of each."""
        outcomes = self.give(*data, **settings)
        self.collect(outcomes)
        return [outcomes[n] for n in sorted(outcomes)]

    def collect(self, outcomes):
        """Take frames until all of these packets are done, and check the protocol's rules."""
        left = sorted(outcomes)
        while left:
            got = self.receive()
            assert got is not None, "the worker ended\n" + self.said()
            header, blob = got
            if "started" in header:
                assert header["started"] == left[0], "started %r while %r run" % (header["started"], left)
            pos = 0
            for n, state, length, *more in header.get("emit", ()):
                assert n in left, "an output of %d while %r run" % (n, left)
                outcomes[n].outputs.append((state, blob[pos:pos + length]))
                outcomes[n].attributes.append(more[0] if more else {})
                pos += length
            assert pos == len(blob), "a blob of %d bytes with outputs of %d" % (len(blob), pos)
            for entry in header.get("done", ()):
                assert entry[0] == left.pop(0), "done out of order"
                if len(entry) > 1:
                    outcomes[entry[0]].error, outcomes[entry[0]].output, *how = entry[1:]
                    outcomes[entry[0]].how = how[0] if how else {}

    def stop_reading(self):
        """Go away, as far as the worker can tell."""
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, self.out)
        os.close(null)

    def stop(self):
        self.send({"stop": True})
        assert self.receive() is None
        return self.process.wait(PATIENCE)

    def end_input(self):
        os.close(self._in)
        self._in = -1

    def said(self):
        """What the worker wrote to standard error so far."""
        fd = self.errors.fileno()
        # Not seek and read: the worker writes at the same place in the file.
        return os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "replace")

    def wait_for(self, text):
        """Wait until the worker has written this to standard error."""
        self.wait_until(lambda: text in self.said())
        return self.said()

    def wait_until(self, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "it did not come about\n" + self.said()
            select.select([], [], [], 0.005)

    def unread(self):
        """How many bytes wait in the pipe."""
        count = array.array("i", [0])
        fcntl.ioctl(self.out, termios.FIONREAD, count)
        return count[0]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._in >= 0:
            self.end_input()
        os.close(self.out)
        self.errors.close()


class Outcome:
    """What came of one packet."""

    def __init__(self):
        self.outputs = []  # (state, data)
        self.attributes = []  # those that each output sets
        self.error = None
        self.output = ""
        self.how = {}


def frame(header, blob=b""):
    return struct.pack(">II", len(header), len(blob)) + header + blob


class Case(unittest.TestCase):
    """A test with a folder of its own and workers that end with it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.work = os.path.join(self.folder, "work")
        os.mkdir(self.work)

    def file(self, source, name="greet"):
        path = os.path.join(self.folder, name + ".py")
        with open(path, "w", encoding="utf-8") as f:
            f.write(textwrap.dedent(source))
        return path

    def worker(self, source, name="greet", **settings):
        worker = Worker(self.file(source, name), name, work=self.work, **settings)
        self.addCleanup(worker.close)
        return worker

    def ready(self, source, name="greet", **settings):
        worker = self.worker(source, name, **settings)
        self.assertNotIn("error", worker.hello, worker.hello)
        return worker

    def run_one(self, source, data=b"", **settings):
        """The outcome of one packet."""
        return self.ready(source, **settings).run(data)[0]

    def outputs(self, source, data=b"", **settings):
        outcome = self.run_one(source, data, **settings)
        self.assertIsNone(outcome.error, outcome.output)
        return outcome.outputs

    def refused(self, source, **settings):
        """The hello of a seed that cannot be loaded; its worker must end."""
        worker = self.worker(source, **settings)
        self.assertIn("error", worker.hello)
        self.assertIsNone(worker.receive())
        self.assertEqual(worker.process.wait(PATIENCE), 1)
        return worker.hello
