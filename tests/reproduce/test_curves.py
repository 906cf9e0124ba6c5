import json
from dataclasses import replace

import numpy as np
import pytest
from variant_folders import write_checkpoints, write_validation

from panoptic_eval.score import scores as all_scores
from reproduce import curves, scale_curves, size_curves
from reproduce.options import Comparison
from reproduce.systems import Checkpoint, first_images, images, same_images, systems


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("curves")
    gt = write_validation(root / "gt", images=3)
    write_checkpoints(root / "checkpoints", gt, {"crop/seed0": 1, "crop+isus/seed0": 2, "full/seed0": 3})
    return root


def given(folder, **options):
    paths = {"gt": str(folder / "gt"), "checkpoints": folder / "checkpoints", "folder": folder / "runs"}
    return Comparison(**paths, device="cpu", **options)


@pytest.fixture(scope="module")
def found(folder):
    options = given(folder)
    return systems(options, images(options))


def test_each_object_is_in_one_bin_of_equal_ratio(found):
    table = found[0].tables.panoptic
    edges = size_curves.size_edges(table)
    assert edges[1:] / edges[:-1] == pytest.approx(edges[1] / edges[0])
    rows = size_curves.size_rows(found, resamples=5)
    things = table.catalogue.isthing[table.gt.category] & ~table.gt.crowd
    for _, of in rows.groupby(["name", "kind"]):
        assert of["objects"].sum() == things.sum()
    (name, kind), of = next(iter(rows.groupby(["name", "kind"])))
    system = next(s for s in found if s.name == name)
    limits = np.round(edges**2)
    values = all_scores(system.tables, bins=[(limits[3] + 1, limits[4])]).parts[kind, 0]
    assert of["value"].iloc[3] == pytest.approx(values[0], nan_ok=True)
    assert len(size_curves.draw(rows, 20.0).axes) == 2


def test_seeds_are_averaged_in_size_curves(found):
    (crop,) = (s for s in found if s.name == "crop")
    (other,) = (s for s in found if s.name == "full")
    rows = size_curves.size_rows([crop, replace(other, name="crop", seed=1)], resamples=5)
    alone = [size_curves.size_rows([s], resamples=5)["value"].fillna(0) for s in (crop, other)]
    assert rows["value"].fillna(0).tolist() == pytest.approx(((alone[0] + alone[1]) / 2).tolist())
    assert set(rows["seeds"]) == {2}


def test_systems_of_different_images_are_cut_to_those_that_all_have(found):
    few = [replace(found[0], tables=first_images(found[0].tables, 2)), *found[1:]]
    assert [s.tables.panoptic.digest for s in same_images(few)] == [s.tables.panoptic.digest[:2] for s in found]
    assert same_images([]) == []


def test_scores_at_scale_1_are_those_of_the_table_and_differences_are_paired(folder, found, monkeypatch):
    monkeypatch.setattr(scale_curves, "SCALES", (0.5, 1.0))
    options = given(folder)
    trained = [Checkpoint(s.name, s.seed, s.checkpoint) for s in found if s.name != "full"]
    at_scales = scale_curves.systems_at_scales(options, images(options), trained)
    assert list(at_scales) == [0.5, 1.0]
    assert [s.tables.panoptic.digest for s in at_scales[1.0]] == [s.tables.panoptic.digest for s in found[1:]]
    assert at_scales[0.5][0].tables.panoptic.digest != at_scales[1.0][0].tables.panoptic.digest
    rows = scale_curves.scale_rows(at_scales, "crop")
    value = rows.set_index(["name", "minus", "scale", "score"])["value"]
    for scale in (0.5, 1.0):
        gain = value["crop+isus", "", scale, "PQ"] - value["crop", "", scale, "PQ"]
        assert value["crop+isus", "crop", scale, "PQ"] == pytest.approx(gain)
    lost = scale_curves.losses_off_scale(rows)
    assert lost["crop"] == pytest.approx(100 * (value["crop", "", 1.0, "PQ"] - value["crop", "", 0.5, "PQ"]))
    assert len(scale_curves.draw(rows).axes) == 6


def test_the_command_draws_what_there_is(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scale_curves, "SCALES", (0.5, 1.0))
    paths = ["--gt", folder / "gt", "--checkpoints", folder / "checkpoints", "--folder", folder / "runs"]
    run = tmp_path / "runs" / "crop"
    run.mkdir(parents=True)
    line = {"step": 1, "images": 8, "loss": 3.0, "learning_rate": 0.1, "seconds": 0.5, "pixels": 9}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    scored = {
        "step": 1,
        "split": "validation",
        "images": 3,
        **dict.fromkeys(("PQ", "PQ_th", "PQ_st", "mAP", "box AP"), 0.2),
    }
    (run / "evaluation.jsonl").write_text(json.dumps(scored | {"box AP, largest": 0.1}) + "\n")
    out = ["--out", tmp_path / "out", "--device", "cpu", "--side-by-side", "1"]
    curves.main([*map(str, [*paths, *out, "--runs", tmp_path / "runs", "--preset", "streets"])])
    written = {p.name for p in (tmp_path / "out").iterdir()}
    suffixes = ("csv", "json", "pdf", "png")
    assert written == {f"{n}.{s}" for n in ("learning", "size_curves", "scale_curves") for s in suffixes}
    assert "no sensitivity figure" in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "learning.json").read_text())
    assert about["data"]["runs"] == {"crop": ""}
    (tmp_path / "out" / "learning.png").unlink()
    before = (tmp_path / "out" / "learning.json").read_bytes()
    curves.main(["--out", str(tmp_path / "out"), "--only", "learning"])  # from the table alone
    assert (tmp_path / "out" / "learning.png").is_file()
    assert (tmp_path / "out" / "learning.json").read_bytes() == before


def test_variants_of_one_network_share_a_figure():
    names = ["crop", "full", "seamless", "crop+clipped", "mine"]
    assert curves.groups(names) == {
        "": ["crop", "full"],
        "_seamless": ["seamless"],
        "_clipped": ["crop+clipped"],
        "_other": ["mine"],
    }
