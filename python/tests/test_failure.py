"""Runs that fail, and files that cannot be loaded."""

import os

from driver import PATIENCE, Case, Worker


class Failures(Case):
    def test_an_exception(self):
        source = """\
            def inner(x):
                raise ValueError("no such galaxy: " + x)
            def run(x):
                inner(x)
            """
        worker = self.ready(source)
        first, second = worker.run(b"M31", b"M32")
        self.assertEqual(first.error, "ValueError: no such galaxy: M31")
        self.assertEqual(second.error, "ValueError: no such galaxy: M32")
        self.assertIn("greet.py\", line 2, in inner\n    raise ValueError(", first.output)
        self.assertIn("greet.py\", line 4, in run\n", first.output)
        self.assertNotIn(os.path.join("pumpkin", "run.py"), first.output)
        self.assertEqual(worker.stop(), 0)

    def test_how_it_failed(self):
        source = """\
            import datetime, sys, pumpkin
            def run(x):
                if x == "cause":
                    try:
                        1 / 0
                    except ZeroDivisionError as e:
                        raise pumpkin.Fail("no such\\ngalaxy") from e
                if x.isdigit():
                    sys.exit(int(x))
                raise eval(x, dict(vars(pumpkin), delta=datetime.timedelta))
            """
        cases = [
            (b"cause", "no such galaxy", {"final": True}),
            (b"Fail('no')", "no", {"final": True}),
            (b"Retry('away')", "away", {"later": True, "after": 0}),
            (b"Retry('away', after=90)", "away", {"later": True, "after": 90}),
            (b"Retry('away', after=delta(minutes=2))", "away", {"later": True, "after": 120}),
            (b"Retry('away', after='soon')", "away", {"later": True, "after": 0}),
            (b"Retry('away', after=-1)", "away", {"later": True, "after": 0}),
            (b"Retry('away', after=float('nan'))", "away", {"later": True, "after": 0}),
            (b"Retry('away', after=float('inf'))", "away", {"later": True, "after": 1e9}),
            (b"Retry('away', after=10**400)", "away", {"later": True, "after": 1e9}),
            (b"Retry('away', after=-10**400)", "away", {"later": True, "after": 0}),
            (b"ValueError('no')", "ValueError: no", {}),
            (b"65", "exit status 65", {"final": True}),
            (b"75", "exit status 75", {"later": True}),
            (b"3", "exit status 3", {}),
        ]
        for (data, error, how), got in zip(cases, self.ready(source).run(*[data for data, _, _ in cases])):
            self.assertEqual((got.error, got.how), (error, how), data)
            if data == b"cause":
                self.assertIn("ZeroDivisionError", got.output)

    def test_names_of_exceptions(self):
        self.assertEqual(self.run_one("class Bad(Exception):\n    pass\ndef run(x):\n    raise Bad()").error, "Bad")
        self.assertTrue(self.run_one("import json\ndef run(x):\n    json.loads(x)").error.startswith("json.decoder.JSONDecodeError: "))
        self.assertEqual(self.run_one("def run(x):\n    raise KeyboardInterrupt").error, "KeyboardInterrupt")

    def test_the_reason_is_one_short_line(self):
        outcome = self.run_one("def run(x):\n    raise ValueError('a\\nb' + 'x' * 1000000)")
        self.assertTrue(outcome.error.startswith("ValueError: a bxxx"))
        self.assertLessEqual(len(outcome.error), 1024)
        self.assertLessEqual(len(outcome.output.encode()), 4096)

    def test_an_exception_that_cannot_be_told(self):
        outcome = self.run_one("class E(Exception):\n    def __str__(self):\n        1/0\ndef run(x):\n    raise E")
        self.assertEqual(outcome.error, "E: (its __str__ raised ZeroDivisionError)")

    def test_causes_are_told(self):
        source = "def run(x):\n    try:\n        {}['a']\n    except KeyError as e:\n        raise ValueError('b') from e"
        self.assertIn("KeyError: 'a'", self.run_one(source).output)

    def test_outputs_before_the_failure_are_told(self):
        outcome = self.run_one("def run(x):\n    yield 'a'\n    1/0")
        self.assertEqual(outcome.outputs, [("", b"a")])
        self.assertEqual(outcome.error, "ZeroDivisionError: division by zero")

    def test_many_failures_keep_to_the_size_of_a_header(self):
        worker = self.ready("def run(x):\n    raise ValueError('\\u65e5' * 2000)")
        outcomes = worker.run(*[b""] * 256)
        self.assertEqual(len({o.error for o in outcomes}), 1)

    def test_deep_recursion(self):
        self.assertTrue(self.run_one("def run(x):\n    return run(x)").error.startswith("RecursionError: "))

    def test_the_traceback_shows_what_was_loaded(self):
        worker = self.ready("def run(x):\n    raise ValueError('old')")
        self.file("# edited\n# edited\n")
        self.assertIn("raise ValueError('old')", worker.run(b"")[0].output)

    def test_exit(self):
        for call, want in [("sys.exit(3)", "exit status 3"), ("sys.exit(259)", "exit status 3"), ("sys.exit('bad')", "exit status 1"),
                           ("exit(2)", "exit status 2"), ("sys.exit()", None), ("sys.exit(0)", None)]:
            with self.subTest(call):
                worker = self.ready("import sys\ndef run(x):\n    " + call)
                first, second = worker.run(b"", b"")
                self.assertEqual((first.error, second.error), (want, want))
        self.assertEqual(self.run_one("import sys\ndef run(x):\n    sys.exit('bad')").output, "bad")

    def test_a_crash_ends_the_worker(self):
        for call, status in [("os._exit(3)", 3), ("os.abort()", -6)]:
            with self.subTest(call):
                worker = self.ready("import os\ndef run(x):\n    " + call)
                worker.give(b"")
                self.assertIsNone(worker.receive())
                self.assertEqual(worker.process.wait(PATIENCE), status)
        self.assertIn("greet.py\", line 3 in run", worker.said())


class LoadErrors(Case):
    def test_syntax(self):
        hello = self.refused("def run(x):\n    return (\n")
        self.assertTrue(hello["error"].startswith("SyntaxError: "), hello)
        self.assertIn("greet.py, line", hello["error"])
        self.assertIn("greet.py\", line", hello["output"])

    def test_what_the_file_raises(self):
        hello = self.refused("import sys\n\n1/0\n")
        self.assertEqual(hello["error"], "ZeroDivisionError: division by zero")
        self.assertIn("greet.py\", line 3, in <module>", hello["output"])
        self.assertNotIn("load.py", hello["output"])
        self.assertEqual(self.refused("import sys; sys.exit(4)")["error"], "exit status 4")
        self.assertIn("No module named 'nowhere'", self.refused("import nowhere")["error"])

    def test_a_file_that_is_not_there(self):
        worker = Worker(os.path.join(self.folder, "none.py"))
        self.addCleanup(worker.close)
        self.assertIn("FileNotFoundError", worker.hello["error"])

    def test_a_file_that_is_not_python(self):
        for data in (b"\xff\xfe\xff", b"x = 1\0"):
            self.file("", name="bad")
            with open(os.path.join(self.folder, "bad.py"), "wb") as f:
                f.write(data)
            worker = Worker(os.path.join(self.folder, "bad.py"))
            self.addCleanup(worker.close)
            self.assertIn("Error: ", worker.hello["error"])

    def test_python_2(self):
        for line, at in [('print "hello"', 3), ("print x", 3), ('exec "x = 1"', 3), ("a = 0755", 3), ("a = 10L", 3),
                         ("if x <> 1: pass", 3), ('raise ValueError, "x"', 3), ("a = `x`", 3),
                         ("try: pass\n    except ValueError, e: pass", 4)]:
            with self.subTest(line):
                hello = self.refused("\ndef run(x):\n    %s\n" % line)
                self.assertIn("2to3 -w ", hello["error"])
                self.assertIn("line %d (" % at, hello["error"])
        self.assertIn("the module urllib2 is Python 2", self.refused("import urllib2")["error"])
        self.assertIn("the name xrange is Python 2", self.refused("xrange(3)")["error"])
        self.assertIn("line 3 mixes tabs and spaces", self.refused("def run(x):\n        a = 1\n\tb = 2\n")["error"])
        self.assertNotIn("2to3", self.refused("def run(x):\n    return (1 +\n")["error"])

    def test_python_2_that_shows_when_it_runs(self):
        self.assertIn("2to3", self.run_one("def run(x):\n    return unicode(x)").output)
