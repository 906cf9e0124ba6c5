import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from variant_folders import write_checkpoints, write_validation

from model.checkpoint_files import CONFIG, fingerprint
from panoptic_eval.errors import InputError
from panoptic_eval.outputs.json import dumps
from panoptic_eval.pairs import stored
from panoptic_eval.pairs.table import take
from panoptic_eval.score import Tables
from reproduce import claims, fig5, table1
from reproduce.bootstrap import bootstrap
from reproduce.claims import endpoint_parts, evidence, image_claims
from reproduce.curves import write
from reproduce.embedded import EMBEDDED
from reproduce.learning import LEARNING
from reproduce.options import Comparison
from reproduce.pair_tables import write_pairs
from reproduce.size_curves import SIZE_CURVES, size_rows
from reproduce.systems import about, first_images, images, later_seeds, shipped_tables, systems
from reproduce.verify import faults


def write_claims(out, record):
    """As the script writes them: of finished seeds, of which there is none."""
    judged = evidence(bootstrap(shipped_tables(out), wide=None), out, registered=True)
    rows = [asdict(claim) | {"verdict": claim.verdict} for claim in image_claims(*judged, registered=True)]
    endpoints = [asdict(part) for part in endpoint_parts(*judged)]
    (out / "claims.json").write_text(dumps({"provenance": record, "claims": rows, "endpoints": endpoints}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the scripts write of two variants, and the checkpoints."""
    tmp_path = tmp_path_factory.mktemp("verify")
    gt = write_validation(tmp_path / "gt")
    checkpoints = write_checkpoints(tmp_path / "results/checkpoints", gt, {"full/seed0": 1, "crop/seed0": 2})
    comparison = Comparison(gt=str(gt), checkpoints=checkpoints, folder=tmp_path / "runs", device="cpu")
    out = tmp_path / "results"
    maps = images(comparison)
    found = systems(comparison, maps)
    scores, record = bootstrap(found, wide=None), about(comparison, maps, found)
    table1.write(out / "table1", scores, found, record, "page")
    fig5.ap_by_size(scores).to_csv(out / "fig5.csv", index=False, float_format="%.6g")
    fig5.differences_by_size(scores).to_csv(out / "fig5_differences.csv", index=False, float_format="%.6g")
    (out / "fig5.json").write_text(json.dumps(record))
    write_claims(out, record)
    (out / "registered").mkdir()
    for name in ("full", "crop"):
        shutil.copy(checkpoints / name / "seed0" / CONFIG, out / "registered" / f"{name}.json")
    hashes = {"weights_sha256": [fingerprint(checkpoints / f"{name}/seed0") for name in ("full", "crop")]}
    pd.DataFrame({"variant": ["full", "crop"], "seed": [0, 0], **hashes}).to_csv(out / "training.csv", index=False)
    return tmp_path


@pytest.fixture
def results(written, tmp_path):
    """A copy, to be spoilt."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    out = tmp_path / "results"
    return replace(EMBEDDED, results=out, registration=out / "registration.md")


def test_what_the_scripts_wrote_follows(results):
    assert faults(results) == []


def test_another_checkpoint_is_found_out(results):
    write_checkpoints(results.checkpoints, results.results.parent / "gt", {"crop/seed0": 5})
    found = faults(results)
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
    rows = pd.read_csv(results.results / name)
    rows[column] = rows[column] + 0.001
    rows.to_csv(results.results / name, index=False)
    (fault,) = faults(results)
    assert name in fault
    assert column in fault


def test_a_learning_curve_that_still_rises_changes_a_verdict(results, monkeypatch):
    monkeypatch.setattr(claims, "finished_seeds", lambda labels: [0])
    write_claims(results.results, json.loads((results.results / "table1.json").read_text()))
    assert faults(results) == []
    rows = ["variant,seed,split,step,steps,PQ", "crop,0,validation,5,10,0.1", "crop,0,validation,10,10,0.4"]
    (results.results / LEARNING).write_text("\n".join([*rows, ""]))
    found = faults(results)
    assert found
    assert all("expected not converged" in fault for fault in found)


def test_size_curves_are_computed_again(results):
    path, found = results.results / SIZE_CURVES, shipped_tables(results.results)
    about = {s.label: s.weights_sha256 for s in found}
    few = [replace(s, tables=first_images(s.tables, 3)) for s in found]
    for count, compared in ((4, found), (3, few)):
        write(path, size_rows(compared), data={"images": count}, config={"checkpoints": about})
        assert faults(results) == []
    rows = size_rows(few)
    rows["value"] = rows["value"] + 0.001
    write(path, rows, data={"images": 3}, config={"checkpoints": about})
    (fault,) = faults(results)
    assert SIZE_CURVES in fault


def test_a_verdict_that_was_changed_by_hand_is_found_out(results):
    out = results.results
    record = json.loads((out / "claims.json").read_text())
    record["claims"][0]["verdict"] = "reproduced" if record["claims"][0]["verdict"] != "reproduced" else "opposite"
    (out / "claims.json").write_text(json.dumps(record))
    (fault,) = faults(results)
    assert "claim 5" in fault


def test_pair_tables_that_are_gone_are_said(results):
    results.pairs.rename(results.results / "elsewhere")
    crop, full = faults(results)
    assert "no pair table of crop/seed0 on 4 images" in crop
    assert "no pair table of full/seed0 on 4 images" in full


def test_a_pair_table_of_fewer_images_is_said(results):
    path = results.pairs / "crop" / "seed0.npz"
    short = take(stored.load(path)["panoptic"], np.arange(3))
    path.write_bytes(stored.pack({"panoptic": short}, path.parent))
    (fault,) = faults(results)
    assert "no pair table of crop/seed0 on 4 images" in fault


def test_what_has_not_been_made_yet_is_not_missed(results):
    for path in results.results.glob("*.*"):
        if path.suffix in (".json", ".csv", ".md") and path != results.table:
            path.unlink()
    shutil.rmtree(results.pairs)
    assert faults(results) == []
    write_checkpoints(results.checkpoints, results.results.parent / "gt", {"efficientps/seed0": 5})
    (fault,) = faults(results)
    assert "no row of efficientps/seed0" in fault


def test_a_registered_network_has_the_registered_settings(results):
    path = results.registration.parent / "registered" / "crop.json"
    config = json.loads(path.read_text())
    config["schedule"]["steps"] += 1
    path.write_text(json.dumps(config))
    (fault,) = faults(results)
    assert "differs from" in fault
    assert "crop/seed0" in fault


def test_the_verdict_of_an_endpoint_that_was_changed_by_hand_is_found_out(results):
    record = json.loads((results.results / "claims.json").read_text())
    record["endpoints"][0]["verdict"] = "reproduced"
    (results.results / "claims.json").write_text(dumps(record))
    (fault,) = faults(results)
    assert "PQ_th, CROP − FULL; no finished seed of crop, full is reproduced; expected not testable yet" in fault


def test_a_network_that_is_not_shipped_may_go_if_its_pair_table_stays(results):
    shutil.rmtree(results.checkpoints / "crop" / "seed0")
    assert faults(results) == []
    (results.pairs / "crop" / "seed0.npz").unlink()
    assert any("crop/seed0" in fault for fault in faults(results))


def test_a_result_on_fewer_images_keeps_the_table_of_all(results):
    out = results.results
    path = out / "pairs" / "full" / "seed0.npz"
    before = path.read_bytes()
    full = shipped_tables(out)[0].tables.panoptic
    few = take(full, np.arange(2))
    write_pairs(few, path)
    assert path.read_bytes() == before
    write_pairs(replace(few, digest=("other", *few.digest[1:])), path)
    assert len(shipped_tables(out)[0].tables.panoptic) == 2


def test_later_seeds_come_from_their_tables(results):
    out = results.results
    full, crop = shipped_tables(out)
    (loaded,) = later_seeds([full], out)
    assert (loaded.label, loaded.weights_sha256) == ("crop/seed0", crop.weights_sha256)
    other = replace(full, tables=Tables(take(full.tables.panoptic, np.array([1, 0]))))
    with pytest.raises(InputError, match="other images"):
        later_seeds([other], out)
