import math

import numpy as np
import pytest

from panoptic_eval.errors import InputError
from reproduce import claims
from reproduce.bootstrap import Scores
from reproduce.claims import (
    BOTH,
    CABB,
    CROP,
    FULL,
    ISUS,
    combined,
    convergence,
    endpoint_parts,
    endpoints_block,
    evidence,
    image_claims,
    markdown,
    paper_effect,
)
from reproduce.learning import LEARNING
from reproduce.registration import ENDPOINTS, RUNS
from reproduce.variants import VARIANTS

BINS = {"0–25 %": 100, "25–50 %": 100, "50–75 %": 100, "75–95 %": 80, "95–100 %": 20}


def scores(means, *, noise=0.001, seeds=3):
    """Systems whose every score is a mean, and seeds and resamples around it; `means` may give one by (score, part)."""
    rng = np.random.default_rng(0)
    keys = [(kind, part) for kind in ("AP_box", "AP_mask") for part in (*BINS, "99–100 %", "AP")]
    keys += [(name, part) for name in ("PQ", "PC") for part in ("all", "things", "stuff")]

    def values(mean):
        return {
            key: (mean.get(key, 0.3) if isinstance(mean, dict) else mean)
            + rng.normal(0, noise / 4)
            + np.append(0, rng.normal(0, noise, 200))
            for key in keys
        }

    return Scores({name: {k: values(mean) for k in range(seeds)} for name, mean in means.items()}, dict(BINS))


def test_a_clear_gain_is_reproduced_a_clear_loss_opposite_and_noise_neither():
    made = scores({CROP: 0.3, CABB: 0.35, ISUS: 0.25, BOTH: 0.3})
    test = lambda name: combined(made, {}, "", [(1, name, "PQ", "all"), (-1, CROP, "PQ", "all")])  # noqa: E731
    assert test(CABB).verdict == "reproduced"
    assert test(CABB).value == pytest.approx(5, abs=0.2)
    assert (len(test(CABB).seeds), test(CABB).least) == (3, 1)
    assert test(ISUS).verdict == "opposite"
    assert test(BOTH).verdict == "inconclusive"
    assert test("seamless").verdict == "not testable here"
    assert "seamless" in test("seamless").tested


def test_an_effect_below_a_third_of_the_papers_is_inconclusive():
    made = scores({CROP: 0.3, CABB: 0.33})
    terms = [(1, CABB, "AP_mask", "AP"), (-1, CROP, "AP_mask", "AP")]
    assert combined(made, {}, "", terms, published=6.1).verdict == "reproduced"
    assert combined(made, {}, "", terms, published=12.0).verdict == "inconclusive"


def test_three_seeds_claim_nothing_below_a_point_of_pq_five_do():
    terms = [(1, CABB, "PQ", "all"), (-1, CROP, "PQ", "all")]
    few, many = (scores({CROP: 0.3, CABB: 0.306}, noise=0.0002, seeds=n) for n in (3, 5))
    assert combined(few, {}, "", terms, published=0.9).verdict == "inconclusive"
    assert combined(many, {}, "", terms, published=0.9).verdict == "reproduced"


def test_one_seed_or_a_rising_curve_says_nothing():
    terms = [(1, CABB, "PQ", "all"), (-1, CROP, "PQ", "all")]
    one = scores({CROP: 0.3, CABB: 0.35}, seeds=1)
    assert combined(one, {}, "", terms).verdict == "inconclusive: one seed"
    several = scores({CROP: 0.3, CABB: 0.3})
    assert combined(several, {CROP: 0.9, CABB: 1.1}, "", terms).verdict == "not converged"
    assert combined(several, {CROP: 0.9, CABB: 0.2, ISUS: 5.0}, "", terms).verdict == "inconclusive"


def test_variants_of_different_seeds_are_compared_by_those_that_they_share():
    made = scores({CROP: 0.3, CABB: 0.35})
    terms = [(1, CABB, "PQ", "all"), (-1, CROP, "PQ", "all")]
    made.by_system[CROP][7] = scores({CROP: 0.5}).by_system[CROP][0]
    found = combined(made, {}, "", terms)
    assert (found.value, len(found.seeds)) == (pytest.approx(5, abs=0.2), 3)
    made.by_system[CROP] = {7: made.by_system[CROP][7]}
    found = combined(made, {}, "", terms)
    assert found.verdict == "not testable here"
    assert "no seed in common" in found.tested


def test_a_margin_is_added_to_the_number_its_intervals_and_each_seed():
    made = scores({CROP: 0.3, CABB: 0.296})
    terms = [(1, CABB, "AP_box", "AP"), (-1, CROP, "AP_box", "AP")]
    plain, kept = (combined(made, {}, "", terms, margin=margin) for margin in (0.0, 1.0))
    assert kept.seeds == pytest.approx([s + 1 for s in plain.seeds])
    ends = [(p.value, p.low, p.high, p.seeds_low, p.seeds_high) for p in (plain, kept)]
    assert ends[1] == pytest.approx([end + 1 for end in ends[0]])
    assert (plain.verdict, kept.verdict) == ("opposite", "reproduced")


def test_the_papers_effects_are_those_of_its_text():
    effects = [paper_effect(FULL, CROP, column) for column in ("PQ", "PQ_th", "mAP")]
    assert effects == [4.2, 7.9, 6.1]
    assert [paper_effect(CROP, variant, "PQ") for variant in (CABB, ISUS, BOTH)] == [0.9, 1.1, 1.5]
    assert paper_effect("seamless", "seamless+cabb+isus", "PQ") == 2.8


def story():
    """FULL is worse but on the largest; CABB repairs the largest; ISUS all but the smallest; both everything."""
    kinds = ("AP_box", "AP_mask")

    def variant(by_bin, pq, pc):
        own = {(k, part): value for k in kinds for part, value in zip(BINS, by_bin, strict=True)}
        own |= {(k, "AP"): np.mean(by_bin) for k in kinds}
        return own | {("PQ", "all"): pq, ("PQ", "things"): pq, ("PC", "things"): pc}

    return {
        FULL: variant([0.1, 0.2, 0.3, 0.4, 0.5], 0.3, 0.3),
        CROP: variant([0.3, 0.35, 0.4, 0.45, 0.4], 0.4, 0.4),
        CABB: variant([0.3, 0.35, 0.4, 0.45, 0.5], 0.42, 0.45),
        ISUS: variant([0.28, 0.37, 0.42, 0.47, 0.5], 0.42, 0.45),
        BOTH: variant([0.32, 0.38, 0.44, 0.48, 0.52], 0.43, 0.5),
    }


def test_the_papers_own_story_is_reproduced():
    found = {c.number: c.verdict for c in image_claims(scores(story()), {})}
    assert {number: v for number, v in found.items() if number < 12} == dict.fromkeys(range(5, 12), "reproduced")
    assert found[12] == found[13] == "not testable here"


def test_the_same_story_of_one_seed_is_inconclusive_or_not_converged():
    one = {c.number: c.verdict for c in image_claims(scores(story(), seeds=1), {})}
    assert {one[number] for number in range(5, 12)} == {"inconclusive: one seed"}
    rising = {c.number: c.verdict for c in image_claims(scores(story(), seeds=1), {ISUS: 2.0})}
    assert {number for number in range(5, 12) if rising[number] == "not converged"} == {8, 10}


def test_claims_8_and_9_are_means_over_bins_that_hold_each_object_once():
    means = story()
    made = scores(means)
    made = Scores(made.by_system, {**BINS, "99–100 %": 5})  # lies within the bin before it: not a part of the mean
    found = {c.number: c.parts for c in image_claims(made, {}) if c.number in (8, 9)}
    ((eight,), (nine,)) = found[8], found[9]
    assert eight.value == pytest.approx(100 * np.mean([0.02, 0.02, 0.02, 0.1]), abs=0.2)
    assert nine.value == pytest.approx(100 * np.mean([0.02, 0.03, 0.04, 0.03, 0.12]), abs=0.2)


def test_scales_are_read_from_the_csv_files_of_fig_2(tmp_path):
    with pytest.raises(InputError, match=r"fig2\.sh"):
        claims.scale_parts(tmp_path)
    (tmp_path / "fig2_iou.csv").write_text(
        "sampling,size_from,objects,mean_iou\nCROP,1,50,0.99\nCROP,2,50,0.9\nCROP,4,50,0.7\nISUS,1,50,0.1\n"
    )
    rows = [("data set", 0.8), ("CROP", 0.9), ("ISUS", 1.9)]
    lines = [f"{s},{level},{bits}" for s, bits in rows for level in ("P2", "P3", "P4", "P5")]
    (tmp_path / "fig2_levels.csv").write_text("\n".join(["source,level,entropy_bits", *lines]))
    by_size, by_level = claims.scale_parts(tmp_path)
    assert by_size[0].value == pytest.approx(1)
    assert by_size[1].value == pytest.approx(0.9 * 2 - 0.8)
    assert by_level[0].value == pytest.approx(1.0)


def test_the_page_has_every_claim_and_no_nan():
    found = image_claims(scores({FULL: 0.2, CROP: 0.3}), {})
    assert "1 to 3 seeds a variant" in markdown(found, "somewhere", 7, [1, 3], "")
    page = markdown(found, "somewhere", 7, [1, 1], convergence({}, [FULL, CROP]))
    assert all(f"| {number}. " in page for number in range(5, 14))
    assert "nan" not in page
    assert "1 seed a variant" in page
    assert "No learning curve is there: whether" in page
    assert math.isnan(found[-2].parts[0].value)


def test_what_is_known_of_learning_curves_is_said():
    assert convergence({CROP: 0.51, FULL: 2.0}, [FULL, CROP]).endswith("gained: full +2.0, crop +0.5.")
    some = convergence({CROP: 0.51}, [FULL, CROP])
    assert "crop +0.5." in some
    assert "No learning curve is there of full:" in some


def here(runs, bins=None):
    """The paper's own story of the runs that are there, all registered variants with it; the rest is like CROP."""
    means = story()
    means = {variant.name: means.get(variant.name, means[CROP]) for variant in VARIANTS}
    for name, top in ((FULL, 0.6), (CROP, 0.4), (CABB, 0.5), (ISUS, 0.4), (BOTH, 0.4)):
        means[name] = {**means[name], ("AP_box", "99–100 %"): top}
    made = scores(means)
    kept = {name: {run.seed: made.by_system[name][run.seed] for run in runs if run.variant == name} for name in means}
    return Scores({name: by_seed for name, by_seed in kept.items() if by_seed}, {**BINS, **(bins or {})})


def judged(runs, tmp_path):
    return evidence(here(runs, {"99–100 %": 60}), tmp_path, registered=True)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_networks_of_an_unfinished_seed_judge_nothing(count, tmp_path):
    found, gains = judged(RUNS[:count], tmp_path)
    assert found.by_system == {}
    tested = image_claims(found, gains, registered=True)
    assert {c.verdict for c in tested if c.number < 13} == {"not testable yet"}
    parts = endpoint_parts(found, gains)
    assert {p.verdict for p in parts} == {"not testable yet"}
    assert all("no finished seed of" in p.tested for p in (*parts, *(p for c in tested for p in c.parts)))
    page = markdown(tested, "somewhere", 200, [], "", endpoints_block(parts, 200, "None is finished."))
    assert "200 images, no finished seed." in page
    assert "on these 200 they decide nothing" in page
    assert "nan" not in page
    assert [page.count(f"| {e.text}; no finished seed of") for e in ENDPOINTS] == [1] * len(ENDPOINTS)


@pytest.mark.parametrize("count", [10, 11, 17])
def test_a_finished_seed_judges_alone(count, tmp_path):
    found, gains = judged(RUNS[:count], tmp_path)
    assert {tuple(by_seed) for by_seed in found.by_system.values()} == {(0,)}
    verdicts = {p.verdict for p in endpoint_parts(found, gains)}
    assert verdicts == {"inconclusive: one seed"}
    assert image_claims(found, gains, registered=True)[0].parts[0].seeds == pytest.approx((10,), abs=0.2)


def test_all_registered_seeds_judge_by_the_rule(tmp_path):
    found, gains = judged(RUNS, tmp_path)
    assert [p.verdict for p in endpoint_parts(found, gains)] == ["reproduced"] * len(ENDPOINTS)
    worse = {name: {**by_seed, 2: found.by_system[FULL][2]} for name, by_seed in found.by_system.items()}
    parts = endpoint_parts(Scores(worse, found.bins), gains)  # of seed 2 all are equal
    assert [p.verdict for p in parts] == ["inconclusive"] * len(ENDPOINTS)
    page = endpoints_block(parts, 1500, "All are.")
    assert "decide nothing" not in page
    assert [f"| {e.interest} | {e.forecast} | inconclusive |" in page for e in ENDPOINTS] == [True] * len(ENDPOINTS)


def test_a_small_top_bin_is_not_a_network_that_is_missing(tmp_path):
    found, gains = evidence(here(RUNS), tmp_path, registered=True)
    for kept in found.by_system.values():
        for values in kept.values():
            values.pop(("AP_box", "99–100 %"))
    verdicts = [p.verdict for p in endpoint_parts(found, gains)]
    assert [v for v, e in zip(verdicts, ENDPOINTS, strict=True) if e.score == "AP_box"] == ["not testable here"] * 2


def test_learning_curves_of_unfinished_seeds_judge_nothing(tmp_path):
    rows = [
        f"crop,{seed},validation,{step},10,{pq}"
        for seed, last in ((0, 0.12), (1, 0.4))
        for step, pq in ((5, 0.1), (10, last))
    ]
    (tmp_path / LEARNING).write_text("\n".join(["variant,seed,split,step,steps,PQ", *rows, ""]))
    assert judged(RUNS[:11], tmp_path)[1] == {CROP: pytest.approx(2)}
    assert evidence(here(RUNS[:11]), tmp_path, registered=False)[1] == {CROP: pytest.approx((2 + 30) / 2)}
    assert judged(RUNS[:2], tmp_path)[1] == {}
