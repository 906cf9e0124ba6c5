"""The pair tables of a run as one file, tables.npz: arrays that NumPy reads, and a header as JSON.

The file ends with a SHA-256 of all that comes before it. See docs/tables.md for what is inside.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError
from panoptic_eval.files import read_regular
from panoptic_eval.pairs.counts import Pairs
from panoptic_eval.pairs.table import Files, Origin, PairTable, Segments, pair_image
from panoptic_eval.shapes import Int, Shaped

NAME = "tables.npz"
FORMAT = 1
PROGRAM = "panoptic-eval pair tables"
MARK = b"panoptic-eval sha256 "
"""Starts the comment at the end of the file; 64 hexadecimal digits follow."""
LIMIT = 16 << 30
"""Bytes of the largest file that is read."""
GROWTH = 200
"""Times its size a file may grow when it is unpacked, beyond SMALL; tables grow by about 5."""
SMALL = 64 << 20
"""Bytes that any file may grow to."""
LEVEL = 4
"""Level of compression: half the time of 6, and a hundredth larger."""
TABLES = ("panoptic", "instances", "semantic")
BOX = ("x", "y", "width", "height")


def pack(tables: Mapping[str, PairTable], folder: Path, *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Make the content of a file that holds the tables of one run, by name.

    Args:
        tables: panoptic and, if there are any, instances and semantic; of one catalogue.
        folder: in which the file will be; the paths of images are stored relative to it.
        compression: of the archive's members, one of those of `zipfile`: LZMA takes longer for a fifth less.
    """
    header = {
        "program": PROGRAM,
        "format": FORMAT,
        "catalogue": [_category(category) for category in tables["panoptic"].catalogue.categories],
        "tables": {name: _header(table, folder) for name, table in tables.items()},
    }
    members = {"header": np.frombuffer(json.dumps(header).encode("ascii"), np.uint8)}
    for name, table in tables.items():
        members |= {f"{name}.{column}": smallest(values) for column, values in _columns(table).items()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.comment = MARK + bytes(64)
        for name, values in members.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, values, version=(1, 0), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), compression, LEVEL)
    packed = memoryview(file.getbuffer())[:-64]
    return bytes(packed) + hashlib.sha256(packed).hexdigest().encode()


def load(path: Path) -> dict[str, PairTable]:
    """Read the tables of a run, by name.

    Raises:
        InputError: the file cannot be read, is damaged, of another program or format, or contradicts itself.
    """
    try:
        data = read_regular(path, LIMIT)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{path.parent}: holds no finished run, {NAME} is not there; expected the folder that --out named in "
            "panoptic-eval --pred PATH --gt NAME --out FOLDER"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); expected the {NAME} that --out wrote") from error
    if data[-64 - len(MARK) : -64] != MARK:
        raise InputError(f"{path}: holds no pair tables, or is cut short; expected the {NAME} that --out wrote")
    if hashlib.sha256(memoryview(data)[:-64]).hexdigest().encode() != data[-64:]:
        raise InputError(f"{path}: is damaged: its checksum does not fit; expected the {NAME} that --out wrote")
    try:
        return _unpack(data, os.path.realpath(path.parent))
    except Exception as error:  # whatever zipfile, NumPy and the constructors raise for a file that was made to mislead
        what = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        raise InputError(
            f"{path}: cannot be used: {what}; expected the {NAME} that this version of --out wrote"
        ) from error


def _category(category: Category) -> dict[str, Any]:
    """Collect what is known of a category, for JSON; a group that it does not have is left out."""
    values = asdict(category)
    if category.supercategory is None:
        del values["supercategory"]
    return values


def smallest(values: Shaped[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
    """Return the same numbers in the smallest type that holds them exactly.

    >>> smallest(np.array([3, 200])).dtype, smallest(np.array([1.0, np.nan])).dtype, smallest(np.array([0.1])).dtype
    (dtype('uint8'), dtype('float32'), dtype('float64'))
    """
    if values.dtype == bool:
        return values
    whole = values.dtype.kind != "f" or np.isfinite(values).all()
    for kind in ("u1", "i1", "u2", "i2", "u4", "i4", "i8") if whole else ():
        bounds = np.iinfo(kind)
        if values.size and not (bounds.min <= values.min() and values.max() <= bounds.max):
            continue
        if np.array_equal(values.astype(kind), values):
            return values.astype(kind)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single if np.array_equal(single, values, equal_nan=True) else values


def _header(table: PairTable, folder: Path) -> dict[str, Any]:
    """Collect what a table's arrays do not say, for JSON."""
    files = [list(vars(files).values()) for files in table.files]
    ways = {parent: _way(parent, folder) for parent in {path.parent for paths in files for path in paths if path}}
    return {
        "origin": {f.name: v for f in fields(Origin) if (v := getattr(table.origin, f.name)) != f.default},
        "has_masks": table.has_masks,
        "image_id": table.image_id,
        "digest": table.digest,
        "files": [[path and f"{ways[path.parent]}/{path.name}" for path in paths] for paths in files],
    }


def _columns(table: PairTable) -> dict[str, Shaped[np.ndarray, " n"]]:
    """Return all arrays of a table, by the name of a part and a column."""
    columns = {"images.height": table.size[:, 0], "images.width": table.size[:, 1]}
    for side, segments in (("gt", table.gt), ("pred", table.pred)):
        named = {**_given(segments), "category": table.catalogue.ids[segments.category]}
        box = named.pop("box")
        named |= dict(zip(BOX, box.T, strict=True))
        columns |= {f"{side}.{'category_id' if name == 'category' else name}": v for name, v in named.items()}
    if len(table.unseen):
        columns |= {"unseen.image": table.unseen[:, 0], "unseen.category_id": table.catalogue.ids[table.unseen[:, 1]]}
    return columns | {f"pairs.{name}": values for name, values in _given(table.pairs).items()}


def _given(columns: Segments | Pairs) -> dict[str, Shaped[np.ndarray, " n"]]:
    """Return the arrays that there are: none of boundaries where these were not counted."""
    return {name: values for name, values in vars(columns).items() if values is not None}


def _unpack(data: bytes, folder: str) -> dict[str, PairTable]:
    """Read the tables in a file whose checksum fits.

    Raises:
        ValueError: it is of another program or format, or contradicts itself.
        Exception: it is of a form that no version writes.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > max(SMALL, GROWTH * len(data)):
            raise ValueError("it would unpack to many times its size")
        arrays = {info.filename.removesuffix(".npy"): _array(archive.read(info)) for info in infos}
    header = json.loads(arrays.pop("header").tobytes())
    if header["program"] != PROGRAM or header["format"] != FORMAT:
        raise ValueError(f"it is of format {header['format']} of {header['program']!r}, not of format {FORMAT}")
    categories = [Category(**{**c, "color": c["color"] and tuple(c["color"])}) for c in header["catalogue"]]
    _check_types(str, *(c.name for c in categories))
    _check_types(bool, *(c.isthing for c in categories))
    _check_types(str, *(c.supercategory for c in categories if c.supercategory is not None))
    catalogue = Catalogue(tuple(categories))
    tables = {}
    for name, about in header["tables"].items():
        if name not in TABLES:
            raise ValueError(f"it holds a table named {name!r}")
        columns = {key.removeprefix(f"{name}."): arrays.pop(key) for key in list(arrays) if key.startswith(f"{name}.")}
        tables[name] = _table(about, columns, catalogue, folder)
        if columns:
            raise ValueError(f"it holds arrays that no table has: {', '.join(columns)}")
        if fault := contradiction(tables[name], overlapping=name == "instances"):
            raise ValueError(f"it contradicts itself: {name}: {fault}")
    if arrays or "panoptic" not in tables:
        raise ValueError("it holds other arrays than its header says")
    if "instances" in tables and tables["instances"].image_id != tables["panoptic"].image_id:
        raise ValueError("it contradicts itself: instances: its images are others than those of panoptic")
    return tables


def _array(content: bytes) -> Shaped[np.ndarray, " n"]:
    """Read an array of one dimension in NumPy's format, whose head cannot ask for more memory than there is content."""
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("another version of NumPy's format")
    (length,), _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in "buif":
        raise ValueError(f"an array of {dtype}")
    values = np.frombuffer(content, dtype, offset=stream.tell())
    if len(values) != length:
        raise ValueError(f"an array of {len(values)} instead of {length} values")
    return values


def _table(
    about: Mapping[str, Any], columns: dict[str, Shaped[np.ndarray, " n"]], catalogue: Catalogue, folder: str
) -> PairTable:
    """Return a table from its part of the header and its arrays, which are taken out of `columns`."""

    def integers(name: str) -> Int[np.ndarray, " n"]:
        return columns.pop(name).astype(np.int64, casting="safe")

    def numbers(name: str) -> Shaped[np.ndarray, " n"]:
        return columns.pop(name).astype(np.float64, casting="same_kind")

    def segments(side: str) -> Segments:
        area = columns.pop(f"{side}.area")  # pixels, or those of a box, which need not be whole
        return Segments(
            image=integers(f"{side}.image"),
            id=integers(f"{side}.id"),
            category=catalogue.index(integers(f"{side}.category_id")),
            area=area.astype(np.float64 if area.dtype.kind == "f" else np.int64, casting="safe"),
            stated_area=numbers(f"{side}.stated_area"),
            box=np.stack([numbers(f"{side}.{name}") for name in BOX], axis=1),
            crowd=columns.pop(f"{side}.crowd").astype(bool, casting="no"),
            score=numbers(f"{side}.score"),
            near=integers(f"{side}.near") if f"{side}.near" in columns else None,
        )

    unseen = np.empty((0, 2), np.int64)
    if "unseen.image" in columns:
        unseen = np.stack([integers("unseen.image"), catalogue.index(integers("unseen.category_id"))], axis=1)
    given = about["origin"]
    origin = Origin(**{**given, **{name: tuple(given[name]) for name in ("shard", "warnings") if name in given}})
    _check_types(str, origin.gt, origin.pred, origin.missing, origin.path, *origin.warnings, *about["digest"])
    _check_types(int, origin.missing_images, origin.reference_images, *origin.shard)
    _check_types(float, origin.boundary)
    _check_types(bool, about["has_masks"])
    return PairTable(
        catalogue=catalogue,
        image_id=tuple(about["image_id"]),
        size=np.stack([integers("images.height"), integers("images.width")], axis=1),
        digest=tuple(about["digest"]),
        gt=segments("gt"),
        pred=segments("pred"),
        pairs=Pairs(
            **{f.name: integers(f"pairs.{f.name}") for f in fields(Pairs) if f.name != "near"},
            near=integers("pairs.near") if "pairs.near" in columns else None,
        ),
        unseen=unseen,
        has_masks=about["has_masks"],
        origin=origin,
        files=tuple(
            Files(_absolute(folder, gt), pred and _absolute(folder, pred), photograph and _absolute(folder, photograph))
            for gt, pred, photograph in about["files"]
        ),
    )


def _check_types(wanted: type, *values: object) -> None:
    """Raise TypeError unless all values are of a type."""
    for value in values:
        if type(value) is not wanted:
            raise TypeError(f"{value!r} instead of {wanted.__name__}")


def contradiction(table: PairTable, *, overlapping: bool) -> str:
    """Say what in a table cannot be; empty if all is well.

    Args:
        table: any.
        overlapping: whether its segments are detections, which may overlap; else pairs cover each pixel once.
    """
    images, pairs = len(table), table.pairs
    if {len(table.size), len(table.digest)} != {images} or len(table.files) not in (0, images):
        return "its images have different numbers of ids, sizes, digests and files"
    if not all(type(i) in (int, str) for i in table.image_id) or len(set(table.image_id)) < images:
        return "an image id is no integer and no string, or occurs twice"
    if (table.size < 1).any():
        return "an image has no pixel"
    for side, segments in (("gt", table.gt), ("pred", table.pred)):
        if fault := _contradiction_of(segments, images):
            return f"{side}: {fault}"
    if len({len(values) for values in _given(pairs).values()}) > 1:
        return "its pairs have columns of different lengths"
    sides = ((pairs.gt, table.gt), (pairs.pred, table.pred))
    if fault := _contradiction_of_boundaries(table):
        return fault
    if any(((index < -1) | (index >= len(segments))).any() for index, segments in sides):
        return "a pair names a segment that is not there"
    if ((pairs.gt < 0) & (pairs.pred < 0)).any() or (pairs.pixels < 1).any():
        return "a pair is void on both sides, or has no pixel"
    both = (pairs.gt >= 0) & (pairs.pred >= 0)
    if (table.gt.image[pairs.gt[both]] != table.pred.image[pairs.pred[both]]).any():
        return "a pair is of segments of two images"
    if (np.diff(np.sort(pairs.gt * (len(table.pred) + 1) + pairs.pred)) == 0).any():
        return "a pair occurs twice"
    if (table.unseen < 0).any() or (table.unseen[:, 0] >= images).any():
        return "a segment without pixels is of an image or category that is not there"
    image = pair_image(table)
    if (np.diff(image) < 0).any():
        return "its pairs do not go image by image"
    for index, segments in sides:
        solid = index >= 0
        if overlapping:
            if not solid.all() or (pairs.pixels > segments.area[index]).any():
                return "a pair is of void, or has more pixels than its segment"
        else:
            missing = segments.area - np.bincount(index[solid], pairs.pixels[solid], len(segments))
            # Pixels of a gt id that its JSON does not list are in the area of a prediction and in no pair.
            if (missing < 0).any() or (segments is table.gt and missing.any()):
                return "the pixels of its pairs do not add up to the areas of its segments"
    if not overlapping and (np.bincount(image, pairs.pixels, images) > table.size.prod(1)).any():
        return "an image has more pixels in pairs than in all"
    return ""


def _contradiction_of(segments: Segments, images: int) -> str:
    """Say what in the segments of one side cannot be; empty if all is well."""
    if len({len(values) for values in _given(segments).values()}) > 1:
        return "its columns have different lengths"
    if len(segments) and (segments.image[0] < 0 or segments.image[-1] >= images):
        return "a segment is of an image that is not there"
    if (np.diff(segments.image) < 0).any():
        return "its segments do not go image by image"
    if (segments.category < 0).any():
        return "a category is not in the catalogue"
    order = np.lexsort((segments.id, segments.image))
    if ((np.diff(segments.image[order]) == 0) & (np.diff(segments.id[order]) == 0)).any():
        return "an id occurs twice in an image"
    if (segments.area < 0).any() or not np.isfinite(segments.area).all() or not np.isfinite(segments.box).all():
        return "an area or a box is no number"
    if np.isinf(segments.score).any() or np.isinf(segments.stated_area).any():
        return "a score or a stated area is infinite"
    return ""


def _contradiction_of_boundaries(table: PairTable) -> str:
    """Say what in the pixels near boundaries cannot be; empty if all is well."""
    parts = (table.pairs, table.gt, table.pred) if table.has_masks else (table.pairs, table.gt)
    if {part.near is not None for part in parts} != {table.origin.boundary > 0}:
        return "boundaries are counted in a part of it"
    sizes = ((table.pairs.near, table.pairs.pixels), (table.gt.near, table.gt.area), (table.pred.near, table.pred.area))
    if any(near is not None and ((near < 0) | (near > all_)).any() for near, all_ in sizes):
        return "more pixels are near a boundary than there are"
    return ""


def _way(start: Path, folder: Path) -> str:
    """Return the way from a folder to another one, with slashes; absolute where that lies on another drive.

    Links are resolved: `..` leads elsewhere from a linked folder.
    """
    real = os.path.realpath(start)
    try:
        return Path(os.path.relpath(real, os.path.realpath(folder))).as_posix()
    except ValueError:
        return Path(real).as_posix()


def _absolute(folder: str, path: str) -> Path:
    """Return a path that was stored relative to a folder, which is given without links."""
    return Path(path if os.path.isabs(path) else os.path.normpath(f"{folder}/{path}"))  # noqa: PTH117 (fast)
