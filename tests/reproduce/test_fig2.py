import json

import numpy as np
import pandas as pd
import pytest
from folders import segments, write_cityscapes, write_coco, write_idd
from PIL import Image
from street_folders import CAR_ID, PERSON_ID, ROAD_ID, scene, write_scenes

from model.config import Levels, SampleConfig
from model.data.index import build_index
from model.data.sampling import Sampler
from panoptic_eval.datasets import ground_truth
from reproduce import fig2

LEVELS = Levels(canonical_size=32.0)
CONFIG = SampleConfig(shortest=120, crop=40, sampling="cus", stuff_scales=(1.0, 1.0))


def objects(tmp_path, scenes, *, config=CONFIG, crops=60):
    gt = ground_truth(write_scenes(tmp_path, scenes), split="training")
    index = build_index(gt)
    return fig2.cropped_objects(gt, index, Sampler(index, config, LEVELS, 0), crops=crops)


def test_an_object_larger_than_the_crop_keeps_what_the_crop_shows(tmp_path):
    rows = objects(tmp_path, {"a": np.full((120, 200), CAR_ID)})
    assert rows["size"].unique() == pytest.approx([np.sqrt(120 * 200)])
    assert rows["iou"].unique() == pytest.approx([40 * 40 / (120 * 200)])
    assert rows["level"].unique().tolist() == [2]  # of the 40 x 40 that the crop shows, not of the whole object


def test_an_object_that_is_not_cut_has_its_full_box(tmp_path):
    """At a scale at which its box does not fall on pixels, too."""
    ids = np.full((120, 120), ROAD_ID)
    ids[50:57, 60:69] = PERSON_ID
    whole = SampleConfig(shortest=93, crop=None, sampling="cus", stuff_scales=(0.9, 1.3))
    rows = objects(tmp_path, {"a": ids}, config=whole)
    assert set(rows["iou"]) == {1.0}
    assert rows["scaled"].between(0.9 * 93 / 120 * np.sqrt(63), 1.3 * 93 / 120 * np.sqrt(63)).all()


def test_larger_objects_keep_less_of_their_box(tmp_path):
    rows = objects(tmp_path, {f"{i}": scene(i) for i in range(8)}, crops=300)
    small, large = (rows["iou"][rows["size"].between(*limits)].mean() for limits in ((0, 10), (40, 200)))
    assert large + 0.2 < small
    assert rows["iou"].between(0, 1).all()


def test_bins_enclose_every_size_and_share_their_counts():
    sizes = pd.DataFrame(
        {"size": [3.0, 4.0, 90.0], "scaled": [1.0, 2.0, 64.0], "level": [0, 0, 3], "iou": [1.0, 0.5, 0.2]}
    )
    found = fig2.iou_by_size({"CROP": sizes})
    assert found["objects"].tolist() == [1, 1, 1]
    assert (found["size_from"] <= sizes["size"]).all()
    assert (found["size_to"] > sizes["size"]).all()
    assert found["mean_iou"].tolist() == [1.0, 0.5, 0.2]
    shares = fig2.share_by_scale({"CROP": sizes})
    assert shares["objects"].sum() == 3
    assert shares["share"].sum() == pytest.approx(1)
    levels = fig2.share_by_level({"CROP": sizes}, LEVELS)
    assert levels["share"].tolist() == pytest.approx([2 / 3, 0, 0, 1 / 3])
    assert levels["entropy_bits"].unique() == pytest.approx([-(2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 3))])


def test_the_data_set_at_the_scale_of_its_rescaled_images(tmp_path):
    ids = np.full((60, 90), ROAD_ID)
    ids[10:20, 10:50] = CAR_ID
    index = build_index(ground_truth(write_scenes(tmp_path, {"a": ids}), split="training"))
    rows = fig2.all_objects(index, CONFIG, LEVELS)
    assert rows.to_dict("list") == {"size": [20.0], "scaled": [40.0], "level": [2]}


def test_the_command_writes_figure_numbers_and_provenance(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = write_scenes(tmp_path / "town", {f"{i}": scene(i, 256, 300) for i in range(3)})
    out = tmp_path / "results"
    arguments = ["--gt", str(root), "--preset", "streets", "--crops", "20", "--out", str(out)]
    fig2.main(arguments)
    assert Image.open(out / "fig2.png").size == (2160, 960)
    assert (out / "fig2.pdf").read_bytes().startswith(b"%PDF")
    record = json.loads((out / "fig2.json").read_text())
    assert record["data"]["images"] == 3
    assert record["config"]["CROP"]["sampling"] == "cus"
    assert record["config"]["ISUS"]["sampling"] == "isus"
    assert record["seed"] == 0
    assert {"commit", "command", "versions"} <= set(record)
    levels = pd.read_csv(out / "fig2_levels.csv")
    assert levels.groupby("source")["share"].sum().tolist() == pytest.approx([1, 1, 1], abs=1e-3)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    fig2.main(arguments)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("layout", ["cityscapes", "idd", "coco"])
def test_other_formats(tmp_path, monkeypatch, layout):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ids = np.full((64, 64), 7)
    ids[10:40, 10:40] = {"cityscapes": 26001, "idd": 9001, "coco": 12}[layout]
    gt, extra = tmp_path, ["--split", "val"]
    if layout == "cityscapes":
        write_cityscapes(tmp_path, {"ulm_000000_000001": ids})
    elif layout == "idd":
        write_idd(tmp_path, {"001/frame1": ids})
    else:
        write_coco(tmp_path / "annotations" / "panoptic_val2017.json", {1: (ids, segments((7, 4), (12, 7)))})
    fig2.main(["--gt", str(gt), *extra, "--preset", "streets", "--crops", "25", "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "fig2.png").is_file()


def test_a_missing_data_set_is_an_error_without_a_trace(tmp_path):
    with pytest.raises(SystemExit, match="nowhere: does not exist"):
        fig2.main(["--gt", str(tmp_path / "nowhere")])
