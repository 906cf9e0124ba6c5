"""Curves by size: those of the report, with intervals, and paired differences."""

import numpy as np
import pytest
import random_maps
from drawings import SKY, table

from panoptic_eval import InputError, Rules
from panoptic_eval.pairs.table import take
from panoptic_eval.score import Tables, score
from panoptic_eval.size_curves import size_curves

RULES = Rules(percentiles=(0.0, 40.0, 100.0))


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(3)
    categories = random_maps.catalogue(rng)
    return Tables(random_maps.table(categories, random_maps.pairs(rng, categories, images=12)))


def test_ap_is_that_of_the_report_and_every_instance_is_in_one_bin(tables):
    curves = size_curves({"a": tables}, rules=RULES, resamples=10)
    report = score(tables, RULES)
    for kind in ("AP_mask", "AP_box"):
        points = [p for p in curves.points if p.score == kind]
        assert [p.value for p in points] == pytest.approx([row[kind] for row in report.size_percentiles], nan_ok=True)
        gt = tables.panoptic.gt
        things = tables.panoptic.catalogue.isthing[gt.category] & ~gt.crowd
        assert sum(p.instances for p in points) == things.sum()
    assert [p.bin for p in curves.points[:2]] == ["0–40 %", "40–100 %"]
    assert all(p.low <= p.high for p in curves.points if not np.isnan(p.low))


def test_a_run_does_not_differ_from_itself_in_another_order(tables):
    other = Tables(take(tables.panoptic, np.arange(12)[::-1]))
    curves = size_curves({"a": tables, "b": other}, rules=RULES, resamples=10)
    for p in curves.differences:
        assert p.run == "b"
        assert (p.value, p.low, p.high) == pytest.approx((0, 0, 0), abs=1e-12, nan_ok=True)


def test_costs_add_up_to_one_less_pq(tables):
    curves = size_curves({"a": tables}, rules=RULES, resamples=0)
    costs = [p for p in curves.points if p.score == "cost"]
    assert sum(p.value for p in costs) == pytest.approx(1 - score(tables).scores["PQ"]["things"])
    assert all(np.isnan(p.low) for p in costs)


def test_edges_in_pixels_name_the_bins(tables):
    curves = size_curves({"a": tables}, rules=Rules(area_edges=(0, 50, 1000)), resamples=0)
    assert {p.bin for p in curves.points} == {"0–50 px", "50–1000 px"}


def test_what_cannot_be_drawn_is_said(tables):
    with pytest.raises(InputError, match="no run"):
        size_curves({})
    with pytest.raises(InputError, match="no things"):
        size_curves({"a": Tables(table("ss", "ss", s=SKY))})
    with pytest.raises(InputError, match="in one run only"):
        size_curves({"a": tables, "b": Tables(take(tables.panoptic, np.arange(5)))})
