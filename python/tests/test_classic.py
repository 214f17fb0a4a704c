"""Seeds that are classes, as the old Pumpkin's were."""

import os
import textwrap

from driver import Case

CLASS = """\
from pumpkin import *

class greet(PmkSeed.Seed):

    def __init__(self, context, poi=None):
        PmkSeed.Seed.__init__(self, context, poi)

"""
META = ("id1", "lab:id0", 2)


class Classic(Case):
    def seed(self, body, head=CLASS, **settings):
        return self.ready(head + textwrap.indent(textwrap.dedent(body), "    "), **settings)

    def outcome(self, body, data=b"", **settings):
        return self.seed(body, **settings).run(data, meta=META)[0]

    def outputs(self, body, data=b"", **settings):
        outcome = self.outcome(body, data, **settings)
        self.assertIsNone(outcome.error, outcome.output)
        return outcome.outputs

    def value(self, expression, data=b"", **settings):
        """What an expression is within run, as text."""
        outputs = self.outputs("def run(self, pkt, data):\n    self.dispatch(pkt, repr(%s), 'B')" % expression, data, **settings)
        return outputs[0][1].decode()

    def test_dispatch(self):
        body = """\
            def run(self, pkt, data):
                self.dispatch(pkt, "Hello " + data, "B")
                self.fork_dispatch(pkt, 7, "B")
                self.dispatch(pkt, b"\\xff\\0", "C", type="Bytes")
                self.dispatch(pkt, "not sent", "B", dispatch=False)
                self.dispatch(self.duplicate_pkt_new_container(pkt), "copy", "UNKNOWN")
            """
        worker = self.seed(body)
        self.assertIs(worker.hello["meta"], True)
        self.assertEqual(worker.run(b"World", meta=META)[0].outputs,
                         [("String:B", b"Hello World"), ("String:B", b"7"), ("Bytes:C", b"\xff\0"), ("UNKNOWN", b"copy")])

    def test_dispatch_takes_the_first_type_as_the_old_one_did(self):
        body = "def run(self, pkt, data):\n    self.dispatch(pkt, '1', 'X')\n    self.dispatch(pkt, '2', 'Y')"
        self.assertEqual(self.outputs(body, gives=("A:X", "B:X", "B:Y")), [("A:X", b"1"), ("Y", b"2")])

    def test_an_injector(self):
        worker = self.seed("def run(self, pkt):\n    for i in range(3):\n        self.fork_dispatch(pkt, str(i), 'B')", takes=())
        worker.send({"run": [[0, "", 0, "id1", "lab:id0", 0, {}]]})
        got = b""
        while True:
            header, blob = worker.receive()
            got += blob
            if "done" in header:
                break
        self.assertEqual(got, b"012")

    def test_attributes(self):
        worker = self.seed("def run(self, pkt, data):\n    self.dispatch(pkt, pkt.attributes['sample'], 'B')")
        self.assertEqual(worker.run(b"", meta=META, attributes={"sample": "S07"})[0].outputs, [("String:B", b"S07")])

    def test_data_is_a_text_and_a_list_of_parts(self):
        data = "one|,|zwö|,|".encode()
        for expression, want in [("data[0]", "one"), ("data[1]", "zwö"), ("data[2]", ""), ("data[-3]", "one"), ("data[0][1]", "n"),
                                 ("data[:3]", "one"), ("data + '!'", "one|,|zwö|,|!"), ("data.split('|,|')[1]", "zwö"),
                                 ("type(data[:2]) is str", True), ("len(data)", 12), ("list(data)[1]", "n"),
                                 ("data == 'one|,|zwö|,|'", True), ("isinstance(data, str)", True),
                                 ("re.search('z(.)', data).group(1)", "w"), ("json.loads(json.dumps(data)) == data", True)]:
            self.assertEqual(self.value(expression, data), repr(want), expression)
        self.assertEqual(self.value("data[0]", b"alone"), "'alone'")
        self.assertEqual(self.value("data[0]", b""), "''")
        self.assertEqual(self.outcome("def run(self, pkt, data):\n    data[2]", b"a|,|b").error,
                         "IndexError: data[2]: the data has 2 parts, separated by |,|")

    def test_binary_data_comes_back_as_it_was(self):
        data = bytes(range(256))
        self.assertEqual(self.outputs("def run(self, pkt, data):\n    self.dispatch(pkt, data, 'B')", data), [("String:B", data)])

    def test_the_packet(self):
        for expression, want in [("pkt.id", "id1"), ("pkt.attempt", 2), ("pkt[0]['ship']", "lab:id0"), ("pkt[0]['t_state']", "A"),
                                 ("pkt[0]['t_otype']", "String"), ("pkt[0]['c_tag']", "default:String:A"),
                                 ("pkt[len(pkt) - 1]['stag']", "default:String:A"), ("self.get_ship_id(pkt)", "lab:id0"),
                                 ("self.get_cont_id(pkt)", "id1"), ("self.get_pkt_id(pkt)", "id1"), ("self.get_last_stag(pkt)", "A"),
                                 ("self.get_pkt_data(pkt)", "d"), ("self.is_fragment(pkt)", False),
                                 ("copy.deepcopy(pkt) is pkt", True), ("self.is_final(pkt)", False)]:
            self.assertEqual(self.value(expression, b"d"), repr(want), expression)

    def test_a_packet_that_ends_here(self):
        body = """\
            def run(self, pkt, data):
                self.dispatch(pkt, "before", "B")
                pkt[0]["stop_func"] = data
                if self.is_final(pkt):
                    self.dispatch(pkt, "file://" + self.context.getWorkingDir() + "a", "B")
                    self.fork_dispatch(pkt, "after", "B")
                    pkt[0].update(stop_func="None")
                self.dispatch(pkt, "in the end", "B")
            """
        worker = self.seed(body, name="hail")
        for data in (b"greet", b"hail", b"default:hail", b"None"):
            outcome = worker.run(data, meta=META)[0]
            self.assertIsNone(outcome.error)
            self.assertEqual(outcome.outputs, [("String:B", b"before"), ("String:B", b"in the end")])
        self.assertIn("pkt[0][\"stop_func\"] = 'other': a seed can end a packet at itself, hail; pmk send --stop other",
                      worker.run(b"other", meta=META)[0].error)

    def test_what_is_written_into_a_packet_is_no_secret(self):
        for write, field in [("pkt[0]['ttl'] = '60'", 'pkt[0]["ttl"]'), ("pkt[0]['aux'] |= 2", 'pkt[0]["aux"]'),
                             ("pkt[0]['mine'] = 1", 'pkt[0]["mine"]'), ("del pkt[0]['ship']", 'pkt[0]["ship"]'),
                             ("pkt[0].update(state='DONE')", 'pkt[0]["state"]'), ("pkt[0].setdefault('mine', 1)", 'pkt[0]["mine"]'),
                             ("pkt[0].pop('box')", 'pkt[0]["box"]'), ("pkt[0].popitem()", 'pkt[0]["last_timestamp"]'),
                             ("pkt[0].clear()", 'pkt[0]["ship"]'), ("pkt[0].__ior__({'e': 1})", 'pkt[0]["e"]'),
                             ("pkt[1]['nodes'] = []", 'pkt[1]["nodes"]'), ("pkt[-1]['stag'] = 'X'", 'pkt[-1]["stag"]')]:
            outcome = self.outcome("def run(self, pkt, data):\n    " + write)
            self.assertIn(field + " cannot be written", outcome.error or "")
        body = """\
            def run(self, pkt, data):
                pkt[0]["state"] = pkt[0]["state"]
                assert pkt[0].pop("mine", None) is None
                for header in (copy.copy(pkt[0]), copy.deepcopy(pkt[0]), dict(pkt[0]), pkt[0].copy(), json.loads(json.dumps(pkt[0]))):
                    header["ttl"] = "60"
                pkt[-1]["data"] = "x"
                self.dispatch(pkt, self.get_pkt_data(self.set_pkt_data(pkt, self.get_pkt_data(pkt) + "y")), "B")
            """
        self.assertEqual(self.outputs(body), [("String:B", b"xy")])

    def test_the_context(self):
        for expression, want in [("self.context.getWorkingDir()", self.work + "/"), ("self.context.getUuid()", "lab-1"),
                                 ("self.context.get_group()", "default"), ("self.context.getTaskDir()", self.folder),
                                 ("self.get_name()", "greet"), ("self.get_fullname()", "default:greet"), ("self.name", "greet"),
                                 ("self.conf['return'][0]['type']", "String"), ("self.get_in_tag_list()", ["default:String:A"]),
                                 ("self.getpoi()", None), ("self.context.is_debug()", False), ("os.environ is not None", True)]:
            self.assertEqual(self.value(expression), repr(want), expression)

    def test_the_logger_and_the_hooks(self):
        body = """\
            def on_load(self):
                self.logger.info("loading")
            def pre_run(self, pkt, *args):
                return args[0] != "skip"
            def run(self, pkt, data):
                self.logger.warning("got %s", data)
                self.logger.debug("not seen")
                self.dispatch(pkt, data, "B")
            def on_unload(self):
                self.logger.info("unloading")
            """
        worker = self.seed(body)
        self.assertEqual([o.outputs for o in worker.run(b"skip", b"a", meta=META)], [[], [("String:B", b"a")]])
        self.assertEqual(worker.stop(), 0)
        self.assertEqual(worker.said(), "INFO loading\nWARNING got a\nINFO unloading\n")

    def test_files(self):
        body = """\
            def run(self, pkt, data):
                wd = self.context.getWorkingDir()
                self._ensure_dir(wd + "dir")
                with open(wd + "dir/a.txt", "w") as f:
                    f.write("content")
                archive = self._tar_to_gz("dir", suffix="001")
                shutil.rmtree(wd + "dir")
                names = [m.name for m in self._untar_to_wd(archive)]
                assert self.ifFile("file://" + archive) and not self.ifFile(data)
                assert self.fileparts("file://" + wd + "dir/a.txt") == ["file", wd + "dir/", "a.txt", wd + "dir/a.txt", "/dir/a.txt"]
                assert self.copy_file_to_wd(wd + "dir/a.txt") == "a.txt"
                assert self.move_data_file("a.txt", "out", "1") == wd + "out/a.txt-1"
                assert os.path.basename(self._add_to_tar("/out/a.txt-1", "dir-001.tar.gz", rename="all")) == "all.tar.gz"
                self.dispatch(pkt, json.dumps([archive, names, open(wd + "out/a.txt-1").read()]), "B")
            """
        want = '["%s/dir-001.tar.gz", ["dir", "dir/a.txt"], "content"]' % self.work
        self.assertEqual(self.outputs(body), [("String:B", want.encode())])

    def test_a_program_is_copied_for_each_packet(self):
        body = """\
            processes = []
            def run(self, pkt, data):
                program = self.context.getWorkingDir() + self.copy_file_to_wd(shutil.which("sleep"), 0o555)
                self.processes.append(subprocess.Popen([program, "60"]))
                self.dispatch(pkt, oct(os.stat(program).st_mode & 0o777), "B")
            def on_unload(self):
                for process in self.processes:
                    process.kill()
                    process.wait()
            """
        worker = self.seed(body)
        for outcome in worker.run(b"a", b"b", meta=META):
            self.assertIsNone(outcome.error, outcome.output)
            self.assertEqual(outcome.outputs, [("String:B", b"0o555")])
        self.assertEqual(worker.stop(), 0)

    def test_an_archive_is_unpacked_for_each_packet(self):
        body = """\
            def run(self, pkt, data):
                wd = self.context.getWorkingDir()
                archive = wd + "in.tar"
                with tarfile.open(archive, "w") as t:
                    for name in data.split():
                        member = tarfile.TarInfo(name)
                        member.type, member.mode = (tarfile.DIRTYPE, 0o755) if name.endswith("/") else (tarfile.REGTYPE, 0o644)
                        t.addfile(member)
                self._untar_to_wd(archive, rename="SimRes")
                os.remove(archive)
                found = sorted(os.path.join(p, f)[len(wd):] for p, _, files in os.walk(wd) for f in files)
                self.dispatch(pkt, " ".join(found), "B")
            """
        outcomes = self.seed(body).run(
            b"dir/ dir/a", b"dir/ dir/b", b"./ ./dir/ ./dir/sub/ ./dir/sub/c", b"one/ one/d two/ two/e", b"SimRes/ SimRes/f", meta=META)
        self.assertEqual([o.error for o in outcomes], [None] * 5)
        self.assertEqual([o.outputs[0][1] for o in outcomes],
                         [b"SimRes/a", b"SimRes/b", b"SimRes/sub/c", b"SimRes/d SimRes/two/e", b"SimRes/d SimRes/f SimRes/two/e"])

    def test_an_archive_replaces_nothing_outside_of_the_working_folder(self):
        os.makedirs(os.path.join(self.folder, "results", "SimRes"))
        body = """\
            def run(self, pkt, data):
                wd = self.context.getWorkingDir()
                self._ensure_dir(wd + "dir")
                self._untar_to_wd(self._tar_to_gz("dir"), destination=data, rename="SimRes")
            """
        self.assertIn("SimRes exists, and is not in the working folder", self.outcome(body, os.path.join(self.folder, "results").encode()).error)
        body = body.replace("SimRes", "../results")
        self.assertIn("expected a folder's name", self.outcome(body, self.work.encode()).error)

    def test_a_path_that_nobody_else_sees_is_refused(self):
        outcome = self.outcome("def run(self, pkt, data):\n    self.dispatch(pkt, 'file://' + self.context.getWorkingDir() + 'a', 'B')")
        self.assertIn("dispatch the file's content", outcome.error)
        body = "def run(self, pkt, data):\n    self.dispatch(pkt, 'file:///shared/a', 'B')"
        self.assertEqual(self.outputs(body), [("String:B", b"file:///shared/a")])

    def test_what_is_gone_names_its_replacement(self):
        for call, words in [("self.broadcast(pkt, 'x', 'B')", "self.dispatch: every seed"), ("self.clean_header(pkt)", "splits are not run yet"),
                            ("self.error(pkt)", "raise an exception"), ("self.context.get_stat()", "pmk ps --json"),
                            ("self.context.getTx()", "self.dispatch"), ("self.dispatch(pkt, 'x', 'B', fragment=True)", "splits are not run yet"),
                            ("self.nothing()", "no attribute 'nothing'"), ("self.context.nothing()", "no 'nothing'")]:
            outcome = self.outcome("def run(self, pkt, data):\n    " + call)
            self.assertIn(words, outcome.error)
            self.assertIn("greet.py\", line 9, in run", outcome.output)

    def test_what_the_node_does_by_itself_is_said_once(self):
        calls = ["ack_pkt(pkt)", "pack_ok(pkt)", "add_flight_pkt(pkt)", "inc_state_counter('IN:greet')", "look_ahead(pkt)",
                 "adj_forecast(pkt)", "start_recording()", "stop_recording()"]
        worker = self.seed("def run(self, pkt, data):\n    self.dispatch(pkt, data, 'B')\n    self." + "\n    self.".join(calls))
        for outcome in worker.run(b"a", b"a", meta=META):
            self.assertIsNone(outcome.error)
            self.assertEqual(outcome.outputs, [("String:B", b"a")])
        lines = worker.said().splitlines()
        self.assertEqual([line.split(" does nothing, the call can be removed: ")[0] for line in lines],
                         ["self." + call.partition("(")[0] for call in calls])
        own = "def ack_pkt(self, pkt):\n    super().ack_pkt(pkt)\n    return 'own'\n"
        self.assertEqual(self.outputs(own + "def run(self, pkt, data):\n    self.dispatch(pkt, self.ack_pkt(pkt), 'B')"), [("String:B", b"own")])

    def test_dispatch_that_is_wrong(self):
        for call, words in [("self.dispatch(pkt, ['a'], 'B')", "not list"), ("self.dispatch(pkt, None, 'B')", "not NoneType"),
                            ("self.dispatch('a', 'b', 'B')", "dispatch takes the packet first"), ("self.dispatch(pkt, 'a', None)", "a state's name")]:
            self.assertIn(words, self.outcome("def run(self, pkt, data):\n    " + call).error)

    def test_dispatch_from_threads(self):
        body = """\
            def run(self, pkt, data):
                def some():
                    for i in range(1000):
                        self.dispatch(pkt, "x", "B")
                threads = [threading.Thread(target=some) for _ in range(4)]
                for t in threads:
                    t.start()
                for t in threads:
                    t.join()
            """
        self.assertEqual(self.outputs(body), [("String:B", b"x")] * 4000)

    def test_dispatch_after_the_run(self):
        body = """\
            def run(self, pkt, data):
                if data == "first":
                    self.kept = pkt
                else:
                    self.dispatch(self.kept, "late", "B")
            """
        first, second = self.seed(body).run(b"first", b"second", meta=META)
        self.assertIsNone(first.error)
        self.assertIn("the run of this packet has ended", second.error)

    def test_which_class_runs(self):
        two = "from pumpkin import PmkSeed\nclass %s(PmkSeed.Seed):\n    def run(self, pkt, data):\n        self.dispatch(pkt, 'first', 'B')\n" \
              "class %s(PmkSeed.Seed):\n    def run(self, pkt, data):\n        self.dispatch(pkt, 'second', 'B')\n"
        self.assertEqual(self.ready(two % ("other", "greet")).run(b"", meta=META)[0].outputs, [("String:B", b"second")])
        self.assertIn("there are 2 seed classes, a, b; expected one of them to be named like the seed, greet",
                      self.refused(two % ("a", "b"))["error"])
        self.assertIn("keep one", self.refused("def run(x):\n    pass\n" + two % ("a", "greet"))["error"])
        base = "from pumpkin import PmkSeed\nclass base(PmkSeed.Seed):\n    def run(self, pkt, data):\n        self.dispatch(pkt, self.word, 'B')\n"
        self.file(base, name="base")
        self.assertEqual(self.ready("from base import base\nclass any(base):\n    word = 'hi'\n").run(b"", meta=META)[0].outputs,
                         [("String:B", b"hi")])

    def test_a_split_without_fragments(self):
        run = "def run(self, pkt, data):\n    self.dispatch(pkt, 'run ' + data, 'B')\ndef merge(self, pkt, data):\n    1/0\n"
        for split in ("return False", "pass", "PmkSeed.Seed.split(self, pkt, data)"):
            self.assertEqual(self.outputs(run + "def split(self, pkt, data):\n    " + split, b"a"), [("String:B", b"run a")])
        self.assertEqual(self.outputs(run, b"a"), [("String:B", b"run a")])
        split = """\
            def split(self, pkt, data):
                if "," not in data:
                    return False
                for part in data.split(","):
                    self.dispatch(pkt, part, "B")
                return True
            """
        whole, parts = self.seed(run + textwrap.dedent(split)).run(b"a", b"b,c", meta=META)
        self.assertEqual([whole.outputs, parts.outputs], [[("String:B", b"run a")], [("String:B", b"b"), ("String:B", b"c")]])
        self.assertEqual([whole.error, parts.error], [None, None])

    def test_what_cannot_be_run(self):
        for body in ("    def run(self, pkt, data):\n        pass\n    def split(self, pkt, data):\n        npkt = self.fragment_pkt(pkt, 1)\n",
                     "    def run(self, pkt, data):\n        self.merge_pkt(pkt)\n"):
            self.assertIn("splits are not run yet", self.refused(CLASS + body)["error"])
        self.assertIn("has no method run", self.refused(CLASS)["error"])
        self.assertIn("ZeroDivisionError", self.refused(CLASS + "    def run(self, pkt):\n        pass\n    def on_load(self):\n        1/0\n")["error"])

    def test_python_2_class(self):
        hello = self.refused(CLASS + '    def run(self, pkt, data):\n        print "PROCESSOR: "+data\n')
        self.assertEqual(hello["error"], 'line 9 (print "PROCESSOR: "+data) is Python 2; convert the file with: 2to3 -w '
                         + os.path.join(self.folder, "greet.py"))
