"""What is odd about files and has one meaning is scored as if it were not, and told; docs/accepted.md lists it."""

import gzip

import folders
import numpy as np
import pytest
from meanings import lines
from oddities import DIFFERENT, ODDITIES, covered, image_ids, some_named_by_position
from scene import CAR, CATEGORIES, PERSON, ROAD, SKY, entries, scene

from panoptic_eval import InputError, Rules, evaluate, ground_truth, load, read_predictions


@pytest.fixture
def data(tmp_path):
    return scene(tmp_path)


@pytest.fixture
def clean(tmp_path):
    return scores(*paths(scene(tmp_path / "clean").write()))


def scores(*arguments, **options):
    """All scores; as text, in which NaN equals NaN."""
    return repr(evaluate(*arguments, **options).scores)


def paths(data):
    return data.pred_json.parent, data.gt_json


def faults_of(data, **options):
    with pytest.raises(InputError) as error:
        evaluate(*paths(data), **options)
    return lines(error.value)


@pytest.mark.parametrize("name", ODDITIES)
def test_an_oddity_moves_no_score_and_is_told_once(data, clean, name):
    change, warning = ODDITIES[name]
    change(data)
    report = evaluate(*paths(data.write()))
    assert repr(report.scores) == clean
    told = [w for w in report.warnings if not w.startswith("some edges of the size bins")]  # the clean files' own
    if not warning:
        assert told == []
    else:
        assert sum(warning in w for w in told) == (2 if name == "floats" else 1)  # once a file
        assert any(warning.split(" ", 1)[-1].split()[-1] in fault for fault in faults_of(data, strict=True))


MALFORMED = [(k, v) for k in ("area", "iscrowd", "bbox") for v in ("x", 9.5, -3, [1], {}, float("nan"))]


@pytest.mark.parametrize(("key", "value"), MALFORMED)
def test_what_no_tool_reads_of_a_prediction_moves_no_score(data, clean, key, value):
    for segment in data.pred.segments():
        segment[key] = value
    report = evaluate(*paths(data.write()))
    assert repr(report.scores) == clean
    told = [w for w in report.warnings if "pred" in w or key in w]
    assert len(told) == (0 if (key, value) == ("bbox", [1]) else 1)
    assert all(w.startswith("12 ") or "first of 12" in w for w in told)


@pytest.mark.parametrize(("key", "value"), [m for m in MALFORMED if m[0] == "iscrowd"] + [("area", "x")])
def test_in_the_ground_truth_it_is_a_fault(data, key, value):
    data.gt.segments()[0][key] = value
    (fault,) = faults_of(data.write())
    assert f'"{key}"' in fault
    assert str(data.gt_json) in fault


def test_a_negative_area_of_the_ground_truth_is_told(data, clean):
    data.gt.segments()[0]["area"] = -1
    report = evaluate(*paths(data.write()))
    assert repr(report.scores) == clean
    assert any('"area" is -1' in w for w in report.warnings)


def test_names_of_some_categories_are_enough_if_no_other_occurs(data):
    some_named_by_position(data)
    report = evaluate(*paths(data.write()))
    assert {row["name"]: row["TP"] for row in report.categories} == {"person": 3, "car": 3, "road": 3, "sky": 0}
    assert any("read by their names" in w for w in report.warnings)


def test_a_byte_order_mark_is_no_part_of_a_json(data, clean):
    data.write()
    data.gt_json.write_bytes(b"\xef\xbb\xbf" + data.gt_json.read_bytes())
    assert scores(*paths(data)) == clean


def test_stems_of_photographs_stand_for_numbers(tmp_path, clean):
    data = scene(tmp_path)
    for number, entry in enumerate(data.gt.json["images"], 1):
        entry["file_name"] = f"street_{number}.jpg"
    image_ids(lambda id_: f"street_{id_}")(data)
    data.write()
    home = tmp_path / "annotations"
    home.mkdir()
    (tmp_path / "val").mkdir()
    (tmp_path / "gt.json").rename(home / "panoptic_val.json")
    (tmp_path / "gt").rename(home / "panoptic_val")
    assert scores(tmp_path / "pred", home / "panoptic_val.json") == clean


def test_where_both_forms_of_an_id_are_images_nothing_is_guessed(data):
    data.gt.json["annotations"][0]["image_id"] = data.gt.json["images"][0]["id"] = "2"
    for annotation in data.pred.json["annotations"]:
        annotation["image_id"] = f"{annotation['image_id']:03}"  # 002 is 2 or "2"
    assert "1 image has no panoptic prediction" in str(faults_of(data.write(), missing="error"))


def test_a_subset_is_scored(data, tmp_path):
    for key in ("images", "annotations"):
        data.gt.json[key].pop()
    report = evaluate(*paths(data.write()))
    assert report.images == 2
    assert any("1 entry is of no image" in w for w in report.warnings)


def test_predictions_of_other_images_alone_are_refused_with_ids_of_both_sides(data):
    image_ids(lambda id_: id_ + 100)(data)
    fault = faults_of(data.write())[0]
    assert all(part in fault for part in ("none of the images", "1, 2, 3", "101, 102, 103"))


def test_a_covered_segment_is_a_false_negative_of_panopticapi(data, clean):
    covered(data)
    data.write()
    rows = {row["name"]: row for row in evaluate(*paths(data), rules=Rules(protocol="panopticapi")).categories}
    without = {row["name"]: row for row in evaluate(*paths(data)).categories}
    assert rows["car"]["FN"] == without["car"]["FN"] + 1
    assert rows["person"]["FN"] == without["person"]["FN"]


def test_gt_pixels_without_entry_are_neither_void_nor_a_segment(data):
    data.gt.json["annotations"][0]["segments_info"].pop(0)  # sky of the first image
    report = evaluate(*paths(data.write()))
    sky = next(row for row in report.categories if row["name"] == "sky")
    assert (sky["TP"], sky["FP"], sky["FN"]) == (2, 1, 0)  # void would excuse the predicted sky
    assert any("1 id has pixels in the ground truth" in w for w in report.warnings)


@pytest.mark.parametrize("fault", ["listed", "unlisted"])
def test_in_a_prediction_they_are_faults_as_in_panopticapi(data, fault):
    segments = data.pred.json["annotations"][0]["segments_info"]
    segments.append({"id": 99, "category_id": CAR}) if fault == "listed" else segments.pop()
    assert {"listed": "no pixel", "unlisted": "does not list"}[fault] in faults_of(data.write())[0]


def test_the_png_of_another_image_is_a_fault(data):
    data.gt.ids["000002.png"] = data.gt.ids["000002.png"] + 40
    assert "000002.png" in faults_of(data.write())[0]
    assert "PNG of the same image" in faults_of(data)[0]


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_has_two_meanings_or_none_is_a_fault_with_its_file(data, name):
    DIFFERENT[name](data)
    faults = faults_of(data.write())
    assert any(str(path) in fault for fault in faults for path in (data.gt_json, data.pred_json))
    assert len(faults) == (2 if name in ("categories", "a thing twice over") else 1)


def test_ground_truth_without_pixels_has_no_bins_that_could_be_equal(data):
    for name, ids in data.gt.ids.items():
        data.gt.ids[name] = ids * 0
    for annotation in data.gt.json["annotations"]:
        annotation["segments_info"] = []
    report = evaluate(*paths(data.write()))
    assert not any("edges" in warning for warning in report.warnings)
    assert np.isnan(report.scores["PQ"]["all"])


def test_thousands_of_faults_of_a_kind_are_one_line(data):
    for segment in data.pred.segments():
        segment["category_id"] = 77
    with pytest.raises(InputError) as error:
        evaluate(*paths(data.write()))
    assert len(str(error.value).splitlines()) == 2
    assert len(error.value.faults[0].places) == len(data.pred.segments())


@pytest.mark.parametrize("things", [("person", "Car"), (str(PERSON), CAR), "file"])
@pytest.mark.parametrize("how", ["isthing 0", "no isthing"])
def test_things_may_be_said(data, clean, tmp_path, things, how):
    for category in data.gt.json["categories"]:
        category["isthing"] = 0
        if how == "no isthing":
            del category["isthing"]
    data.write()
    if things == "file":
        things = [folders.write_json(tmp_path / "things.json", list(CATEGORIES))]
    assert scores(data.pred_json.parent, ground_truth(data.gt_json, things=things)) == clean
    if how == "no isthing":
        assert "--things" in faults_of(data)[0]
    else:
        assert any("--things" in w for w in evaluate(*paths(data)).warnings)


def test_things_that_are_no_category_are_named(data, tmp_path):
    data.write()
    with pytest.raises(InputError, match=r"--things bike: is no category; expected .*person"):
        ground_truth(data.gt_json, things=["car", "bike"])
    partial = folders.write_json(tmp_path / "things.json", list(CATEGORIES[1:]))
    with pytest.raises(InputError, match="'person'"):
        ground_truth(data.gt_json, things=[partial])


@pytest.mark.parametrize(
    ("odd", "said"),
    [({"isthing": 2}, "neither 0 nor 1"), ({"name": "Car", "isthing": 0}, "a thing in one entry and stuff in another")],
)
def test_a_file_of_things_that_contradicts_itself_is_a_fault(data, tmp_path, odd, said):
    car = next(category for category in CATEGORIES if category["id"] == CAR)
    file = folders.write_json(tmp_path / "things.json", [*CATEGORIES, {**car, **odd}])
    with pytest.raises(InputError, match=said):
        ground_truth(data.write().gt_json, things=[str(file)])


def test_folders_of_either_side_may_be_given(data, clean, tmp_path):
    data.write()
    (tmp_path / "gt").rename(tmp_path / "masks")
    (tmp_path / "pred" / "panoptic").rename(tmp_path / "results")
    gt = ground_truth(data.gt_json, folder=tmp_path / "masks")
    for given in (data.pred_json, data.pred_json.parent):
        assert scores(read_predictions(given, gt, folder=tmp_path / "results"), gt) == clean
    with pytest.raises(InputError, match="--gt-folder"):
        ground_truth(data.gt_json)
    with pytest.raises(InputError, match="--pred-folder"):
        read_predictions(data.pred_json, gt)


def test_compressed_jsons_are_read(data, clean):
    data.write()
    for path in (data.gt_json, data.pred_json):
        (path.parent / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert scores(data.pred_json.parent, data.root / "gt.json.gz") == clean


def test_a_folder_one_level_too_high_is_searched(data, clean, tmp_path):
    data.write()
    (tmp_path / "set").mkdir()
    (tmp_path / "gt.json").rename(tmp_path / "set" / "gt.json")
    (tmp_path / "gt").rename(tmp_path / "set" / "gt")
    (tmp_path / "runs").mkdir()
    (tmp_path / "pred").rename(tmp_path / "runs" / "pred")
    (tmp_path / "above").mkdir()
    (tmp_path / "set").rename(tmp_path / "above" / "set")
    assert scores(tmp_path / "runs", tmp_path / "above") == clean


@pytest.mark.parametrize(
    "name", ["coco_instances_results.json", "panoptic.segm.json", "instances.json", "instances.json.gz"]
)
def test_detections_under_the_names_of_other_tools_are_read(data, name):
    data.write()
    row = {"image_id": 1, "category_id": CAR, "score": 0.5, "bbox": [0, 0, 4, 4]}
    path = folders.write_json(data.pred_json.parent / name, [row])
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = read_predictions(data.pred_json.parent, ground_truth(data.gt_json))
    assert found.instances is not None
    assert found.instances.score.tolist() == [0.5]


def test_files_that_are_not_read_are_named(data):
    data.write()
    for name in ("panoptic.segm.json", "instances.json", "coco_instances_results.json"):
        folders.write_json(data.pred_json.parent / name, [])
    warnings = read_predictions(data.pred_json.parent, ground_truth(data.gt_json)).warnings
    assert any("2 files beside the prediction are not read" in w for w in warnings)


def test_white_pixels_are_void(data):
    data.pred.ids["000003.png"] = np.full((20, 30), 2**24 - 1)
    data.pred.json["annotations"][2]["segments_info"] = []
    report = evaluate(*paths(data.write()))
    assert any("as -1 gives" in w for w in report.warnings)
    data.pred.ids["000003.png"][:] = 0
    assert scores(*paths(data.write())) == repr(report.scores)


def test_a_segment_of_another_tool_has_a_label_id(data, clean):
    position = {c["id"]: k for k, c in enumerate(CATEGORIES)}
    for segment in data.pred.segments():
        segment["label_id"] = position[segment.pop("category_id")]
    data.write()
    assert "--category-ids" in faults_of(data)[0]
    gt = ground_truth(data.gt_json)
    assert scores(read_predictions(data.pred_json, gt, category_ids="position"), gt) == clean


def test_predictions_of_shifted_categories_are_told_and_refused_when_strict(data):
    other = {SKY: ROAD, ROAD: CAR, CAR: PERSON, PERSON: SKY}
    for segment in data.pred.segments():
        segment["category_id"] = other[segment["category_id"]]
    (warning,) = [w for w in evaluate(*paths(data.write())).warnings if "lie where the ground truth" in w]
    assert "road here is sky there (3)" in warning
    assert warning in faults_of(data, strict=True)


def test_entries_are_as_drawn():
    assert [e["category_id"] for e in entries(np.array([[11, 12, 21, 22, 0]]))] == [SKY, ROAD, PERSON, CAR]


def test_strict_stops_at_what_the_segments_lack(data, tmp_path):
    for segment in data.pred.segments():
        segment.pop("score", None)
    data.write()
    with pytest.raises(InputError, match="predicted thing segments have no score"):
        evaluate(*paths(data), strict=True, out=tmp_path / "out")
    assert not (tmp_path / "out" / "tables.npz").exists()


def test_flags_of_a_ground_truth_may_be_true_and_false(data, clean):
    for category in data.gt.json["categories"]:
        category["isthing"] = bool(category["isthing"])
    for segment in data.gt.segments():
        segment["iscrowd"] = bool(segment.get("iscrowd", 0))
    assert scores(*paths(data.write()), strict=False) == clean


@pytest.mark.parametrize(("area", "shown"), [(1e300, "1e+300"), (7.5, "7.5"), (123456789, "123456789")])
def test_a_stale_area_is_shown_as_it_was_given(data, tmp_path, area, shown):
    data.gt.segments()[0]["area"] = area
    report = evaluate(*paths(data.write()), out=tmp_path / "out")
    assert any(f"stated are {shown}" in warning for warning in report.warnings)
    assert area in load(tmp_path / "out").panoptic.gt.stated_area
