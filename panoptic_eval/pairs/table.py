"""The table of segment pairs: all that is left of the pixels, and all that a metric sees."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError
from panoptic_eval.labels import ImageId

FORMAT = 1


@dataclass(frozen=True)
class Segments:
    """Segments of one side, image by image, within an image in the order that decides ties; void is none of them."""

    image: Int[np.ndarray, " n"]
    """Index into the table's images, ascending."""
    id: Int[np.ndarray, " n"]
    """As in the PNG; unique within an image."""
    category: Int[np.ndarray, " n"]
    """Index into the catalogue."""
    area: Int[np.ndarray, " n"]
    """Pixels, counted."""
    stated_area: Float[np.ndarray, " n"]
    """As the annotation's JSON states it; NaN where it does not."""
    box: Float[np.ndarray, "n 4"]
    """x, y, width, height, pixels of the image: COCO's form, which keeps a width that was given exact."""
    crowd: Bool[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]
    """Of a prediction; NaN where none is given."""

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class PairTable:
    """Segments of both sides, and for every two that overlap the pixels they share.

    Tables of different images add by `concatenate`. In a table of label maps the pairs, those with void included,
    cover every pixel that is not void on both sides exactly once; in one of overlapping detections they need not.
    """

    catalogue: Catalogue
    image_id: tuple[ImageId, ...]
    size: Int[np.ndarray, "i 2"]
    """Height, width of each image, pixels."""
    digest: tuple[str, ...]
    """What each image's two files contained (SHA-256); empty where the table is not of files."""
    gt: Segments
    pred: Segments
    pair_gt: Int[np.ndarray, " k"]
    """Index into `gt`; -1 is void. Pairs go image by image."""
    pair_pred: Int[np.ndarray, " k"]
    """Index into `pred`; -1 is void. Never void on both sides."""
    pair_pixels: Int[np.ndarray, " k"]
    about: Mapping[str, Any] = field(default_factory=dict)
    """Where it comes from (sources, fingerprints, choices): JSON values, stored with the table."""

    def __len__(self) -> int:
        return len(self.image_id)


def concatenate(tables: Sequence[PairTable]) -> PairTable:
    """One table of all images, in the order given; `about` is the first one's.

    Raises:
        InputError: no table, catalogues that differ, or an image that two tables hold.
    """
    if not tables:
        raise InputError("there is no pair table to join; expected at least one")
    first = tables[0]
    if any(t.catalogue != first.catalogue for t in tables):
        raise InputError("the pair tables have different categories; expected tables of one data set")
    image_id = tuple(i for t in tables for i in t.image_id)
    if len(set(image_id)) < len(image_id):
        seen: set[ImageId] = set()
        doubles = [i for i in image_id if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
        raise InputError([f"image {i!r} is in more than one pair table; expected it in one" for i in doubles])
    image_at = np.cumsum([0, *(len(t) for t in tables)])
    sides: dict[str, Any] = {}
    for side in ("gt", "pred"):
        parts = [getattr(t, side) for t in tables]
        joined = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Segments)}
        joined["image"] = np.concatenate([p.image + at for p, at in zip(parts, image_at, strict=False)])
        at = np.cumsum([0, *(len(p) for p in parts)])
        pairs = [getattr(t, f"pair_{side}") for t in tables]
        sides[side] = Segments(**joined)
        sides[f"pair_{side}"] = np.concatenate([np.where(p < 0, p, p + a) for p, a in zip(pairs, at, strict=False)])
    digest = tuple(d for t in tables for d in t.digest)
    size = np.concatenate([t.size for t in tables])
    pixels = np.concatenate([t.pair_pixels for t in tables])
    return replace(first, image_id=image_id, digest=digest, size=size, pair_pixels=pixels, **sides)


def take(table: PairTable, images: Int[np.ndarray, " m"]) -> PairTable:
    """The table of some of its images, in the order given; each at most once."""
    new = np.full(len(table), -1)
    new[images] = np.arange(len(images))
    kept: dict[str, Any] = {}
    at: dict[str, Int[np.ndarray, " n"]] = {}
    for side in ("gt", "pred"):
        segments: Segments = getattr(table, side)
        rows = np.flatnonzero(new[segments.image] >= 0)
        rows = rows[np.argsort(new[segments.image[rows]], kind="stable")]
        kept[side] = Segments(**{f.name: getattr(segments, f.name)[rows] for f in fields(Segments)})
        kept[side] = replace(kept[side], image=new[kept[side].image])
        at[side] = np.full(len(segments) + 1, -1)  # the last entry serves void, whose index is -1
        at[side][rows] = np.arange(len(rows))
    image = pair_image(table)
    pairs = np.flatnonzero(new[image] >= 0)
    pairs = pairs[np.argsort(new[image[pairs]], kind="stable")]
    return replace(
        table,
        image_id=tuple(table.image_id[i] for i in images.tolist()),
        size=table.size[images],
        digest=tuple(table.digest[i] for i in images.tolist()),
        gt=kept["gt"],
        pred=kept["pred"],
        pair_gt=at["gt"][table.pair_gt[pairs]],
        pair_pred=at["pred"][table.pair_pred[pairs]],
        pair_pixels=table.pair_pixels[pairs],
    )


def pair_image(table: PairTable) -> Int[np.ndarray, " k"]:
    """Image index of each pair: that of whichever segment is not void."""
    void = np.array([-1], np.int64)
    gt_image, pred_image = np.append(table.gt.image, void), np.append(table.pred.image, void)
    image: Int[np.ndarray, " k"] = np.where(table.pair_gt >= 0, gt_image[table.pair_gt], pred_image[table.pair_pred])
    return image


def save(table: PairTable, folder: Path) -> None:
    """Write images.parquet, segments.parquet and pairs.parquet; an existing folder is replaced when all is written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def segments(side: str) -> dict[str, Any]:
        s: Segments = getattr(table, side)
        box = dict(zip(("x", "y", "width", "height"), s.box.T, strict=True))
        return {
            "side": np.full(len(s), side),
            "image": s.image.astype(np.int32),
            "id": s.id.astype(np.int64),
            "category_id": table.catalogue.ids[s.category],
            "area": s.area.astype(np.int64),
            "stated_area": s.stated_area,
            **box,
            "crowd": s.crowd,
            "score": s.score,
        }

    about = {"format": FORMAT, "catalogue": [_category_json(c) for c in table.catalogue.categories], **table.about}
    images = {
        "image_id": list(table.image_id),
        "height": table.size[:, 0],
        "width": table.size[:, 1],
        "digest": list(table.digest),
    }
    both = [segments("gt"), segments("pred")]
    pairs = {
        "gt": table.pair_gt.astype(np.int32),
        "pred": table.pair_pred.astype(np.int32),
        "pixels": table.pair_pixels.astype(np.int64),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        schema = {"panoptic_eval": json.dumps(about)}
        pq.write_table(pa.table(images).replace_schema_metadata(schema), work / "images.parquet")
        pq.write_table(pa.table({k: np.concatenate([s[k] for s in both]) for k in both[0]}), work / "segments.parquet")
        pq.write_table(pa.table(pairs), work / "pairs.parquet")
        if folder.exists():
            shutil.rmtree(folder)
        work.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def load(folder: Path) -> PairTable:
    """Read what `save` wrote.

    Raises:
        InputError: the folder holds no pair table, or one of another format.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = {name: pq.read_table(folder / f"{name}.parquet") for name in ("images", "segments", "pairs")}
        about = json.loads(read["images"].schema.metadata[b"panoptic_eval"])
        if about.pop("format") != FORMAT:
            raise InputError(f"{folder}: is a pair table of another format; expected format {FORMAT}")
        catalogue = Catalogue(tuple(_category(c) for c in about.pop("catalogue")))
        both = {name: column.to_numpy(zero_copy_only=False) for name, column in _columns(read["segments"])}
        pairs = {name: column.to_numpy() for name, column in _columns(read["pairs"])}
    except (OSError, pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: is no pair table ({error}); expected the folder that --out wrote") from error

    def segments(side: str) -> Segments:
        rows = both["side"] == side
        s = {name: column[rows] for name, column in both.items()}
        box = np.stack([s[k] for k in ("x", "y", "width", "height")], axis=1)
        category = catalogue.index(s["category_id"])
        return Segments(
            s["image"], s["id"], category, s["area"], s["stated_area"], box, s["crowd"].astype(bool), s["score"]
        )

    images = read["images"]
    size = np.stack([images[k].to_numpy() for k in ("height", "width")], axis=1)
    return PairTable(
        catalogue,
        tuple(images["image_id"].to_pylist()),
        size,
        tuple(images["digest"].to_pylist()),
        segments("gt"),
        segments("pred"),
        pairs["gt"],
        pairs["pred"],
        pairs["pixels"],
        about,
    )


def _columns(table: Any) -> list[tuple[str, Any]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _category_json(category: Category) -> dict[str, Any]:
    return {"id": category.id, "name": category.name, "isthing": category.isthing, "color": category.color}


def _category(entry: Mapping[str, Any]) -> Category:
    color = entry["color"]
    return Category(entry["id"], entry["name"], entry["isthing"], tuple(color) if color else None)
