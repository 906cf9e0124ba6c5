import numpy as np

from reproduce import loss_claims


def test_the_laws_of_the_loss_hold():
    parts = loss_claims.loss_parts(np.random.default_rng(1))
    assert [p.verdict for p in parts] == ["reproduced"] * 3


def test_a_loss_that_is_no_lower_bound_is_found_out(monkeypatch):
    right = loss_claims.crop_aware_loss
    monkeypatch.setattr(loss_claims, "crop_aware_loss", lambda *args, **kwargs: 1.01 * right(*args, **kwargs) + 0.01)
    assert loss_claims.loss_parts(np.random.default_rng(1))[0].verdict == "opposite"
