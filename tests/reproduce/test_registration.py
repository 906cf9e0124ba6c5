"""The counted runs were registered before the first of them began: what was registered must not drift."""

from pathlib import Path

import pytest

from model.config import from_json
from model.presets import configure
from reproduce import train
from reproduce.variants import VARIANTS

REGISTERED = Path(__file__).parents[2] / "results/streets/registered"


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.registered], ids=lambda variant: variant.name)
def test_a_variant_trains_as_it_was_registered(variant):
    registered = from_json((REGISTERED / f"{variant.name}.json").read_text())
    assert configure("streets-2", variant.method) == registered


def test_nothing_else_is_registered_or_trained_unless_it_is_named():
    assert {p.stem for p in REGISTERED.iterdir()} == {v.name for v in VARIANTS if v.registered} == {*train.REGISTERED}
