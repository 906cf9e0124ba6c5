from pathlib import Path

from drawings import CAR, SKY, table

from panoptic_eval.outputs.json import encode
from panoptic_eval.report import anonymous
from panoptic_eval.score import Tables, score


def test_a_report_can_be_shown_without_names_of_folders():
    provenance = {
        "command": ["panoptic-eval", "--pred", "/home/me/secret"],
        "gt": "COCO panoptic format, /data/secret/gt.json",
        "pred": "/mnt/my secret disk/run/pred",
        "version": "0.1.0",
        "versions": {"numpy": "2.0"},
    }
    warnings = [
        "/home/me/secret/1.png is odd",
        "a 1/2 of pred/1.png",
        "(first: /mnt/my secret disk/run/pred/1.png: segment 7)",
    ]
    provenance["reference"] = "/opt/secret/x.json"
    plain = score(Tables(table("ss", "ss", s=SKY)), provenance=provenance, warnings=warnings)
    shown = anonymous(plain)
    text = encode(shown).decode()
    assert not any(word in text for word in ("secret", "/home", str(Path.cwd()), "--pred"))
    kept = {"gt": "COCO panoptic format, gt.json", "pred": "pred", "reference": "x.json", "version": "0.1.0"}
    assert shown.provenance == {**kept, "versions": {"numpy": "2.0"}}
    assert shown.warnings[0] == "1.png is odd"
    assert shown.warnings[1] == "a 1/2 of pred/1.png"
    assert shown.warnings[2] == "(first: pred/1.png: segment 7)"
    assert shown.scores == plain.scores


def test_a_report_is_one_line_at_the_prompt():
    report = score(Tables(table("ccss", "ccss", c=CAR, s=SKY, scores={"c": 0.9})))
    every = "PQ 1.000, SQ 1.000, RQ 1.000, PQ_dagger 1.000, PC 1.000, mIoU 1.000, AP_mask 1.000, AP_box 1.000"
    assert repr(report) == f"<Report of 1 image: {every}>"
