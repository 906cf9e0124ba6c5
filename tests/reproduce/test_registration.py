"""The counted runs were registered before the first of them began: what was registered must not drift."""

from pathlib import Path

import pytest

from model.config import from_json
from model.presets import configure
from reproduce import train
from reproduce.claims import paper_effect
from reproduce.embedded import EMBEDDED
from reproduce.registration import ENDPOINTS, IMAGES, RUNS, finished_seeds, progress, untrained
from reproduce.variants import PLAN, VARIANTS

ROOT = Path(__file__).parents[2]
REGISTERED = ROOT / "results/streets/registered"
PAGE = (ROOT / EMBEDDED.registration).read_text()
NAMES = [run.name for run in RUNS]
REGISTERED_VARIANTS = [v for v in VARIANTS if v.registered]


def rows(head):
    """Cells of the table of the page that begins with a heading."""
    lines = PAGE[PAGE.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("variant", REGISTERED_VARIANTS, ids=lambda variant: variant.name)
def test_a_variant_trains_as_it_was_registered(variant):
    registered = from_json((REGISTERED / f"{variant.name}.json").read_text())
    assert configure("streets-2", variant.method) == registered


def test_nothing_else_is_registered_or_trained_unless_it_is_named():
    assert {p.stem for p in REGISTERED.iterdir()} == {v.name for v in VARIANTS if v.registered} == {*train.REGISTERED}


def test_the_endpoints_are_those_of_the_page():
    assert [[e.text, e.paper, e.interest, e.forecast] for e in ENDPOINTS] == rows("| endpoint |")
    assert f"Scored on {IMAGES:,} validation images" in PAGE
    assert EMBEDDED.validation == IMAGES
    assert f"--training {EMBEDDED.training} --validation {EMBEDDED.validation}" in PAGE


def test_effects_of_the_paper_are_those_of_its_table():
    columns = {("PQ", "all"): "PQ", ("PQ", "things"): "PQ_th"}
    effects = [(paper_effect(e.a, e.b, columns[e.score, e.part]), e.published) for e in ENDPOINTS if e.published]
    assert len(effects) == 4
    assert all(printed == registered for printed, registered in effects)


def test_the_plan_has_the_registered_seeds():
    seeds = [len(cells[1].split(",")) for cells in rows("| variants | seeds |") for _ in cells[0].split(", ")]
    assert [variant.seeds for variant in REGISTERED_VARIANTS] == seeds
    assert f"{len(RUNS)} runs of about an hour" in PAGE


def test_a_seed_judges_when_all_of_its_networks_are_there():
    assert finished_seeds(NAMES) == [0, 1, 2]
    for run in RUNS:
        assert finished_seeds([name for name in NAMES if name != run.name]) == [s for s in (0, 1, 2) if s != run.seed]
    assert finished_seeds([]) == []


def test_runs_that_are_not_registered_count_for_nothing():
    others = [run.name for run in PLAN if run not in RUNS]
    assert others
    assert progress([*NAMES, *others]) == progress(NAMES)
    assert progress(others) == progress([])


@pytest.mark.parametrize("count", [0, 2, 5, 10, 23])
def test_the_state_of_the_runs_is_said(count):
    text = progress(NAMES[:count])
    assert text.startswith(f"{count} of 23 registered networks are here")
    assert f"{len(finished_seeds(NAMES[:count]))} of 3 seeds are finished" in text
    named = untrained(NAMES[:count])
    assert named in text
    here = {run.variant for run in RUNS[:count]}
    absent = [variant.title for variant in REGISTERED_VARIANTS if variant.name not in here]
    listed = named.removeprefix("Not trained yet: ").partition(" (see")[0]
    assert listed.split("; ") == (absent or [""])
