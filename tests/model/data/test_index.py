import numpy as np
import pytest
from folders import write_cityscapes
from street_folders import CAR, CAR_ID, PERSON, PERSON_ID, ROAD, ROAD_ID, SKY, SKY_ID, VOID_ID, scene, write_scenes

from model.data import index as index_module
from model.data.index import build_index, cached_index
from panoptic_eval import datasets
from panoptic_eval.errors import InputError

TINY = np.array(
    [
        [SKY_ID, SKY_ID, SKY_ID, CAR_ID + 2],
        [VOID_ID, CAR_ID + 1, CAR_ID + 1, CAR_ID + 2],
        [ROAD_ID, PERSON_ID, CAR_ID + 1, ROAD_ID],
    ]
)


def ground_truth(root, scenes):
    return datasets.ground_truth(write_scenes(root, scenes), split="training")


def same(a, b):
    names = ("size", "image", "id", "category", "crowd", "area", "box")
    return a.catalogue == b.catalogue and all((getattr(a, n) == getattr(b, n)).all() for n in names)


def test_a_drawing(tmp_path):
    index = build_index(ground_truth(tmp_path, {"a": TINY, "b": np.full((2, 5), VOID_ID)}))
    assert index.size.tolist() == [[3, 4], [2, 5]]
    assert index.image.tolist() == [0] * 5
    assert dict(zip(index.id.tolist(), index.category.tolist(), strict=True)) == {
        SKY_ID: SKY,
        CAR_ID + 1: CAR,
        CAR_ID + 2: CAR,
        PERSON_ID: PERSON,
        ROAD_ID: ROAD,
    }
    at = index.id.tolist().index(CAR_ID + 1)
    assert (index.area[at], index.box[at].tolist()) == (3, [1, 1, 3, 3])
    assert index.is_instance.tolist() == [index.catalogue.isthing[c] for c in index.category]
    assert index.rows(0) == slice(0, 5)
    assert index.rows(1) == slice(5, 5)


def test_crowds_are_no_instances(tmp_path):
    ids = np.array([[26, 26, 26001], [23, 24, 26001]])  # a group of cars, a car, sky, a group of people
    index = build_index(datasets.ground_truth(write_cityscapes(tmp_path, {"ulm_000000_000001": ids})))
    assert index.id[index.is_instance].tolist() == [26001]
    assert index.id[index.crowd].tolist() == [24, 26]


def test_the_cache_holds_the_same_and_spares_the_labels(tmp_path, monkeypatch):
    gt = ground_truth(tmp_path / "data", {f"{i}": scene(i) for i in range(3)})
    built = cached_index(gt, cache=tmp_path / "cache")
    assert same(built, build_index(gt))
    monkeypatch.setattr(index_module, "count_pair", None)
    again = cached_index(gt, cache=tmp_path / "cache")
    assert same(again, built)
    assert again.fingerprint == built.fingerprint


def test_changed_labels_are_read_again(tmp_path):
    cache = tmp_path / "cache"
    before = cached_index(ground_truth(tmp_path / "data", {"a": scene(0)}), cache=cache)
    after = cached_index(ground_truth(tmp_path / "data", {"a": scene(1)}), cache=cache)
    assert not same(after, before)
    assert before.fingerprint != after.fingerprint


def test_a_damaged_cache_is_made_anew(tmp_path):
    gt = ground_truth(tmp_path / "data", {"a": scene(0)})
    built = cached_index(gt, cache=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    for damage in (b"", b"PK nonsense", file.read_bytes()[:300]):
        file.write_bytes(damage)
        assert same(cached_index(gt, cache=tmp_path / "cache"), built)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    gt = ground_truth(tmp_path / "data", {"a": scene(0)})
    (tmp_path / "cache").write_text("a file, not a folder")
    assert len(cached_index(gt, cache=tmp_path / "cache").id)


def test_every_unreadable_file_is_named(tmp_path):
    gt = ground_truth(tmp_path, {"a": scene(0), "b": scene(1), "c": scene(2)})
    for name in ("a", "c"):
        path = tmp_path / "training" / "v2.0" / "instances" / f"{name}.png"
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError) as error:
        build_index(gt)
    assert len(error.value.faults) == 2
    for fault, name in zip(error.value.faults, "ac", strict=True):
        assert f"{name}.png: is truncated" in str(fault)
