"""What networks return, given to the writer and to the table of arrays: read rightly, or refused by a message."""

import json

import folders
import numpy as np
import pytest
from folders import CAR, SKY
from pycocotools import mask as coco

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.predictions import PredictionWriter

CATALOGUE = Catalogue(tuple(Category(c["id"], c["name"], bool(c["isthing"])) for c in folders.CATEGORIES))
MAP = np.array([[1, 1, 200], [0, 3, 3]])
SEGMENTS = [{"id": 3, "category_id": CAR}, {"id": 1, "category_id": SKY}, {"id": 200, "category_id": CAR}]
INSIDE = MAP == 3


def written(tmp_path, labels=MAP, segments=SEGMENTS, **more):
    with PredictionWriter(tmp_path / "out", CATALOGUE) as writer:
        writer.write("x1", labels, segments, **more)
    return {p.name: p.read_bytes() for p in sorted((tmp_path / "out").rglob("*")) if p.is_file()}


def counted(labels=MAP, segments=SEGMENTS):
    table = pair_table(CATALOGUE, MAP, SEGMENTS, labels, segments, image_id="x1")
    columns = [item for part in (table.pred, table.pairs) for item in vars(part).items()]
    return [(name, None if values is None else values.tolist()) for name, values in columns]


def torch(call):
    return call(pytest.importorskip("torch"))


LABELS = {
    "int32": lambda: MAP.astype(np.int32),
    "uint8": lambda: MAP.astype(np.uint8),
    "a list": MAP.tolist,
    "with the dimension of the batch": lambda: MAP[None],
    "not contiguous": lambda: np.repeat(MAP, 2, 1)[:, ::2],
    "big-endian": lambda: MAP.astype(">i4"),
    "a tensor": lambda: torch(lambda t: t.from_numpy(MAP)),
    "a tensor (1, h, w)": lambda: torch(lambda t: t.from_numpy(MAP)[None].int()),
}


@pytest.mark.parametrize("name", LABELS)
def test_label_maps_are_taken_as_they_come(tmp_path, name):
    expected = written(tmp_path / "expected")
    assert written(tmp_path / "found", LABELS[name]()) == expected
    assert str(counted(LABELS[name]())) == str(counted())


REFUSED = {
    "floats": (MAP.astype(float), "float64; expected an array of integers"),
    "probabilities": (np.full((4, 2, 3), 0.25), r"shape \(4, 2, 3\), dtype float64; expected an array"),
    "a bool map": (MAP > 0, "dtype bool; expected an array of integers"),
    "one row": (MAP[0], r"shape \(3,\)"),
    "no pixel": (MAP[:0], r"shape \(0, 3\)"),
    "two images": (np.stack([MAP, MAP]), r"shape \(2, 2, 3\)"),
    "void as -1": (np.where(MAP == 0, -1, MAP), "labels hold -1 to 200; expected 0 to"),
    "void as -1 of 8 bits": (np.where(MAP == 0, -1, 3).astype(np.int8), "hold -1 to 3"),
    "beyond 64 bits": (np.where(MAP == 0, np.uint64(2**64 - 1), np.uint64(1)), "hold 1 to 18446744073709551615"),
    "ragged": ([[1, 2], [3]], "list makes no array"),
    "text": ([["1", "2"]], "makes an array of <U1"),
    "None": (None, "NoneType makes an array of object"),
    "a dictionary": ({"labels": MAP}, "dict makes an array of object"),
    "dates": (MAP.astype("datetime64[D]"), r"makes an array of datetime64\[D\]"),
    "complex": (MAP.astype(complex), "complex128; expected an array of integers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_label_maps_without_a_certain_meaning_are_refused(tmp_path, name):
    labels, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"image 'x1': .*{message}"):
        written(tmp_path, labels)
    with pytest.raises(InputError, match=f"pred, image 'x1': .*{message}"):
        counted(labels)
    with pytest.raises(InputError, match=f"gt, image 'x1': .*{message}"):
        pair_table(CATALOGUE, labels, SEGMENTS, MAP, SEGMENTS, image_id="x1")


def test_tensors_that_are_no_arrays_are_refused(tmp_path):
    t = pytest.importorskip("torch")
    for tensor in (t.ones(2, 3, requires_grad=True), t.ones(2, 3, device="meta"), t.ones(2, 3, dtype=t.bfloat16)):
        for call in (lambda labels: written(tmp_path, labels), counted):
            with pytest.raises(ValueError, match=r"torch\.Tensor makes no array \(.*\); expected an array"):
                call(tensor)


def changed(**changes):
    first = {k: v for k, v in {**SEGMENTS[0], **changes}.items() if v is not ...}
    return [first, *SEGMENTS[1:]]


ENTRIES = {
    "no id": (changed(id=...), r'segments\[0\] has no "id" \(its keys: category_id\); expected an integer'),
    "label_id": (changed(category_id=..., label_id=0), r'has no "category_id" \(its keys: id, label_id\)'),
    "no key": ([{}, *SEGMENTS[1:]], r'has no "id" \(its keys: none\)'),
    "id as text": (changed(id="3"), "has \"id\" '3'; expected an integer"),
    "id as a fraction": (changed(id=3.5), r'has "id" 3\.5; expected an integer'),
    "id as bool": (changed(id=True), 'has "id" True; expected an integer'),
    "id as None": (changed(id=None), 'has "id" None; expected an integer'),
    "id as an array": (changed(id=MAP), r'has "id" array\(.*; expected an integer'),
    "id of 64 bits": (changed(id=2**64), "expected an integer"),
    "negative id": (changed(id=-3), "segment -3 has no pixel"),
    "category as text": (changed(category_id="car"), "has \"category_id\" 'car'; expected an integer"),
    "category as a fraction": (changed(category_id=7.2), r'has "category_id" 7\.2'),
    "category as NaN": (changed(category_id=float("nan")), 'has "category_id" nan'),
    "no such category": (changed(category_id=5), "has category_id 5, which is no category; expected one of 7, 4, 9"),
    "category by position": (changed(category_id=-1), "has category_id -1"),
    "score NaN": (changed(score=float("nan")), 'has "score" nan, which is not finite'),
    "score infinite": (changed(score=np.float32("inf")), "inf.*which is not finite"),
    "score as text": (changed(score="0.5"), "has \"score\" '0.5'"),
    "score as an array": (changed(score=np.ones(3)), r'has "score" array'),
    "crowd as text": (changed(iscrowd="no"), "has \"iscrowd\" 'no'"),
    "crowd of 2": (changed(iscrowd=2), 'has "iscrowd" 2; expected 0 or 1'),
    "an id twice": ([*SEGMENTS, {**SEGMENTS[0], "score": 0.5}], "segment id 3 is given twice, with other values"),
    "an id without pixel": ([*SEGMENTS, {"id": 9, "category_id": CAR}], "segment 9 has no pixel"),
    "pixels without entry": (SEGMENTS[1:], "pixels of id 3 have no segment"),
    "a dictionary": ({"id": 3}, "segments are dict; expected a list of dictionaries"),
    "None": (None, "segments are NoneType; expected a list of dictionaries"),
    "numbers": ([1, 3, 200], r"segments\[0\] is int; expected a dictionary"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_that_are_not_sound_are_refused(tmp_path, name):
    segments, message = ENTRIES[name]
    with pytest.raises(ValueError, match=f"image 'x1': .*{message}"):
        written(tmp_path, MAP, segments)
    with pytest.raises(InputError, match=f"pred, image 'x1': .*{message}"):
        counted(MAP, segments)
    with pytest.raises(InputError, match=f"gt, image 'x1': .*{message}"):
        pair_table(CATALOGUE, MAP, segments, MAP, SEGMENTS, image_id="x1")


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param(tuple(SEGMENTS), id="a tuple"),
        pytest.param([*SEGMENTS, dict(SEGMENTS[0])], id="the same again"),
        pytest.param([{k: float(v) for k, v in s.items()} for s in SEGMENTS], id="floats"),
        pytest.param([{k: np.uint8(v) for k, v in s.items()} for s in SEGMENTS], id="NumPy's"),
        pytest.param(
            [{**s, "score": None, "iscrowd": None, "isthing": True} for s in SEGMENTS], id="None and other keys"
        ),
    ],
)
def test_entries_are_taken_as_they_come(tmp_path, segments):
    assert written(tmp_path / "found", MAP, segments) == written(tmp_path / "expected")
    assert str(counted(MAP, segments)) == str(counted())


def test_entries_of_tensors_are_taken(tmp_path):
    t = pytest.importorskip("torch")
    segments = [{k: t.tensor(v) for k, v in s.items()} for s in SEGMENTS]
    assert written(tmp_path / "found", MAP, segments) == written(tmp_path / "expected")
    scored = [{**s, "score": t.tensor(0.5)} for s in segments]
    assert (
        json.loads(written(tmp_path, MAP, scored)["panoptic.json"])["annotations"][0]["segments_info"][0]["score"]
        == 0.5
    )


RLE = coco.encode(np.asfortranarray(INSIDE, np.uint8))
MASKS = {
    "bool": lambda: INSIDE,
    "bool (1, h, w)": lambda: INSIDE[None],
    "integers": lambda: INSIDE.astype(int),
    "0 and 255": lambda: INSIDE.astype(np.uint8) * 255,
    "floats, after a threshold": lambda: INSIDE.astype(np.float32)[None],
    "a list": INSIDE.tolist,
    "a tensor": lambda: torch(lambda t: t.from_numpy(INSIDE)),
    "compressed": lambda: RLE,
    "compressed, as text": lambda: {
        "size": (2, 3),
        "counts": coco.encode(np.asfortranarray(INSIDE, np.uint8))["counts"].decode(),
    },
    "uncompressed": lambda: {"size": [2.0, 3.0], "counts": [3, 1.0, 1, 1]},
}


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_taken_as_they_come(tmp_path, name):
    instance = {"category_id": CAR, "score": 0.5, "segmentation": MASKS[name]()}
    (row,) = json.loads(written(tmp_path, instances=[instance])["instances.json"])
    row["segmentation"]["counts"] = row["segmentation"]["counts"].encode()
    assert coco.decode(row["segmentation"]).tolist() == INSIDE.tolist()


SEGMENTATIONS = {
    "probabilities": (
        np.where(INSIDE, 0.97, 0.02),
        r"holds 0\.02 to 0\.97 of dtype float64; expected a bool array",
    ),
    "logits": (np.where(INSIDE, 5.0, -5), "holds -5.0 to 5.0"),
    "NaN": (np.where(INSIDE, np.nan, 0), "holds nan"),
    "labels": (MAP, "holds 0 to 200 of dtype int64"),
    "-1 for true": (-INSIDE.astype(int), "holds -1 to 0"),
    "transposed": (INSIDE.T, r"shape \(3, 2\), dtype bool; expected a bool array \(h, w\), here \(2, 3\)"),
    "cut out": (INSIDE[:1], r"shape \(1, 3\)"),
    "28 x 28": (np.ones((1, 28, 28)), r"shape \(28, 28\), dtype float64"),
    "polygons": ([[0, 0, 2, 0, 2, 2]], r"shape \(1, 6\).*or COCO run lengths"),
    "text": ("13", "makes an array of <U2"),
    "run lengths of another size": ({"size": [3, 2], "counts": [6]}, r"has size \[3, 2\]; expected \[2, 3\]"),
    "run lengths that are too few": ({"size": [2, 3], "counts": [2, 1]}, r"do not add up to the image's 2 \* 3 pixels"),
    "negative run lengths": ({"size": [2, 3], "counts": [7, -1]}, "expected a string, or run lengths"),
    "malformed run lengths": ({"size": [2, 3], "counts": b"~~~"}, "do not add up"),
    "run lengths without size": ({"counts": [6]}, "has size null"),
    "run lengths without counts": ({"size": [2, 3]}, "has counts null"),
}


@pytest.mark.parametrize("name", SEGMENTATIONS)
def test_masks_without_a_certain_meaning_are_refused(tmp_path, name):
    mask, message = SEGMENTATIONS[name]
    with pytest.raises(ValueError, match=f"image 'x1': .*{message}"):
        written(tmp_path, instances=[{"category_id": CAR, "score": 0.5, "segmentation": mask}])


BOX = {"category_id": CAR, "score": 0.5, "bbox": [0, 0, 1, 1]}
INSTANCES = {
    "no category": ({**BOX, "category_id": ...}, r'instances\[0\] has no "category_id"'),
    "stuff": ({**BOX, "category_id": SKY}, "has category_id 4, which is no thing category; expected one of 7, 9"),
    "no score": ({**BOX, "score": ...}, "has no score"),
    "a score of NaN": ({**BOX, "score": np.nan}, "not finite"),
    "neither": ({**BOX, "bbox": None}, "neither segmentation nor bbox"),
    "a box of three": ({**BOX, "bbox": [0, 0, 1]}, r"\"bbox\" of shape \(3,\); expected x, y, width, height"),
    "a box of NaN": ({**BOX, "bbox": [0, 0, np.nan, 1]}, "finite, the last two not negative"),
    "a negative box": ({**BOX, "bbox": [5, 5, -1, 1]}, "the last two not negative"),
    "a box as text": ({**BOX, "bbox": "0 0 1 1"}, "expected an array of x, y, width, height"),
}


@pytest.mark.parametrize("name", INSTANCES)
def test_instances_that_are_not_sound_are_refused(tmp_path, name):
    instance, message = INSTANCES[name]
    with pytest.raises(ValueError, match=f"image 'x1': .*{message}"):
        written(tmp_path, instances=[{k: v for k, v in instance.items() if v is not ...}])
    assert not [*(tmp_path / "out").rglob("*.png")]


def test_boxes_of_tensors_are_taken(tmp_path):
    t = pytest.importorskip("torch")
    found = written(
        tmp_path,
        instances=({"category_id": t.tensor(CAR), "score": t.tensor(0.5), "bbox": t.tensor([0.0, 1, 2, 0.5])},),
    )
    assert json.loads(found["instances.json"])[0]["bbox"] == [0, 1, 2, 0.5]


@pytest.mark.parametrize(
    "take", [lambda m: m, lambda m: m[None], np.ndarray.tolist, lambda m: torch(lambda t: t.from_numpy(m))]
)
def test_semantic_maps_are_taken_as_they_come(tmp_path, take):
    semantic = np.where(INSIDE, CAR, 255)
    assert written(tmp_path / "found", semantic=take(semantic)) == written(tmp_path / "expected", semantic=semantic)


@pytest.mark.parametrize(
    ("semantic", "message"),
    [
        (np.where(INSIDE, CAR, -1), r"holds \[-1\]; expected category ids"),
        (np.where(INSIDE, 70000, 0), r"holds \[70000\]"),
        (INSIDE, r"dtype bool; expected an array of integers \(2, 3\)"),
        (np.ones((3, 2, 3)), r"shape \(3, 2, 3\), dtype float64"),
    ],
)
def test_semantic_maps_without_a_certain_meaning_are_refused(tmp_path, semantic, message):
    with pytest.raises(ValueError, match=f"image 'x1': the semantic map .*{message}"):
        written(tmp_path, semantic=semantic)


def test_label_maps_of_two_sizes_are_said():
    with pytest.raises(ValueError, match="pred: has 2 x 2 pixels; expected 3 x 2"):
        counted(MAP[:, :2])


@pytest.mark.parametrize("image_id", [None, "", True, 1.5, 2**70, b"a"])
def test_image_ids_that_tables_cannot_hold_are_refused(image_id):
    with pytest.raises(InputError, match=r'the image has "image_id" .*; expected an integer of 64 bits, or a string'):
        pair_table(CATALOGUE, MAP, SEGMENTS, MAP, SEGMENTS, image_id=image_id)
    assert pair_table(CATALOGUE, MAP, SEGMENTS, MAP, SEGMENTS, image_id=np.int32(7)).image_id == (7,)
