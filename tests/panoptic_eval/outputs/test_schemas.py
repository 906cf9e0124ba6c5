"""The JSON schemas of the package say exactly what is written: nothing may be missing, added, or of another type."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from importlib.resources import files
from typing import Any

import golden
import numpy as np
import pytest
import random_maps
from folders import write_gray, write_json
from jsonschema import Draft202012Validator

from panoptic_eval import Report, Rules, Tables, check, comparison, count, evaluate, rescore
from panoptic_eval.cli import main
from panoptic_eval.metrics import accounting
from panoptic_eval.outputs import checkup as checkup_output
from panoptic_eval.outputs import json as json_output
from panoptic_eval.report import anonymous

NAMES = ("report", "comparison", "checkup")
FREE = {"undefined", "versions", "pngs"}
"""Objects whose keys are names that come from the data."""
SOMETIMES = (
    "PQ_boundary",
    "mIoU_semantic",
    "AP_boundary",
    "AP_mask_instances",
    "AP_boundary_instances",
    "AP_box_instances",
)
"""Scores that there are with some options or predictions only."""


def schema(name: str) -> dict[str, Any]:
    return json.loads((files("panoptic_eval.outputs") / f"{name}.schema.json").read_text())


def faults(name: str, data: object) -> list[str]:
    return [f"{e.json_path}: {e.message[:300]}" for e in Draft202012Validator(schema(name)).iter_errors(data)]


def as_data(report: Report) -> dict[str, Any]:
    return json.loads(json_output.encode(report))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five random images, with all that predictions may hold: label maps, detections, semantic maps."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(5)
    catalogue = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, catalogue, images=5)
    _, pred = random_maps.write(root, catalogue, images)
    (root / "all").mkdir()
    pred.rename(root / "all" / "panoptic.json")
    (root / "pred").rename(root / "all" / "panoptic")
    write_json(root / "all" / "instances.json", _decoded(random_maps.coco(catalogue, images)[1]))
    for image in images:
        of = {s["id"]: s["category_id"] for s in image.pred_segments}
        category = np.vectorize(lambda i, of=of: of.get(i, int(catalogue.ids[0])))(image.pred)
        write_gray(root / "all" / "semantic" / f"{image.image_id:03}.png", category, bits=8)
    (root / "groups.csv").write_text(f"category,group\n{catalogue.ids[0]},one\n")
    (root / "slices.csv").write_text("image_id,light\n1,day\n2,day\n3,night\n")
    return root


def _decoded(results: list[dict]) -> list[dict]:
    """Run lengths as text, as JSON has them."""
    for result in results:
        result["segmentation"]["counts"] = result["segmentation"]["counts"].decode()
    return results


@pytest.fixture(scope="module")
def tables(folder):
    return count(folder / "all", folder / "gt.json", boundary=0.02)


@pytest.fixture(scope="module")
def full(tables, folder):
    """A report with every part and every score that there is."""
    report = rescore(tables, resamples=10, groups=folder / "groups.csv", slices=folder / "slices.csv")
    assert all(getattr(report, f.name) for f in fields(Report))
    return as_data(report)


@pytest.fixture(scope="module")
def compared(folder):
    for run in ("a", "b"):
        evaluate(folder / "all", folder / "gt.json", out=folder / run)
    return folder


def test_schemas_are_schemas_and_explain_every_key_of_the_first_level():
    for name in NAMES:
        Draft202012Validator.check_schema(schema(name))
        assert all("description" in part for part in schema(name)["properties"].values())


def test_formats_are_those_of_the_code():
    formats = [schema(name)["properties"]["format"]["const"] for name in NAMES]
    assert formats == [json_output.FORMAT, comparison.FORMAT, checkup_output.FORMAT]
    assert set(schema("report")["properties"]) == {"format", *(f.name for f in fields(Report))}


def test_a_report_of_everything_is_valid(full):
    assert faults("report", full) == []


@pytest.mark.parametrize(
    "rules", [Rules(protocol="panopticapi"), Rules(area_edges=(0, 5, 50)), Rules(miou_over="gt", pc_weight="pixels")]
)
def test_reports_by_other_rules_are_valid(rules, tables):
    for resamples in (0, 3):
        assert faults("report", as_data(rescore(tables, rules, resamples=resamples))) == []
    assert faults("report", as_data(anonymous(rescore(tables, rules)))) == []


@pytest.mark.parametrize("seed", range(12))
def test_reports_of_random_images_are_valid(seed):
    rng = np.random.default_rng(seed)
    catalogue = random_maps.catalogue(rng)
    table = random_maps.table(catalogue, random_maps.pairs(rng, catalogue, images=1 + seed % 3))
    assert faults("report", as_data(rescore(Tables(table), resamples=5))) == []


@pytest.mark.parametrize(
    ("case", "pred", "gt"),
    [
        ("panopticapi", "pred.json", "gt.json"),
        ("panopticapi", "gt.json", "gt.json"),
        ("deeplab2", "coco/pred.json", "coco/gt.json"),
    ],
)
def test_reports_of_golden_cases_are_valid(case, pred, gt):
    tables = count(golden.folder(case) / pred, golden.folder(case) / gt)
    assert faults("report", as_data(rescore(tables, resamples=3))) == []


def test_a_comparison_is_valid(compared, capsys):
    found = _printed(capsys, "compare", compared / "a", compared / "b", "--resamples", 20, "--json")
    assert found["images"]
    assert faults("comparison", found) == []
    _refuses_every_change("comparison", found)


def test_checkups_are_valid(folder, tmp_path):
    found = checkup_output.data(check(folder / "gt.json", folder / "all"))
    assert found["findings"]
    assert faults("checkup", json.loads(json_output.dumps(found))) == []
    _refuses_every_change("checkup", found)
    for gt in (tmp_path, folder / "all"):  # nothing there; without categories
        assert faults("checkup", json.loads(json_output.dumps(checkup_output.data(check(gt))))) == []


def test_a_report_is_refused_with_any_key_missing_added_or_of_another_type(full):
    _refuses_every_change("report", full)


@pytest.mark.parametrize("name", NAMES)
def test_every_key_of_the_schema_is_written(name, full, compared, capsys):
    if name == "comparison":
        data = _printed(capsys, "compare", compared / "a", compared / "b", "--resamples", 20, "--json")
    else:
        data = full if name == "report" else checkup_output.data(check(compared / "gt.json", compared / "all"))
    written = {key for _, value in _objects(data) for key in value}
    assert {key for part in _parts(schema(name)) for key in part.get("properties", ())} <= written


def _printed(capsys, *arguments: object) -> Any:
    main([str(a) for a in arguments])
    return json.loads(capsys.readouterr().out)


def _objects(data: Any, key: str = "") -> Iterator[tuple[str, dict]]:
    """Every object, and the key that it stands at; of the objects of a list the first with most keys."""
    if isinstance(data, Mapping):
        yield key, data
        for name, value in data.items():
            yield from _objects(value, name)
    elif isinstance(data, list) and data:
        yield from _objects(max(data, key=lambda v: len(v) if isinstance(v, Mapping) else 0), key)


def _parts(part: Any) -> Iterator[dict]:
    """Every object within a schema."""
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _parts(value)
    if isinstance(part, dict):
        yield part


def _refuses_every_change(name: str, data: Any) -> None:
    """Change the first level, then each of its parts alone: validating all of it each time takes a minute."""
    whole = schema(name)
    of_first_level = Draft202012Validator({**whole, "properties": {key: {} for key in whole["properties"]}})
    assert of_first_level.is_valid(data)
    assert not of_first_level.is_valid({**data, "another key": 0})
    for key, part in whole["properties"].items():
        assert not of_first_level.is_valid({k: v for k, v in data.items() if k != key}), f"{key} may be left out"
        validator = Draft202012Validator({**part, "$defs": whole["$defs"]})
        assert validator.is_valid(data[key])
        assert not validator.is_valid(_of_another_type(data[key])), f"{key} may be of another type"
        for at, here in _objects(data[key], key):
            if at not in FREE:
                _changes_are_refused(here, at, lambda v=validator, k=key: v.is_valid(data[k]))


def _changes_are_refused(here: dict, at: str, is_valid: Callable[[], bool]) -> None:
    here["another key"] = 0
    assert not is_valid(), f"{at} may have another key"
    del here["another key"]
    for key, value in list(here.items()):
        here[key] = _of_another_type(value)
        assert not is_valid(), f"{at}.{key} may be of another type"
        del here[key]
        assert is_valid() == _may_go(at, key), f"{at}.{key}: may it be left out?"
        here[key] = value


def _of_another_type(value: Any) -> Any:
    return {"a": [True]} if isinstance(value, list) else [[True]]


def _may_go(at: str, key: str) -> bool:
    """Tell whether a key may be absent: what an option adds, and accounts, which panopticapi's areas do not allow."""
    if at in ("categories", "size_percentiles", "provenance"):
        return key in ("account", "command", "PQ_low", "PQ_high", *SOMETIMES)
    return key.startswith(SOMETIMES) or (at in ("intervals", "groups") and key.startswith(tuple(accounting.TITLES)))
