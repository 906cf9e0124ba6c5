import folders
import golden
import numpy as np
import pytest
from folders import CAR, PERSON, SKY
from meanings import lines
from pycocotools import mask

from panoptic_eval import detections
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import Faults, InputError
from panoptic_eval.labels import LabelMap, LabelMaps

MASK = np.array([[0, 1, 1], [0, 0, 1]], np.uint8)
RLE = mask.encode(np.asfortranarray(MASK))
TEXT = {"size": [2, 3], "counts": RLE["counts"].decode()}


@pytest.fixture
def gt(tmp_path):
    info = folders.segments((1, CAR))
    return ground_truth(folders.write_coco(tmp_path / "gt.json", {7: (MASK, info), 12: (MASK, info)}))


def result(**changes):
    values = {"image_id": 7, "category_id": CAR, "score": 0.5, "segmentation": TEXT, **changes}
    return {key: value for key, value in values.items() if value is not ...}


def read(tmp_path, gt, *results):
    """What the file says, and its faults."""
    faults = Faults()
    found = detections.read(folders.write_json(tmp_path / "instances.json", list(results)), gt, gt.catalogue, faults)
    return found, lines(faults)


def test_results_stay_in_the_order_of_the_file(tmp_path, gt):
    found, faults = read(
        tmp_path, gt, result(image_id=12, category_id=PERSON, bbox=[1, 0.5, 2, 2]), result(score=1), result(image_id=12)
    )
    assert faults == []
    assert found.image.tolist() == [1, 0, 1]
    assert gt.catalogue.ids[found.category].tolist() == [PERSON, CAR, CAR]
    assert found.score.tolist() == [0.5, 1, 0.5]
    np.testing.assert_array_equal(found.box, [[1, 0.5, 2, 2], [np.nan] * 4, [np.nan] * 4])
    assert [m["counts"] for m in found.rle] == [RLE["counts"]] * 3


@pytest.mark.parametrize(
    "segmentation",
    [
        pytest.param(TEXT, id="compressed"),
        pytest.param({"size": [2, 3], "counts": [2, 1, 1, 2]}, id="uncompressed"),
        pytest.param([[1, 0, 3, 0, 3, 1, 1, 1], [2, 1, 3, 1, 3, 2, 2, 2]], id="polygons"),
    ],
)
def test_masks_come_compressed_whatever_they_were(tmp_path, gt, segmentation):
    found, faults = read(tmp_path, gt, result(segmentation=segmentation))
    assert faults == []
    np.testing.assert_array_equal(mask.decode(found.rle[0]), MASK)


def test_boxes_alone(tmp_path, gt):
    found, faults = read(tmp_path, gt, result(segmentation=..., bbox=[0, 0, 1, 1]))
    assert faults == []
    assert found.rle is None


def test_no_detections_at_all(tmp_path, gt):
    found, faults = read(tmp_path, gt)
    assert faults == []
    assert (found.box.shape, found.rle) == ((0, 4), ())


def test_the_png_says_the_size_whatever_a_json_declares(tmp_path, gt):
    bare = LabelMaps("", gt.catalogue, tuple(LabelMap(m.image_id, m.png, (3, 2)) for m in gt.maps), gt.meaning)
    assert read(tmp_path, bare, result())[1] == []
    wrong = {"size": [3, 2], "counts": TEXT["counts"]}
    assert "[2, 3]" in read(tmp_path, bare, result(segmentation=wrong))[1][0]
    gt.maps[0].png.write_bytes(b"no PNG")
    assert str(gt.maps[0].png) in read(tmp_path, bare, result())[1][0]
    gt.maps[0].png.unlink()
    assert str(gt.maps[0].png) in read(tmp_path, bare, result())[1][0]


FAULTS = {
    "no image": ({"image_id": ...}, ("image_id",)),
    "no category": ({"category_id": ...}, ("category_id",)),
    "no score": ({"score": ...}, ("score", "finite")),
    "score is no number": ({"score": float("nan")}, ("score", "NaN", "finite")),
    "score is null": ({"score": None}, ("score", "null", "finite")),
    "box of three": ({"bbox": [0, 0, 1]}, ("bbox", "[0, 0, 1]")),
    "box of text": ({"bbox": [0, 0, 1, "1"]}, ("bbox",)),
    "box of nothing": ({"bbox": [0, 0, None, 1]}, ("bbox",)),
    "box without end": ({"bbox": [0, 0, float("inf"), 1]}, ("bbox", "finite")),
    "box without an area": ({"bbox": [0, 0, 1e300, 1e300]}, ("bbox", "finite")),
    "box inside out": ({"bbox": [0, 0, -1, 1]}, ("bbox", "below 0")),
    "box of a kind": ({"bbox": 3}, ("bbox",)),
    "mask of another size": ({"segmentation": {**TEXT, "size": [3, 2]}}, ("size [3, 2]", "[2, 3]")),
    "mask without size": ({"segmentation": {"counts": "13"}}, ("size null", "[2, 3]")),
    "runs that do not add up": ({"segmentation": {"size": [2, 3], "counts": "13"}}, ("4 pixels", "= 6")),
    "runs cut short": ({"segmentation": {"size": [2, 3], "counts": "P"}}, ("malformed",)),
    "runs not added up": ({"segmentation": {"size": [2, 3], "counts": [1, 2]}}, ("3 pixels", "= 6")),
    "negative runs": ({"segmentation": {"size": [2, 3], "counts": [7, -1]}}, ("counts", "[7, -1]")),
    "runs of a kind": ({"segmentation": {"size": [2, 3], "counts": 6}}, ("counts", "6")),
    "mask of a kind": ({"segmentation": "13"}, ("segmentation", '"13"')),
    "polygon of two points": ({"segmentation": [[0, 0, 1, 1]]}, ("polygon", "three points")),
    "polygon of an odd number": ({"segmentation": [[0, 0, 1, 1, 2, 2, 3]]}, ("polygon",)),
    "polygon far outside": ({"segmentation": [[0, 0, 1, 1, 1e9, 0]]}, ("polygon", "leaves the image")),
    "neither mask nor box": ({"segmentation": ...}, ("segmentation",)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_message(tmp_path, gt, name):
    changes, parts = FAULTS[name]
    _, faults = read(tmp_path, gt, result(), result(**changes))
    assert len(faults) == 1
    assert all(part in faults[0] for part in ("instances.json", "detection 1", "expected", *parts)), faults


def test_neither_masks_nor_boxes(tmp_path, gt):
    _, faults = read(tmp_path, gt, result(segmentation=..., bbox=[0, 0, 1, 1]), result(segmentation=...))
    assert len(faults) == 1
    assert "neither" in faults[0]


def test_detections_of_other_images_are_left_out(tmp_path, gt):
    faults = Faults()
    path = folders.write_json(tmp_path / "instances.json", [result(image_id=8, category_id=1), result()])
    assert detections.read(path, gt, gt.catalogue, faults).image.tolist() == [0]
    assert not faults
    assert "image 8" in faults.warnings[0]
    path = folders.write_json(tmp_path / "instances.json", [result(image_id=8)] * 3)
    detections.read(path, gt, gt.catalogue, faults)
    assert "none of the images" in lines(faults)[0]


def test_detections_of_stuff_and_of_no_category_are_left_out(tmp_path, gt):
    faults = Faults()
    rows = [result(category_id=SKY), result(score=0.25), result(category_id=1)]
    found = detections.read(folders.write_json(tmp_path / "instances.json", rows), gt, gt.catalogue, faults)
    assert not faults
    assert found.score.tolist() == [0.25]
    assert len(found.rle) == 1
    assert "2 detections have no category of things; left out" in faults.warnings[0]
    assert f"detection 0 (image 7): category_id {SKY}" in faults.warnings[0]
    assert f"{CAR}, {PERSON}" in faults.warnings[0]
    assert "no detection has the category of a thing" in read(tmp_path, gt, *rows[::2])[1][0]


def test_image_ids_may_be_of_the_other_type(tmp_path, gt):
    found, faults = read(tmp_path, gt, result(image_id="12"), result(image_id="7"), result(image_id="7"))
    assert faults == []
    assert found.image.tolist() == [1, 0, 0]


def test_detections_written_twice_are_told(tmp_path, gt):
    faults = Faults()
    rows = [result(), result(score=0.25), result(image_id=12), result(), result(bbox=[0, 0, 1, 1])]
    path = folders.write_json(tmp_path / "instances.json", rows)
    assert len(detections.read(path, gt, gt.catalogue, faults).image) == 5
    (warning,) = faults.warnings
    assert warning.startswith("1 detection is written twice")
    assert "detection 3" in warning


def test_an_empty_mask_among_others_has_no_pixel(tmp_path, gt):
    found, faults = read(tmp_path, gt, result(), result(segmentation=[]))
    assert faults == []
    assert mask.decode(found.rle[1]).sum() == 0


def warned(tmp_path, gt, *results):
    faults = Faults()
    found = detections.read(folders.write_json(tmp_path / "instances.json", list(results)), gt, gt.catalogue, faults)
    assert not faults
    return found, faults.warnings


def test_rows_written_twice_are_counted_in_one_warning(tmp_path, gt):
    again = dict(reversed(result(image_id=12, id=5).items()))
    found, (warning,) = warned(
        tmp_path,
        gt,
        result(),
        result(image_id=12, id=1),
        result(score=0.25),
        result(),
        again,
        result(bbox=[0, 0, 1, 1]),
    )
    assert len(found.image) == 6
    assert warning.startswith("2 detections are written twice, the same in every field")
    assert "detection 3 (image 7)" in warning
    assert warned(tmp_path, gt, result(), result(score=0.25), result(category_id=PERSON))[1] == ()


@pytest.mark.parametrize("empty", [[], {"size": [2, 3], "counts": ""}, {"size": [2, 3], "counts": []}])
def test_an_empty_mask_among_others_is_one_without_a_pixel(tmp_path, gt, empty):
    found, (warning,) = warned(tmp_path, gt, result(), result(segmentation=empty, score=0.9))
    assert mask.area(list(found.rle)).tolist() == [3, 0]
    assert "1 detection has a mask of no runs or polygons; taken as empty" in warning


def test_floats_and_nulls_that_change_nothing(tmp_path, gt):
    runs = {"size": [2.0, 3.0], "counts": [2.0, 1, 1, 2.0]}
    found, warnings = warned(tmp_path, gt, result(image_id=7.0, category_id=float(CAR), bbox=None, segmentation=runs))
    assert (found.image.tolist(), mask.area(list(found.rle)).tolist()) == ([0], [3])
    assert all("taken for the integer" in warning for warning in warnings)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [2**31, 2**31], "counts": "13"},
        {"size": [2**20, 2**20], "counts": [2**40]},
        {"size": [2, 3], "counts": [2**40]},
        {"size": [2, 3], "counts": [1.5, 4.5]},
        {"size": [2, 3], "counts": [True] * 6},
        {"size": [2, 3], "counts": [float("nan")]},
        {"size": "2x3", "counts": "13"},
        {"size": 6, "counts": "13"},
        {"size": None, "counts": "13"},
        {"size": [2, 3], "counts": None},
        {"size": [2, 3], "counts": "\x7f" * 99},
        {"size": [2, 3], "counts": "o" * 99},
        {"size": [2, 3], "counts": "P" * 99},
        {"size": [2, 3], "counts": "é"},
        [[0, 0, 0, 1e300, 1, 1]],
        [[0, 0, 0, float("nan"), 1, 1]],
        [[0, 0, 0, float("inf"), 1, 1]],
        [[0, 0] * 2, []],
        [[[0, 0], [1, 1], [2, 2]]],
        [0, 0, 1, 1, 2, 2],
        [{"size": [2, 3], "counts": "13"}],
    ],
)
def test_malformed_masks_never_reach_pycocotools(tmp_path, gt, segmentation):
    _, faults = read(tmp_path, gt, result(), result(segmentation=segmentation))
    assert len(faults) == 1
    assert "detection 1" in faults[0]


def test_polygons_that_would_fill_the_memory_are_refused():
    zigzag = [v for i in range(999) for v in (0 if i % 2 else 2**14, i)]
    with pytest.raises(ValueError, match="pixels around; expected at most"):
        detections.compressed([zigzag], (2**10, 2**15))
    with pytest.raises(ValueError, match="polygons in an image of more than"):
        detections.compressed([[0, 0, 9, 0, 9, 9]], (2**14, 2**14))
    with pytest.raises(ValueError, match="leaves the image by far"):
        detections.compressed([[2**28, 0, 2**28, 1, 2**28 - 1, 0]], (1, 2**28))


def test_an_annotation_file_is_not_results(tmp_path, gt):
    path = folders.write_json(tmp_path / "instances.json", {"annotations": []})
    with pytest.raises(InputError, match="list of detections"):
        detections.read(path, gt, gt.catalogue, Faults())


def test_results_that_another_tool_made():
    folder = golden.folder("deeplab2") / "coco"
    gt = ground_truth(folder / "gt.json")
    faults = Faults()
    found = detections.read(folder / "coco_dt.json", gt, gt.catalogue, faults)
    assert not faults
    assert len(found.image) == 8
    np.testing.assert_array_equal(found.box[0], [68, 129, 90, 102])
    np.testing.assert_array_equal(mask.toBbox(list(found.rle)), found.box)


def test_an_empty_list_is_no_box_as_in_pycocotools(tmp_path, gt):
    found, faults = read(tmp_path, gt, result(bbox=[]), result(bbox=[1, 0, 2, 2]))
    assert faults == []
    np.testing.assert_array_equal(found.box, [[np.nan] * 4, [1, 0, 2, 2]])
    _, faults = read(tmp_path, gt, result(bbox=[], segmentation=...))
    assert 'neither "segmentation" nor "bbox"' in faults[0]
