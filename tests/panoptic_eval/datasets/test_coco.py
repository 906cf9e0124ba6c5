import json

import folders
import golden
import numpy as np
import pytest
from folders import CAR, PERSON, SKY
from meanings import lines, meaning_of

from panoptic_eval.datasets import coco, ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.reference import decode

MAP = [[1, 1, 2], [0, 3, 3]]
INFO = folders.segments((2, SKY), (1, CAR), (3, PERSON), iscrowd=[0, 1, 0], area=[1, 2, 2.0])


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def faults_of(path):
    with pytest.raises(InputError) as error:
        coco.read(path)
    return lines(error.value)


def test_a_ground_truth(tmp_path):
    path = folders.write_coco(tmp_path / "gt.json", {12: (MAP, INFO), 7: (MAP, INFO[:1])})
    gt = coco.read(path)
    assert str(path) in gt.source
    assert gt.catalogue.ids.tolist() == [CAR, SKY, PERSON]  # the file's order
    assert gt.catalogue.isthing.tolist() == [True, False, True]
    assert gt.catalogue.categories[0].color == (0, 0, 142)
    assert [(m.image_id, m.size) for m in gt.maps] == [(12, (2, 3)), (7, (2, 3))]
    assert gt.maps[0].png == tmp_path / "gt" / "000000000012.png"
    meaning = gt.meaning
    assert meaning.image.tolist() == [0, 0, 0, 1]
    assert meaning.id.tolist() == [2, 1, 3, 2]
    assert gt.catalogue.ids[meaning.category].tolist() == [SKY, CAR, PERSON, SKY]
    assert meaning.crowd.tolist() == [False, True, False, False]
    assert meaning.area.tolist() == [1, 2, 2, 1]
    assert np.isnan(meaning.score).all()


def test_images_come_in_the_order_of_images_not_of_annotations(tmp_path):
    path = folders.write_coco(tmp_path / "gt.json", {12: (MAP, INFO), 7: (MAP, INFO[:1])})
    edit(path, lambda c: c["images"].reverse())
    gt = coco.read(path)
    assert [m.image_id for m in gt.maps] == [7, 12]
    assert gt.meaning.image.tolist() == [0, 1, 1, 1]
    assert gt.meaning.id.tolist() == [2, 2, 1, 3]
    edit(path, lambda c: c.pop("images"))
    assert [(m.image_id, m.size) for m in coco.read(path).maps] == [(12, None), (7, None)]


@pytest.mark.parametrize("pngs", ["annotations/panoptic_val2017", "panoptic_val2017"])
@pytest.mark.parametrize("photographs", ["val2017", "images/val2017"])
def test_layouts_of_the_data_set(tmp_path, pngs, photographs):
    folders.write_coco(tmp_path / "annotations" / "panoptic_val2017.json", {7: (MAP, INFO)}, folder=tmp_path / pngs)
    (tmp_path / photographs).mkdir(parents=True)
    gt = coco.read(coco.choose(tmp_path))
    assert gt.maps[0].png.is_file()
    assert gt.maps[0].photograph == tmp_path / photographs / "000000000007.jpg"


def test_photographs_that_are_nowhere(tmp_path):
    assert coco.read(folders.write_coco(tmp_path / "gt.json", {7: (MAP, INFO)})).maps[0].photograph is None


def test_the_split_chooses(tmp_path):
    for name in ("train2017", "val2017"):
        folders.write_coco(tmp_path / "annotations" / f"panoptic_{name}.json", {7: (MAP, INFO)})
    assert coco.choose(tmp_path).stem == "panoptic_val2017"
    assert coco.choose(tmp_path, "training").stem == "panoptic_train2017"
    assert coco.choose(tmp_path, "train").stem == "panoptic_train2017"
    with pytest.raises(InputError, match="test"):
        coco.choose(tmp_path, "test")


def test_a_ground_truth_beside_a_prediction_is_chosen_by_its_name(tmp_path):
    for name in ("gt", "pred"):
        folders.write_coco(tmp_path / f"{name}.json", {7: (MAP, INFO)})
    assert coco.choose(tmp_path) == tmp_path / "gt.json"
    (tmp_path / "gt.json").rename(tmp_path / "truth.json")
    (tmp_path / "gt").rename(tmp_path / "truth")
    with pytest.raises(InputError, match=r"pred\.json.*truth\.json"):
        coco.choose(tmp_path)


FAULTS = {
    "no annotation at all": (lambda c: c["annotations"].clear(), ("annotations is empty",)),
    "two annotations of an image": (
        lambda c: c["annotations"].append({**c["annotations"][0], "segments_info": []}),
        ("annotations[2]", "image 12", "differs"),
    ),
    "size of a continent": (lambda c: c["images"][0].update(height=2**31), ("images[0]", "3 x 2147483648 pixels")),
    "image without id": (lambda c: c["images"][0].pop("id"), ("images[0]", '"id"')),
    "size of nothing": (lambda c: c["images"][0].update(height=0), ("images[0]", "3 x 0 pixels")),
    "size of a kind": (lambda c: c["images"][0].update(width="3"), ("images[0]", "width")),
    "no categories": (lambda c: c.pop("categories"), ("categories",)),
    "categories of nothing": (lambda c: c.update(categories=[]), ("categories",)),
    "category with a list for a name": (lambda c: c["categories"][1].update(name=[]), ("categories[1]", "name")),
    "category of no kind": (lambda c: c["categories"][1].pop("isthing"), ("categories[1]", "isthing")),
    "category twice": (
        lambda c: c["categories"].append({**c["categories"][0], "name": "x"}),
        ("categories[3]", "id 7", "already"),
    ),
    "category below": (lambda c: c["categories"][1].update(id=-4), ("categories[1]", "id -4", "expected 0")),
    "category beyond": (lambda c: c["categories"][1].update(id=2**63), ("categories[1]", str(2**63), "expected 0")),
    "category unknown": (
        lambda c: c["annotations"][0]["segments_info"][0].update(category_id=5),
        ("annotations[0]", "image 12", "segment 2", "category_id 5", "7, 4, 9"),
    ),
    "segment 0": (lambda c: c["annotations"][0]["segments_info"][0].update(id=0), ("image 12", "segment 0", "void")),
    "file outside": (lambda c: c["annotations"][0].update(file_name="../x.png"), ("image 12", "../x.png", "leaves")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_message(tmp_path, name):
    change, parts = FAULTS[name]
    path = folders.write_coco(tmp_path / "gt.json", {12: (MAP, INFO), 7: (MAP, INFO)})
    edit(path, change)
    faults = faults_of(path)
    assert any(all(part in fault for part in (str(path), "expected", *parts)) for fault in faults), faults


def test_all_faults_come_at_once(tmp_path):
    path = folders.write_coco(tmp_path / "gt.json", {12: (MAP, INFO), 7: (MAP, INFO)})
    for name in ("category unknown", "size of nothing", "file outside"):
        edit(path, FAULTS[name][0])
    text = "\n".join(faults_of(path))
    for name in ("category unknown", "size of nothing", "file outside"):
        assert all(part in text for part in FAULTS[name][1])


def test_without_the_folder_of_pngs(tmp_path):
    path = folders.write_json(tmp_path / "annotations" / "panoptic_val2017.json", {"annotations": []})
    (fault,) = faults_of(path)
    assert str(tmp_path / "annotations" / "panoptic_val2017") in fault
    assert str(tmp_path / "panoptic_val2017") in fault
    assert "cannot be read" in faults_of(tmp_path / "none.json")[0]


def first_of(gt):
    ids = ids_of(decode(gt.maps[0].png.read_bytes()))[0]
    meaning, faults = meaning_of(gt, np.zeros(len(ids.id), int), ids.id)
    assert faults == []
    return ids, meaning


def test_panopticapi_s_photograph():
    gt = coco.read(golden.folder("panopticapi") / "gt.json")
    ids, meaning = first_of(gt)
    assert len(gt.catalogue) == 133
    assert gt.maps[0].size == (427, 640)
    segments = meaning.segment >= 0
    np.testing.assert_array_equal(meaning.stated_area[segments], ids.area[segments])
    assert ids.id[meaning.crowd].tolist() == [3153362]


def test_cityscapes_that_lists_no_categories():
    numbers = golden.expected("deeplab2_cityscapes_format")
    gt = ground_truth(golden.folder("deeplab2_cityscapes_format"))
    listed = [(c["id"], c["name"], bool(c["isthing"])) for c in numbers["parameters"]["categories"]]
    assert [(c.id, c.name, c.isthing) for c in gt.catalogue.categories] == listed
    ids, meaning = first_of(gt)
    expected = numbers["expected"]["pixels_per_id"]
    assert dict(zip(map(str, ids.id), ids.area, strict=True)) == expected
    assert ids.id[meaning.crowd].tolist() == [26]
    road = ids.id.tolist().index(7)
    assert gt.catalogue.ids[meaning.category[road]] == 0
