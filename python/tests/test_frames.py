"""The frames: how they arrive, and what breaks the rules."""

import json
import os
import random
import subprocess
import sys

from driver import MAIN, PATIENCE, Case, Outcome, Worker, frame

ECHO = "def run(x: bytes):\n    return x\n"


class Frames(Case):
    def test_the_hello_names_the_interpreter(self):
        worker = self.ready(ECHO)
        self.assertEqual(worker.hello, {"pumpkin": 1, "worker": "python %d.%d.%d" % sys.version_info[:3]})

    def test_frames_in_pieces(self):
        worker = self.ready(ECHO)
        draw = random.Random(1)
        for _ in range(20):
            data = [os.urandom(draw.choice((0, 1, 7, 5000, 70000))) for _ in range(draw.randrange(1, 6))]
            entries = [[worker._next + i, "String:A", len(d)] for i, d in enumerate(data)]
            whole = frame(json.dumps({"run": entries, "later": [1.5, None]}).encode(), b"".join(data))
            while whole:
                n = draw.choice((1, 2, 8, 9, 4000, 60000))
                worker.write(whole[:n])
                whole = whole[n:]
            outcomes = {e[0]: Outcome() for e in entries}
            worker._next += len(data)
            worker.collect(outcomes)
            self.assertEqual([o.outputs for o in outcomes.values()], [[("", d)] for d in data])

    def test_several_frames_at_once(self):
        worker = self.ready(ECHO)
        worker.write(frame(b'{"run":[[0,"String:A",1]]}', b"a") + frame(b'{"unknown":1}') + frame(b'{"stop":true}'))
        outcome = Outcome()
        worker.collect({0: outcome})
        self.assertEqual(outcome.outputs, [("", b"a")])
        self.assertIsNone(worker.receive())
        self.assertEqual(worker.process.wait(PATIENCE), 0)

    def test_stop_and_end_of_input(self):
        self.assertEqual(self.ready(ECHO).stop(), 0)
        worker = self.ready(ECHO)
        outcomes = worker.give(b"a")
        worker.end_input()  # after what it has
        worker.collect(outcomes)
        self.assertIsNone(worker.receive())
        self.assertEqual(worker.process.wait(PATIENCE), 0)

    def test_an_empty_run(self):
        worker = self.ready(ECHO)
        worker.send({"run": []})
        self.assertEqual(worker.run(b"a")[0].outputs, [("", b"a")])

    def test_what_breaks_the_rules_ends_the_worker(self):
        run = b'{"run":[[0,"String:A",3]]}'
        for data, words in [
                (frame(run, b"ab"), "a run of 3 bytes with a blob of 2"),
                (frame(b'{"run":[[0]]}'), "no list of entries"),
                (frame(b'{"run":7}'), "no list of entries"),
                (frame(b'{"run":'), "not JSON"),
                (frame(b'{} x'), "not JSON"),
                (frame(b'\xff'), "not JSON"),
                (frame(b'[]'), "not a JSON object"),
                (b"\xff\xff\xff\xff\0\0\0\0", "a header of 4294967295 bytes; at most 1048576"),
                (frame(run, b"abc")[:-1], "ended within a frame"),
                (b"\0\0\0", "ended within a frame")]:
            with self.subTest(data):
                worker = self.ready(ECHO)
                worker.write(data)
                worker.end_input()
                self.assertIsNone(worker.receive())
                self.assertEqual(worker.process.wait(PATIENCE), 1)
                self.assertIn("the node broke the worker protocol: ", worker.said())
                self.assertIn(words, worker.said())

    def test_entries_that_lack_what_the_worker_asked_for(self):
        worker = self.ready("def run(x, pkt):\n    pass")
        worker.give(b"a")
        self.assertIsNone(worker.receive())
        self.assertIn("a run entry with 3 fields; expected 7", worker.said())

    def test_hellos_that_are_none(self):
        for hello, words in [({"pumpkin": 2}, "it speaks version 2; this library speaks version 1"),
                             ({"pumpkin": 1, "seed": "a", "in": []}, "its hello lacks file, out")]:
            worker = Worker("", say_hello=False)
            self.addCleanup(worker.close)
            worker.send(hello)
            self.assertIsNone(worker.receive())
            self.assertEqual(worker.process.wait(PATIENCE), 1)
            self.assertIn(words, worker.said())

    def test_started_by_hand(self):
        for value in (None, "", "3", "a,b", "98,99"):
            env = {k: v for k, v in os.environ.items() if k != "PMK_WORKER"}
            if value is not None:
                env["PMK_WORKER"] = value
            done = subprocess.run([sys.executable, MAIN], env=env, stderr=subprocess.PIPE, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"PMK_WORKER is %r; expected two open descriptors" % value if value is None else b"expected two open descriptors",
                          done.stderr)
