import folders
import golden
import numpy as np
import pytest
from meanings import meaning_of

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import cityscapes
from panoptic_eval.errors import InputError
from panoptic_eval.labels import Listed

IMAGE = "ulm_000000_000019"


def test_straight_from_the_instance_files(tmp_path):
    root = folders.write_cityscapes(tmp_path, {IMAGE: [[7]], "aachen_000001_000019": [[7]]})
    gt = cityscapes.read(root)
    assert [m.image_id for m in gt.maps] == ["aachen_000001_000019", IMAGE]
    assert gt.maps[1].png == root / "gtFine" / "val" / "ulm" / f"{IMAGE}_gtFine_instanceIds.png"
    assert gt.maps[1].photograph == root / "leftImg8bit" / "val" / "ulm" / f"{IMAGE}_leftImg8bit.png"
    assert "val" in gt.source
    assert cityscapes.read(root / "gtFine").maps == gt.maps


def test_the_19_categories(tmp_path):
    gt = cityscapes.read(folders.write_cityscapes(tmp_path, {IMAGE: [[7]]}))
    assert len(gt.catalogue) == 19
    things = gt.catalogue.ids[gt.catalogue.isthing].tolist()
    assert things == [24, 25, 26, 27, 28, 31, 32, 33]
    by_train_id = golden.expected("deeplab2_cityscapes_format")["parameters"]["categories"]
    ours = cityscapes.catalogue("trainId").categories
    assert [(c.id, c.name, c.isthing, list(c.color)) for c in ours] == [
        (c["id"], c["name"], bool(c["isthing"]), c["color"]) for c in by_train_id
    ]


def test_what_values_mean(tmp_path):
    gt = cityscapes.read(folders.write_cityscapes(tmp_path, {IMAGE: [[7]]}))
    values = np.array([0, 3, 7, 14, 23, 26, 29, 26000, 26001, 29000, 30001, 33999])
    meaning, faults = meaning_of(gt, np.zeros(len(values), int), values)
    assert faults == []  # caravans and trailers have instances, and are void all the same
    named = [None if c < 0 else gt.catalogue.categories[c].name for c in meaning.category]
    road, sky, car, bicycle = "road", "sky", "car", "bicycle"
    assert named == [None, None, road, None, sky, car, None, car, car, None, None, bicycle]
    assert values[meaning.crowd].tolist() == [26]
    assert len(set(meaning.segment.tolist())) == 7  # void is one value
    _, faults = meaning_of(gt, np.zeros(1, int), np.array([34]))
    assert len(faults) == 1


def write_panoptic(root, name, *segments, split="val"):
    path = root / "gtFine" / f"cityscapes_panoptic_{split}{name}.json"
    categories = [
        {"id": c.id, "name": c.name, "isthing": int(c.isthing)}
        for c in cityscapes.catalogue("trainId" if name else "id").categories
    ]
    return folders.write_coco(path, {IMAGE: ([[5, 6]], folders.segments(*segments))}, categories=categories)


def test_the_panoptic_json_is_preferred_and_by_id(tmp_path):
    folders.write_cityscapes(tmp_path, {IMAGE: [[7, 26001]]})
    write_panoptic(tmp_path, "_trainId", (5, 0), (6, 13))
    assert not isinstance(cityscapes.read(tmp_path).meaning, Listed)  # trainId is for training
    path = write_panoptic(tmp_path, "", (5, 7), (6, 26))
    gt = cityscapes.read(tmp_path)
    assert str(path) in gt.source
    assert gt.catalogue.ids[gt.meaning.category].tolist() == [7, 26]
    assert gt.maps[0].photograph == tmp_path / "leftImg8bit" / "val" / "ulm" / f"{IMAGE}_leftImg8bit.png"


def test_splits(tmp_path):
    for split in ("train", "val"):
        folders.write_cityscapes(tmp_path, {f"{split}_0_0": [[7]]}, split=split)
    assert cityscapes.read(tmp_path).maps[0].image_id == "val_0_0"
    assert cityscapes.read(tmp_path, split="training").maps[0].image_id == "train_0_0"
    write_panoptic(tmp_path, "", (5, 7), (6, 26), split="train")
    assert cityscapes.read(tmp_path).maps[0].image_id == "val_0_0"
    assert cityscapes.read(tmp_path, split="training").maps[0].image_id == IMAGE
    with pytest.raises(InputError, match=r"test.*train, val"):
        cityscapes.read(tmp_path, split="test")


def test_a_split_without_annotations(tmp_path):
    (tmp_path / "gtFine" / "val" / "ulm").mkdir(parents=True)
    with pytest.raises(InputError, match=r"instanceIds\.png.*cityscapes_panoptic_val\.json"):
        cityscapes.read(tmp_path)


def test_numberings_translate():
    by_id = cityscapes.catalogue("id")
    assert cityscapes.coding_of(by_id) == "id"
    assert cityscapes.coding_of(cityscapes.catalogue("trainId")) == "trainId"
    assert cityscapes.coding_of(Catalogue((Category(7, "road", False),))) is None
    backwards = Catalogue(by_id.categories[::-1])
    train = cityscapes.renumber(backwards, "trainId")
    assert train.ids.tolist() == list(range(18, -1, -1))
    assert [c.name for c in train.categories] == [c.name for c in backwards.categories]
    assert cityscapes.renumber(train, "id") == backwards
    with pytest.raises(ValueError, match="Cityscapes"):
        cityscapes.renumber(Catalogue((Category(7, "road", False),)), "id")
