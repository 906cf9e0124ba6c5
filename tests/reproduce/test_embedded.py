from pathlib import Path

import pytest

from model.presets import Method, configure
from reproduce import embedded, fig2, options
from reproduce.embedded import EMBEDDED, named
from reproduce.options import Comparison
from reproduce.systems import images
from streets.scene import VERSIONS


def test_the_crop_in_the_image_is_as_large_as_in_what_the_network_sees():
    sample = configure(EMBEDDED.preset, Method()).sample
    assert EMBEDDED.crop / min(VERSIONS[EMBEDDED.version].size) == pytest.approx(sample.crop / sample.shortest)


def test_results_are_written_where_the_shipped_ones_lie():
    assert Comparison().result("table1") == EMBEDDED.results / "table1"
    assert Comparison(full=True, out=Path("mine")).result("table1") == Path("mine/table1_full")
    assert {EMBEDDED.checkpoints.parent, EMBEDDED.pairs.parent, EMBEDDED.table.parent} == {EMBEDDED.results}


def test_the_embedded_data_set_is_the_default():
    assert Comparison().embedded is named("streets-2") is EMBEDDED
    assert named("mvd") is None


def test_own_checkpoints_are_not_the_shipped_ones():
    assert Comparison().shipped == EMBEDDED
    assert Comparison(checkpoints=Path("mine")).shipped is None
    assert Comparison(gt="mvd").shipped is None


def test_the_images_are_drawn(monkeypatch):
    drawn = []
    monkeypatch.setattr(embedded, "write_dataset", lambda root, **given: drawn.append((root, given)))
    monkeypatch.setattr(options.datasets, "ground_truth", lambda root, split: (root, split))
    found = [images(Comparison(full=full)) for full in (False, True)]
    found.append(options.ground_truth(fig2.Options()))
    assert [given["counts"] for _, given in drawn] == [
        {"validation": 200},
        {"validation": 1500},
        {"training": 300},
    ]
    assert {(given["version"], given["seed"]) for _, given in drawn} == {(2, 0)}
    folders = [Path("runs/streets-2") / f"{split}-{n}" for _, given in drawn for split, n in given["counts"].items()]
    assert found == list(zip(folders, ["validation", "validation", "training"], strict=True))
    assert [root for root, _ in drawn] == folders
