import json

import folders
import numpy as np
import pytest
from meanings import meaning_of

from panoptic_eval.datasets import mapillary
from panoptic_eval.errors import InputError
from panoptic_eval.labels import Encoded, Listed

BIRD, VOID, SKY, CAR = (label * 256 for label in range(4))


def ids_of(gt, *values):
    """Category id of each value; None is void."""
    meaning, faults = meaning_of(gt, np.zeros(len(values), int), np.array(values))
    assert faults == []
    return [None if c < 0 else int(gt.catalogue.ids[c]) for c in meaning.category]


def test_release_of_v1_2(tmp_path):
    root = folders.write_mapillary(tmp_path, {"-b": [[BIRD, SKY]], "a": [[CAR + 3, VOID]]})
    gt = mapillary.read(root)
    assert [m.image_id for m in gt.maps] == ["-b", "a"]
    assert gt.maps[1].photograph == root / "validation" / "images" / "a.jpg"
    assert "v1.2" in gt.source
    assert "validation" in gt.source
    assert [(c.id, c.name, c.isthing) for c in gt.catalogue.categories] == [
        (1, "Bird", True),
        (3, "Sky", False),
        (4, "Car", True),
    ]
    assert gt.catalogue.categories[2].color == (0, 0, 142)


def test_a_value_is_label_times_256_and_instance(tmp_path):
    gt = mapillary.read(folders.write_mapillary(tmp_path, {"a": [[0]]}))
    values = (BIRD, BIRD + 255, VOID, VOID + 5, SKY, CAR, CAR + 1)  # 0 is the first bird; not 255 but 256 divides
    assert ids_of(gt, *values) == [1, 1, None, None, 3, 4, 4]
    meaning, _ = meaning_of(gt, np.zeros(2, int), np.array([CAR, CAR + 1]))
    assert len(set(meaning.segment.tolist())) == 2
    assert not meaning.crowd.any()
    _, faults = meaning_of(gt, np.zeros(1, int), np.array([4 * 256]))
    assert len(faults) == 1


def test_the_panoptic_files_are_preferred(tmp_path):
    root = folders.write_mapillary(tmp_path, {"a": [[BIRD, SKY]]})
    categories = [{"id": 1, "name": "Bird", "isthing": 1}, {"id": 3, "name": "Sky", "isthing": 0}]
    folder = root / "validation" / "panoptic"
    images = {"a": ([[9, 8]], folders.segments((9, 1), (8, 3)))}
    folders.write_coco(folder / "panoptic_2018.json", images, categories=categories, folder=folder)
    gt = mapillary.read(root)
    assert isinstance(gt.meaning, Listed)
    assert "panoptic_2018.json" in gt.source
    assert gt.maps[0].png == folder / "a.png"
    assert gt.maps[0].photograph == root / "validation" / "images" / "a.jpg"
    assert gt.catalogue.ids.tolist() == [1, 3]


@pytest.fixture
def both(tmp_path):
    """A release of v2.0: it annotates the images twice."""
    folders.write_mapillary(tmp_path, {"a": [[BIRD]]}, version="1.2")
    labels = (*folders.VISTAS_LABELS, {"name": "object--pothole", "instances": False, "evaluate": True})
    return folders.write_mapillary(tmp_path, {"a": [[4 * 256]]}, version="2.0", labels=labels)


def test_of_both_versions_the_literature_s_is_the_default(both):
    assert "v1.2" in mapillary.read(both).source
    gt = mapillary.read(both, version="2.0")
    assert "v2.0" in gt.source
    assert ids_of(gt, 4 * 256) == [5]
    assert gt.catalogue.categories[3].name == "object--pothole"  # it has no readable name
    assert mapillary.read(both, version="v2.0").source == gt.source
    with pytest.raises(InputError, match=r"version 3.*1\.2, 2\.0"):
        mapillary.read(both, version="3")


def test_the_only_version_is_the_default(tmp_path):
    root = folders.write_mapillary(tmp_path, {"a": [[0]]}, version="2.0")
    assert "v2.0" in mapillary.read(root).source
    with pytest.raises(InputError, match=r"version 1\.2.*2\.0"):
        mapillary.read(root, version="1.2")


def test_of_several_versions_that_are_not_the_default_none_is_chosen(tmp_path):
    for version in ("2.0", "3.0"):
        folders.write_mapillary(tmp_path, {"a": [[0]]}, version=version)
    with pytest.raises(InputError, match=r"version 1\.2.*2\.0, 3\.0"):
        mapillary.read(tmp_path)


def test_v1_1_differs_in_its_photographs_only(tmp_path):
    root = folders.write_mapillary(tmp_path, {"a": [[0]]})
    config = json.loads((root / "config.json").read_text())
    folders.write_json(root / "config.json", {**config, "version": 1.1})
    assert "v1.1" in mapillary.read(root, version="1.2").source


@pytest.mark.parametrize("split", ["training", "train"])
def test_splits_go_by_either_name(tmp_path, split):
    folders.write_mapillary(tmp_path, {"v": [[0]]})
    folders.write_mapillary(tmp_path, {"t": [[0]]}, split="training")
    assert [m.image_id for m in mapillary.read(tmp_path).maps] == ["v"]
    assert [m.image_id for m in mapillary.read(tmp_path, split=split).maps] == ["t"]
    with pytest.raises(InputError, match=r"testing or test.*training, validation"):
        mapillary.read(tmp_path, split="test")


def test_the_only_split_is_the_default(tmp_path):
    folders.write_mapillary(tmp_path, {"t": [[0]]}, split="training")
    assert [m.image_id for m in mapillary.read(tmp_path).maps] == ["t"]


def test_nothing_but_photographs(tmp_path):
    root = folders.write_mapillary(tmp_path, {"a": [[0]]})
    (root / "validation" / "instances" / "a.png").unlink()
    with pytest.raises(InputError, match=r"neither panoptic/.* nor instances/"):
        mapillary.read(root)


CONFIGS = {
    "no labels": ({}, '"labels"'),
    "no objects": ({"labels": [3]}, r"labels\[0\]"),
    "no name": ({"labels": [{"instances": True}]}, r'"name".*labels\[0\]'),
    "no kind": ({"labels": [{"name": "x"}]}, r'"instances".*labels\[0\]'),
    "none evaluated": ({"labels": [{"name": "x", "instances": True, "evaluate": False}]}, "no label is evaluated"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_faults_of_the_config(tmp_path, name):
    config, message = CONFIGS[name]
    root = folders.write_mapillary(tmp_path, {"a": [[0]]})
    folders.write_json(root / "config.json", {"version": "1.2", **config})
    with pytest.raises(InputError, match=rf"(?s)(?=.*config\.json).*{message}"):
        mapillary.read(root)


def test_values_say_all_that_a_label_map_needs(tmp_path):
    gt = mapillary.read(folders.write_mapillary(tmp_path, {"a": [[0]]}))
    assert isinstance(gt.meaning, Encoded)
    assert gt.meaning.divisor == 256
    assert not gt.meaning.bare
