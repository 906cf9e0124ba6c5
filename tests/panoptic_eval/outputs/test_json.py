import json
import math
from itertools import pairwise

import pytest
from drawings import BUS, CAR, ROAD, SKY

from panoptic_eval.errors import InputError
from panoptic_eval.outputs import json as json_output
from panoptic_eval.outputs.json import encode


def test_report_json_has_the_documented_shape(scored):
    data = json.loads(encode(scored))
    assert list(data)[:3] == ["format", "images", "scores"]
    assert data["format"] == 3
    assert data["images"] == 2
    groups = {"PQ", "SQ", "RQ", "PQ_dagger", "PC", "mIoU"}
    aps = {"AP_mask", "AP_box"}
    assert set(data["scores"]) == groups | aps
    assert all(set(data["scores"][name]) == {"all", "things", "stuff"} for name in groups)
    assert all(set(data["scores"][name]) == {"AP", "AP50", "AP75", "APs", "APm", "APl"} for name in aps)
    names = ["PQ", "SQ", "RQ", "PQ_dagger", "PC", "mIoU", "AP_mask", "AP_box"]
    assert list(data["categories"][0]) == ["id", "name", "isthing", *names, "TP", "FP", "FN", "iou_sum", "account"]
    causes = ["too_small", "too_large", "class", "merged", "split", "place", "missed", "spurious"]
    assert list(data["account"]) == list(data["if_fixed"]) == ["all", "things", "stuff"]
    assert all(list(parts) == causes for parts in (*data["account"].values(), *data["if_fixed"].values()))
    assert all(list(row["account"]) == causes for row in (*data["categories"], *data["size_percentiles"]))
    assert [c["id"] for c in data["categories"]] == [CAR, BUS, SKY, ROAD]
    bins = data["size_percentiles"]
    edges = ["from_percent", "to_percent", "from_area", "to_area"]
    assert all(list(row) == [*edges, "instances", "categories", "AP_mask", "AP_box", "account"] for row in bins)
    assert [(row["from_percent"], row["to_percent"]) for row in bins] == [*pairwise([0, 25, 50, 75, 99, 100])]
    assert all(row["to_area"] == following["from_area"] for row, following in pairwise(bins))
    assert data["protocol"]["pc_weight"] == "image"
    assert data["provenance"] == {"version": "test"}
    assert [row["image_id"] for row in data["per_image"]] == [1, 2]
    assert data["intervals"] == {}


def test_undefined_is_null_with_a_reason(scored):
    data = json.loads(encode(scored))
    assert data["scores"]["AP_mask"]["APl"] is None
    assert data["undefined"]["AP_mask.APl"] == "gt has no large thing instance"
    assert data["categories"][2]["AP_mask"] is None
    assert b"NaN" not in encode(scored)


def test_what_is_written_reads_back_equal(scored, tmp_path):
    json_output.write(scored, tmp_path / "report.json")
    found = json_output.read(tmp_path)
    assert encode(found) == encode(scored)
    assert math.isnan(found.scores["AP_mask"]["APl"])
    assert [*found.per_image[0]] == [*scored.per_image[0]]


def test_a_list_is_no_report(tmp_path):
    (tmp_path / "report.json").write_text("[]")
    with pytest.raises(InputError, match="holds a list, not an object"):
        json_output.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 3, "a": 0}'])
def test_something_else_is_no_report(content, tmp_path):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(InputError, match=r"report\.json"):
        json_output.read(tmp_path)


@pytest.mark.parametrize("name", ["\x9b2J", "\u202e", "\U000e0001", "\x7f", "\ud800", "\x1b[2J", "Fußgänger 人"])
def test_json_is_printable_and_reads_back_whatever_is_in_names(name):
    text = json_output.dumps({"name": name, "score": math.nan})
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == {"name": name, "score": None}
    text.encode()


def test_a_folder_without_a_run_is_said(tmp_path):
    with pytest.raises(
        InputError, match=r"report\.json: is not there; expected a report\.json that panoptic-eval wrote"
    ):
        json_output.read(tmp_path)
    with pytest.raises(InputError, match="nowhere: is not there"):
        json_output.read(tmp_path / "nowhere")
