import folders
import numpy as np
import pytest
from meanings import meaning_of

from panoptic_eval.datasets import idd
from panoptic_eval.errors import InputError


def test_images_are_named_by_drive(tmp_path):
    root = folders.write_idd(tmp_path, {"119/902541": [[0]], "20/902541": [[0, 1]]})
    gt = idd.read(root)
    assert [m.image_id for m in gt.maps] == ["119_902541", "20_902541"]
    assert gt.maps[0].photograph == root / "leftImg8bit" / "val" / "119" / "902541_leftImg8bit.jpg"
    assert gt.maps[0].size is None  # as the PNG has it: nothing is resized
    assert "IDD" in gt.source
    assert idd.read(root / "gtFine").maps == gt.maps


def test_the_26_categories():
    catalogue = idd.catalogue()
    assert catalogue.ids.tolist() == list(range(26))
    names = [c.name for c in catalogue.categories]
    things = [name for name, thing in zip(names, catalogue.isthing, strict=True) if thing]
    assert things == [
        "person", "rider", "motorcycle", "bicycle", "autorickshaw", "car", "truck", "bus", "vehicle fallback",
    ]  # fmt: skip
    assert (names[0], names[1], names[3], names[23], names[25]) == ("road", "parking", "rail track", "bridge", "sky")


def test_what_values_mean(tmp_path):
    gt = idd.read(folders.write_idd(tmp_path, {"1/a": [[0]]}))
    values = np.array([0, 4, 25, 255, 4000, 4001, 12999])
    meaning, faults = meaning_of(gt, np.zeros(len(values), int), values)
    assert faults == []
    assert [None if c < 0 else int(gt.catalogue.ids[c]) for c in meaning.category] == [0, 4, 25, None, 4, 4, 12]
    assert values[meaning.crowd].tolist() == [4]
    assert meaning.segment.tolist() == [0, 4, 25, -1, 4000, 4001, 12999]
    _, faults = meaning_of(gt, np.zeros(2, int), np.array([26, 26000]))
    assert len(faults) == 2  # ids that an interpolating resize has invented are found


def test_splits(tmp_path):
    for split in ("train", "val"):
        folders.write_idd(tmp_path, {f"{split}/a": [[0]]}, split=split)
    assert [m.image_id for m in idd.read(tmp_path).maps] == ["val_a"]
    assert [m.image_id for m in idd.read(tmp_path, split="training").maps] == ["train_a"]
    (tmp_path / "gtFine" / "test").mkdir()
    with pytest.raises(InputError, match="instancelevel3Ids"):
        idd.read(tmp_path, split="test")
