import json

import folders
import golden
import numpy as np
import pytest
from folders import CAR, PERSON, SKY
from meanings import lines, meaning_of
from PIL import Image

from panoptic_eval.datasets import cityscapes, ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.labels import Encoded, Listed
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.reference import decode
from panoptic_eval.predictions import read_predictions

MAP = [[1, 1, 2], [0, 3, 3]]
INFO = folders.segments((1, CAR), (2, SKY), (3, PERSON))


@pytest.fixture
def gt(tmp_path):
    """Images 7 and 12, both as in MAP."""
    return ground_truth(folders.write_coco(tmp_path / "gt.json", {7: (MAP, INFO), 12: (MAP, INFO)}))


def pred(folder, images=(7, 12), info=INFO, **options):
    options = {"categories": None, "with_images": False, **options}
    return folders.write_coco(folder / "panoptic.json", dict.fromkeys(images, (MAP, info)), **options)


def categories_of(maps):
    """Category ids that the pixels of the first image have, in raster order; None is void."""
    labels = decode(maps.maps[0].png.read_bytes())
    ids = ids_of(labels)[0].id
    meaning, faults = meaning_of(maps, np.zeros(len(ids), int), ids, predicted=True)
    assert faults == []
    names = dict(zip(ids.tolist(), meaning.category.tolist(), strict=True))
    return [None if names[i] < 0 else int(maps.catalogue.ids[names[i]]) for i in labels.reshape(-1).tolist()]


def faults_of(path, gt, **options):
    with pytest.raises(InputError) as error:
        read_predictions(path, gt, **options)
    return lines(error.value)


def says(fault, *parts):
    """A fault names these, and what would be right."""
    return all(str(part) in fault for part in (*parts, "expected"))


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


MEANT = [CAR, CAR, SKY, None, PERSON, PERSON]


def test_our_layout(tmp_path, gt):
    pred(tmp_path / "pred", images=(12, 7), info=folders.segments((1, CAR), (2, SKY), (3, PERSON), score=[0.5, 1, 0]))
    found = read_predictions(tmp_path / "pred", gt)
    assert [m.image_id for m in found.panoptic.maps] == [12, 7]  # the prediction's order
    assert found.panoptic.catalogue is gt.catalogue
    assert isinstance(found.panoptic.meaning, Listed)
    assert found.panoptic.meaning.image.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.panoptic.meaning.score.tolist() == [0.5, 1, 0] * 2
    assert (found.panoptic.meaning.area == -1).all()  # not stated
    assert categories_of(found.panoptic) == MEANT
    assert (found.instances, found.semantic, found.warnings) == (None, None, ())


def test_images_without_prediction_are_not_this_module_s_affair(tmp_path, gt):
    assert [m.image_id for m in read_predictions(pred(tmp_path / "pred", images=(12,)), gt).panoptic.maps] == [12]


@pytest.mark.parametrize("given", ["results.json", "results", "."])
def test_layout_of_panopticapi(tmp_path, gt, given):
    folders.write_coco(tmp_path / "pred" / "results.json", {7: (MAP, INFO)}, categories=None, with_images=False)
    found = read_predictions(tmp_path / "pred" / given, gt)
    assert categories_of(found.panoptic) == MEANT


def test_layout_of_detectron2(tmp_path, gt):
    folder = tmp_path / "pred"
    folders.write_coco(folder / "predictions.json", {7: (MAP, INFO)}, folder=folder)
    assert categories_of(read_predictions(folder, gt).panoptic) == MEANT
    assert categories_of(read_predictions(folder / "predictions.json", gt).panoptic) == MEANT


def test_gt_as_prediction(gt, tmp_path):
    found = read_predictions(tmp_path / "gt.json", gt)
    assert [m.image_id for m in found.panoptic.maps] == [7, 12]
    assert found.panoptic.maps[0].size == (2, 3)
    assert categories_of(found.panoptic) == MEANT


def test_predicted_crowds_count_as_segments_and_are_pointed_out(tmp_path, gt):
    path = pred(tmp_path / "pred", info=folders.segments((1, CAR), (2, SKY), (3, PERSON), iscrowd=[1, 0, 0]))
    found = read_predictions(path, gt)
    assert not found.panoptic.meaning.crowd.any()
    assert "2 predicted segments are marked crowd" in found.warnings[0]


def test_categories_with_other_names_are_pointed_out(tmp_path, gt):
    other = [{"id": CAR, "name": "bus", "isthing": 1}, {"id": SKY, "name": "Sky", "isthing": 0}]
    (warning,) = read_predictions(pred(tmp_path / "pred", categories=other), gt).warnings
    assert "1 of 2" in warning
    assert "'bus'" in warning
    assert "'car'" in warning


def test_gray_pngs_of_category_and_instance(tmp_path, gt):
    folders.write_gray(tmp_path / "pred" / "7.png", [[7000, 7001, 4], [0, 9, 4003]])
    found = read_predictions(tmp_path / "pred", gt).panoptic
    assert categories_of(found) == [CAR, CAR, SKY, None, PERSON, SKY]
    assert isinstance(found.meaning, Encoded)
    assert not found.meaning.crowd_groups  # predictions have no crowds


def test_the_divisor_is_an_option(tmp_path, gt):
    folders.write_gray(tmp_path / "pred" / "7.png", [[7 * 256, 9 * 256 + 255]])
    assert categories_of(read_predictions(tmp_path / "pred", gt, divisor=256).panoptic) == [CAR, PERSON]
    assert says(faults_of(tmp_path / "pred", gt, divisor=0)[0], "divisor is 0")


def test_pngs_of_category_in_red_and_instance_in_green_and_blue(tmp_path, gt):
    folders.write_rgb(tmp_path / "pred" / "7.png", [[7, 7 + 256, 4], [0, 9 + (1 << 16), 4 + (2 << 16) + 256]])
    assert categories_of(read_predictions(tmp_path / "pred", gt).panoptic) == [CAR, CAR, SKY, None, PERSON, SKY]


def test_an_alpha_channel_is_left_out(tmp_path, gt):
    path = folders.write_rgb(tmp_path / "pred" / "7.png", [[7 + 256, 4]])
    Image.open(path).convert("RGBA").save(path)
    assert categories_of(read_predictions(tmp_path / "pred", gt).panoptic) == [CAR, SKY]


def test_gray_and_colored_pngs_do_not_mix(tmp_path, gt):
    folders.write_rgb(tmp_path / "pred" / "12.png", [[7]])
    folders.write_gray(tmp_path / "pred" / "7.png", [[7]])
    (fault,) = faults_of(tmp_path / "pred", gt)
    assert says(fault, "7.png", "is gray")


def test_where_0_is_a_category_void_is_255(tmp_path):
    gt = ground_truth(folders.write_idd(tmp_path / "idd", {"1/a": [[0, 4000, 255]]}))
    folders.write_gray(tmp_path / "gray" / "1_a.png", [[0, 4000, 255, 4]])
    assert categories_of(read_predictions(tmp_path / "gray", gt).panoptic) == [0, 4, None, 4]
    folders.write_rgb(tmp_path / "two" / "1_a.png", [[0, 4 + 256, 255]])
    assert categories_of(read_predictions(tmp_path / "two", gt).panoptic) == [0, 4, None]


@pytest.mark.parametrize("name", ["7", "000000000007"])
def test_pngs_are_matched_by_image_id_and_by_the_gt_s_file(tmp_path, gt, name):
    folders.write_gray(tmp_path / "pred" / f"{name}.png", [[7]])
    assert [m.image_id for m in read_predictions(tmp_path / "pred", gt).panoptic.maps] == [7]


@pytest.mark.parametrize(
    "name",
    [
        "ulm_000000_000019",
        "ulm_000000_000019_leftImg8bit",
        "ulm_000000_000019_gtFine_panoptic",
        "ulm_000000_000019_gtFine_labelIds",
        "ulm/ulm_000000_000019_leftImg8bit",
    ],
)
def test_cityscapes_names_are_matched_without_their_kind(tmp_path, name):
    gt = ground_truth(
        folders.write_cityscapes(tmp_path / "cs", {"ulm_000000_000019": [[7]], "ulm_000000_000020": [[7]]})
    )
    folders.write_gray(tmp_path / "pred" / f"{name}.png", [[26001]])
    assert [m.image_id for m in read_predictions(tmp_path / "pred", gt).panoptic.maps] == ["ulm_000000_000019"]


def test_idd_names_that_two_drives_share_need_the_drive(tmp_path):
    gt = ground_truth(folders.write_idd(tmp_path / "idd", {"1/a": [[7]], "2/a": [[7]]}))
    folders.write_gray(tmp_path / "right" / "2" / "a_leftImg8bit.png", [[7]])
    folders.write_gray(tmp_path / "right" / "1_a.png", [[7]])
    assert {m.image_id for m in read_predictions(tmp_path / "right", gt).panoptic.maps} == {"1_a", "2_a"}
    folders.write_gray(tmp_path / "wrong" / "a_leftImg8bit.png", [[7]])
    (fault,) = faults_of(tmp_path / "wrong", gt)
    assert says(fault, "a_leftImg8bit.png", "several", "1_a", "2_a")


def test_idd_names_that_one_drive_has_do_not(tmp_path):
    gt = ground_truth(folders.write_idd(tmp_path / "idd", {"1/a": [[7]], "2/b": [[7]]}))
    folders.write_gray(tmp_path / "pred" / "b_gtFine_panopticlevel3Ids.png", [[7]])
    assert [m.image_id for m in read_predictions(tmp_path / "pred", gt).panoptic.maps] == ["2_b"]


def test_pngs_of_no_image_and_two_of_one_are_faults(tmp_path, gt):
    for name in ("7", "000000000007"):
        folders.write_gray(tmp_path / "pred" / f"{name}.png", [[7]])
    (twice,) = faults_of(tmp_path / "pred", gt)
    assert says(twice, "7.png", "same image", "000000000007.png")
    folders.write_gray(tmp_path / "other" / "8.png", [[7]])
    (unknown,) = faults_of(tmp_path / "other", gt)
    assert says(unknown, "8.png", "none of the PNGs", "7.png")


def test_pngs_of_other_images_are_left_out(tmp_path, gt):
    for name in ("7", "8"):
        folders.write_gray(tmp_path / "pred" / f"{name}.png", [[7]])
    found = read_predictions(tmp_path / "pred", gt)
    assert [m.image_id for m in found.panoptic.maps] == [7]
    assert "8.png" in found.warnings[0]


def test_predictions_of_idd_s_own_tools_have_file_names_as_image_ids(tmp_path):
    gt = ground_truth(folders.write_idd(tmp_path / "idd", {"1/a": [[7]]}))
    info = folders.segments((1, 4))
    name = "1_a_gtFine_panopticlevel3Ids"
    path = folders.write_coco(tmp_path / "pred.json", {name: ([[1]], info)}, categories=None, with_images=False)
    edit(path, lambda c: c["annotations"][0].update(image_id=f"{name}.png"))
    assert [m.image_id for m in read_predictions(path, gt).panoptic.maps] == ["1_a"]
    edit(path, lambda c: c["annotations"].append({**c["annotations"][0], "image_id": "1_a"}))
    (fault,) = faults_of(path, gt)
    assert says(fault, "annotations[1]", "1_a", "already")


# Cityscapes: two numberings


@pytest.fixture
def by_id(tmp_path):
    return ground_truth(folders.write_cityscapes(tmp_path / "cs", {"ulm_0_1": [[7, 26001]]}))


def panoptic_of(tmp_path, *categories, declared=None):
    """A prediction of one segment a pixel, of these categories."""
    ids = range(1, len(categories) + 1)
    info = folders.segments(*zip(ids, categories, strict=True))
    return folders.write_coco(
        tmp_path / "pred.json", {"ulm_0_1": ([list(ids)], info)}, categories=declared, with_images=False
    )


def declared(coding):
    return [{"id": c.id, "name": c.name, "isthing": int(c.isthing)} for c in cityscapes.catalogue(coding).categories]


def test_train_ids_are_told_by_the_numbers(tmp_path, by_id):
    found = read_predictions(panoptic_of(tmp_path, 0, 13), by_id).panoptic
    assert categories_of(found) == [7, 26]
    assert "trainId" in found.source
    found = read_predictions(panoptic_of(tmp_path, 7, 26), by_id).panoptic
    assert categories_of(found) == [7, 26]
    assert "by id" in found.source


def test_names_tell_better_than_numbers(tmp_path, by_id):
    assert categories_of(read_predictions(panoptic_of(tmp_path, 7, 8, declared=declared("id")), by_id).panoptic) == [
        7,
        8,
    ]
    train = read_predictions(panoptic_of(tmp_path, 7, 8, declared=declared("trainId")), by_id).panoptic
    assert categories_of(train) == [20, 21]


def test_what_cannot_be_told_is_asked_for(tmp_path, by_id):
    path = panoptic_of(tmp_path, 7, 8)
    assert says(faults_of(path, by_id)[0], "pred.json", "--category-ids")
    assert categories_of(read_predictions(path, by_id, category_ids="id").panoptic) == [7, 8]
    assert categories_of(read_predictions(path, by_id, category_ids="trainId").panoptic) == [20, 21]


def test_without_segments_there_is_nothing_to_tell(tmp_path, by_id):
    path = folders.write_coco(tmp_path / "pred.json", {"ulm_0_1": ([[0]], [])}, categories=None)
    assert "by id" in read_predictions(path, by_id).panoptic.source


def test_pngs_tell_by_the_first_that_does(tmp_path):
    gt = ground_truth(folders.write_cityscapes(tmp_path / "cs", {f"ulm_0_{i}": [[7]] for i in range(3)}))
    folders.write_gray(tmp_path / "pred" / "ulm_0_0.png", [[7, 8, 0, 255]])  # says nothing
    folders.write_gray(tmp_path / "pred" / "ulm_0_1.png", [[2, 13001]])
    (tmp_path / "pred" / "ulm_0_2.png").write_bytes(b"never looked at")
    found = read_predictions(tmp_path / "pred", gt).panoptic
    assert categories_of(found) == [20, 21, 7, None]  # 0 is road, and so 255 void


def test_void_tells_nothing(tmp_path):
    gt = ground_truth(folders.write_cityscapes(tmp_path / "cs", {f"ulm_0_{i}": [[7]] for i in range(2)}))
    folders.write_gray(tmp_path / "pred" / "ulm_0_0.png", [[0, 7, 8]])
    folders.write_gray(tmp_path / "pred" / "ulm_0_1.png", [[26001]])
    assert categories_of(read_predictions(tmp_path / "pred", gt).panoptic) == [None, 7, 8]


def test_ids_are_translated_for_a_gt_by_train_id(tmp_path):
    gt = ground_truth(golden.folder("deeplab2_cityscapes_format"))
    image = gt.maps[0].image_id
    info = folders.segments((1, 7), (2, 26))
    path = folders.write_coco(tmp_path / "pred.json", {image: ([[1, 2]], info)}, categories=None)
    assert categories_of(read_predictions(path, gt).panoptic) == [0, 13]


def test_other_data_sets_have_no_train_ids(tmp_path, gt):
    assert says(faults_of(pred(tmp_path / "pred"), gt, category_ids="trainId")[0], "category-ids is trainId")


def by_position(tmp_path, key="category_id", categories=None):
    info = [{"id": id_, key: number} for id_, number in ((1, 0), (2, 1), (3, 2))]
    return folders.write_coco(tmp_path / "pred.json", {7: (MAP, info)}, categories=categories, with_images=False)


def test_categories_by_position_are_read_if_told_so(tmp_path, gt):
    path = by_position(tmp_path)
    assert says(faults_of(path, gt)[0], "pred.json", "from 0 to 2", "--category-ids position") is False
    assert "--category-ids position" in faults_of(path, gt)[0]
    assert categories_of(read_predictions(path, gt, category_ids="position").panoptic) == MEANT
    path = by_position(tmp_path, "label_id")
    assert categories_of(read_predictions(path, gt, category_ids="position").panoptic) == MEANT


def test_categories_by_position_are_read_by_their_names(tmp_path, gt):
    names = [{"id": number, "name": c["name"].upper()} for number, c in enumerate(folders.CATEGORIES)]
    found = read_predictions(by_position(tmp_path, categories=names), gt)
    assert categories_of(found.panoptic) == MEANT
    assert "by their names" in found.warnings[0]


def test_gray_pngs_by_position_and_by_label(tmp_path, gt):
    folders.write_gray(tmp_path / "pred" / "7.png", [[0, 1, 2001, 255]])
    found = read_predictions(tmp_path / "pred", gt, category_ids="position").panoptic
    assert categories_of(found) == [CAR, SKY, PERSON, None]
    folders.write_gray(tmp_path / "pred" / "7.png", [[6 * 256, 3 * 256, 8 * 256 + 1]])
    found = read_predictions(tmp_path / "pred", gt, divisor=256, category_ids="label").panoptic
    assert categories_of(found) == [CAR, SKY, PERSON]


# semantic/*.png


def test_semantic_maps_hold_category_ids(tmp_path, gt):
    pred(tmp_path / "pred")
    folders.write_gray(tmp_path / "pred" / "semantic" / "7.png", [[7, 4, 0], [255, 9, 7]], bits=8)
    folders.write_gray(tmp_path / "pred" / "semantic" / "12.png", [[65535]])
    semantic = read_predictions(tmp_path / "pred", gt).semantic
    assert categories_of(semantic) == [None]  # 12.png comes first
    assert [m.image_id for m in semantic.maps] == [12, 7]
    (tmp_path / "pred" / "semantic" / "12.png").unlink()
    assert categories_of(read_predictions(tmp_path / "pred", gt).semantic) == [CAR, SKY, None, None, PERSON, CAR]


def test_pngs_alone_leave_the_semantic_maps_out(tmp_path, gt):
    folders.write_gray(tmp_path / "pred" / "7.png", [[7000]])
    folders.write_gray(tmp_path / "pred" / "semantic" / "7.png", [[4]])
    found = read_predictions(tmp_path / "pred", gt)
    assert categories_of(found.panoptic) == [CAR]
    assert categories_of(found.semantic) == [SKY]


def test_semantic_maps_of_no_image_are_faults(tmp_path, gt):
    pred(tmp_path / "pred")
    folders.write_gray(tmp_path / "pred" / "semantic" / "8.png", [[7]])
    assert says(faults_of(tmp_path / "pred", gt)[0], "8.png", "none of the PNGs")


# bad input


def annotation(index, **changes):
    return lambda content: content["annotations"][index].update(changes)


def segment(index, **changes):
    return lambda content: content["annotations"][0]["segments_info"][index].update(changes)


def drop(index, key):
    return lambda content: content["annotations"][0]["segments_info"][index].pop(key)


FAULTS = {
    "no image of the gt": (
        lambda c: [a.update(image_id=8) for a in c["annotations"][:1]] and c["annotations"].pop(),
        ("annotations[0]", "image 8", "none of the images", "7, 12"),
    ),
    "image id of no type": (annotation(1, image_id=12.5), ("annotations[1]", "image_id", "12.5", "an integer")),
    "image twice": (annotation(1, image_id=7), ("annotations[1]", "image 7", "already")),
    "file outside": (annotation(0, file_name="../../x.png"), ("image 7", "../../x.png", "leaves the folder")),
    "file far outside": (annotation(0, file_name="/x.png"), ("image 7", "/x.png", "leaves the folder")),
    "file missing": (annotation(0, file_name="no.png"), ("image 7", "no.png", "not exist")),
    "no file name": (lambda c: c["annotations"][0].pop("file_name"), ("image 7", "file_name")),
    "no segments": (lambda c: c["annotations"][0].pop("segments_info"), ("image 7", "segments_info")),
    "segments of a kind": (annotation(0, segments_info={}), ("image 7", "segments_info", "an object")),
    "segment of a kind": (annotation(0, segments_info=[3]), ("image 7", "segments_info", "objects")),
    "annotation of a kind": (lambda c: c["annotations"].append(3), ("annotations[2]", "an object")),
    "annotations of a kind": (lambda c: c.update(annotations=3), ("annotations", "a list")),
    "no annotation": (lambda c: c.update(annotations=[]), ("annotations is empty",)),
    "no annotations": (lambda c: c.pop("annotations"), ("annotations",)),
    "id below": (segment(0, id=-1), ("image 7", "segment -1", "16777215")),
    "id above": (segment(0, id=2**24), ("image 7", "segment 16777216", "16777215")),
    "id far above": (segment(0, id=2**64 - 1), ("image 7", "16777215")),
    "id twice": (segment(1, id=1), ("image 7", "segment 1", "already")),
    "no id": (drop(0, "id"), ("image 7", '"id"', "an integer")),
    "id of a kind": (segment(0, id="1"), ("image 7", '"id"', "an integer")),
    "unknown category": (segment(0, category_id=5), ("image 7", "segment 1", "category_id 5", "7, 4, 9")),
    "no category": (drop(0, "category_id"), ("image 7", "segment 1", "category_id")),
    "score is no number": (segment(0, score=float("nan")), ("image 7", "segment 1", "score", "NaN", "finite")),
    "score is infinite": (segment(0, score=float("-inf")), ("image 7", "segment 1", "score", "finite")),
    "score is text": (segment(0, score="0.5"), ("image 7", "segment 1", "score", "finite")),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_message(tmp_path, gt, name):
    change, parts = FAULTS[name]
    path = pred(tmp_path / "pred")
    edit(path, change)
    faults = faults_of(path, gt)
    assert any(says(fault, path, *parts) for fault in faults), faults
    assert len(faults) == 1, faults


def test_all_faults_come_at_once(tmp_path, gt):
    path = pred(tmp_path / "pred")
    edit(path, lambda c: c["annotations"][1].pop("file_name"))
    for change in ("id below", "unknown category", "score is text"):
        edit(path, FAULTS[change][0] if change != "id below" else segment(1, id=-1))
    folders.write_json(path.parent / "instances.json", [{"image_id": 99, "category_id": CAR, "score": 1}])
    text = "\n".join(faults_of(path, gt))
    assert all(part in text for part in ("file_name", "segment -1", "category_id 5", '"0.5"', "image 99"))


def test_a_png_that_no_annotation_names_is_ignored(tmp_path, gt):
    path = pred(tmp_path / "pred")
    folders.write_rgb(path.parent / "panoptic" / "extra.png", MAP)
    folders.write_rgb(path.parent / "panoptic" / "._000000000007.png", MAP)
    (warning,) = read_predictions(path, gt).warnings
    assert "1 PNG is named by no annotation" in warning
    assert "extra.png" in warning


def test_a_folder_that_a_file_name_leaves_for_is_not_searched(tmp_path, gt):
    path = pred(tmp_path / "pred")
    folders.write_rgb(tmp_path / "elsewhere" / "other.png", MAP)
    edit(path, annotation(1, file_name="../../elsewhere/x.png"))
    assert not [fault for fault in faults_of(path, gt) if "other.png" in fault]


def test_a_link_in_the_folder_may_lead_anywhere(tmp_path, gt):
    path = pred(tmp_path / "pred")
    png = path.parent / "panoptic" / "000000000007.png"
    png.rename(tmp_path / "elsewhere.png")
    png.symlink_to(tmp_path / "elsewhere.png")
    assert categories_of(read_predictions(path, gt).panoptic) == MEANT


def test_a_damaged_json_is_named_with_the_place(tmp_path, gt):
    path = pred(tmp_path / "pred")
    path.write_text('{"annotations": [\n{"image_id": 7,')
    (fault,) = faults_of(path, gt)
    assert all(part in fault for part in (str(path), "line 2", "not valid JSON: unexpected end of data"))


@pytest.mark.parametrize("content", [[], 3, {"images": []}])
def test_a_json_of_another_kind_is_named(tmp_path, gt, content):
    path = pred(tmp_path / "pred")
    folders.write_json(path, content)
    assert says(faults_of(path, gt)[0], path, "COCO panoptic")


def test_nothing_there_says_what_was_looked_for(tmp_path, gt):
    assert says(faults_of(tmp_path / "none", gt)[0], "none", "does not exist")
    (tmp_path / "empty").mkdir()
    assert all(part in faults_of(tmp_path / "empty", gt)[0] for part in ("empty", "panoptic.json", "predictions.json"))
    (tmp_path / "x.txt").write_text("")
    assert says(faults_of(tmp_path / "x.txt", gt)[0], "x.txt", "directory")


def test_damaged_detections_are_named_with_the_other_faults(tmp_path, gt):
    path = pred(tmp_path / "pred", images=(7,), info=folders.segments((1, 5)))
    (path.parent / "instances.json").write_text("[{")
    unknown, damaged = faults_of(tmp_path / "pred", gt)
    assert says(unknown, path, "category_id 5")
    assert "instances.json: line 1" in damaged


def test_our_layout_wins_over_others_beside_it(tmp_path, gt):
    pred(tmp_path / "pred")
    folders.write_coco(tmp_path / "pred" / "other.json", {7: (MAP, INFO)})
    assert str(tmp_path / "pred" / "panoptic.json") in read_predictions(tmp_path / "pred", gt).panoptic.source


def test_several_predictions_in_one_folder_are_not_chosen_from(tmp_path, gt):
    for name in ("a", "b"):
        folders.write_coco(tmp_path / "pred" / f"{name}.json", {7: (MAP, INFO)})
    assert says(faults_of(tmp_path / "pred", gt)[0], "a.json", "b.json")


# files that other tools have written


def test_panopticapi_s_photograph():
    gt = ground_truth(golden.folder("panopticapi") / "gt.json")
    for given in ("pred", "pred.json"):
        found = read_predictions(golden.folder("panopticapi") / given, gt)
        assert set(categories_of(found.panoptic)) == {None, 1, 37, 62, 187, 193}
        assert found.panoptic.meaning.score[0] == 0.43


def test_panopticapi_s_two_channel_photograph_is_its_gt():
    gt = ground_truth(golden.folder("panopticapi") / "gt.json")
    two = read_predictions(golden.folder("panopticapi") / "gt_2channel", gt).panoptic
    assert categories_of(two) == categories_of(gt)
