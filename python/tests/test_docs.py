"""The examples of docs/python-seeds.md give what they say they give."""

import os
import re

from driver import Case

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "python-seeds.md")


class Examples(Case):
    def test_all(self):
        with open(PAGE, encoding="utf-8") as f:
            page = f.read()
        examples = re.findall(r"```python\n(.*?)```(?:(?!```).)*?```text\n(.*?)```", page, re.S)
        self.assertEqual(len(examples), page.count("```python"), "an example without what it gives")
        for source, text in examples:
            with self.subTest(source):
                self.example(source, text)

    def example(self, source, text):
        takes, gives = [[s.strip() for s in re.split(r"\|", side) if s.strip()]
                        for side in re.match(r"# pmk: (.*)\n", source).group(1).split("->")]
        worker = self.ready(source, takes=takes, gives=gives)
        for packet in re.findall(r"^in ?(.*)\n((?:(?:out|error) .*\n)*)", text, re.M):
            state = takes[0] if takes else ""
            outcome, = worker.run(packet[0].encode(), state=state, meta=("id", "lab:id", 0))
            got = ["out " + " ".join(filter(None, [state, d.decode()] + ["%s=%s" % item for item in attributes.items()]))
                   for (state, d), attributes in zip(outcome.outputs, outcome.attributes)]
            if outcome.error:
                got.append("error " + outcome.error)
            self.assertEqual(got, packet[1].splitlines())
