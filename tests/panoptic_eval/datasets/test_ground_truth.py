import folders
import pytest

from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError

WRITERS = {
    "mvd": lambda root: folders.write_mapillary(root, {"a": [[0]]}),
    "idd": lambda root: folders.write_idd(root, {"1/a": [[0]]}),
    "cityscapes": lambda root: folders.write_cityscapes(root, {"ulm_0_0": [[7]]}),
    "coco": lambda root: folders.write_coco(
        root / "annotations" / "panoptic_val2017.json", {7: ([[1]], folders.segments((1, folders.CAR)))}
    ),
}
SOURCES = {"mvd": "Mapillary Vistas v1.2", "idd": "IDD", "cityscapes": "Cityscapes", "coco": "COCO panoptic"}
USUAL = {"mvd": "Mapillary-Vistas", "idd": "IDD_Segmentation", "cityscapes": "cityscapes", "coco": "COCO"}


@pytest.mark.parametrize("name", WRITERS)
def test_by_name_below_a_root(tmp_path, monkeypatch, name):
    WRITERS[name](tmp_path / USUAL[name])
    assert SOURCES[name] in ground_truth(name, root=tmp_path).source
    assert SOURCES[name] in ground_truth(name, root=str(tmp_path)).source
    assert SOURCES[name] in ground_truth(name, root=tmp_path / USUAL[name]).source  # the root is the data set
    monkeypatch.setenv("PANOPTIC_DATA", str(tmp_path))
    assert SOURCES[name] in ground_truth(name).source


@pytest.mark.parametrize("name", WRITERS)
def test_by_path(tmp_path, name):
    WRITERS[name](tmp_path / "x")
    assert SOURCES[name] in ground_truth(tmp_path / "x").source
    assert SOURCES[name] in ground_truth(str(tmp_path / "x")).source


def test_a_root_with_all_of_them(tmp_path):
    for name, write in WRITERS.items():
        write(tmp_path / USUAL[name])
    for name, source in SOURCES.items():
        assert source in ground_truth(name, root=tmp_path).source


@pytest.mark.parametrize("inside", ["gtFine", "annotations"])
def test_by_the_path_of_its_annotations(tmp_path, inside):
    name = {"gtFine": "cityscapes", "annotations": "coco"}[inside]
    WRITERS[name](tmp_path)
    assert SOURCES[name] in ground_truth(tmp_path / inside).source


def test_by_the_path_of_a_json(tmp_path):
    path = WRITERS["coco"](tmp_path)
    assert ground_truth(path).maps == ground_truth(tmp_path).maps
    with pytest.raises(InputError, match="no split"):
        ground_truth(path, split="val")


def test_only_mapillary_has_versions(tmp_path):
    for name, write in WRITERS.items():
        write(tmp_path / name)
    assert "v1.2" in ground_truth("mvd", root=tmp_path, version="1.2").source
    with pytest.raises(InputError, match="which has no versions; expected mvd, or no version"):
        ground_truth("coco", root=tmp_path, version="1.2")


def test_splits_are_passed_on(tmp_path):
    folders.write_mapillary(tmp_path, {"v": [[0]]})
    folders.write_mapillary(tmp_path, {"t": [[0]]}, split="training")
    assert ground_truth(tmp_path, split="train").maps[0].image_id == "t"


def test_what_is_not_found_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("PANOPTIC_DATA", raising=False)
    with pytest.raises(InputError, match=r"PANOPTIC_DATA"):
        ground_truth("mvd")
    with pytest.raises(InputError, match=r"none.*does not exist"):
        ground_truth("mvd", root=tmp_path / "none")
    (tmp_path / "Cityscapes").mkdir()
    with pytest.raises(InputError) as error:
        ground_truth("cityscapes", root=tmp_path)
    assert all(part in str(error.value) for part in ("instanceIds.png", str(tmp_path / "Cityscapes"), "usual names"))
    with pytest.raises(InputError, match=r"nowhere.*does not exist; expected one of mvd, idd, cityscapes, coco"):
        ground_truth(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no ground truth recognized.*config.*instancelevel3Ids.*panoptic_"):
        ground_truth(tmp_path)


@pytest.mark.parametrize("name", WRITERS)
def test_what_begins_with_a_dot_is_not_there(tmp_path, name):
    WRITERS[name](tmp_path)
    before = ground_truth(tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        (path.parent / f"._{path.name}").write_bytes(b"Mac OS X")
        (path.parent / ".ipynb_checkpoints").mkdir(exist_ok=True)
        (path.parent / ".ipynb_checkpoints" / path.name).write_bytes(path.read_bytes())
    assert ground_truth(tmp_path).maps == before.maps


def test_names_of_files_may_end_in_capitals(tmp_path):
    WRITERS["mvd"](tmp_path)
    png = tmp_path / "validation" / "instances" / "a.png"
    png.rename(png.with_suffix(".PNG"))
    assert [m.png.name for m in ground_truth(tmp_path).maps] == ["a.PNG"]
