import pytest

from reproduce.verdicts import Claim, Part, least_effect, trained

SURE = (0.5, 1.5)


def test_one_seed_of_the_other_sign_is_enough_for_doubt():
    assert trained([1.0, 1.2, 0.8], SURE) == "reproduced"
    assert trained([2.0, 2.0, -0.1], SURE) == "inconclusive"
    assert trained([-2.0, -2.0, 0.1], (-1.5, -0.5)) == "inconclusive"


@pytest.mark.parametrize("interval", [(-0.1, 2.0), (float("nan"), float("nan"))])
def test_the_interval_has_to_lie_on_one_side(interval):
    assert trained([1.0, 1.2, 0.8], interval) == "inconclusive"


def test_opposite_is_the_mirror_of_reproduced():
    seeds = [1.0, 1.2, 0.8]
    for least in (0.0, 0.9, 1.1):
        word = trained(seeds, SURE, least=least)
        mirror = trained([-s for s in seeds], (-1.5, -0.5), least=least)
        assert (word, mirror) in {("reproduced", "opposite"), ("inconclusive", "inconclusive")}
        assert (word == "reproduced") == (least < 1)


def test_a_curve_that_still_rises_is_said_where_nothing_else_can_be():
    assert trained([1.0, 1.2, 0.8], SURE, gains=True) == "reproduced"
    assert trained([1.0, -1.2, 0.8], (-2.0, 2.5), gains=True) == "not converged"
    assert trained([1.0], (float("nan"), float("nan")), gains=True) == "not converged"
    assert trained([1.0], (float("nan"), float("nan"))) == "inconclusive: one seed"


def test_a_third_of_the_papers_effect_and_a_point_of_pq_of_few_seeds():
    assert least_effect(None, 3, of_pq=False) == 0
    assert least_effect(6.1, 3, of_pq=False) == pytest.approx(6.1 / 3)
    assert least_effect(0.9, 4, of_pq=True) == 1
    assert least_effect(0.9, 5, of_pq=True) == pytest.approx(0.3)


def test_a_claim_is_as_good_as_its_worst_part():
    worst_last = (
        "reproduced",
        "inconclusive",
        "inconclusive: one seed",
        "not converged",
        "opposite",
        "not testable yet",
        "not testable here",
    )
    parts = tuple(Part("", "", 0, 0, 0, v) for v in worst_last)
    for k, expected in enumerate(worst_last):
        assert Claim(1, "", parts[: k + 1]).verdict == expected
    assert Claim(1, "", ()).verdict == "not testable here"
