import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import folders
import numpy as np
import pytest
from folders import CAR, PERSON, SKY, contents
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMap, LabelMaps
from panoptic_eval.png.reference import decode
from panoptic_eval.predictions import PredictionWriter, read_predictions

CATALOGUE = Catalogue(tuple(Category(c["id"], c["name"], bool(c["isthing"])) for c in folders.CATEGORIES))
MAP = np.array([[1, 1, 2**24 - 1], [0, 3, 3]])
SEGMENTS = [
    {"id": 3, "category_id": CAR, "score": 0.1 + 0.2},
    {"id": 1, "category_id": PERSON, "score": np.float32(0.25)},
    {"id": 2**24 - 1, "category_id": np.int64(SKY)},
]


PNG = folders.write_rgb(Path(tempfile.mkdtemp()) / "labels.png", MAP)


def gt(*image_ids):
    return LabelMaps("", CATALOGUE, tuple(LabelMap(i, PNG, (2, 3)) for i in image_ids), None)


def write_all(folder, image_ids, stop_after=None):
    """Writes the images that are not written, with instances and semantics, all different."""
    with PredictionWriter(folder, CATALOGUE) as writer:
        for k, image_id in enumerate(image_ids):
            if not writer.done(image_id):
                instance = {"category_id": CAR, "score": 1 / (k + 3), "segmentation": MAP == 3}
                instances = [{**instance, "bbox": [k, 1, 2, 0.5 + n]} for n in range(k)]
                semantic = np.full((2, 3), SKY if k % 2 else 255)
                writer.write(image_id, MAP, SEGMENTS, instances=instances, semantic=semantic)


def test_what_is_written_reads_back(tmp_path):
    write_all(tmp_path / "out", ["a", "-b/../c", "d"])
    names = {path.name for path in (tmp_path / "out" / "panoptic").iterdir()}
    assert names == {"a.png", "d.png", "-b%2F..%2Fc.png"}  # an id is no path
    found = read_predictions(tmp_path / "out", gt("a", "d", "-b/../c"))
    assert found.warnings == ()
    assert [m.image_id for m in found.panoptic.maps] == ["a", "-b/../c", "d"]
    for label_map in found.panoptic.maps:
        assert label_map.size == (2, 3)
        np.testing.assert_array_equal(decode(label_map.png.read_bytes()), MAP)
    meaning = found.panoptic.meaning
    assert meaning.id.tolist() == [3, 1, 2**24 - 1] * 3
    assert CATALOGUE.ids[meaning.category].tolist() == [CAR, PERSON, SKY] * 3
    np.testing.assert_array_equal(meaning.score, [0.1 + 0.2, 0.25, np.nan] * 3)
    assert meaning.area.tolist() == [2, 2, 1] * 3

    instances = found.instances
    assert instances.image.tolist() == [2, 1, 1]  # of gt's order: "a" has none, "-b/../c" one, "d" two
    assert instances.score.tolist() == [1 / 4, 1 / 5, 1 / 5]
    assert instances.box.tolist() == [[1, 1, 2, 0.5], [2, 1, 2, 0.5], [2, 1, 2, 1.5]]
    np.testing.assert_array_equal(mask.decode(instances.rle[0]), MAP == 3)

    semantic = {m.image_id: decode(m.png.read_bytes()) for m in found.semantic.maps}
    assert {i: np.unique(values).tolist() for i, values in semantic.items()} == {
        "a": [255],
        "-b/../c": [SKY],
        "d": [255],
    }


@settings(deadline=None, max_examples=25)
@given(arrays.arrays(np.int64, (4, 5), elements=st.one_of(st.integers(0, 3), st.integers(0, 2**24 - 1))))
def test_any_map_reads_back(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("out")
    with PredictionWriter(folder, CATALOGUE) as writer:
        writer.write(5, labels, [{"id": i, "category_id": CAR} for i in np.unique(labels) if i])
    found = read_predictions(folder, gt(5)).panoptic
    np.testing.assert_array_equal(decode(found.maps[0].png.read_bytes()), labels)
    assert found.meaning.id.tolist() == [i for i in np.unique(labels) if i]


def test_the_directory_is_a_ground_truth_too(tmp_path):
    write_all(tmp_path, [7])
    assert ground_truth(tmp_path).catalogue.ids.tolist() == [CAR, SKY, PERSON]


def test_the_json_says_what_pixels_a_segment_has(tmp_path):
    write_all(tmp_path, [7])
    (annotation,) = json.loads((tmp_path / "panoptic.json").read_text())["annotations"]
    assert [(s["id"], s["area"], s["bbox"]) for s in annotation["segments_info"]] == [
        (3, 2, [1, 1, 2, 1]),
        (1, 2, [0, 0, 2, 1]),
        (2**24 - 1, 1, [2, 0, 1, 1]),
    ]


@pytest.mark.parametrize(("value", "mode"), [(255, "L"), (65535, "I;16")])
def test_semantic_maps_have_as_many_bits_as_they_need(tmp_path, value, mode):
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        writer.write(7, MAP, SEGMENTS, semantic=np.full((2, 3), value))
    with Image.open(tmp_path / "semantic" / "7.png") as image:
        assert image.mode == mode
        assert (np.asarray(image) == value).all()


def test_without_instances_and_semantics_there_are_no_such_files(tmp_path):
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        writer.write(7, MAP, SEGMENTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["panoptic", "panoptic.json"]


def test_no_detection_in_any_image_is_written_too(tmp_path):
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        writer.write(7, MAP, SEGMENTS, instances=[])
    assert len(read_predictions(tmp_path, gt(7)).instances.image) == 0


IMAGES = ["a", "b", "c"]


def test_hidden_files_of_others_stay(tmp_path):
    write_all(tmp_path, IMAGES[:1])
    others = [tmp_path / ".panoptic.json.swp", tmp_path / ".notes.json.txt", tmp_path / "panoptic" / ".a.png.part"]
    for path in others:
        path.write_text("of an editor")
    write_all(tmp_path, IMAGES)
    assert all(path.is_file() for path in others)


def test_a_record_that_a_kill_cut_short_is_written_again(tmp_path):
    write_all(tmp_path / "whole", IMAGES)
    left = tmp_path / "left"
    writer = PredictionWriter(left, CATALOGUE)
    for image_id in IMAGES[:2]:
        writer.write(image_id, MAP, SEGMENTS, instances=[], semantic=np.full((2, 3), 255))
    records = (left / "records.jsonl").read_bytes()
    head, line, _ = records.splitlines(keepends=True)
    first = head + line
    folders.write_rgb(left / "panoptic" / "c.png", MAP)  # a PNG was written, its record was not
    (left / "panoptic" / ".c.png.x1y2z3_w").write_bytes(b"half a PNG")
    folders.write_rgb(left / "semantic" / "not in this run.png", MAP)
    lengths = {
        0,
        1,
        len(head) - 1,
        len(head),
        len(first) - 1,
        len(first),
        len(first) + 1,
        len(records) - 1,
        len(records),
    }
    for length, torn in itertools.product(lengths, (b"", b'{"image":{"id":"of a longer record' + b"." * 999)):
        out = tmp_path / f"{length} {len(torn)}"
        shutil.copytree(left, out)
        (out / "records.jsonl").write_bytes(records[:length] + torn)
        writer = PredictionWriter(out, CATALOGUE)
        done = [image_id for image_id in IMAGES if writer.done(image_id)]
        assert done == IMAGES[: (length >= len(first)) + (length == len(records))]
        with writer:
            for k, image_id in enumerate(IMAGES):
                if image_id not in done:
                    semantic = np.full((2, 3), SKY if k % 2 else 255)
                    writer.write(image_id, MAP, SEGMENTS, instances=[], semantic=semantic)
        assert contents(out).keys() == contents(tmp_path / "whole").keys()
        assert [m.image_id for m in read_predictions(out, gt(*IMAGES)).panoptic.maps] == IMAGES


KILLED = """
import os, signal, sys
from pathlib import Path
import test_prediction_writer as tests

left = 9
def count(event, args):  # just before a file of the directory is opened or renamed
    global left
    if event in ("open", "os.rename") and args and sys.argv[1] in str(args[0]):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
tests.write_all(Path(sys.argv[1]), tests.IMAGES)
"""


def test_killed_over_and_over_it_gets_done(tmp_path):
    write_all(tmp_path / "whole", IMAGES)
    paths = [Path(__file__).parent, Path(folders.__file__).parent, Path(__file__).parents[2]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
    codes = []
    while codes[-1:] != [0] and len(codes) < 9:
        codes.append(subprocess.run(command, env=environment, check=False).returncode)
    assert codes[-1] == 0
    assert codes[:-1] == [-signal.SIGKILL] * (len(codes) - 1)
    assert len(codes) > 2
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_is_not_closed_is_not_scored(tmp_path):
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        writer.write("a", MAP, SEGMENTS)
        with pytest.raises(InputError, match=r"not finished.*close"):
            read_predictions(tmp_path, gt("a"))
    assert read_predictions(tmp_path, gt("a")).panoptic.maps[0].image_id == "a"


def test_numpy_integers_are_image_ids(tmp_path):
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        writer.write(np.int64(7), MAP, SEGMENTS)
        assert writer.done(7)
    assert read_predictions(tmp_path, gt(7)).panoptic.maps[0].image_id == 7


def test_an_error_leaves_what_is_finished_to_the_next_writer(tmp_path):
    def interrupted():
        with PredictionWriter(tmp_path, CATALOGUE) as writer:
            writer.write("a", MAP, SEGMENTS)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert not (tmp_path / "panoptic.json").exists()
    assert PredictionWriter(tmp_path, CATALOGUE).done("a")


def test_a_closed_directory_is_done_and_can_be_added_to(tmp_path):
    write_all(tmp_path / "out", IMAGES[:2])
    write_all(tmp_path / "out", IMAGES)
    write_all(tmp_path / "whole", IMAGES)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    before = contents(tmp_path / "out")
    write_all(tmp_path / "out", IMAGES)
    assert contents(tmp_path / "out") == before


FAULTS = {
    "an id without entry": ({"segments": SEGMENTS[1:]}, "id 3 have no segment"),
    "an entry without pixels": ({"segments": [*SEGMENTS, {"id": 9, "category_id": CAR}]}, "segment 9 has no pixel"),
    "an id twice": ({"segments": [*SEGMENTS, {**SEGMENTS[0], "score": 0.5}]}, "3 is given twice"),
    "an entry of void": ({"segments": [*SEGMENTS, {"id": 0, "category_id": CAR}]}, "segment 0 has no pixel"),
    "an id too large": ({"labels": MAP + 1}, "1 to 16777216; expected 0 to 16777215"),
    "a negative id": ({"labels": MAP - 1}, "-1 to 16777214; expected 0 to"),
    "no map": ({"labels": MAP[0]}, r"shape \(3,\)"),
    "no integers": ({"labels": MAP.astype(float)}, "float64"),
    "an unknown category": ({"segments": [{**SEGMENTS[0], "category_id": 5}, *SEGMENTS[1:]]}, "category_id 5"),
    "a score that is none": (
        {"segments": [{**SEGMENTS[0], "score": np.nan}, *SEGMENTS[1:]]},
        "which is not finite",
    ),
    "an instance of stuff": ({"instances": [{"category_id": SKY, "score": 1, "bbox": [0, 0, 1, 1]}]}, "no thing"),
    "an instance without score": ({"instances": [{"category_id": CAR, "bbox": [0, 0, 1, 1]}]}, "no score"),
    "an instance nowhere": ({"instances": [{"category_id": CAR, "score": 1}]}, "neither segmentation nor bbox"),
    "a mask of another size": (
        {"instances": [{"category_id": CAR, "score": 1, "segmentation": MAP.T == 3}]},
        r"shape \(3, 2\), dtype bool; expected a bool array \(h, w\), here \(2, 3\)",
    ),
    "semantics of another size": ({"semantic": MAP.T}, "semantic map has shape"),
    "semantics of no category": ({"semantic": np.full((2, 3), 5)}, r"\[5\]; expected category ids"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_could_not_be_scored_is_refused_and_not_written(tmp_path, name):
    changes, message = FAULTS[name]
    values = {"labels": MAP, "segments": SEGMENTS, **changes}
    with PredictionWriter(tmp_path, CATALOGUE) as writer:
        with pytest.raises(ValueError, match=message) as error:
            writer.write("a", **values)
        assert "'a'" in str(error.value)
        assert not writer.done("a")
        assert not [*tmp_path.rglob("*.png")]


def test_an_image_is_written_once(tmp_path):
    writer = PredictionWriter(tmp_path, CATALOGUE)
    writer.write(7, MAP, SEGMENTS)
    with pytest.raises(ValueError, match="written already"):
        writer.write(7, MAP, SEGMENTS)
    with pytest.raises(ValueError, match='string "7"'):
        writer.write("7", MAP, SEGMENTS)
    writer.close()
    writer.close()  # as the end of a with block may


def test_somebody_else_s_files_stay_as_they_are(tmp_path):
    folders.write_rgb(tmp_path / "panoptic" / "x.png", MAP)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"x\.png"):
        PredictionWriter(tmp_path, CATALOGUE)
    assert contents(tmp_path) == before
    folders.write_json(tmp_path / "panoptic.json", {"annotations": [{"image_id": 7, "file_name": "x.png"}]})
    before = contents(tmp_path)
    with pytest.raises(InputError, match="not what a PredictionWriter writes"):
        PredictionWriter(tmp_path, CATALOGUE)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_flipped_bit_in_the_records_is_said(tmp_path, line):
    writer = PredictionWriter(tmp_path, CATALOGUE)
    for image_id in IMAGES[:2]:
        writer.write(image_id, MAP, SEGMENTS)
    del writer  # as a killed process leaves it
    path = tmp_path / "records.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for at in range(0, len(lines[line]) - 1, 7):
        flipped = bytearray(lines[line])
        flipped[at] ^= 4  # no line ends by it
        path.write_bytes(b"".join([*lines[:line], flipped, *lines[line + 1 :]]))
        before = contents(tmp_path)
        with pytest.raises(InputError, match=rf"records\.jsonl: line {line + 1} is damaged"):
            PredictionWriter(tmp_path, CATALOGUE)
        assert contents(tmp_path) == before


def test_records_of_another_version_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr("panoptic_eval.prediction_writer.VERSION", 2)
    PredictionWriter(tmp_path, CATALOGUE)
    monkeypatch.undo()
    with pytest.raises(InputError, match="is of version 2; expected version 1"):
        PredictionWriter(tmp_path, CATALOGUE)


@pytest.mark.parametrize("closed", [False, True])
def test_a_directory_goes_on_with_its_own_categories_only(tmp_path, closed):
    writer = PredictionWriter(tmp_path, CATALOGUE)
    writer.write("a", MAP, SEGMENTS)
    if closed:
        writer.close()
    del writer
    before = contents(tmp_path)
    renumbered = Catalogue(tuple(Category(c.id + 1, c.name, c.isthing) for c in CATALOGUE.categories))
    with pytest.raises(InputError, match="other categories than the catalogue"):
        PredictionWriter(tmp_path, renumbered)
    assert contents(tmp_path) == before


def test_a_second_writer_is_told(tmp_path):
    writer = PredictionWriter(tmp_path, CATALOGUE)
    writer.write("a", MAP, SEGMENTS)
    before = contents(tmp_path)
    paths = [Path(__file__).parent, Path(folders.__file__).parent, Path(__file__).parents[2]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    code = "import sys, test_prediction_writer as tests; tests.PredictionWriter(sys.argv[1], tests.CATALOGUE)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    second = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert second.returncode == 1
    assert "another writer is open on it; expected one at a time" in second.stderr
    with pytest.raises(InputError, match="another writer is open on it"):
        PredictionWriter(tmp_path, CATALOGUE)
    assert contents(tmp_path) == before
    writer.close()


def test_a_full_disk_leaves_no_torn_record(tmp_path, monkeypatch):
    writer = PredictionWriter(tmp_path, CATALOGUE)
    writer.write("a", MAP, SEGMENTS)
    before = (tmp_path / "records.jsonl").read_bytes()

    class Full:
        """A file with room for seven bytes."""

        def __init__(self, file):
            self.file, self.tell, self.closed = file, file.tell, False

        def write(self, data):
            self.file.write(data[:7])
            self.file.flush()
            raise OSError(28, "No space left on device")

    writer._file = Full(writer._file)
    with pytest.raises(OSError, match="No space left"):
        writer.write("b", MAP, SEGMENTS)
    assert (tmp_path / "records.jsonl").read_bytes() == before
    writer.write("b", MAP, SEGMENTS)
    writer.close()
    assert [m.image_id for m in read_predictions(tmp_path, gt("a", "b")).panoptic.maps] == ["a", "b"]


def test_numbers_of_numpy_in_a_catalogue_are_written(tmp_path):
    """Without that, the last step of a long run would fail."""
    color = np.array([1, 2, 3])
    given = (Category(np.int64(c.id), c.name, np.bool_(c.isthing), color) for c in CATALOGUE.categories)
    catalogue = Catalogue(tuple(given))
    with PredictionWriter(str(tmp_path), catalogue) as writer:
        writer.write(1, MAP, SEGMENTS)
    (first, *_) = json.loads((tmp_path / "panoptic.json").read_text())["categories"]
    assert first == {"id": CAR, "name": "car", "isthing": 1, "color": [1, 2, 3]}


def test_what_is_no_catalogue_is_said(tmp_path):
    with pytest.raises(ValueError, match="catalogue is of type list; expected a Catalogue"):
        PredictionWriter(tmp_path, [*folders.CATEGORIES])


@pytest.mark.parametrize("image_id", [1.5, None, b"a", True, 2**63, "", "\ud800", "a" * 300, np.float64(0.5)])
def test_ids_that_no_file_holds_are_refused(tmp_path, image_id):
    with PredictionWriter(tmp_path, CATALOGUE) as writer, pytest.raises(ValueError, match=r"image.*; expected"):
        writer.write(image_id, MAP, SEGMENTS)


def test_a_closed_writer_says_so(tmp_path):
    writer = PredictionWriter(tmp_path, CATALOGUE)
    writer.close()
    with pytest.raises(ValueError, match="the writer is closed; expected a new one"):
        writer.write(1, MAP, SEGMENTS)


def test_damaged_records_are_not_written_over(tmp_path):
    (tmp_path / "records.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"records\.jsonl: line 1 is damaged"):
        PredictionWriter(tmp_path, CATALOGUE)
