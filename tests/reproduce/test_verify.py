import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from variant_folders import write_checkpoints, write_validation

from model.checkpoint_files import fingerprint
from panoptic_eval.errors import InputError
from panoptic_eval.pairs.table import take
from panoptic_eval.score import Tables
from reproduce import fig5, table1
from reproduce import systems as systems_module
from reproduce.bootstrap import bootstrap
from reproduce.claims import image_claims
from reproduce.learning import LEARNING
from reproduce.options import Comparison
from reproduce.size_curves import SIZE_CURVES, size_rows
from reproduce.systems import about, images, shipped_tables, systems
from reproduce.verify import faults


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the scripts write of two variants, and the checkpoints."""
    tmp_path = tmp_path_factory.mktemp("verify")
    gt = write_validation(tmp_path / "gt")
    checkpoints = write_checkpoints(tmp_path / "checkpoints", gt, {"full/seed0": 1, "crop/seed0": 2})
    comparison = Comparison(gt=str(gt), checkpoints=checkpoints, folder=tmp_path / "runs", device="cpu")
    out = tmp_path / "results"
    maps = images(comparison)
    found = systems(comparison, maps)
    scores, record = bootstrap(found, wide=None), about(comparison, maps, found)
    table1.write(out / "table1", scores, found, record, "page")
    fig5.ap_by_size(scores).to_csv(out / "fig5.csv", index=False, float_format="%.6g")
    fig5.differences_by_size(scores).to_csv(out / "fig5_differences.csv", index=False, float_format="%.6g")
    (out / "fig5.json").write_text(json.dumps(record))
    claims = [{"number": c.number, "verdict": c.verdict} for c in image_claims(scores, {})]
    (out / "claims.json").write_text(json.dumps({"provenance": record, "claims": claims}))
    hashes = {"weights_sha256": [fingerprint(checkpoints / f"{name}/seed0") for name in ("full", "crop")]}
    pd.DataFrame({"variant": ["full", "crop"], "seed": [0, 0], **hashes}).to_csv(out / "training.csv", index=False)
    return tmp_path


@pytest.fixture
def results(written, tmp_path):
    """A copy, to be spoilt."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results", tmp_path / "checkpoints"


def test_what_the_scripts_wrote_follows(results):
    assert faults(*results) == []


def test_another_checkpoint_is_found_out(results):
    out, checkpoints = results
    write_checkpoints(checkpoints, out.parent / "gt", {"crop/seed0": 5})
    found = faults(out, checkpoints)
    assert len(found) == 4
    assert all("crop/seed0" in fault for fault in found)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("table1.csv", "value"),
        ("table1_differences.csv", "high"),
        ("fig5.csv", "low"),
        ("fig5_differences.csv", "difference"),
    ],
)
def test_a_number_that_was_changed_by_hand_is_found_out(results, name, column):
    out, checkpoints = results
    rows = pd.read_csv(out / name)
    rows[column] = rows[column] + 0.001
    rows.to_csv(out / name, index=False)
    (fault,) = faults(out, checkpoints)
    assert name in fault
    assert column in fault


def test_a_learning_curve_that_still_rises_changes_a_verdict(results):
    out, checkpoints = results
    rows = ["variant,seed,split,step,steps,PQ", "crop,0,validation,5,10,0.1", "crop,0,validation,10,10,0.4"]
    (out / LEARNING).write_text("\n".join([*rows, ""]))
    found = faults(out, checkpoints)
    assert found
    assert all("expected not converged" in fault for fault in found)


def test_size_curves_are_computed_again(results):
    out, checkpoints = results
    rows = size_rows(shipped_tables(out))
    rows.to_csv(out / SIZE_CURVES, index=False, float_format="%.6g")
    assert faults(out, checkpoints) == []
    rows["value"] = rows["value"] + 0.001
    rows.to_csv(out / SIZE_CURVES, index=False, float_format="%.6g")
    (fault,) = faults(out, checkpoints)
    assert SIZE_CURVES in fault


def test_a_verdict_that_was_changed_by_hand_is_found_out(results):
    out, checkpoints = results
    record = json.loads((out / "claims.json").read_text())
    record["claims"][0]["verdict"] = "reproduced" if record["claims"][0]["verdict"] != "reproduced" else "opposite"
    (out / "claims.json").write_text(json.dumps(record))
    (fault,) = faults(out, checkpoints)
    assert "claim 5" in fault


def test_pair_tables_that_are_gone_are_said(results):
    out, checkpoints = results
    (out / "pairs").rename(out / "elsewhere")
    (fault,) = faults(out, checkpoints)
    assert "no pair table" in fault


def test_a_network_that_is_not_shipped_may_go_if_its_pair_table_stays(results):
    out, checkpoints = results
    shutil.rmtree(checkpoints / "crop" / "seed0")
    assert faults(out, checkpoints) == []
    (out / "pairs" / "crop" / "seed0.npz").unlink()
    assert any("crop/seed0" in fault for fault in faults(out, checkpoints))


def test_a_result_on_fewer_images_keeps_the_table_of_all(results):
    out, _ = results
    path = out / "pairs" / "full" / "seed0.npz"
    before = path.read_bytes()
    full = shipped_tables(out)[0].tables.panoptic
    few = take(full, np.arange(2))
    table1.write_pairs(few, path)
    assert path.read_bytes() == before
    table1.write_pairs(replace(few, digest=("other", *few.digest[1:])), path)
    assert len(shipped_tables(out)[0].tables.panoptic) == 2


def test_later_seeds_come_from_their_tables(results, monkeypatch):
    out, _ = results
    monkeypatch.setattr(systems_module, "RESULTS", out)
    full, crop = shipped_tables(out)
    (loaded,) = systems_module.later_seeds([full])
    assert (loaded.label, loaded.weights_sha256) == ("crop/seed0", crop.weights_sha256)
    other = replace(full, tables=Tables(take(full.tables.panoptic, np.array([1, 0]))))
    with pytest.raises(InputError, match="other images"):
        systems_module.later_seeds([other])
