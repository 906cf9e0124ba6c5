from dataclasses import replace

import numpy as np
import pytest
import random_maps
from variant_folders import write_checkpoints, write_validation

from panoptic_eval.errors import InputError
from panoptic_eval.pairs import stored
from panoptic_eval.pairs.table import take
from panoptic_eval.rules import Rules
from panoptic_eval.score import Tables, score
from reproduce import embedded
from reproduce.embedded import EMBEDDED
from reproduce.options import Comparison
from reproduce.pair_tables import Options, main, make, write_pairs
from reproduce.systems import images, systems


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return write_validation(tmp_path_factory.mktemp("pairs") / "gt")


@pytest.fixture
def data(drawn, tmp_path, monkeypatch):
    """A data set of four images with three networks."""
    data = replace(EMBEDDED, results=tmp_path / "results", validation=4, compared=2)
    write_checkpoints(data.checkpoints, drawn, {"full/seed0": 1, "crop/seed0": 2, "crop/seed1": 3})
    monkeypatch.setattr(embedded, "EMBEDDED", data)
    monkeypatch.setattr(embedded.Embedded, "draw", lambda self, split, images=None: drawn)
    return data


def test_tables_that_are_missing_or_of_fewer_images_are_made_and_no_others(data, tmp_path, capsys):
    folder = tmp_path / "runs"
    arguments = ["--folder", str(folder), "--device", "cpu", "--side-by-side", "1"]
    main([*arguments, "--only", "crop/seed1"])
    first = data.pairs / "crop/seed1.npz"
    assert list(data.pairs.rglob("*.npz")) == [first]
    assert f"{first}: {first.stat().st_size} bytes" in capsys.readouterr().out
    whole = stored.load(first)["panoptic"]
    first.write_bytes(stored.pack({"panoptic": take(whole, np.arange(2))}, first.parent))
    main(arguments)
    assert {p.relative_to(data.pairs).as_posix() for p in data.pairs.rglob("*.npz")} == {
        "full/seed0.npz", "crop/seed0.npz", "crop/seed1.npz"
    }  # fmt: skip
    assert stored.load(first)["panoptic"].digest == whole.digest
    options = Comparison(full=True, folder=folder, device="cpu")
    gt = images(options)
    read = systems(replace(options, stored=True), gt)
    made = systems(options, gt)
    assert [s.label for s in read] == [s.label for s in made]
    assert [s.tables.panoptic.digest for s in read] == [s.tables.panoptic.digest for s in made]
    scores = [[score(Tables(s.tables.panoptic)).scores["PQ"]["all"] for s in found] for found in (read, made)]
    assert scores[0] == scores[1]
    before = {path: path.stat().st_mtime_ns for path in data.pairs.rglob("*.npz")}
    main(arguments)
    assert "no pair table is missing" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in data.pairs.rglob("*.npz")} == before


def test_a_table_is_kept_small_and_says_all_that_scores_need(tmp_path):
    rng = np.random.default_rng(3)
    categories = random_maps.catalogue(rng)
    whole = random_maps.table(categories, random_maps.pairs(rng, categories, images=300))
    stated = whole.gt.area.astype(float)
    stated[0] += 1
    whole = replace(whole, gt=replace(whole.gt, stated_area=stated))
    write_pairs(whole, tmp_path / "seed0.npz")
    small = stored.load(tmp_path / "seed0.npz")["panoptic"]
    assert (tmp_path / "seed0.npz").stat().st_size < 0.9 * len(stored.pack({"panoptic": whole}, tmp_path))
    assert small.gt.stated_area[0] == stated[0]  # what the JSON states wrongly
    assert np.isnan(small.gt.stated_area[1:]).all()
    for rules in (Rules(), Rules(protocol="panopticapi")):
        assert score(Tables(small), rules).scores["PQ"]["all"] == score(Tables(whole), rules).scores["PQ"]["all"]


def test_a_network_that_is_not_there_is_named(data, tmp_path):
    with pytest.raises(InputError, match=r"holds no crop\+cabb/seed0; .* full/seed0, crop/seed0, crop/seed1"):
        make(data, Options(only=("crop+cabb/seed0",), folder=tmp_path))


def test_a_table_that_is_too_short_is_named(data, drawn, tmp_path):
    options = Comparison(full=True, folder=tmp_path / "runs", device="cpu", stored=True)
    gt = images(options)
    with pytest.raises(InputError, match="holds no pair table"):
        systems(options, gt)
    make(data, Options(only=("full/seed0",), folder=tmp_path / "runs", device="cpu", side_by_side=1))
    path = data.pairs / "full/seed0.npz"
    path.write_bytes(stored.pack({"panoptic": take(stored.load(path)["panoptic"], np.arange(2))}, path.parent))
    with pytest.raises(InputError, match=r"full/seed0\.npz: does not begin with the 4 images"):
        systems(options, gt)
