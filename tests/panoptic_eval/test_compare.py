from dataclasses import replace

import numpy as np
import pytest
import random_maps

from panoptic_eval import evaluate
from panoptic_eval.cli import main
from panoptic_eval.compare import compare, resample
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import count, load
from panoptic_eval.metrics.sizes import area_edges
from panoptic_eval.pairs.table import concatenate, take
from panoptic_eval.score import Protocol, Tables, score


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
    values = resample(tables, weights, edges, Protocol())
    for w, row in enumerate(weights):
        protocol = Protocol(area_edges=tuple(edges))
        report = score(Tables(repeated(tables.panoptic, row)), protocol)
        for name, parts in report.scores.items():
            for part, value in parts.items():
                assert values[name, part][w] == pytest.approx(value, abs=1e-12, nan_ok=True), (name, part)
        bins = [v[w] for (name, part), v in values.items() if name == "AP_mask" and part.endswith("px")]
        if len(bins) == 5:  # equal edges make equal names
            assert bins == pytest.approx(report.size_percentiles["AP_mask"], abs=1e-12, nan_ok=True)


def test_a_run_does_not_differ_from_itself():
    tables = random_tables(1)
    for row in compare(tables, tables, rng=np.random.default_rng(0), resamples=50):
        assert row.difference == 0 or np.isnan(row.a)
        assert row.p == 1 or np.isnan(row.a)


def test_a_perfect_run_is_better_and_by_how_much(tmp_path):
    rng = np.random.default_rng(3)
    categories = random_maps.catalogue(rng)
    gt, pred = random_maps.write(tmp_path, categories, random_maps.pairs(rng, categories, images=30))
    rows = compare(count(pred, gt), count(gt, gt), rng=rng, resamples=300)
    pq = next(r for r in rows if (r.score, r.part) == ("PQ", "all"))
    assert pq.a == evaluate(pred, gt).scores["PQ"]["all"]
    assert pq.b == 1
    assert 0 < pq.low < pq.difference < pq.high
    assert pq.p == pytest.approx(2 / 301)


def test_the_order_of_images_does_not_matter():
    tables = random_tables(2)
    shuffled = Tables(take(tables.panoptic, np.array([3, 1, 2, 0, 7, 6, 5, 4])))
    assert all(r.difference == 0 or np.isnan(r.a) for r in compare(tables, shuffled, rng=np.random.default_rng(0)))


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
    with pytest.raises(SystemExit, match="takes two runs"):
        main(["compare", str(tmp_path / "a")])
    assert load(tmp_path / "a").panoptic.image_id
