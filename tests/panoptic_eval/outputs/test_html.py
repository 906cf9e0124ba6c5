import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import folders
import numpy as np
import pytest
import random_maps
from drawings import BUS, CAR, SKY, table
from PIL import Image

from panoptic_eval import evaluate
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.cli import main
from panoptic_eval.evaluation import load, rescore
from panoptic_eval.outputs import html
from panoptic_eval.outputs import json as json_output
from panoptic_eval.outputs.html import marks
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score

VOID = {"meta", "img", "br"}


class Tree(HTMLParser):
    """Text of the cells of tables and of tiles, and whether all tags are closed in order."""

    def __init__(self, content):
        super().__init__()
        self.open, self.cells, self.text, self.links, self.bars = [], [], [], [], []
        self.feed(content)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [given[k] for k in ("src", "href") if k in given]
        if tag == "i" and "style" in given:
            self.bars.append(float(re.search(r"width:([\d.]+)%", given["style"])[1]))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            return
        self.text.append(data)
        if {"td", "th"} & {*self.open[-2:]}:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two stored runs on the same random images, with photographs of none."""
    folder = tmp_path_factory.mktemp("html")
    rng = np.random.default_rng(3)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=8)
    gt, pred = random_maps.write(folder / "a", categories, images)
    evaluate(pred, gt, out=folder / "first")
    evaluate(gt, gt, out=folder / "perfect")
    return folder


def page(folder, **options):
    return html.page(json_output.read(folder), load(folder), name=folder.name, **{"resamples": 20, **options})


def test_every_score_of_the_report_is_on_the_page(runs):
    tables = load(runs / "first")
    report = rescore(tables, resamples=20)
    content = html.page(report, tables, name="first", resamples=20)
    tree = Tree(content)
    shown = "".join(tree.text)
    for row in report.categories:
        assert math.isnan(row["PQ"]) or marks.interval(row["PQ_low"], row["PQ_high"]) in shown
    for score_, part in (("PQ", "all"), ("PQ", "things"), ("PC", "all"), ("mIoU", "all"), ("AP_mask", "AP")):
        assert marks.percent(report.scores[score_][part]) in shown
        assert marks.interval(*report.intervals[score_][part]) in shown
    rows = content.split("<tbody>")
    for row in report.categories:
        line = next(line for part in rows for line in part.split("<tr>") if f">{row['name']}</td>" in line)
        for name in ("TP", "FP", "FN"):
            assert f">{row[name]}</td>" in line
        for name in ("PQ", "SQ", "RQ", "PC", "mIoU"):
            assert f">{marks.percent(row[name])}</td>" in line
    for parts in report.account.values():
        for value in parts.values():
            assert marks.percent(value, 2) in tree.cells
    for row in report.ap_account["AP_mask"]:
        assert all(marks.percent(value, 2) in tree.cells for value in row.values())
    for row in report.pixel_flow[:50]:
        assert marks.percent(row["cost"], 3) in tree.cells


def test_bars_of_a_group_are_as_long_as_what_it_lost(runs):
    report = rescore(load(runs / "first"))
    lost = {group: 1 - report.scores["PQ"][group] for group in report.account}
    bars = Tree(marks.bars([(group, parts, "") for group, parts in report.account.items()])).bars
    present = [sum(value > 0 for value in parts.values()) for parts in report.account.values()]
    ends = np.cumsum([0, *present])
    for k, value in enumerate(lost.values()):
        assert sum(bars[ends[k] : ends[k + 1]]) == pytest.approx(100 * value / max(lost.values()), abs=0.1)


def test_equal_input_gives_equal_bytes_and_nothing_is_loaded(runs):
    first = page(runs / "first", against=("perfect", load(runs / "perfect")))
    assert first == page(runs / "first", against=("perfect", load(runs / "perfect")))
    assert all(link.startswith("data:image/") for link in Tree(first).links)
    assert "perfect against first" in first
    assert not re.search(r"https?://|@import|url\(", first)


def test_names_from_files_are_text_alone():
    hostile = '<script>alert("x")</script>'
    catalogue = Catalogue((Category(1, hostile, True), Category(2, "\x1b[31m", False)))
    labels = np.array([[1, 2, 2]], np.uint32)
    segments = [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2}]
    drawing = pair_table(catalogue, labels, segments, labels[:, ::-1], segments, image_id=hostile)
    report = score(Tables(drawing), provenance={"gt": hostile, "pred": hostile}, warnings=[hostile])
    content = html.page(report, Tables(drawing), name=hostile)
    assert content.count("<script>") == 1  # ours
    assert "\x1b" not in content
    Tree(content)


@pytest.mark.parametrize(
    "drawing",
    [
        table("..", "..", c=CAR),
        table("ss", "ss", s=SKY),
        table("cc", "..", c=CAR),
        table("cc", "cc", c=CAR),
        table("ccbb", "bbcc", c=CAR, b=BUS),
        table("kk", "cc", k=CAR, c=CAR, crowds="k"),
    ],
    ids=["void", "no things", "nothing predicted", "perfect", "exchanged", "crowd"],
)
def test_little_and_nothing(drawing):
    for rules in (Rules(), Rules(protocol="panopticapi")):
        content = html.page(score(Tables(drawing), rules), Tables(drawing), name="x")
        assert "nan" not in "".join(Tree(content).text).lower()


def test_a_page_without_pictures_is_small_for_many_images_and_categories():
    catalogue = Catalogue(tuple(Category(k, f"category number {k}", k % 2 == 0) for k in range(1, 121)))
    segments = [{"id": k, "category_id": k} for k in range(1, 121)]

    def image(seed):
        rng = np.random.default_rng(seed)
        gt = np.resize(rng.permutation(120) + 1, (60, 60)).astype(np.uint32)
        pred = np.where(rng.random(gt.shape) < 0.7, gt, rng.integers(1, 121, gt.shape)).astype(np.uint32)
        return pair_table(catalogue, gt, segments, pred, segments, image_id=seed)

    one = concatenate([image(seed) for seed in range(20)])
    drawing = concatenate([replace(one, image_id=tuple(range(k, k + 20))) for k in range(0, 400, 20)])
    report, tables = score(Tables(drawing)), Tables(drawing)
    content = html.page(report, tables, name="x", against=("y", tables), resamples=2)
    assert "category number 120" in content
    size = len(content.encode())
    assert size < 150_000


def test_pictures_that_are_gone_are_named_and_the_rest_is_there(runs, tmp_path):
    (tmp_path / "gt").mkdir()
    labels = [[folders.CAR] * 4] * 3
    gt = folders.write_coco(tmp_path / "gt.json", {1: (labels, folders.segments((7, folders.CAR)))})
    pred = folders.write_coco(tmp_path / "pred.json", {1: (np.array(labels) * 0, [])})
    evaluate(pred, gt, out=tmp_path / "run")
    assert "<figure" in page(tmp_path / "run")
    assert "<figure" not in page(tmp_path / "run", images=0)
    png = next((tmp_path / "gt").glob("*.png"))
    png.unlink()
    content = page(tmp_path / "run")
    assert "<figure" not in content
    assert "1 pictures are left out" in content
    assert str(png) in content


def test_layers_have_the_size_of_the_photograph_and_wrong_segments_are_strong(runs):
    import base64
    import io

    content = page(runs / "first")
    figure = content[content.index("<figure") : content.index("</figure>")]
    pngs = [base64.b64decode(c) for c in re.findall(r"data:image/png;base64,([^\"]+)", figure)]
    jpeg = base64.b64decode(re.search(r"data:image/jpeg;base64,([^\"]+)", figure)[1])
    with Image.open(io.BytesIO(jpeg)) as photograph:
        size = photograph.size
    assert len(pngs) == 2
    for png in pngs:
        with Image.open(io.BytesIO(png)) as layer:
            assert layer.size == size
            opacity = set(np.asarray(layer.convert("RGBA"))[..., 3].ravel().tolist())
            assert opacity <= {0, 70, 205, 255}
            assert 205 in opacity


def test_the_commands_write_the_page(runs, tmp_path, capsys):
    first, perfect, out = str(runs / "first"), str(runs / "perfect"), tmp_path / "page.html"
    main(["report", first, "--against", perfect, "--out", str(out), "--resamples", "20"])
    assert re.fullmatch(rf"{out}: \d pictures, 0\.\d\d MB\n", capsys.readouterr().out)
    assert "perfect against first" in out.read_text()
    main(["rescore", first, "--html", str(tmp_path / "at_once.html"), "--resamples", "20", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert marks.percent(report["scores"]["PQ"]["all"]) in (tmp_path / "at_once.html").read_text()


def test_a_notebook_shows_tiles_account_and_categories(runs):
    report = json_output.read(runs / "first")
    shown = report._repr_html_()
    tree = Tree(shown)
    assert marks.percent(report.scores["PQ"]["all"]) in "".join(tree.text)
    assert "<script" not in shown
    figure = report.plot()
    drawn = {round(float(y), 6) for line in figure.axes[0].get_lines() for y in np.atleast_1d(line.get_ydata())}
    values = [100 * row["AP_mask"] for row in report.size_percentiles]
    assert {round(value, 6) for value in values if not math.isnan(value)} <= drawn
    frame = report.to_dataframe()
    assert frame["name"].tolist() == [row["name"] for row in report.categories]
    assert frame["missed"].tolist() == [row["account"]["missed"] for row in report.categories]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.013, 0.004), (0.5, 0.5001), (-1.0, 1.0)])
def test_ticks_lie_inside_and_are_few(low, high):
    ticks = marks._ticks(low, high)
    assert len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)


def test_a_forest_shows_undefined_values_without_a_mark():
    drawn = marks.forest([marks.Point("a", 0.5, 0.4, 0.6), marks.Point("b", math.nan, math.nan, math.nan)], zero=True)
    assert drawn.count("<circle") == 1


def test_a_picture_that_would_be_large_is_drawn_smaller(tmp_path, monkeypatch):
    labels = np.repeat(np.repeat(np.random.default_rng(0).integers(1, 200, (60, 80)), 8, 0), 8, 1)
    segments = folders.segments(*((int(i), folders.CAR) for i in np.unique(labels)))
    gt = folders.write_coco(tmp_path / "gt.json", {1: (labels, segments)})
    pred = folders.write_coco(tmp_path / "pred.json", {1: (labels[::-1], segments)})
    evaluate(pred, gt, out=tmp_path / "run")
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)

    def photograph(table, image, *, longest):
        picture = Image.fromarray(noise)
        picture.thumbnail((longest, longest))
        return picture

    monkeypatch.setattr("panoptic_eval.outputs.html.gallery.photograph_of", photograph)
    content = page(tmp_path / "run")
    figure = content[content.index("<figure") : content.index("</figure>")]
    assert len(figure) <= 75_000
    monkeypatch.setattr("panoptic_eval.outputs.html.gallery.MOST", 10**9)
    assert len(page(tmp_path / "run")) > len(content)
