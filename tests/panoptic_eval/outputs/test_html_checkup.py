"""The page of a checkup: one file, harmless names, a picture of the first examples."""

import re
from html.parser import HTMLParser

from scene import scene

from panoptic_eval.checkup import check
from panoptic_eval.outputs import checkup
from panoptic_eval.outputs.html import checkup as checkup_page

HOSTILE = "<script>alert(1)</script>&\"'\x1b[2J"


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.sources, self.shown = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for key, value in attributes if key in ("src", "href")]

    def handle_data(self, data):
        self.shown.append(data)


def odd(tmp_path):
    data = scene(tmp_path)
    data.gt.json["categories"].append({"id": 99, "name": HOSTILE, "isthing": 1})  # a note names it: it never occurs
    data.gt.segments()[2]["area"] = 1
    data.gt.json["annotations"][1]["segments_info"].pop()
    data.pred.json["annotations"][0]["segments_info"].pop()
    data.write()
    return check(data.gt_json, data.pred_json.parent)


def test_it_shows_every_finding_and_number_and_loads_nothing(tmp_path):
    result = odd(tmp_path)
    page = Page(checkup_page.page(result))
    shown = " ".join(page.shown)
    for finding in result.findings:
        assert finding.text.split("<")[0] in shown
    for value in checkup.lines(result.gt).values():
        assert value in shown
    assert any("<script>" in text for text in page.shown)
    assert "script" not in page.tags
    assert page.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)


def test_a_named_segment_has_a_frame_and_equal_input_gives_equal_bytes(tmp_path):
    result = odd(tmp_path)
    assert checkup_page.page(result) == checkup_page.page(result)
    finding = next(f for f in result.findings if "another area" in f.text)
    plain, framed = (
        checkup_page._drawing(result.gt, 0, text)
        for text in (re.sub(r"segment \d+", "", finding.examples[0]), finding.examples[0])
    )
    assert plain != framed


def test_a_page_of_nothing(tmp_path):
    assert "cannot be scored" in checkup_page.page(check(tmp_path / "nowhere"))
