import math

import numpy as np
import pytest

from panoptic_eval.errors import InputError
from reproduce import claims
from reproduce.bootstrap import Scores
from reproduce.claims import BOTH, CABB, CROP, FULL, ISUS, combined, image_claims, markdown

BINS = {"0–25 %": 100, "25–50 %": 100, "50–75 %": 100, "75–95 %": 80, "95–100 %": 20}


def scores(means, *, noise=0.001, seeds=1):
    """Systems whose every score is a mean, and resamples around it; `means` may give a dictionary by (score, part)."""
    rng = np.random.default_rng(0)
    keys = [(kind, part) for kind in ("AP_box", "AP_mask") for part in (*BINS, "AP")]
    keys += [(name, part) for name in ("PQ", "PC") for part in ("all", "things", "stuff")]

    def values(mean):
        return {
            key: (mean.get(key, 0.3) if isinstance(mean, dict) else mean) + np.append(0, rng.normal(0, noise, 200))
            for key in keys
        }

    return Scores({name: [values(mean) for _ in range(seeds)] for name, mean in means.items()}, dict(BINS))


def test_a_clear_gain_is_reproduced_a_clear_loss_opposite_and_noise_neither():
    made = scores({CROP: 0.3, CABB: 0.35, ISUS: 0.25, BOTH: 0.3})
    test = lambda name: combined(made, "", "", [(1, name, "PQ", "all"), (-1, CROP, "PQ", "all")])  # noqa: E731
    assert test(CABB).verdict == "reproduced"
    assert test(CABB).value == pytest.approx(5)
    assert test(ISUS).verdict == "opposite"
    assert test(BOTH).verdict == "inconclusive"
    assert test("seamless").verdict == "not testable here"
    assert "seamless" in test("seamless").tested


def test_variants_of_different_numbers_of_seeds_are_compared_by_those_that_they_share():
    made = scores({CROP: 0.3, CABB: 0.35})
    made.by_system[CROP] += scores({CROP: 0.5}).by_system[CROP]
    test = combined(made, "", "", [(1, CABB, "PQ", "all"), (-1, CROP, "PQ", "all")])
    assert (test.value, test.verdict) == (pytest.approx(5), "reproduced")


def test_the_papers_own_story_is_reproduced():
    """FULL is worse but on the largest; CABB repairs the largest; ISUS all but the smallest; both everything."""
    low, *middle, top = BINS
    kinds = ("AP_box", "AP_mask")

    def story(by_bin, pq, pc):
        own = {(k, part): value for k in kinds for part, value in zip(BINS, by_bin, strict=True)}
        own |= {(k, "AP"): np.mean(by_bin) for k in kinds}
        return own | {("PQ", "all"): pq, ("PQ", "things"): pq, ("PC", "things"): pc}

    made = scores(
        {
            FULL: story([0.1, 0.2, 0.3, 0.4, 0.5], 0.3, 0.3),
            CROP: story([0.3, 0.35, 0.4, 0.45, 0.4], 0.4, 0.4),
            CABB: story([0.3, 0.35, 0.4, 0.45, 0.5], 0.41, 0.45),
            ISUS: story([0.28, 0.37, 0.42, 0.47, 0.5], 0.42, 0.45),
            BOTH: story([0.32, 0.38, 0.44, 0.48, 0.52], 0.43, 0.5),
        }
    )
    found = {c.number: c.verdict for c in image_claims(made)}
    assert {number: v for number, v in found.items() if number < 12} == dict.fromkeys(range(5, 12), "reproduced")
    assert found[12] == found[13] == "not testable here"


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
    found = image_claims(scores({FULL: 0.2, CROP: 0.3}))
    assert "1 to 3 seeds a variant" in markdown(found, "somewhere", 7, [1, 3])
    page = markdown(found, "somewhere", 7, [1, 1])
    assert all(f"| {number}. " in page for number in range(5, 14))
    assert "nan" not in page
    assert "1 seed a variant" in page
    assert "With one seed" in page
    assert math.isnan(found[-2].parts[0].value)
