import hashlib
import io
import json

import numpy as np
import pytest
from folders import contents
from PIL import Image

from panoptic_eval.datasets import mapillary
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import evaluate
from streets.dataset import SHEET_GAP, SHEET_HEAD, SPLITS, Recipe, contact_sheet, main, write_dataset
from streets.scene import VERSIONS

COUNTS = {"training": 2, "validation": 6, "testing": 1}
SIZE = {"height": 64, "width": 128}
VERSION_1 = VERSIONS[1].labels


def panoptic(root, split):
    folder = root / split / "v2.0" / "panoptic"
    return folder, json.loads((folder / "panoptic_2020.json").read_text())


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("streets")
    write_dataset(root, seed=0, counts=COUNTS, workers=1, **SIZE)
    return root


def test_the_layout_is_that_of_mapillary_vistas(root):
    expected = {"config_v2.0.json"}
    for split, count in COUNTS.items():
        expected.add(f"{split}/v2.0/panoptic/panoptic_2020.json")
        for i in range(count):
            expected.add(f"{split}/images/{split}_{i:05d}.jpg")
            expected |= {f"{split}/v2.0/{kind}/{split}_{i:05d}.png" for kind in ("labels", "instances", "panoptic")}
    assert set(contents(root)) == expected
    config = json.loads((root / "config_v2.0.json").read_text())
    assert [label["name"] for label in config["labels"]] == [label.name for label in VERSION_1]
    assert {label["name"] for label in config["labels"] if not label["evaluate"]} == {
        "void--ego-vehicle",
        "void--unlabeled",
    }


@pytest.mark.parametrize("split", SPLITS)
def test_encodings_agree(root, split):
    folder, content = panoptic(root, split)
    isthing = {c["id"]: c["isthing"] for c in content["categories"]}
    evaluated = np.array([label.evaluate for label in VERSION_1])
    assert [i["id"] for i in content["images"]] == [a["image_id"] for a in content["annotations"]]
    for image, annotation in zip(content["images"], content["annotations"], strict=True):
        photograph = Image.open(root / split / "images" / image["file_name"])
        assert (photograph.mode, photograph.size) == ("RGB", (image["width"], image["height"])) == ("RGB", (128, 64))
        name = annotation["file_name"]
        label = pixels(root / split / "v2.0" / "labels" / name)
        instance = Image.open(root / split / "v2.0" / "instances" / name)
        assert instance.mode == "I;16"
        instances = np.asarray(instance).astype(int)
        ids = pixels(folder / name) @ [1, 256, 65536]
        assert (instances // 256 == label).all()
        assert ((ids == 0) == ~evaluated[label]).all()
        rows = {row["id"]: row for row in annotation["segments_info"]}
        assert len(rows) == len(annotation["segments_info"])
        assert set(np.unique(ids)) - {0} == set(rows)
        for id_, row in rows.items():
            mask = ids == id_
            y, x = np.nonzero(mask)
            assert row["area"] == mask.sum()
            assert row["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert np.unique(label[mask]).tolist() == [row["category_id"] - 1]
            assert len(np.unique(instances[mask])) == 1  # one panoptic segment is one instance
            assert (instances == instances[mask][0]).sum() == mask.sum()
            assert ((instances[mask] % 256 > 0) == isthing[row["category_id"]]).all()
            assert row["iscrowd"] <= isthing[row["category_id"]]


def test_the_reader_finds_photographs_and_categories(root):
    maps = mapillary.read(root)
    assert "validation" in maps.source
    assert [c.name for c in maps.catalogue.categories] == [label.readable for label in VERSION_1 if label.evaluate]
    assert [c.isthing for c in maps.catalogue.categories] == [label.instances for label in VERSION_1 if label.evaluate]
    assert all(m.photograph.is_file() for m in maps.maps)
    assert [m.size for m in maps.maps] == [(64, 128)] * 6


def test_ground_truth_against_itself_is_perfect(root):
    folder, _ = panoptic(root, "validation")
    scores = evaluate(folder / "panoptic_2020.json", root).scores
    assert {name: scores[name]["all"] for name in ("PQ", "PQ_dagger", "PC", "mIoU")} == dict.fromkeys(
        ("PQ", "PQ_dagger", "PC", "mIoU"), 1
    )
    assert scores["AP_mask"]["AP"] == scores["AP_box"]["AP"] == 1


def test_panopticapi_agrees_with_the_files(root):
    evaluation = pytest.importorskip("panopticapi.evaluation", reason="panopticapi is not installed")
    folder, content = panoptic(root, "validation")
    annotations = [(a, a) for a in content["annotations"]]
    categories = {c["id"]: c for c in content["categories"]}
    # It raises where ids of the PNG and the JSON differ, and counts areas from the PNG.
    stat = evaluation.pq_compute_single_core(0, annotations, str(folder), str(folder), categories)
    crowds = sum(row["iscrowd"] for a in content["annotations"] for row in a["segments_info"])
    assert sum(stat[c].tp for c in categories) == sum(len(a["segments_info"]) for a, _ in annotations) - crowds
    assert sum(stat[c].fp + stat[c].fn for c in categories) == 0


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (1, "833d14ffd99753c6c427f102e5ec3d9a6e714ddab91a33d349c7d1d85e0d736e"),
        (2, "ff6a4f69323086703c6f1a63cd95a61c66feb7af7ae00da9293b7b1ed026ac0e"),
    ],
)
def test_a_seed_gives_the_same_images_for_ever(version, expected):
    """Committed results were made from these: other pixels need another version."""
    digest = hashlib.sha256()
    for split, index in (("training", 0), ("validation", 3), ("testing", 7)):
        scene = Recipe(0, split, index, 256, 512, version).draw()
        labels = [(int(s.label), int(s.instance), bool(s.crowd)) for s in scene.segments]
        digest.update(scene.image.tobytes() + scene.segment.tobytes() + repr(labels).encode())
    assert digest.hexdigest() == expected


def test_the_second_version_has_more_categories_and_shows_most_of_them(tmp_path):
    write_dataset(tmp_path, seed=0, counts={"training": 6}, version=2, height=256, width=512, workers=1)
    maps = mapillary.read(tmp_path, split="training")
    names = {c.name for c in maps.catalogue.categories}
    assert {"Street Light", "Bird", "Manhole", "Trash Can", "Banner", "Motorcycle", "Curb", "Fence"} <= names
    assert (maps.catalogue.isthing.sum(), (~maps.catalogue.isthing).sum()) == (16, 10)
    _, content = panoptic(tmp_path, "training")
    assert content["info"]["version"] == "2"
    shown = {row["category_id"] for a in content["annotations"] for row in a["segments_info"]}
    assert len(shown) >= 20


@pytest.mark.parametrize("version", VERSIONS)
def test_a_larger_image_shows_the_same_street_larger(version):
    """Networks may see images drawn larger than their input: what is in view must not depend on the size drawn."""
    small, large = (Recipe(0, "training", 0, side, 2 * side, version).draw() for side in (128, 256))
    shown = [np.array([s.label for s in scene.segments])[scene.segment] for scene in (small, large)]
    assert (shown[0] == shown[1][::2, ::2]).mean() > 0.9


def test_workers_and_interruptions_change_no_byte(root, tmp_path):
    write_dataset(tmp_path, seed=0, counts=COUNTS, workers=2, **SIZE)
    assert contents(tmp_path) == contents(root)
    for name in ("panoptic/training_00001.png", "labels/training_00000.png", "panoptic/panoptic_2020.json"):
        (tmp_path / "training" / "v2.0" / name).unlink()
    (tmp_path / "training" / "v2.0" / "panoptic" / "training_00000.png").write_bytes(b"half a file")
    write_dataset(tmp_path, seed=0, counts=COUNTS, workers=1, **SIZE)
    assert contents(tmp_path) == contents(root)


def test_finished_images_are_kept_and_those_of_another_recipe_are_not(tmp_path):
    write_dataset(tmp_path, seed=0, counts={"testing": 1}, workers=1, **SIZE)
    first = contents(tmp_path)
    photograph = tmp_path / "testing" / "images" / "testing_00000.jpg"
    photograph.write_bytes(b"kept")
    write_dataset(tmp_path, seed=0, counts={"testing": 2}, workers=1, **SIZE)
    assert photograph.read_bytes() == b"kept"
    second = contents(tmp_path)
    assert all(second[name] == first[name] for name in first if name.endswith(".png"))
    write_dataset(tmp_path, seed=1, counts={"testing": 1}, workers=1, **SIZE)
    third = photograph.read_bytes()
    assert third not in (b"kept", first["testing/images/testing_00000.jpg"])


def test_no_two_images_of_any_split_or_seed_are_the_same(root, tmp_path):
    write_dataset(tmp_path, seed=1, counts=COUNTS, workers=1, **SIZE)
    drawn = [c for r in (root, tmp_path) for name, c in contents(r).items() if "labels/" in name]
    assert len(set(drawn)) == len(drawn) == 2 * sum(COUNTS.values())


@pytest.mark.parametrize(
    "options",
    [
        {"counts": {"train": 1}},
        {"counts": {"training": -1}},
        {"seed": -1},
        {"seed": 2**32},
        {"height": 0},
        {"version": 3},
    ],
)
def test_what_cannot_be_drawn_is_refused(options, tmp_path):
    with pytest.raises(InputError, match="expected"):
        write_dataset(tmp_path, **{"seed": 0, "counts": {"training": 1}, "workers": 1, **SIZE, **options})
    assert not list(tmp_path.iterdir())


def test_the_contact_sheet_shows_every_image_with_its_segments():
    recipes = [Recipe(0, "validation", i, 60, 120) for i in range(4)]
    sheet = contact_sheet(recipes, columns=2)
    assert sheet.size == (4 * 80 + 3 * SHEET_GAP, SHEET_HEAD + 2 * 40 + SHEET_GAP)
    rgb = np.asarray(sheet.convert("RGB")).astype(float)
    photograph = np.asarray(Image.fromarray(recipes[0].draw().image).resize((80, 40), Image.Resampling.LANCZOS))
    rows, beside = slice(SHEET_HEAD, SHEET_HEAD + 40), 80 + SHEET_GAP // 2
    assert np.abs(rgb[rows, :80] - photograph).mean() < 12  # few colors, dithered
    assert np.abs(rgb[rows, beside : beside + 80] - photograph).mean() > 16  # the segments beside it
    assert (rgb[rows, 80:beside] > 250).all()
    assert rgb[:SHEET_HEAD, :80].min() < 100  # what the column shows
    file = io.BytesIO()
    sheet.save(file, "PNG")
    assert file.tell() < 1_000_000


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--version", "3", "version 3: expected one of 1, 2"),
        ("--height", "0", "size 0 x 512"),
        ("--seed", "-1", "seed -1"),
    ],
)
@pytest.mark.parametrize("asked", ["--out", "--contact-sheet"])
def test_the_command_ends_with_a_message(tmp_path, asked, option, value, says):
    with pytest.raises(SystemExit, match=says):
        main([asked, str(tmp_path / "written"), option, value])
    assert not list(tmp_path.iterdir())
