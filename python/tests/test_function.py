"""Seeds that are functions: what they are given, and what they may give."""

from driver import Case


class Data(Case):
    def test_text_in_text_out(self):
        self.assertEqual(self.outputs('def run(name):\n    return "Hello " + name', b"World"), [("", b"Hello World")])

    def test_every_length_and_order_of_a_batch(self):
        worker = self.ready("def run(x):\n    return x + '|' + str(len(x))")
        texts = ["", "a", "é", "|,|", "日本" * 50, "x" * 300, "\0\n"]
        outcomes = worker.run(*[t.encode() for t in texts])
        self.assertEqual([o.outputs for o in outcomes], [[("", ("%s|%d" % (t, len(t))).encode())] for t in texts])

    def test_binary_data_comes_back_as_it_was(self):
        data = bytes(range(256)) * 3 + b"\xed\xa0\x80\xff"
        for note in ("", ": str", ": bytes", ": 'bytes'"):
            with self.subTest(note):
                self.assertEqual(self.outputs("def run(x%s):\n    return x" % note, data), [("", data)])

    def test_bytes_when_asked_for(self):
        for head in ("", "from __future__ import annotations\n"):
            with self.subTest(head):
                self.assertEqual(self.outputs(head + "def run(x: bytes):\n    return type(x).__name__"), [("", b"bytes")])
        self.assertEqual(self.outputs("def run(x):\n    return type(x).__name__", b"\xff"), [("", b"str")])

    def test_text_that_is_not_utf8_says_to_ask_for_bytes(self):
        outcome = self.run_one("def run(x):\n    return x.encode()", b"\xff")
        self.assertIn("UnicodeEncodeError", outcome.error)
        self.assertIn("def run(data: bytes)", outcome.output)

    def test_eight_mebibytes(self):
        for data in (b"x" * (8 << 20), "é".encode() * (4 << 20), b"\xff\0" * (4 << 20)):
            for note in ("", ": bytes"):
                self.assertEqual(self.outputs("def run(x%s):\n    return x" % note, data), [("", data)])

    def test_outputs_around_what_is_gathered(self):
        source = "def run(x):\n    for i in (0, 1, 4095, 4096, 49000, 49152, 65536, 65537, 300000):\n        yield 'x' * i"
        outputs = self.outputs(source)
        self.assertEqual([len(d) for _, d in outputs], [0, 1, 4095, 4096, 49000, 49152, 65536, 65537, 300000])

    def test_frames_hold_no_more_than_what_may_be_gathered(self):
        worker = self.ready("def run(x):\n    return x")
        worker.give(*["é".encode() * 4000] * 100)
        done = 0
        while done < 100:
            header, blob = worker.receive()
            done += len(header.get("done", ()))
            self.assertLessEqual(len(blob), 64 << 10)


class Outputs(Case):
    def test_what_a_seed_may_give(self):
        for value, want in [("'é'", "é".encode()), ("b'\\xff\\0'", b"\xff\0"), ("bytearray(b'ab')", b"ab"), ("12", b"12"),
                            ("memoryview(b'abcd')[::2]", b"ac"), ("1.5", b"1.5"), ("True", b"True"), ("''", b"")]:
            with self.subTest(value):
                self.assertEqual(self.outputs("def run(x):\n    return " + value), [("", want)])
                self.assertEqual(self.outputs("def run(x):\n    yield " + value), [("", want)])

    def test_nothing_is_a_filter(self):
        self.assertEqual(self.outputs("def run(x):\n    return None"), [])
        self.assertEqual(self.outputs("def run(x):\n    yield None\n    yield 'a'"), [("", b"a")])

    def test_states(self):
        source = """\
            from pumpkin import State
            def run(x):
                yield State("ENGLISH", x)
                yield State("Tweet:OTHER", 7)
                yield "plain"
                yield State("EMPTY")
            """
        self.assertEqual(self.outputs(source, b"hi"),
                         [("ENGLISH", b"hi"), ("Tweet:OTHER", b"7"), ("", b"plain"), ("EMPTY", b"")])
        self.assertEqual(self.outputs("from pumpkin import State\ndef run(x):\n    return State('A', x)", b"hi"), [("A", b"hi")])

    def test_what_a_seed_may_not_give(self):
        for value, kind, advice in [("['a']", "list", "yield"), ("{}", "dict", "json.dumps"), ("('A', 1)", "tuple", "State("),
                                    ("object()", "object", "json.dumps"), ("State('A', None)", "NoneType", "return nothing"),
                                    ("State('A', State('B', ''))", "State", "cannot hold"), ("map(str, [])", "map", "yield from")]:
            for word in ("return", "yield"):
                with self.subTest(value, word=word):
                    outcome = self.run_one("from pumpkin import State\ndef run(x):\n    %s %s" % (word, value))
                    self.assertTrue(outcome.error.startswith("TypeError: "), outcome.error)
                    self.assertIn("not %s: " % kind, outcome.error)
                    self.assertIn(advice, outcome.error)

    def test_state_names_that_are_none(self):
        for name in ("None", "''", "['A']", "'A' * 1000000"):
            with self.subTest(name):
                outcome = self.run_one("from pumpkin import State\ndef run(x):\n    return State(%s, 'x')" % name)
                self.assertIn("a state's name", outcome.error)
        self.assertEqual(self.outputs("from pumpkin import State\ndef run(x):\n    return State('\"é\\n', 'x')"),
                         [('"é\n', b"x")])

    def test_many_outputs_in_little_memory(self):
        source = """\
            def run(x):
                for i in range(1000000):
                    yield "x%d" % i
                import resource
                yield "peak %d" % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            """
        worker = self.ready(source)
        worker.give(b"")
        count, last = 0, b""
        while True:
            header, blob = worker.receive()
            count += len(header.get("emit", ()))
            last = blob or last
            if "done" in header:
                break
        self.assertEqual(count, 1000001)
        self.assertLess(int(last[last.rindex(b"peak ") + 5:]), 80 << 10, "KiB")


class Shapes(Case):
    def test_the_packet_when_asked_for(self):
        for head in ("data, pkt", "data, p", "data, pkt=None"):
            source = "def run(%s):\n    q = %s\n    return repr((data, q.id, q.ship, q.state, q.attempt))" % (
                head, head.split(",")[1].split("=")[0])
            worker = self.ready(source)
            self.assertIs(worker.hello.get("meta"), True)
            outcome, = worker.run(b"d", meta=("id1", "lab:id0", 2))
            self.assertEqual(outcome.outputs, [("", b"('d', 'id1', 'lab:id0', 'String:A', 2)")])

    def test_the_place_in_a_trace(self):
        worker = self.ready("def run(data, pkt):\n    return pkt.traceparent")
        self.assertEqual(worker.run(b"", meta=("id1", "lab:id0", 0, "00-a-b-01"))[0].outputs, [("", b"00-a-b-01")])
        self.assertEqual(worker.run(b"", meta=("id1", "lab:id0", 0))[0].outputs, [("", b"")])

    def test_attributes(self):
        source = """\
            from pumpkin import State
            def run(data, pkt):
                yield State("B", data, sample=pkt.attributes["sample"] + "!", lane=7, deep=True, file="é \\"x\\"")
                yield data
                pkt.attributes["sample"] = "changed"
                yield State("B", data)
                named = State("B", data)
                named.attributes["name"] = "n"
                yield named
            """
        worker = self.ready(source)
        outcome, = worker.run(b"d", meta=("id1", "lab:id0", 0), attributes={"sample": "S07"})
        self.assertIsNone(outcome.error, outcome.output)
        self.assertEqual(outcome.outputs, [("B", b"d"), ("", b"d"), ("B", b"d"), ("B", b"d")])
        self.assertEqual(outcome.attributes, [{"sample": "S07!", "lane": "7", "deep": "True", "file": 'é "x"'}, {}, {}, {"name": "n"}])

    def test_attributes_that_are_none(self):
        for value, error in [("[1]", "TypeError: the attribute lane is text or a number, not list"),
                             ("None", "TypeError: the attribute lane is text or a number, not NoneType"),
                             ("b'x'", "TypeError: the attribute lane is text or a number, not bytes"),
                             ("'é' * 8191", "ValueError: the attributes have 16386 bytes"),
                             ("'\\udc80'", "ValueError: the attribute lane is not UTF-8 text")]:
            with self.subTest(value):
                outcome = self.run_one("from pumpkin import State\ndef run(x):\n    return State('B', x, lane=%s)" % value)
                self.assertIn(error, outcome.error)
                self.assertEqual(outcome.outputs, [])

    def test_large_attributes_fill_frames(self):
        source = "from pumpkin import State\ndef run(x):\n    for i in range(300):\n        yield State('B', x, lane='x' * 16000)"
        outcome = self.run_one(source, b"d")
        self.assertEqual(len(outcome.attributes), 300)

    def test_the_packet_is_not_given_to_who_does_not_ask(self):
        for head in ("data, loud=False", "*args", "data, *, loud=False"):
            worker = self.ready("def run(%s):\n    return 'ok'" % head)
            self.assertNotIn("meta", worker.hello)
            self.assertEqual(worker.run(b"")[0].outputs, [("", b"ok")])

    def test_callables_of_all_kinds(self):
        for source in ("run = str.upper", "run = lambda x: x.upper()",
                       "class C:\n    def __call__(self, x):\n        return x.upper()\nrun = C()",
                       "class C:\n    def run(self, x):\n        return x.upper()\nrun = C().run",
                       "import functools\nrun = functools.partial(lambda how, x: how(x), str.upper)",
                       "import functools\ndef d(f):\n    @functools.wraps(f)\n    def w(*a):\n        return f(*a)\n    return w\n"
                       "@d\ndef run(x):\n    yield x.upper()"):
            with self.subTest(source):
                self.assertEqual(self.outputs(source, b"abc"), [("", b"ABC")])

    def test_injectors(self):
        worker = self.ready("def run():\n    yield 'a'\n    yield 'b'", takes=())
        self.assertEqual(worker.run(b"", state="")[0].outputs, [("", b"a"), ("", b"b")])

    def test_shapes_that_are_refused(self):
        for source, words in [
                ("x = 1", "there is no function run; expected def run(data): (greet.py)"),
                ("run = 1", "run is of type int; expected a function"),
                ("\ndef run():\n    pass", "line 2: run takes no argument"),
                ("def run(a, b, c):\n    pass", "line 1: run takes 3 arguments"),
                ("def run(a, *, b):\n    pass", "keyword argument without a default"),
                ("async def run(a):\n    pass", "run is async"),
                ("async def run(a):\n    yield 1", "run is async")]:
            with self.subTest(source):
                self.assertIn(words, self.refused(source)["error"])
        self.assertIn("expected def run():", self.refused("def run(a):\n    pass", takes=())["error"])
        self.assertIn("expected def run():", self.refused("x = 1", takes=())["error"])

    def test_a_coroutine_that_is_returned(self):
        outcome = self.run_one("async def f():\n    pass\ndef run(x):\n    return f()")
        self.assertIn("not coroutine: the function must not be async", outcome.error)


class Modules(Case):
    def test_a_seed_imports_what_lies_beside_it(self):
        self.file("WORD = 'hi'", name="words")
        self.assertEqual(self.outputs("from words import WORD\ndef run(x):\n    return WORD"), [("", b"hi")])

    def test_files_named_like_standard_modules_are_not_in_the_way(self):
        for name in ("copy", "csv", "json", "select", "traceback", "pumpkin", "load", "token"):
            self.file("raise Exception('a neighbour was imported')", name=name)
        source = "import copy, csv, json, subprocess, traceback\nfrom pumpkin import State\ndef run(x):\n    1/0"
        outcome = self.run_one(source)
        self.assertEqual(outcome.error, "ZeroDivisionError: division by zero")
        self.assertIn("1/0", outcome.output)
        self.assertEqual(self.outputs("import csv, io\ndef run(x):\n    return next(csv.reader(io.StringIO(x)))[1]", b"a,b",
                                      name="csv"), [("", b"b")])

    def test_names_of_files_that_are_no_names_of_modules(self):
        self.assertEqual(self.outputs("def run(x):\n    return __name__", name="2-go"), [("", b"seed_2_go")])
        self.assertEqual(self.outputs("def run(x):\n    return __name__", name="greet"), [("", b"greet")])

    def test_main_blocks_are_not_run(self):
        self.assertEqual(self.outputs("def run(x):\n    return 1\nif __name__ == '__main__':\n    run = None"), [("", b"1")])

    def test_classes_of_the_seed_can_be_pickled(self):
        source = "import pickle\nclass C:\n    v = 3\ndef run(x):\n    return pickle.loads(pickle.dumps(C())).v"
        self.assertEqual(self.outputs(source), [("", b"3")])
