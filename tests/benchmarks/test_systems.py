"""The costs of systems: what is drawn is what the map then shows, and rows are replaced one by one."""

import csv
from types import SimpleNamespace

import pytest
import torch
from tiny import FAMILIES, ISTHING

from benchmarks import systems
from benchmarks.drawn_scene import GRID, say_the_scene
from model.families import build_network
from reproduce.systems_page import Cost, costs

FRAME, SIZE = (256, 384), (512, 700)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_map_of_an_untrained_network_shows_the_scene(family):
    network = build_network(FAMILIES[family], ISTHING, torch.Generator().manual_seed(0)).eval()
    with torch.inference_mode():
        (prediction,) = network.predict(torch.zeros(1, 3, *FRAME, dtype=torch.uint8))
        fused = network.fuse(say_the_scene(network, prediction, FRAME), FRAME, SIZE)
    found = [s for s in fused.panoptic.segments if s.score is not None]
    assert len(found) == len(list(fused.instances)) == GRID**2
    assert sum(s.area for s in found) == pytest.approx(SIZE[0] * SIZE[1] / 4, rel=0.05)
    assert sum(s.area for s in fused.panoptic.segments) == SIZE[0] * SIZE[1]  # the rest is stuff, nothing is void


def test_the_least_of_all_turns_but_the_first_counts(monkeypatch):
    clock = iter([7, 8, 0, 5, 0, 2, 0, 3, 0, 4])  # the end of the first turn is not asked for
    monkeypatch.setattr(systems, "time", SimpleNamespace(process_time=lambda: next(clock)))
    assert systems.least({"a": lambda: None, "b": lambda: None}, 2) == {"a": 3, "b": 2}


def test_what_is_measured_again_is_replaced(tmp_path):
    path = tmp_path / "systems.csv"
    systems.record([Cost("crop", "step, s", 1.0), Cost("crop", "image, s", 2.0)], path)
    systems.record([Cost("crop", "step, s", 3.0), Cost("adaptis", "step, s", 4.0)], path)
    assert costs(path) == {("crop", "step, s"): 3.0, ("crop", "image, s"): 2.0, ("adaptis", "step, s"): 4.0}
    with path.open() as file:
        assert all(row["commit"] and row["torch"] and row["processor"] for row in csv.DictReader(file))
