from pathlib import Path

import pytest

from model.presets import Method, configure
from reproduce import embedded, fig2, options
from reproduce.embedded import DEFAULT, EMBEDDED, STREETS, STREETS_2, named
from reproduce.options import Comparison
from reproduce.systems import images
from streets.scene import VERSIONS

BOTH = pytest.mark.parametrize("data", EMBEDDED, ids=lambda data: data.name)


@BOTH
def test_the_crop_in_the_image_is_as_large_as_in_what_the_network_sees(data):
    sample = configure(data.preset, Method()).sample
    assert data.crop / min(VERSIONS[data.version].size) == pytest.approx(sample.crop / sample.shortest)


@BOTH
def test_results_are_written_where_those_of_the_version_lie(data):
    assert Comparison(gt=data.name).result("table1") == data.results / "table1"
    assert Comparison(gt=data.name, full=True, out=Path("mine")).result("table1") == Path("mine/table1_full")
    assert {data.checkpoints.parent, data.pairs.parent, data.table.parent} == {data.results}


def test_a_name_is_that_of_one_version_and_the_default_is_one():
    assert [named(data.name) for data in EMBEDDED] == list(EMBEDDED)
    assert named("mvd") is None
    assert Comparison().embedded is named(DEFAULT) is not None


def test_own_checkpoints_are_not_the_shipped_ones():
    assert Comparison(gt="streets-2").shipped == STREETS_2
    assert Comparison(gt="streets-2").registered
    assert not Comparison(gt="streets").registered
    assert not Comparison(gt="streets-2", checkpoints=Path("mine")).registered
    assert Comparison(gt="streets-2", checkpoints=Path("mine")).shipped is None
    assert Comparison(gt="mvd").shipped is None


@pytest.mark.parametrize(
    ("data", "version", "few", "every", "training"), [(STREETS, 1, 200, 500, 1000), (STREETS_2, 2, 200, 1500, 300)]
)
def test_the_images_of_a_version_are_drawn(data, version, few, every, training, monkeypatch):
    drawn = []
    monkeypatch.setattr(embedded, "write_dataset", lambda root, **given: drawn.append((root, given)))
    monkeypatch.setattr(options.datasets, "ground_truth", lambda root, split: (root, split))
    found = [images(Comparison(gt=data.name, full=full)) for full in (False, True)]
    found.append(options.ground_truth(fig2.Options(gt=data.name)))
    assert [given["counts"] for _, given in drawn] == [
        {"validation": few},
        {"validation": every},
        {"training": training},
    ]
    assert {(given["version"], given["seed"]) for _, given in drawn} == {(version, 0)}
    folders = [Path("runs") / data.name / f"{split}-{n}" for _, given in drawn for split, n in given["counts"].items()]
    assert found == list(zip(folders, ["validation", "validation", "training"], strict=True))
    assert [root for root, _ in drawn] == folders
