from dataclasses import replace

import numpy as np
import pytest
import random_maps

from panoptic_eval import evaluate
from panoptic_eval.cli import main
from panoptic_eval.comparison import compare
from panoptic_eval.counting import count
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import load
from panoptic_eval.metrics.accounting import TITLES
from panoptic_eval.metrics.sizes import area_edges
from panoptic_eval.pairs.table import concatenate, take
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score, scores


def random_tables(seed, images=8):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    return Tables(random_maps.table(categories, random_maps.pairs(rng, categories, images=images)))


def repeated(table, weights):
    """The table in which each image really occurs so many times, under new names."""
    parts = []
    for k, times in enumerate(weights.tolist()):
        parts += [replace(take(table, np.array([k])), image_id=(1000 * k + t,)) for t in range(times)]
    return concatenate(parts)


@pytest.mark.parametrize("seed", range(6))
def test_a_weight_is_so_many_copies_of_the_image(seed):
    table = random_tables(seed).panoptic
    distinct = np.random.default_rng(seed).permutation(len(table.pred)) / len(table.pred)
    tables = Tables(replace(table, pred=replace(table.pred, score=distinct)))
    edges = area_edges(tables.panoptic)
    weights = np.random.default_rng(seed).multinomial(8, [1 / 8] * 8, size=3)
    resampled = scores(tables, weights=weights)
    for w, row in enumerate(weights, start=1):
        once = scores(Tables(repeated(tables.panoptic, row)), Rules(area_edges=tuple(edges)))
        assert once.parts.keys() == resampled.parts.keys()
        for key, values in once.parts.items():
            assert resampled.parts[key][w] == pytest.approx(values[0], abs=1e-12, nan_ok=True), key
        for name, values in once.categories.items():
            assert resampled.categories[name][w] == pytest.approx(values[0], abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("seed", range(4))
def test_the_images_as_they_are_score_as_in_the_report_to_the_last_digit(seed):
    tables = random_tables(seed)
    report = score(tables)
    rows = compare(tables, tables, rng=np.random.default_rng(0), resamples=7)
    found = {(d.score, d.part): d.a for d in rows.scores}
    for name, parts in report.scores.items():
        assert [found[name, part] for part in parts] == pytest.approx([*parts.values()], abs=0, rel=0, nan_ok=True)
    bins = [
        [d.a for d in rows.scores if d.score == name and d.part.startswith("size")] for name in ("AP_mask", "AP_box")
    ]
    for name, values in zip(("AP_mask", "AP_box"), bins, strict=True):
        expected = [row[name] for row in report.size_percentiles]
        assert values == pytest.approx(expected, abs=0, rel=0, nan_ok=True)
    by_category = {(d.score, d.category_id): d.a for d in rows.categories}
    for row in report.categories:
        for name in ("PQ", "PC", "mIoU", "AP_mask"):
            assert by_category[name, row["id"]] == pytest.approx(row[name], abs=0, rel=0, nan_ok=True)


def test_no_size_bin_is_lost_where_edges_are_alike():
    tables = random_tables(2)
    edges = (3.9, 4.2, 4.2, 4.2, 5.45, 7.0)
    rules = Rules(area_edges=edges)
    rows = compare(tables, tables, rng=np.random.default_rng(0), resamples=7, rules=rules)
    bins = [d for d in rows.scores if d.score == "AP_mask" and d.part.startswith("size bin")]
    assert len({d.part for d in bins}) == 5
    expected = [row["AP_mask"] for row in score(tables, rules).size_percentiles]
    assert [d.a for d in bins] == pytest.approx(expected, abs=0, rel=0, nan_ok=True)


def test_a_run_does_not_differ_from_itself():
    tables = random_tables(1)
    found = compare(tables, tables, rng=np.random.default_rng(0), resamples=50)
    assert all(row["difference"] == 0 for row in found.images)
    for row in found.scores + found.categories:
        assert row.difference == 0 or np.isnan(row.a)
        assert row.p == 1 or np.isnan(row.a)


def test_a_perfect_run_is_better_and_by_how_much(tmp_path):
    rng = np.random.default_rng(3)
    categories = random_maps.catalogue(rng)
    gt, pred = random_maps.write(tmp_path, categories, random_maps.pairs(rng, categories, images=30))
    rows = compare(count(pred, gt), count(gt, gt), rng=rng, resamples=300)
    pq = next(r for r in rows.scores if (r.score, r.part) == ("PQ", "all"))
    assert pq.a == evaluate(pred, gt).scores["PQ"]["all"]
    assert pq.b == 1
    assert 0 < pq.low < pq.difference < pq.high
    assert pq.p == pq.smallest_p == pytest.approx(2 / 301)
    assert all(row["b"] == 1 for row in rows.images)
    assert [row["a"] for row in rows.images] == sorted((row["a"] for row in rows.images), reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_changes_of_the_causes_add_up_to_the_change_of_pq(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    pairs = random_maps.pairs(rng, categories, images=8)
    moved = [replace(pair, pred=np.roll(pair.pred, 1, axis=1)) for pair in pairs]
    a, b = (Tables(random_maps.table(categories, images)) for images in (pairs, moved))
    found = compare(a, b, rng=rng, resamples=20)
    change = {(d.score, d.part): d.difference for d in found.scores}
    assert change["PQ", "all"] != 0
    for group in ("all", "things", "stuff"):
        causes = sum(change[name, group] for name in TITLES)
        assert causes == pytest.approx(-change["PQ", group], abs=1e-12, nan_ok=True)
    assert all(d.low <= d.high for d in found.scores if d.score in TITLES and not np.isnan(d.low))


def test_the_order_of_images_does_not_matter():
    tables = random_tables(2)
    shuffled = Tables(take(tables.panoptic, np.array([3, 1, 2, 0, 7, 6, 5, 4])))
    found = compare(tables, shuffled, rng=np.random.default_rng(0), resamples=20)
    assert all(r.difference == 0 or np.isnan(r.a) for r in found.scores + found.categories)


def test_runs_that_cannot_be_compared():
    tables = random_tables(2)
    fewer = Tables(take(tables.panoptic, np.arange(5)))
    with pytest.raises(InputError, match="3 images are in one run only"):
        compare(tables, fewer, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="different"):
        compare(tables, random_tables(3), rng=np.random.default_rng(0))


def test_from_the_command_line(tmp_path, capsys):
    rng = np.random.default_rng(4)
    categories = random_maps.catalogue(rng)
    gt, pred = random_maps.write(tmp_path, categories, random_maps.pairs(rng, categories, images=6))
    evaluate(pred, gt, out=tmp_path / "a")
    evaluate(gt, gt, out=tmp_path / "b")
    options = ["--resamples", "20", "--out", str(tmp_path / "c.csv")]
    main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), *options])
    assert "| PQ " in capsys.readouterr().out
    first = (tmp_path / "c.csv").read_bytes()
    main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), *options])
    assert (tmp_path / "c.csv").read_bytes() == first  # same seed, same bytes
    with pytest.raises(SystemExit, match="2"):
        main(["compare", str(tmp_path / "a")])
    assert load(tmp_path / "a").panoptic.image_id
