import json

import folders
import numpy as np
import pytest
import torch

from panoptic_eval import InputError, evaluate, ground_truth
from panoptic_eval.evaluation import rescore
from reproduce import seamseg
from reproduce.options import Comparison
from reproduce.systems import images, systems

# As in Mapillary Vistas: stuff and things in one list, one of which is not evaluated.
LABELS = [
    {"name": "object--car", "readable": "Car", "instances": True, "evaluate": True, "color": [0, 0, 142]},
    {"name": "nature--sky", "readable": "Sky", "instances": False, "evaluate": True, "color": [70, 130, 180]},
    {"name": "void--ground", "readable": "Ground", "instances": False, "evaluate": False, "color": [0, 0, 0]},
    {"name": "human--person", "readable": "Person", "instances": True, "evaluate": True, "color": [220, 20, 60]},
    {"name": "road", "readable": "Road", "instances": False, "evaluate": True, "color": [128, 64, 128]},
]
CAR, SKY, GROUND, PERSON, ROAD = range(5)
THEIRS = {SKY: 0, ROAD: 1, CAR: 2, PERSON: 3}
"""Stuff first, then things."""
SIZE = (160, 360)
OBJECTS = [(CAR, 0.9, (90, 20, 130, 100)), (CAR, 0.8, (100, 130, 140, 200)), (PERSON, 0.7, (70, 240, 150, 260))]
"""Label, score, and y0, x0, y1, x1 in the image."""


def labels():
    label = np.full(SIZE, SKY)
    label[80:] = ROAD
    instance = np.zeros(SIZE, int)
    for k, (of, _, (y0, x0, y1, x1)) in enumerate(OBJECTS, 1):
        label[y0:y1, x0:x1], instance[y0:y1, x0:x1] = of, k
    return label, instance


def record(folder, name="a", *, half=True, found=True, **changes):
    """What test_panoptic.py --raw writes of a network that saw the image at half its size and knows it."""
    scale = 0.5 if half else 1.0
    label, _ = labels()
    semantic = torch.from_numpy(np.vectorize(THEIRS.get)(label))[:: int(1 / scale), :: int(1 / scale)]
    content = {"sem_pred": semantic, **dict.fromkeys(("bbx_pred", "cls_pred", "obj_pred", "msk_pred"))}
    if found:
        order = [2, 0, 1]  # not by score
        content["bbx_pred"] = torch.tensor([OBJECTS[k][2] for k in order]) * scale
        content["cls_pred"] = torch.tensor([THEIRS[OBJECTS[k][0]] - 2 for k in order])
        content["obj_pred"] = torch.tensor([OBJECTS[k][1] for k in order])
        content["msk_pred"] = torch.full((3, 28, 28), 9.0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(content | changes, folder / f"{name}.pth.tar")
    return folder


@pytest.fixture
def gt(tmp_path):
    label, instance = labels()
    return folders.write_mapillary(tmp_path / "gt", {"a": label * 256 + instance}, labels=LABELS)


@pytest.mark.parametrize("half", [True, False])
def test_a_network_that_knows_the_image_is_perfect(half, gt, tmp_path):
    seamseg.fuse_raw(record(tmp_path / "raw" / "img", half=half).parent, ground_truth(gt), tmp_path / "out")
    report = evaluate(tmp_path / "out", gt)
    assert report.scores["PQ"]["all"] == 1
    assert report.scores["AP_mask_instances"]["AP"] == pytest.approx(1)
    assert report.warnings == []
    panoptic = json.loads((tmp_path / "out" / "panoptic.json").read_text())["annotations"][0]
    assert [s.get("score") for s in panoptic["segments_info"]] == pytest.approx([0.9, 0.8, 0.7, None, None])


def test_things_that_no_detection_takes_are_void(gt, tmp_path):
    seamseg.fuse_raw(record(tmp_path / "raw", found=False), ground_truth(gt), tmp_path / "out")
    rows = {row["name"]: row for row in evaluate(tmp_path / "out", gt).categories}
    assert [(rows[name]["TP"], rows[name]["FP"]) for name in ("Sky", "Road", "Car", "Person")] == [
        (1, 0),
        (1, 0),
        (0, 0),
        (0, 0),
    ]


def test_small_stuff_and_unsure_detections_are_left_out(gt, tmp_path):
    """The thresholds are those of the Seamless code, in pixels of the network's frame."""
    scores = torch.tensor([0.4, 0.6, 0.7])
    seamseg.fuse_raw(record(tmp_path / "raw", obj_pred=scores), ground_truth(gt), tmp_path / "out")
    rows = {row["name"]: row for row in evaluate(tmp_path / "out", gt).categories}
    assert [rows[name]["TP"] for name in ("Sky", "Road", "Car", "Person")] == [1, 1, 2, 0]
    small = record(tmp_path / "small", found=False, sem_pred=torch.zeros(32, 72, dtype=torch.int64))
    seamseg.fuse_raw(small, ground_truth(gt), tmp_path / "nothing")
    assert json.loads((tmp_path / "nothing" / "panoptic.json").read_text())["annotations"][0]["segments_info"] == []


def test_what_is_written_is_not_fused_again_and_the_command_does_the_same(gt, tmp_path):
    raw = record(tmp_path / "raw")
    seamseg.main(["--raw", str(raw), "--gt", str(gt), "--out", str(tmp_path / "out")])
    before = folders.contents(tmp_path / "out")
    (raw / "a.pth.tar").write_bytes(b"damaged")
    seamseg.main(["--raw", str(raw), "--gt", str(gt), "--out", str(tmp_path / "out")])
    assert folders.contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sem_pred": torch.full((80, 120), 4)}, "sem_pred holds 4; expected 0 to 3"),
        ({"cls_pred": torch.tensor([0, 2, 1])}, "cls_pred holds 2; expected 0 to 1"),
        ({"sem_pred": torch.zeros(3)}, "expected a dictionary of sem_pred, bbx_pred"),
    ],
)
def test_a_file_of_another_form_is_named(changes, says, gt, tmp_path):
    with pytest.raises(InputError, match=rf"a\.pth\.tar: {says}"):
        seamseg.fuse_raw(record(tmp_path / "raw", **changes), ground_truth(gt), tmp_path / "out")


def test_damaged_files_and_those_of_other_images_are_named(gt, tmp_path):
    raw = record(tmp_path / "raw", name="b")
    with pytest.raises(SystemExit, match=r"no file is named like an image of .*expected a\.pth\.tar"):
        seamseg.main(["--raw", str(raw), "--gt", str(gt), "--out", str(tmp_path / "out")])
    (raw / "a.pth.tar").write_bytes(b"damaged")
    with pytest.raises(SystemExit, match=r"a\.pth\.tar: cannot be read as a raw prediction"):
        seamseg.main(["--raw", str(raw), "--gt", str(gt), "--out", str(tmp_path / "out")])


def test_table_1_takes_the_folder_as_it_is(gt, tmp_path):
    raw = record(tmp_path / "raw")
    options = Comparison(gt=str(gt), predictions=(raw,), folder=tmp_path / "runs")
    (system,) = systems(options, images(options))
    assert (system.name, system.predictions) == ("raw", raw)
    assert rescore(system.tables).scores["PQ"]["all"] == 1
