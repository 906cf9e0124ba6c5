import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_maps
from drawings import CAR, table
from table_equality import assert_equal

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError
from panoptic_eval.pairs import stored
from panoptic_eval.pairs.table import Files, Origin
from panoptic_eval.score import Tables, score

ROOT = Path(__file__).parents[3]


def random_table(seed, images=4):
    categories = random_maps.catalogue(np.random.default_rng(0))
    rng = np.random.default_rng(seed)
    return random_maps.table(categories, random_maps.pairs(rng, categories, images=images))


@pytest.fixture
def path(tmp_path):
    """A run's tables, as a file."""
    write(tmp_path / stored.NAME, panoptic=random_table(1), semantic=random_table(2))
    return tmp_path / stored.NAME


def write(path, **tables):
    path.write_bytes(stored.pack(tables, path.parent))


def forge(path, change):
    """Change the arrays of a file, by name, and give it a checksum that fits."""
    with zipfile.ZipFile(path) as archive:
        arrays = {name.removesuffix(".npy"): np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()}
    header = json.loads(arrays["header"].tobytes())
    change(arrays, header)
    if "header" in arrays:
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = stored.MARK + bytes(64)
        for name, values in arrays.items():
            member = io.BytesIO()
            np.save(member, values)
            archive.writestr(f"{name}.npy", member.getvalue())
    sign(path, content.getvalue()[:-64])


def sign(path, content):
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


@pytest.mark.parametrize("seed", range(3))
def test_what_is_stored_reads_back_equal(seed, tmp_path):
    origin = Origin("somewhere", "else", "skip", missing_images=2, shard=(1, 2), warnings=("odd",))
    panoptic = replace(random_table(seed), origin=origin)
    boxes = replace(random_table(seed + 10), has_masks=False)
    write(tmp_path / "t", panoptic=panoptic, semantic=boxes)
    back = stored.load(tmp_path / "t")
    assert list(back) == ["panoptic", "semantic"]
    assert_equal(back["panoptic"], panoptic)
    assert_equal(back["semantic"], boxes)
    assert str(score(Tables(**back))) == str(score(Tables(panoptic, semantic=boxes)))  # text, as NaN is not NaN


def test_the_same_tables_are_the_same_bytes(tmp_path):
    assert stored.pack({"panoptic": random_table(1)}, tmp_path) == stored.pack({"panoptic": random_table(1)}, tmp_path)


@pytest.mark.parametrize(
    "ids", [(2**63, 2**64, -(2**70)), (7, "7", ""), ("--x7", "\ud800", "\udcff"), (-1, 0, "a\nb\x00,=1+1")]
)
def test_ids_of_images_read_back_as_they_were(ids, tmp_path):
    write(tmp_path / "t", panoptic=replace(random_table(1, images=3), image_id=ids))
    back = stored.load(tmp_path / "t")["panoptic"].image_id
    assert back == ids
    assert [type(i) for i in back] == [type(i) for i in ids]


def test_category_ids_of_any_size_read_back(tmp_path):
    drawing = table("c", "c", c=CAR)
    categories = tuple(
        Category(id_, "x", isthing=True, color=(1, 2, 3))
        for id_ in (-(2**63), 2**63 - 1, *range(len(drawing.catalogue)))
    )
    write(tmp_path / "t", panoptic=replace(drawing, catalogue=Catalogue(categories)))
    assert_equal(stored.load(tmp_path / "t")["panoptic"], replace(drawing, catalogue=Catalogue(categories)))


def test_numbers_that_need_all_their_bits_read_back(tmp_path):
    drawing = table("cb", "cb", c=CAR, b=CAR)
    pred = replace(drawing.pred, score=np.array([0.1, np.nan]), stated_area=np.array([2.0**53, 1e300]))
    write(tmp_path / "t", panoptic=replace(drawing, pred=pred))
    assert_equal(stored.load(tmp_path / "t")["panoptic"], replace(drawing, pred=pred))


def test_pictures_are_found_from_where_the_file_is(tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "link").symlink_to(tmp_path / "linked")
    files = Files(tmp_path / "gt" / "a.png", None, tmp_path / "photos" / "\udcff.jpg")
    drawing = replace(table("c", "c", c=CAR), files=(files,))
    write(tmp_path / "deep" / "link" / "t", panoptic=drawing)
    assert str(tmp_path) not in (tmp_path / "linked" / "t").read_bytes().decode("latin-1")
    assert stored.load(tmp_path / "linked" / "t")["panoptic"].files == (files,)
    (tmp_path / "linked").rename(tmp_path / "moved")
    assert stored.load(tmp_path / "moved" / "t")["panoptic"].files == (files,)


def test_any_flipped_bit_is_found_out(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in {0, len(whole) - 1, *rng.integers(0, len(whole), 400).tolist()}:
        data = bytearray(whole)
        data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"tables\.npz: .*expected the tables\.npz that --out wrote"):
            stored.load(path)


@pytest.mark.parametrize("length", [0, 1, 64, 100, -65, -1])
def test_a_file_cut_short_is_found_out(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match=r"cut short|damaged"):
        stored.load(path)


def test_a_file_of_another_program_is_none(path, tmp_path):
    np.savez(tmp_path / "theirs.npz", a=np.arange(3))
    for content in ((tmp_path / "theirs.npz").read_bytes(), b"", b"PAR1 is Parquet" * 20):
        path.write_bytes(content)
        with pytest.raises(InputError, match="holds no pair tables"):
            stored.load(path)


def test_what_is_no_file_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="holds no finished run"):
        stored.load(tmp_path / "tables.npz")
    for name in ("folder", "loop"):
        with pytest.raises(InputError, match=f"{name}: cannot be read"):
            stored.load(tmp_path / name)


def other_instances(arrays, header):
    about = header["tables"]["instances"] = header["tables"].pop("semantic")
    about["image_id"][0] = 77
    for name in [name for name in arrays if name.startswith("semantic")]:
        arrays[name.replace("semantic", "instances")] = arrays.pop(name)
    for column in ("gt", "pred", "pixels"):
        arrays[f"instances.pairs.{column}"] = np.zeros(0, int)


def change_array(name, values):
    return lambda arrays, header: arrays.update({name: np.asarray(values)})


def add_to(name, at, by):
    def change(arrays, header):
        arrays[name] = arrays[name].astype(np.int64)
        arrays[name][at] += by

    return change


FORGED = {
    "another format": lambda a, h: h.update(format=99),
    "another program": lambda a, h: h.update(program="theirs"),
    "no header": lambda a, h: a.pop("header"),
    "no array": lambda a, h: a.pop("panoptic.pairs.gt"),
    "a table without its arrays": lambda a, h: h["tables"].update(instances=h["tables"]["semantic"]),
    "arrays without their table": lambda a, h: h["tables"].pop("semantic"),
    "an array more": change_array("panoptic.pairs.more", [1]),
    "a table of another name": lambda a, h: h["tables"].update({"../../x": h["tables"].pop("semantic")}),
    "one row less": lambda a, h: a.update({"panoptic.pairs.gt": a["panoptic.pairs.gt"][1:]}),
    "one segment's score less": lambda a, h: a.update({"panoptic.gt.score": a["panoptic.gt.score"][1:]}),
    "text": change_array("panoptic.images.height", ["1", "2", "3", "4"]),
    "fractions": change_array("panoptic.images.height", [1.5, 2, 3, 4]),
    "two dimensions": change_array("panoptic.images.height", [[1, 2, 3, 4]]),
    "unsigned 64 bits": lambda a, h: a.update({"panoptic.gt.id": a["panoptic.gt.id"].astype(np.uint64)}),
    "numbers for crowd": lambda a, h: a.update({"panoptic.gt.crowd": a["panoptic.gt.crowd"].astype(int)}),
    "a segment out of range": add_to("panoptic.pairs.gt", 0, 10**6),
    "a negative segment": add_to("panoptic.pairs.pred", -1, -(10**6)),
    "an image out of range": add_to("panoptic.gt.image", -1, 10),
    "images out of order": add_to("panoptic.gt.image", 0, 3),
    "a category out of range": add_to("panoptic.gt.category_id", 0, 10**6),
    "a pixel more": add_to("panoptic.pairs.pixels", 0, 1),
    "a pixel of area more": add_to("panoptic.gt.area", 0, 1),
    "an image without pixels": add_to("panoptic.images.height", 0, -(10**6)),
    "an image too small": lambda a, h: a.update({"panoptic.images.height": np.ones(4, int)}),
    "an id twice": lambda a, h: a.update({"panoptic.gt.id": np.ones_like(a["panoptic.gt.id"])}),
    "an infinite score": lambda a, h: a["panoptic.pred.score"].__setitem__(0, np.inf),
    "an image twice": lambda a, h: h["tables"]["panoptic"]["image_id"].__setitem__(0, 2),
    "a list for an image": lambda a, h: h["tables"]["panoptic"]["image_id"].__setitem__(0, [2]),
    "a float for an image": lambda a, h: h["tables"]["panoptic"]["image_id"].__setitem__(0, 2.5),
    "an image less": lambda a, h: h["tables"]["panoptic"]["image_id"].pop(),
    "a digest less": lambda a, h: h["tables"]["panoptic"]["digest"].pop(),
    "a number for a source": lambda a, h: h["tables"]["panoptic"]["origin"].update(gt=3),
    "no origin": lambda a, h: h["tables"]["panoptic"].pop("origin"),
    "a category twice": lambda a, h: h["catalogue"].append(h["catalogue"][0]),
    "a number for a category's name": lambda a, h: h["catalogue"][0].update(name=3),
    "instances of other images": other_instances,
    "text for has_masks": lambda a, h: h["tables"]["panoptic"].update(has_masks="yes"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_table_that_cannot_be_is_refused_even_where_its_checksum_fits(path, what):
    forge(path, lambda arrays, header: None)
    stored.load(path)  # so that it is the change alone that is refused
    forge(path, FORGED[what])
    with pytest.raises(InputError) as error:
        stored.load(path)
    assert str(path) in str(error.value)


def test_what_unpacks_to_many_times_its_size_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(stored, "SMALL", 10_000)
    forge(path, change_array("panoptic.pairs.more", np.zeros(3_000_000, np.int64)))
    with pytest.raises(InputError, match="many times its size"):
        stored.load(path)


def test_an_array_cannot_claim_more_than_there_is(path):
    """NumPy would make room for what an array's head says before it reads."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.comment = stored.MARK + bytes(64)
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"shape": (2**60,), "fortran_order": False, "descr": "<i8"})
        archive.writestr("header.npy", head.getvalue())
    sign(path, content.getvalue()[:-64])
    with pytest.raises(InputError, match="instead of 1152921504606846976"):
        stored.load(path)


def test_detections_may_overlap_but_not_exceed_their_masks(tmp_path):
    drawing = table("cc", "cc", c=CAR)
    write(tmp_path / "t", panoptic=drawing, instances=drawing)
    stored.load(tmp_path / "t")
    more = replace(drawing, pairs=replace(drawing.pairs, pixels=drawing.pairs.pixels + 1))
    write(tmp_path / "t", panoptic=drawing, instances=more)
    with pytest.raises(InputError, match="more pixels than its segment"):
        stored.load(tmp_path / "t")
