"""The frames: how they arrive, how they are gathered, and what breaks the rules."""

import json
import os
import random
import signal
import subprocess
import sys
import time

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
        worker.give(b"a")
        worker.end_input()  # after what it has
        worker.collect({0: Outcome()})
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
        self.assertIn("a run entry with 3 fields; expected 6", worker.said())

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


class Timing(Case):
    """The seeds here wait for the test, in the middle of a run, on a named
    pipe: what the test receives meanwhile was sent while the run went on.
    """

    def setUp(self):
        super().setUp()
        self.gate = os.path.join(self.folder, "gate")
        os.mkfifo(self.gate)
        self._bell = os.open(self.gate, os.O_RDWR)
        self.addCleanup(os.close, self._bell)

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
            if "emit" in header:
                late.append(time.time() - float(blob))
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
            self.assertIn("emit", worker.receive()[0])
        # Nobody reads now. Once the pipe is full, the seed has made what the
        # pipe and the worker's own buffer hold, and no more.
        worker.wait_until(lambda: worker.unread() > 60000)
        worker.process.send_signal(signal.SIGQUIT)
        said = worker.wait_for("in serve")
        made = [int(line) for line in said.splitlines() if line.isdigit()]
        self.assertLess(max(made), 1000)
        for _ in range(5):
            self.assertIn("emit", worker.receive()[0])

    def test_the_node_goes_away(self):
        worker = self.ready("def run():\n    while True:\n        try:\n            yield 'x' * 1000\n        except BaseException:\n            pass\n",
                            takes=())
        worker.send({"run": [[0, "", 0]]})
        worker.receive()
        os.dup2(os.open(os.devnull, os.O_RDONLY), worker.out)
        self.assertEqual(worker.process.wait(PATIENCE), 1)


class Apart(Case):
    """What the seed and its children do stays away from the protocol."""

    def test_prints_go_to_standard_error(self):
        source = """\
            import os, subprocess, sys
            print("while loading")
            def run(x):
                print("a print")
                sys.stdout.write("no newline")
                sys.stdout.flush()
                os.write(1, b"|a raw write|")
                os.system("echo from a shell")
                subprocess.run(["echo", "from a child"])
                print("bytes \\udcff", x)
                return "ok"
            """
        worker = self.ready(source)
        self.assertEqual(worker.run(b"")[0].outputs, [("", b"ok")])
        said = worker.said()
        for words in ("while loading\n", "a print\nno newline|a raw write|from a shell\nfrom a child\nbytes "):
            self.assertIn(words, said)

    def test_what_is_printed_without_a_newline_is_not_kept(self):
        worker = self.ready("def run(x):\n    print('here', end='')")
        worker.run(b"")
        self.assertIn("here", worker.said())

    def test_a_seed_that_closes_everything_it_knows(self):
        source = """\
            import os, sys
            def run(x):
                sys.stdout.close()
                sys.stderr.close()
                sys.stdin.close()
                return "ok"
            """
        first, second = self.ready(source).run(b"", b"")
        self.assertEqual(first.outputs, [("", b"ok")])

    def test_standard_input_is_empty(self):
        self.assertEqual(self.outputs("import sys\ndef run(x):\n    return repr(sys.stdin.read())"), [("", b"''")])

    def test_children_do_not_have_the_pipes(self):
        source = """\
            import os, subprocess
            def run(x):
                return subprocess.run("ls /proc/self/fd; echo $PMK_WORKER", shell=True, close_fds=False, stdout=-1).stdout
            """
        if not os.path.isdir("/proc/self/fd"):
            self.skipTest("needs /proc")
        fds = [int(n) for n in self.outputs(source)[0][1].split()]
        self.assertLess(max(fds), 5, fds)

    def test_forked_processes_cannot_speak(self):
        source = """\
            import os
            def run(x):
                pid = os.fork()
                if pid == 0:
                    return "from the child"
                os.waitpid(pid, 0)
                return "from the parent"
            """
        worker = self.ready(source)
        for _ in range(3):
            self.assertEqual(worker.run(b"")[0].outputs, [("", b"from the parent")])
        self.assertEqual(worker.stop(), 0)

    def test_a_child_that_outlives_does_not_hold_the_pipes(self):
        source = """\
            import os, time
            def run(x):
                if os.fork() == 0:
                    open(%r).close()
                    os._exit(0)
                return "ok"
            """ % os.path.join(self.folder, "gate")
        os.mkfifo(os.path.join(self.folder, "gate"))
        worker = self.ready(source)
        worker.run(b"")
        self.assertEqual(worker.stop(), 0)  # it would wait for the child to close the pipe
        with open(os.path.join(self.folder, "gate"), "w"):
            pass  # now the child may end

    def test_processes_of_a_pool(self):
        for method in ("fork", "spawn"):
            source = """\
                import multiprocessing
                def square(x):
                    return x * x
                def run(x):
                    with multiprocessing.get_context("%s").Pool(2) as pool:
                        return sum(pool.map(square, range(10)))
                """ % method
            self.assertEqual(self.outputs(source), [("", b"285")])

    def test_ctrl_c_is_the_nodes_business(self):
        worker = self.ready("import os, signal\ndef run(x):\n    os.kill(os.getpid(), signal.SIGINT)\n    return 'ok'")
        self.assertEqual(worker.run(b"")[0].outputs, [("", b"ok")])

    def test_a_hung_worker_shows_its_stack(self):
        worker = self.ready("def loop_for_ever():\n    while True:\n        pass\ndef run(x):\n    loop_for_ever()\n")
        worker.give(b"")
        self.assertEqual(worker.receive(), ({"started": 0}, b""))
        worker.process.send_signal(signal.SIGQUIT)
        worker.wait_for("line 5 in run\n")
        self.assertIn("in loop_for_ever\n", worker.said())
        self.assertIsNone(worker.process.poll())
