import contextlib
import io

import numpy as np
import pytest
import random_maps
from panopticapi import evaluation

from panoptic_eval.integrations.panopticapi import pq_compute


@pytest.mark.parametrize("seed", range(5))
def test_the_result_is_that_of_panopticapi(seed, tmp_path):
    rng = np.random.default_rng(seed)
    categories = random_maps.catalogue(rng)
    gt, pred = random_maps.write(tmp_path, categories, random_maps.pairs(rng, categories, images=6))
    with contextlib.redirect_stdout(io.StringIO()):
        expected = evaluation.pq_compute(str(gt), str(pred))
    found = pq_compute(gt, pred)
    assert list(found) == list(expected)
    for name in ("All", "Things", "Stuff"):
        assert found[name] == pytest.approx(expected[name], abs=1e-12)
    assert {*found["per_class"]} == {*expected["per_class"]}
    for category, scores in expected["per_class"].items():
        assert found["per_class"][category] == pytest.approx(scores, abs=1e-12)
    assert pq_compute(gt, pred, gt.with_suffix(""), pred.with_suffix("")) == found
