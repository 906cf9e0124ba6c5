"""check tells all that scoring tells, goes on after faults, and says what only shows in the whole."""

import json

import folders
import numpy as np
import pytest
from oddities import DIFFERENT, ODDITIES, image_ids
from PIL import Image
from scene import CAR, CATEGORIES, PERSON, ROAD, SKY, scene

from panoptic_eval import InputError, evaluate, ground_truth
from panoptic_eval.checkup import check
from panoptic_eval.checkup.findings import EXAMPLES
from panoptic_eval.datasets import FORMATS
from panoptic_eval.outputs import checkup as output

ALIKE = ("PNGs are the same as that", "map is nearly", "maps are nearly")
"""Findings about the drawn scene itself, whose three ground truths are one picture."""


@pytest.fixture
def data(tmp_path):
    return scene(tmp_path)


def found(data, severity=None, *, pred=True, **options):
    """Texts of the findings of a severity, of all if None."""
    checkup = check(data.gt_json, data.pred_json.parent if pred else None, **options)
    kept = [f for f in checkup.findings if severity in (None, f.severity)]
    return [f.text for f in kept if not any(part in f.text for part in ALIKE)]


def test_a_sound_set_has_no_error_and_no_warning(data):
    assert found(data.write(), "error") == found(data, "warning") == []


@pytest.mark.parametrize("name", ODDITIES)
def test_what_scoring_warns_of_is_told(data, name):
    change, warning = ODDITIES[name]
    change(data)
    told = found(data.write(), "warning")
    assert found(data, "error") == []
    warnings = [w for w in evaluate(data.pred_json.parent, data.gt_json).warnings if not w.startswith("some edges")]
    assert bool(warnings) == bool(warning)
    for w in warnings:
        assert any(w.startswith(text) for text in told), w
    assert not any("(first" in text for text in told)  # examples stand below, not in the sentence


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_scoring_refuses_is_an_error(data, name):
    DIFFERENT[name](data)
    told = found(data.write(), "error")
    with pytest.raises(InputError) as error:
        evaluate(data.pred_json.parent, data.gt_json)
    for fault in error.value.faults:
        assert any(str(fault).startswith(text) for text in told), fault


def broken(data):
    """Faults of many kinds, on both sides."""
    first, second, third = data.gt.json["annotations"]
    first["segments_info"][0]["category_id"] = 77
    first["segments_info"][1]["area"] = 3
    first["segments_info"][2]["bbox"] = [1, 2, 3, 4]
    second["segments_info"].pop(0)
    third["segments_info"].append({"id": 99, "category_id": CAR})
    data.gt.json["images"].append({"id": 4, "width": 30, "height": 20, "file_name": "4.jpg"})
    data.gt.json["annotations"].append({"image_id": 5, "file_name": "gone.png", "segments_info": []})
    data.pred.json["annotations"][0]["segments_info"].append({"id": 0, "category_id": CAR})
    data.pred.json["annotations"][1]["segments_info"].pop()
    data.write()
    png = data.root / "pred" / "panoptic" / "000003.png"
    with Image.open(png) as image:
        image.resize((60, 40), Image.Resampling.BILINEAR).save(png)


def test_all_faults_of_a_broken_set_are_told_at_once(data):
    broken(data)
    told = {severity: " ".join(found(data, severity)) for severity in ("error", "warning")}
    for part in (
        "a category_id that is in no category",
        "PNG does not exist",
        "another size than the ground truth's",
        "has pixels, but the JSON does not list it",
        "colors between colors",
    ):
        assert part in told["error"], part
    for part in (
        "no annotation",
        "has id 0, which means void where it is not listed",
        '"images" does not list',
        "the JSON does not list it; neither void nor a segment",
        "has no pixel",
        "another area",
        "another box",
    ):
        assert part in told["warning"], part
    checkup = check(data.gt_json, data.pred_json.parent)
    assert checkup.gt.facts.images == 3
    assert checkup.pred.facts.images == 2  # one does not fit its ground truth
    assert checkup.pred.facts.segments.sum() == 8  # void pixels are one, as the JSON lists id 0


def test_a_resized_ground_truth_is_warned_of_as_it_can_be_scored(data):
    data.write()
    png = data.root / "gt" / "000001.png"
    with Image.open(png) as image:
        image.resize((28, 19), Image.Resampling.BILINEAR).resize((30, 20), Image.Resampling.BILINEAR).save(png)
    assert any("colors between colors" in text for text in found(data, "warning"))
    assert found(data, "error") == []
    assert evaluate(data.pred_json.parent, data.gt_json).images == 3


def test_segments_that_the_json_forgot_are_no_colors_between_colors(data):
    rows = np.repeat(np.arange(10), 2)[:, None] * 3 + np.arange(30)[None] // 10 + 100  # thirty blocks
    data.gt.ids["000001.png"] = rows
    data.gt.json["annotations"][0]["segments_info"] = [{"id": 100, "category_id": CAR, "iscrowd": 0}]
    told = found(data.write(), "warning", pred=False)
    assert any("29 ids have pixels" in text for text in told)
    assert not any("colors between colors" in text for text in told)


def test_each_side_is_blamed_for_its_own(data):
    for side in (data.gt, data.pred):
        side.json["annotations"][0]["segments_info"].pop()
    data.write()
    sides = {(f.severity, f.side): f for f in check(data.gt_json, data.pred_json.parent).findings if "list" in f.text}
    assert "gt/000001.png" in sides["warning", "gt"].examples[0]
    assert "pred/panoptic/000001.png" in sides["error", "pred"].examples[0]
    assert [f.count for f in sides.values()] == [1, 1]


def test_a_damaged_png_does_not_hide_the_others(data):
    data.write()
    (data.root / "gt" / "000002.png").write_bytes(b"no PNG")
    (data.root / "pred" / "panoptic" / "000003.png").write_bytes(b"")
    told = found(data, "error")
    assert [t for t in told if "does not start like a PNG" in t]
    assert [t for t in told if "is empty" in t]
    checkup = check(data.gt_json, data.pred_json.parent)
    assert (checkup.gt.facts.images, checkup.pred.facts.images) == (2, 1)


@pytest.mark.parametrize("side", ["gt", "pred"])
def test_a_folder_that_holds_nothing_is_an_error(data, side):
    data.write()
    gone = {"gt": (data.root / "x", data.pred_json), "pred": (data.gt_json, data.root / "x")}[side]
    checkup = check(*gone)
    assert [f.side for f in checkup.findings if f.severity == "error"] == [side]
    assert (checkup.gt is None) == (side == "gt")
    assert "cannot be scored" in output.text(checkup)


def test_categories_without_kind_do_not_stop_the_rest(data):
    for category in data.gt.json["categories"]:
        del category["isthing"]
    data.gt.json["annotations"][0]["segments_info"].pop()
    told = found(data.write(), pred=False)
    assert any('"isthing"' in text for text in told)
    assert any("does not list" in text for text in told)


def test_counts_of_the_ground_truth(data):
    data.gt.json["categories"].append({"id": 12, "name": "train", "isthing": 1})
    data.gt.segments()[2]["iscrowd"] = 1
    data.write()
    checkup = check(data.gt_json)
    facts = checkup.gt.facts
    assert facts.images == 3
    assert dict(facts.sizes) == {(20, 30): 3}
    assert dict(facts.kinds) == {"8-bit RGB": 3}
    catalogue = checkup.gt.maps.catalogue
    assert dict(zip(catalogue.ids.tolist(), facts.segments.tolist(), strict=True)) == {1: 3, 3: 3, 7: 3, 9: 3, 12: 0}
    ids = np.stack(list(data.gt.ids.values()))
    assert facts.pixels.sum() == (ids > 0).sum()
    assert facts.void.tolist() == pytest.approx([(ids[0] == 0).mean()] * 3)
    assert facts.crowds.tolist() == [1, 0, 0, 0, 0]
    assert facts.crowd_pixels[0] == (ids[0] == 21).sum()
    notes = [f for f in checkup.findings if f.severity == "note"]
    assert [f.examples for f in notes if "never used" in f.text] == [("train (12)",)]
    values = json.loads(json.dumps(output.data(checkup)))
    assert values["scorable"]
    assert values["gt"]["segments"] == 12
    assert [row["segments"] for row in values["gt"]["categories"]] == facts.segments.tolist()


def test_a_thing_category_with_crowds_alone_is_told(data):
    for segment in data.gt.segments():
        segment["iscrowd"] = int(segment["category_id"] == PERSON)
    data.write()
    assert any("crowds and no instance" in text for text in found(data, "note", pred=False))


def test_stuff_in_several_segments_is_told_of_its_side(data):
    for name, ids in data.gt.ids.items():
        data.gt.ids[name] = np.where((ids == 11) & (np.arange(30) > 15), 13, ids)
    for annotation in data.gt.json["annotations"]:
        annotation["segments_info"].append({"id": 13, "category_id": SKY, "iscrowd": 0})
        annotation["segments_info"] = [{**s, "area": None} for s in annotation["segments_info"]]
    data.write()
    (finding,) = [f for f in check(data.gt_json, data.pred_json.parent).findings if "stuff category" in f.text]
    assert (finding.side, finding.count) == ("gt", 3)


def test_boxes_that_differ_by_the_last_pixel_are_no_oddity(data):
    for segment in data.gt.segments():
        y, x = np.nonzero(data.gt.ids["000001.png"] == segment["id"])
        segment["bbox"] = [*map(int, (x.min(), y.min(), np.ptp(x) + segment["id"] % 2, np.ptp(y) + 1))]
    assert found(data.write(), "warning", pred=False) == []
    data.gt.segments()[0]["bbox"][2] += 5
    assert ["another box" in text for text in found(data.write(), "warning", pred=False)] == [True]


def test_missing_and_empty_predictions_are_told(data):
    data.pred.json["annotations"][1]["segments_info"] = []
    data.pred.ids["000002.png"] = data.pred.ids["000002.png"] * 0
    data.pred.json["annotations"].pop()
    data.write()
    assert any("1 image has no prediction" in text for text in found(data, "error"))
    assert any("1 prediction has no segment" in text for text in found(data, "warning"))


def test_a_prediction_whose_png_is_gone_is_told_once(data):
    data.write()
    (data.root / "pred" / "panoptic" / "000002.png").unlink()
    assert len(found(data, "error")) == 1
    assert found(data, "warning") == []


def test_a_category_that_is_not_known_raises_no_suspicion_of_its_own(data):
    for segment in data.pred.segments():
        segment["category_id"] = 77
    data.write()
    assert len(found(data, "error")) == 1
    assert not any("known category" in text for text in found(data))


@pytest.mark.parametrize("change", ["exchange", "shift"])
def test_a_renumbering_that_would_fit_is_said(data, change):
    other = {"exchange": {PERSON: CAR, CAR: PERSON}, "shift": {PERSON: CAR, CAR: ROAD, ROAD: SKY, SKY: PERSON}}[change]
    many_images(data, 5)
    for segment in data.pred.segments():
        segment["category_id"] = other.get(segment["category_id"], segment["category_id"])
    data.write()
    (finding,) = [f for f in check(data.gt_json, data.pred_json.parent).findings if "mostly on another" in f.text]
    name = {c["id"]: c["name"] for c in CATEGORIES}
    assert finding.count == len(other)
    for here, there in other.items():  # what is called `there` lies on gt's `here`
        assert any(e.startswith(f"{name[there]} ({there}) lies on {name[here]} ({here})") for e in finding.examples)


def many_images(data, n):
    """Repeat the first image with other ids, a pixel apart."""
    image, gt, pred = data.gt.json["images"][0], data.gt.json["annotations"][0], data.pred.json["annotations"][0]
    data.gt.json.update(images=[], annotations=[])
    data.pred.json.update(annotations=[])
    for k in range(1, n + 1):
        name = f"{k:06}.png"
        data.gt.json["images"].append({**image, "id": k})
        for side, row in ((data.gt, gt), (data.pred, pred)):
            side.json["annotations"].append(json.loads(json.dumps({**row, "image_id": k, "file_name": name})))
            side.ids[name] = data.gt.ids["000001.png"].copy()


def test_one_thing_segment_a_category_looks_like_a_semantic_map(data):
    many_images(data, 5)
    assert any("look like semantic maps" in text for text in found(data.write(), "warning", pred=False))


def test_equal_scores_are_told(data):
    for segment in data.pred.segments():
        segment["score"] = 0.5
    assert any("all 6 scores are 0.5" in text for text in found(data.write(), "warning"))


def test_examples_are_few_however_many_places_there_are(data):
    many_images(data, 3 * EXAMPLES)
    for segment in data.gt.segments():
        segment["area"] = 1
    (finding,) = [f for f in check(data.write().gt_json).findings if "another area" in f.text]
    assert (finding.count, len(finding.examples)) == (12 * EXAMPLES, EXAMPLES)


def test_the_result_does_not_depend_on_threads_or_chunks(data, monkeypatch):
    many_images(data, 7)
    data.gt.segments()[3]["area"] = 1
    data.write()
    once = output.data(check(data.gt_json, data.pred_json.parent, workers=1))
    monkeypatch.setattr("panoptic_eval.checkup.walk.TOGETHER", 2)
    assert output.data(check(data.gt_json, data.pred_json.parent, workers=3)) == once


def test_photographs_are_compared_with_the_labels(tmp_path):
    labels = np.full((4, 6), 2 * 256)
    labels[0] = 3 * 256
    root = folders.write_mapillary(tmp_path, {"a": labels, "b": labels, "c": labels})
    images = root / "validation" / "images"
    Image.new("RGB", (4, 6)).save(images / "b.jpg")
    (images / "c.jpg").unlink()
    told = {f.text: f.severity for f in check(root).findings}
    assert told["1 photograph has another size than the labels, as it is shown"] == "warning"
    assert [severity for text, severity in told.items() if "is not there" in text] == ["note"]


LAYOUTS = {
    "mvd": lambda root: folders.write_mapillary(root, {"a": [[3 * 256 + 1, 2 * 256], [0, 256]]}),
    "cityscapes": lambda root: folders.write_cityscapes(root, {"ulm_000001_000019": [[26001, 7], [26, 0]]}),
    "idd": lambda root: folders.write_idd(root, {"1/000123": [[9001, 0], [9, 255]]}),
    "coco": lambda root: folders.write_coco(
        root / "annotations" / "panoptic_val2017.json",
        {7: ([[1, 2], [2, 2]], folders.segments((1, folders.CAR), (2, folders.SKY)))},
        folder=root / "annotations" / "panoptic_val2017",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_format_is_checked_and_recognized(tmp_path, name):
    LAYOUTS[name](tmp_path)
    checkup = check(tmp_path)
    assert checkup.errors == 0
    assert checkup.gt.facts.segments.sum() > 1
    assert check(name, root=tmp_path).findings == checkup.findings
    sign = next(f.sign for f in FORMATS if f.name == name)
    assert checkup.gt.because == f"{tmp_path} holds {sign}"


def test_a_value_of_no_category_is_an_error_of_cityscapes(tmp_path):
    folders.write_cityscapes(tmp_path, {"ulm_000001_000019": [[26001, 7], [99, 0]]})
    (finding,) = [f for f in check(tmp_path).findings if f.severity == "error"]
    assert "category that does not exist" in finding.text
    assert finding.side == "gt"


def test_image_ids_of_another_data_set_are_the_one_error(data):
    image_ids(lambda id_: id_ + 100)(data)
    (told,) = found(data.write(), "error")
    assert "none of the images is in the ground truth" in told


def test_detections_and_semantic_maps_are_looked_at(data):
    many_images(data, 5)
    data.write()
    rows = [
        {"image_id": k, "category_id": {PERSON: CAR, CAR: PERSON}[c], "score": 0.5, "bbox": box}
        for k in range(1, 6)
        for c, box in ((PERSON, [2, 7, 6, 11]), (CAR, [13, 10, 12, 7]))
    ]
    folders.write_json(data.pred_json.parent / "instances.json", rows)
    for k in range(1, 6):
        folders.write_gray(data.pred_json.parent / "semantic" / f"{k:06}.png", np.ones((20, 30)), 8)
    told = found(data, "warning")
    assert any(t.startswith("detections: all 10 scores are 0.5") for t in told)
    assert any(t.startswith("detections: 10 predicted segments lie where") for t in told)
    assert any(t.startswith("semantic maps: all 5 predicted segments are of category") for t in told)


def test_copies_and_near_copies_are_told_apart(data):
    data.gt.ids["000002.png"][0, 5] = 0  # another picture, nearly the first; the third is the first
    for annotation in data.gt.json["annotations"]:
        annotation["segments_info"] = [{**s, "area": None} for s in annotation["segments_info"]]
    data.write()
    told = {f.text: f for f in check(data.gt_json).findings}
    copies, near = (next(f for key, f in told.items() if part in key) for part in ("the same as", "nearly"))
    assert (copies.severity, copies.count) == ("warning", 1)
    assert copies.examples[0].endswith(f"000003.png: as {data.root / 'gt' / '000001.png'}")
    assert (near.severity, near.count) == ("note", 1)
    assert "000002.png: like" in near.examples[0]


@pytest.mark.parametrize("other", [None, "abcd", [1, 2, 3], 5, [1, 2, 3, "4"], {}, [1, 2, 3, True], [[1], 2, 3, 4]])
def test_a_box_of_another_form_is_none_and_the_others_are_read(data, other):
    boxes = [[k, 1, 2.5, 3] for k in range(len(data.gt.segments()))]
    for segment, box in zip(data.gt.segments(), boxes, strict=True):
        segment["bbox"] = box
    read = ground_truth(data.write().gt_json).meaning.box
    np.testing.assert_array_equal(read, boxes)
    data.gt.segments()[2]["bbox"] = other
    read = ground_truth(data.write().gt_json).meaning.box
    assert np.isnan(read[2]).all()
    np.testing.assert_array_equal(np.delete(read, 2, 0), np.delete(np.array(boxes), 2, 0))
