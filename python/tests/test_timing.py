"""When what a seed gives is sent, and what holds it back."""

import os
import signal
import time

from driver import PATIENCE, Case, Outcome


def held(fifo):
    """Whether a process has the named pipe open for writing."""
    try:
        return os.read(fifo, 1) != b""
    except BlockingIOError:
        return True


class Timing(Case):
    """The seeds here wait for the test, in the middle of a run, on a named
    pipe: what the test receives meanwhile was sent while the run went on.
    """

    def setUp(self):
        super().setUp()
        self.gate = os.path.join(self.folder, "gate")
        os.mkfifo(self.gate)
        self._bell = os.open(self.gate, os.O_RDWR)
        self.addCleanup(lambda: os.close(self._bell))

    def open_gate(self):
        os.write(self._bell, b"x")

    def seed(self, source, **settings):
        return self.ready("import os\n_gate = os.open(%r, os.O_RDWR)\ndef wait():\n    os.read(_gate, 1)\n%s" % (self.gate, source), **settings)

    def test_outputs_are_sent_while_the_seed_pauses(self):
        worker = self.seed("def run(x):\n    for i in range(3):\n        yield 'a%d' % i\n        yield 'b'\n        wait()\n")
        worker.give(b"")
        for i in range(3):
            got, blob = [], b""
            while len(got) < 2:
                header, more = worker.receive()
                got += header.get("emit", [])
                blob += more
                self.assertNotIn("done", header)
            self.assertEqual((got, blob), ([[0, "", 2], [0, "", 1]], b"a%db" % i))
            self.open_gate()
        worker.collect({0: Outcome()})

    def test_a_long_run_is_told_started_and_what_was_done_before_it(self):
        worker = self.seed("def run(x):\n    if x:\n        wait()\n    return 'ok'\n")
        worker.give(b"", b"", b"x", b"", b"x")
        for started, done in ((2, [[0], [1]]), (4, [[2], [3]])):
            told, start = [], -1
            while start != started:
                header = worker.receive()[0]
                told += header.get("done", [])
                start = header.get("started", start)
            self.assertEqual(told, done)
            self.open_gate()
        worker.collect({4: Outcome()})

    def test_a_long_run_is_told_started_while_it_computes(self):
        worker = self.ready("def run(x):\n    while True:\n        pass\n")
        worker.give(b"")
        self.assertEqual(worker.receive(), ({"started": 0}, b""))

    def test_the_flusher_wakes_again(self):
        # Long enough for it to fall asleep, in a run and between runs.
        worker = self.seed("import time\ndef run(x):\n    time.sleep(0.1)\n    yield 'a'\n    wait()\n")
        for n in range(3):
            worker.give(b"")
            self.assertEqual(worker.receive(), ({"started": n}, b""))
            self.assertEqual(worker.receive(), ({"emit": [[n, "", 1]]}, b"a"))
            self.open_gate()
            self.assertEqual(worker.receive(), ({"done": [[n]]}, b""))

    def test_how_soon_outputs_are_sent(self):
        source = """\
            import time
            def run(x):
                for i in range(30):
                    yield repr(time.time())
                    time.sleep(0.01)
            """
        worker = self.ready(source)
        worker.give(b"")
        late = []
        while len(late) < 30:
            header, blob = worker.receive()
            for _, _, size in header.get("emit", ()):  # a busy machine may gather several
                late.append(time.time() - float(blob[:size]))
                blob = blob[size:]
        # A millisecond is what is promised; half of them may have met a busy machine.
        self.assertLess(sorted(late)[len(late) // 2], 0.005)

    def test_an_endless_injector_is_held_back(self):
        source = """\
            def run():
                for i in range(10**12):
                    if i % 100 == 0:
                        print(i)
                    yield "x" * 1000
            """
        worker = self.ready(source, takes=())
        worker.send({"run": [[0, "", 0]]})
        for _ in range(5):
            while "emit" not in worker.receive()[0]:
                pass  # that the run has begun
        # Nobody reads now. Once the pipe is full, the seed has made what the
        # pipe and the worker's own buffer hold, and no more.
        worker.wait_until(lambda: worker.unread() > 60000)
        worker.process.send_signal(signal.SIGQUIT)
        said = worker.wait_for("in serve")
        made = [int(line) for line in said.splitlines() if line.isdigit()]
        self.assertLess(max(made), 1000)
        for _ in range(5):
            while "emit" not in worker.receive()[0]:
                pass  # that the run has begun

    def test_the_node_goes_away(self):
        worker = self.ready("def run():\n    while True:\n        try:\n            yield 'x' * 1000\n        except BaseException:\n            pass\n",
                            takes=())
        worker.send({"run": [[0, "", 0]]})
        worker.receive()
        worker.stop_reading()
        self.assertEqual(worker.process.wait(PATIENCE), 1)

    def test_the_node_goes_away_while_the_seed_hangs(self):
        fifo = os.open(self.gate, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, fifo)
        os.close(self._bell)
        self._bell = os.dup(fifo)
        source = """\
            import subprocess
            def run(x):
                with open(%r, "w") as f:
                    subprocess.Popen(["sleep", "1000"], stdout=f)
                print("the child runs")
                while True:
                    pass
            """ % self.gate
        worker = self.ready(source, leader=True)
        worker.give(b"")
        worker.wait_for("the child runs")
        self.assertTrue(held(fifo))
        worker.stop_reading()
        self.assertEqual(worker.process.wait(PATIENCE), -signal.SIGKILL)
        worker.wait_until(lambda: not held(fifo))
