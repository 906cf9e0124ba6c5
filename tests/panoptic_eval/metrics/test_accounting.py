from dataclasses import fields, replace

import accounting_by_mask
import golden
import numpy as np
import pytest
import random_maps
from drawings import BUS, CAR, INDEX, SKY, table

from panoptic_eval.counting import count
from panoptic_eval.metrics.accounting import (
    TITLES,
    account_counts,
    causes,
    if_fixed,
    image_costs,
    pixel_flow,
    segment_losses,
    segment_prices,
)
from panoptic_eval.metrics.metric import summed
from panoptic_eval.metrics.panoptic_quality import match, panoptic_quality, pq_counts
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score, scores

NAMES = list(TITLES)


def why(drawing):
    """Names of the causes of gt segments and predictions, in the order of the table; None for those without."""
    return tuple([None if k < 0 else NAMES[k] for k in side] for side in causes(drawing, match(drawing)))


def random_table(seed, images=6):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    pairs = random_maps.pairs(rng, categories, images=images)
    return random_maps.table(categories, pairs), pairs


@pytest.mark.parametrize(
    ("gt", "pred", "lost", "wrong"),
    [
        ("cccc", "cccc", [None], [None]),
        ("cccc", "....", ["missed"], []),
        ("ss..", "sscc", [None], [None, None]),  # on void: excused
        ("ssss", "sscc", ["place"], ["spurious", "place"]),  # s: exactly one half, which is no match
        ("cccc", "bbbb", ["class"], ["class"]),
        ("ccdd", "aaaa", ["merged", "merged"], ["merged"]),
        ("cccc", "aabb", ["split"], ["split", "split"]),
        ("cccccc", "aaaabb", [None], [None, "split"]),  # a fragment beside a match
        ("cccccc..ss", "a.....ssss", ["place", None], ["place", None]),
        ("cccccccccccc", "assssss.....", ["missed"], ["spurious", "spurious"]),
    ],
)
def test_each_cause_as_a_drawing(gt, pred, lost, wrong):
    kinds = {"c": CAR, "d": CAR, "a": CAR, "s": SKY, "b": CAR if "a" in pred else BUS}
    assert why(table(gt, pred, **kinds)) == (lost, wrong)


def test_a_crowd_pays_nothing_and_what_lies_in_it_neither():
    assert why(table("kkkk", "ccdd", k=CAR, c=CAR, d=CAR, crowds="k")) == ([None], [None, None])


def test_a_match_pays_for_what_it_leaves_out_and_for_what_it_adds():
    counts = summed(account_counts(table("cccccss", "c.cccc.", c=CAR, s=SKY)))
    assert (counts.too_small[0, INDEX[CAR]], counts.too_large[0, INDEX[CAR]]) == (1 / 6, 1 / 6)
    void = summed(account_counts(table("ccccc..", "cccccc.", c=CAR)))
    assert void.too_large.sum() == 0  # void leaves the prediction


@pytest.mark.parametrize("seed", range(60))
def test_causes_are_those_of_the_masks(seed):
    drawing, pairs = random_table(seed, images=3)
    lost, wrong = why(drawing)
    for side, found, k in ((drawing.gt, lost, 0), (drawing.pred, wrong, 1)):
        expected = [accounting_by_mask.causes(pair)[k] for pair in pairs]
        ids = zip(side.image.tolist(), side.id.tolist(), strict=True)
        assert found == [expected[image][id_] for image, id_ in ids]


def adds_up(drawing):
    counts, quality = summed(account_counts(drawing)), panoptic_quality(summed(pq_counts(drawing)))
    lost = sum(counts.lost().values())
    np.testing.assert_allclose(lost / np.where(counts.weight > 0, counts.weight, np.nan), 1 - quality, atol=1e-12)
    assert all((getattr(counts, f.name) >= 0).all() for f in fields(counts))


@pytest.mark.parametrize("seed", range(60))
def test_the_account_adds_up_to_one_minus_pq(seed):
    drawing, _ = random_table(seed)
    adds_up(drawing)
    found = scores(Tables(drawing), weights=np.random.default_rng(seed).multinomial(6, [1 / 6] * 6, size=4))
    for group in ("all", "things", "stuff"):
        lost = sum(found.parts[name, group] for name in TITLES)
        np.testing.assert_allclose(lost, 1 - found.parts["PQ", group], atol=1e-12)  # of resamples, too


@pytest.mark.parametrize("seed", range(20))
def test_costs_of_images_add_up_to_one_minus_pq(seed):
    drawing, _ = random_table(seed)
    report = score(Tables(drawing))
    costs = [row["cost"] for row in report.per_image]
    assert min(costs) >= 0
    assert sum(costs) == pytest.approx(1 - report.scores["PQ"]["all"], abs=1e-12)


@pytest.mark.parametrize("name", ["panopticapi", "deeplab2/coco"])
def test_photographs_add_up(name):
    folder = golden.folder(name.split("/")[0]) / "/".join(name.split("/")[1:])
    adds_up(count(folder / "pred.json", folder / "gt.json").panoptic)


def test_nothing_to_account_for():
    empty = table("..", "..", c=CAR)
    assert image_costs(account_counts(empty)).tolist() == [0]
    report = score(Tables(concatenate([replace(empty, image_id=(1,)), table("c", "c", c=CAR, image_id=2)])))
    assert set(report.account["all"].values()) == {0}


@pytest.mark.parametrize("seed", range(40))
def test_pixels_and_segments_add_up_to_one_minus_pq(seed):
    drawing, pairs = random_table(seed)
    report = score(Tables(drawing))
    lost = 1 - report.scores["PQ"]["all"]
    flow, prices = pixel_flow(drawing, segment_losses(drawing)), segment_prices(drawing)
    assert (flow >= 0).all()
    assert flow.sum() == pytest.approx(lost, abs=1e-12)
    np.testing.assert_allclose(flow, accounting_by_mask.pixel_flow(pairs, drawing.catalogue), atol=1e-12)
    assert prices[0].sum() + prices[1].sum() == pytest.approx(lost, abs=1e-12)
    assert sum(row["cost"] for row in report.pixel_flow) == pytest.approx(lost, abs=1e-12)
    for group, account in report.account.items():
        if not np.isnan(report.scores["PQ"][group]):
            assert sum(account.values()) == pytest.approx(1 - report.scores["PQ"][group], abs=1e-12)
    by_size = sum(value for row in report.size_percentiles for value in row["account"].values())
    things = report.scores["PQ"]["things"]
    assert by_size == pytest.approx(0 if np.isnan(things) else 1 - things, abs=1e-12)
    for row in report.categories:
        assert sum(row["account"].values()) == pytest.approx(1 - row["PQ"], abs=1e-12, nan_ok=True)


def test_what_one_cause_costs_is_not_what_repairing_it_gains():
    report = score(Tables(table("ccccdd..", "ccce..ff", c=CAR, d=CAR, e=CAR, f=CAR)))
    # One match of IoU 3/4, a fragment beside it, one car missed; what lies in void is excused. PQ is 0.75 / 2.
    assert report.scores["PQ"]["all"] == 0.375
    assert report.account["all"]["missed"] == 0.25
    assert report.if_fixed["all"]["missed"] == pytest.approx(1.75 / 2.5 - 0.375)
    assert report.if_fixed["all"]["split"] == pytest.approx(0.75 / 1.5 - 0.375)
    assert report.if_fixed["all"]["too_small"] == report.account["all"]["too_small"] == 0.125


@pytest.mark.parametrize("seed", range(20))
def test_a_repair_gains_what_repaired_counts_score(seed):
    drawing, _ = random_table(seed)
    counts = summed(pq_counts(drawing))
    losses = summed(account_counts(drawing)).lost()
    gained = if_fixed(drawing, segment_losses(drawing))
    for name in ("too_small", "too_large"):  # D stays
        weight = (counts.tp + counts.fp / 2 + counts.fn / 2)[0]
        share = losses[name][0] / np.where(weight > 0, weight, np.nan)
        np.testing.assert_allclose(gained[NAMES.index(name)], share, atol=1e-12)
    assert np.nanmin(gained) >= -1e-12


def test_stated_areas_have_no_account():
    assert score(Tables(table("cc", "cc", c=CAR)), Rules(protocol="panopticapi")).account == {}
