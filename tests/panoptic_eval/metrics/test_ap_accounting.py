import numpy as np
import pytest
import random_maps
from drawings import BUS, CAR, SKY, table

from panoptic_eval.metrics import average_precision as ap
from panoptic_eval.metrics.ap_accounting import TITLES, ap_account
from panoptic_eval.score import Tables, score

ALL = [(0.0, 1e10)]


def parts(drawing, category=0):
    """Parts of one category, of all sizes."""
    matches = ap.match_ranges(drawing, ["mask"], [], stated=False)["mask"]
    exact = ap.average_precision(matches).precision[:1].mean((2, 3))
    return dict(zip(TITLES, ap_account(drawing, [], exact)[0, category].round(3).tolist(), strict=True))


@pytest.mark.parametrize("seed", range(25))
def test_ap_and_its_parts_add_up_to_one(seed):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    report = score(Tables(random_maps.table(categories, random_maps.pairs(rng, categories, images=8))))
    whole, *by_size = report.ap_account["AP_mask"]
    rows = [(report.scores["AP_mask"]["AP"], whole)]
    rows += [(row["AP_mask"], account) for row, account in zip(report.size_percentiles, by_size, strict=True)]
    for value, account in rows:
        if np.isnan(value):
            assert np.isnan([*account.values()]).all()
            continue
        assert value + sum(account.values()) == pytest.approx(1, abs=1e-12)
        assert min(account.values()) >= -1e-12


def test_each_part_as_a_drawing():
    assert parts(table("cccc", "cccc", c=CAR)) == {"place": 0, "class": 0, "spurious": 0, "missed": 0}
    assert parts(table("cccc", "....", c=CAR)) == {"place": 0, "class": 0, "spurious": 0, "missed": 1}
    elsewhere = table("cccc....ss", "c.....ssss", c=CAR, s=SKY)
    assert parts(elsewhere) == {"place": 1, "class": 0, "spurious": 0, "missed": 0}
    # A car of the better score lies on a bus; one in the sky: half of the precision each.
    on_bus = table("ccccbbbb", "ccccdddd", c=CAR, b=BUS, d=CAR, scores={"c": 0.1, "d": 0.9})
    assert parts(on_bus) == {"place": 0, "class": 0.5, "spurious": 0, "missed": 0}
    in_sky = table("ccccssss", "ccccddss", c=CAR, s=SKY, d=CAR, scores={"c": 0.1, "d": 0.9})
    assert parts(in_sky) == {"place": 0, "class": 0, "spurious": 0.5, "missed": 0}


def test_a_category_without_instances_has_no_account():
    assert np.isnan(ap_account(table("ss", "cc", c=CAR, s=SKY), ALL, np.full((2, 4), np.nan))).all()
