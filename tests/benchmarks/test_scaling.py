import pytest

from benchmarks import data, scaling
from panoptic_eval import evaluate


def test_many_images_are_links_to_the_same_files(tmp_path):
    data.write(data.PRESETS["tiny"], tmp_path / "tiny", workers=1)
    many = scaling.linked(tmp_path / "tiny", 8, tmp_path / "many")
    once, twice = (evaluate(folder / "pred", folder / "gt.json") for folder in (tmp_path / "tiny", many))
    assert (once.images, twice.images) == (4, 8)
    assert twice.scores["PQ"] == pytest.approx(once.scores["PQ"], abs=1e-12)


def test_tiles_are_as_many_segments_as_were_asked_for(tmp_path):
    tiles = scaling.tiled(300, tmp_path)
    report = evaluate(tiles / "pred", tiles / "gt.json")
    assert report.images == 4
    assert sum(row["TP"] + row["FN"] for row in report.categories) == 4 * 300


def test_a_line_is_found_by_relative_errors():
    assert scaling.line([1, 2, 10], [5.0, 7.0, 23.0]) == (3.0, 2.0)


def test_the_page_has_a_line_where_sizes_grow():
    rows = [{"n": n, "wall": [3 + 2 * n], "processor": [1.0]} for n in (1, 2, 10)]
    parts = {part: {"about": {"commit": "abc"}, "rows": rows} for part in ("images", "threads")}
    page = scaling.markdown(parts)
    assert "The line: 3 s, and 2e+06 µs for each." in page
    assert page.count("off the line |") == 1
    assert page.count("- commit: abc") == 2
    assert "| 10 | 23 (23–23) | 1 | +0.0 % |" in page
