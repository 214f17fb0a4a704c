"""Injectors that wait until the node has stored what they gave."""

from driver import Case


class Stored(Case):
    def injector(self, source):
        worker = self.ready(source, takes=(), stores=True)
        worker.send({"run": [[0, "", 0]]})
        return worker

    def until_sync(self, worker):
        """The outputs up to the next sync."""
        outputs = []
        while True:
            header, blob = worker.receive()
            self.assertNotIn("done", header)
            for _, _, size in header.get("emit", ()):
                outputs.append(blob[:size])
                blob = blob[size:]
            if header.get("sync"):
                return outputs

    def until_done(self, worker):
        while True:
            header, _ = worker.receive()
            self.assertFalse(header.get("emit"))
            if "done" in header:
                return header["done"]

    def test_each_yield_waits(self):
        worker = self.injector("def run():\n    yield 'a'\n    yield 'b'")
        self.assertEqual(self.until_sync(worker), [b"a"])
        worker.send({"stored": True})
        self.assertEqual(self.until_sync(worker), [b"b"])
        worker.send({"stored": True})
        self.assertEqual(self.until_done(worker), [[0]])

    def test_a_batch_waits_once(self):
        worker = self.injector("from pumpkin import Batch\ndef run():\n    yield Batch(str(i) for i in range(3))\n    yield Batch([])")
        self.assertEqual(self.until_sync(worker), [b"0", b"1", b"2"])
        worker.send({"stored": True})
        self.assertEqual(self.until_sync(worker), [])
        worker.send({"stored": True})
        self.assertEqual(self.until_done(worker), [[0]])

    def test_what_cannot_be_stored_fails_the_run(self):
        worker = self.injector("def run():\n    yield 'a'\n    yield 'b'")
        self.until_sync(worker)
        worker.send({"stored": False, "error": "the node is ending"})
        done = self.until_done(worker)
        self.assertIn("the node is ending", done[0][1])

    def test_a_batch_of_a_transformer(self):
        source = "from pumpkin import Batch, State\ndef run(x):\n    return Batch([x, State('B', x + x)])"
        self.assertEqual(self.outputs(source, b"a"), [("", b"a"), ("B", b"aa")])
