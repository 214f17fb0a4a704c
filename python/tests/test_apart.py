"""What the seed and its children do stays away from the protocol."""

import os
import signal
import subprocess
import sys

from driver import PATIENCE, Case


class Apart(Case):
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

    def test_processes_of_a_pool_of_a_file_of_any_name(self):
        for name in ("fit-curve", "copy", "greet"):
            source = """\
                import multiprocessing, os
                def square(x):
                    return x * x
                def where(x):
                    return os.path.basename(__file__)
                def run(x):
                    with multiprocessing.get_context("spawn").Pool(2) as pool:
                        yield sum(pool.map_async(square, range(10)).get(60))
                        yield pool.map_async(where, [1]).get(60)[0]
                """
            self.assertEqual(self.outputs(source, name=name), [("", b"285"), ("", name.encode() + b".py")])

    def test_processes_of_a_pool(self):
        for method in ("fork", "spawn", "forkserver"):
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

    def test_what_the_seed_starts_has_the_default_signals(self):
        source = """\
            import os, signal, subprocess, sys
            SAY = "import signal; print(signal.getsignal(2) is signal.default_int_handler, signal.getsignal(15) == 0)"
            def run(x):
                yield subprocess.check_output([sys.executable, "-c", SAY])
                r, w = os.pipe()
                if not os.fork():
                    os.write(w, b"%s %s" % tuple(str(signal.getsignal(n)).encode() for n in (2, 15)))
                    os._exit(0)
                os.wait()
                yield os.read(r, 1000)
            """
        started, forked = self.outputs(source)
        self.assertEqual(started, ("", b"True True\n"))
        self.assertIn(b"default_int_handler", forked[1])
        self.assertTrue(forked[1].endswith((b"SIG_DFL", b" 0")), forked)

    def test_sigterm_ends_the_run_in_order(self):
        source = """\
            import atexit, os, time
            atexit.register(lambda: print("at exit"))
            def run(sent):
                try:
                    print("begun")
                    time.sleep(1000)
                finally:
                    print("finally")
                    for _ in range(3000):
                        if os.path.exists(sent):
                            break
                        time.sleep(0.01)
                    print("still")
            """
        worker = self.ready(source)
        sent = os.path.join(self.folder, "sent")
        worker.give(sent.encode())
        worker.wait_for("begun")
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_for("finally")
        worker.process.send_signal(signal.SIGTERM)
        open(sent, "w").close()  # no sooner: the run goes on until the second signal was sent
        self.assertEqual(worker.process.wait(PATIENCE), 128 + signal.SIGTERM)
        self.assertEqual(worker.said().split("\n")[:4], ["begun", "finally", "still", "at exit"])

    def test_a_hung_worker_shows_its_stack(self):
        worker = self.ready("def loop_for_ever():\n    while True:\n        pass\ndef run(x):\n    loop_for_ever()\n")
        worker.give(b"")
        self.assertEqual(worker.receive(), ({"started": 0}, b""))
        worker.process.send_signal(signal.SIGQUIT)
        worker.wait_for("line 5 in run\n")
        self.assertIn("in loop_for_ever\n", worker.said())
        self.assertIsNone(worker.process.poll())
