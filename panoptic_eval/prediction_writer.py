"""Makes a directory of predictions from arrays, image by image, and goes on where it was killed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import orjson
from PIL import Image
from pycocotools import mask as mask_utils

from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.panoptic_json import MAX_ID
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import ImageId, other_type
from panoptic_eval.pairs.reference import ids_of
from panoptic_eval.shapes import Integer

RECORDS = "records.jsonl"
"""A line for each finished image of a directory that is not closed."""
COMPRESSION = 1
"""Of PNGs: half the time of zlib's default; label images are small at any level."""
TEMPORARY = (".*.json.*", ".*.jsonl.*", "panoptic/.*.png.*", "semantic/.*.png.*")
"""Names of half-written files; see `write_atomically`."""


class PredictionWriter:
    """A directory of predictions in the making: panoptic/*.png, semantic/*.png, and their JSONs when it is closed.

    Until then, finished images stand in records.jsonl. Whatever is half-written when the process is killed is not in
    it, and is removed when the next writer opens the directory. One writer at a time.

        with PredictionWriter(out, catalogue) as writer:
            for image_id, image in images:
                if not writer.done(image_id):
                    writer.write(image_id, *network(image))

    Args:
        directory: new, or one that a writer of this kind has begun or finished.
        catalogue: categories that predictions may have.

    Raises:
        InputError: the directory holds PNGs that no such writer has made, or records that are damaged.
    """

    def __init__(self, directory: Path, catalogue: Catalogue) -> None:
        self.directory = directory
        self.catalogue = catalogue
        self._records = directory / RECORDS
        resumed = self._records.exists()
        if not resumed:
            write_atomically(self._records, b"".join(_reopened(directory)))
        kept = self._records.read_bytes()
        whole = kept[: kept.rfind(b"\n") + 1]  # the rest is of a line that a kill cut short
        names: set[str] = set()
        self._done: set[ImageId] = set()
        try:
            for line in whole.splitlines():
                annotation = orjson.loads(line)["annotation"]
                names.add(annotation["file_name"])
                self._done.add(annotation["image_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._records}: is damaged ({error}); expected what a writer has written") from error
        for left in (path for pattern in TEMPORARY for path in directory.glob(pattern)):
            left.unlink()
        for png in [*directory.glob("panoptic/*.png"), *directory.glob("semantic/*.png")] if resumed else []:
            if png.name not in names:  # written just before a kill
                png.unlink()
        self._file = self._records.open("r+b")
        self._file.truncate(len(whole))
        self._file.seek(len(whole))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:  # what is finished stays for the next writer
            self._file.close()

    def done(self, image_id: ImageId) -> bool:
        """Whether an image is written already."""
        return image_id in self._done

    def write(
        self,
        image_id: ImageId,
        labels: Integer[np.ndarray, "h w"],
        segments: Sequence[Mapping[str, Any]],
        *,
        instances: Sequence[Mapping[str, Any]] | None = None,
        semantic: Integer[np.ndarray, "h w"] | None = None,
    ) -> None:
        """Writes one image's predictions.

        Args:
            labels: the segment's id at each pixel, 1 to 2**24 - 1; 0 is void.
            segments: `id`, `category_id` and, optionally, `score` of each; their order decides ties between scores.
            instances: detections before fusion: `category_id`, `score`, and `segmentation` (a bool array (h, w), or
                COCO run lengths), `bbox` (x, y, width, height, pixels) or both.
            semantic: category id at each pixel; 0, 255 and 65535 are void unless they are categories.

        Raises:
            ValueError: written already, or values that could not be scored; nothing is written then.
        """
        image_id = image_id if isinstance(image_id, str) else int(image_id)  # NumPy's integers are not JSON's
        if image_id in self._done:
            raise ValueError(f"image {image_id!r} is written already")
        if other_type(image_id, self._done):
            raise ValueError(f"{other_type(image_id, self._done)}; expected ids of one type")
        name = png_name(image_id)
        annotation = {
            "image_id": image_id,
            "file_name": name,
            "segments_info": _segments_info(labels, segments, self.catalogue, image_id),
        }
        found = None if instances is None else _results(instances, labels.shape, self.catalogue, image_id)
        if semantic is not None:
            write_atomically(
                self.directory / "semantic" / name, _semantic_png(semantic, labels.shape, self.catalogue, image_id)
            )
        write_atomically(self.directory / "panoptic" / name, _panoptic_png(labels))
        image = {"id": image_id, "height": labels.shape[0], "width": labels.shape[1]}
        self._file.write(_record(image, annotation, found))
        self._file.flush()
        self._done.add(image_id)

    def close(self) -> None:
        """Writes panoptic.json, and instances.json if there were any; the directory can be scored from then on."""
        if self._file.closed:
            return
        self._file.close()
        images, annotations, instances = [], [], []
        has_instances = False
        with self._records.open("rb") as lines:
            for line in lines:
                record = orjson.loads(line)
                images.append(record["image"])
                annotations.append(orjson.Fragment(orjson.dumps(record["annotation"])))
                has_instances |= record["instances"] is not None
                instances += [orjson.Fragment(orjson.dumps(one)) for one in record["instances"] or ()]
        categories = [
            {"id": c.id, "name": c.name, "isthing": int(c.isthing)} | ({"color": c.color} if c.color else {})
            for c in self.catalogue.categories
        ]
        if has_instances:
            write_atomically(self.directory / "instances.json", orjson.dumps(instances))
        panoptic = {"images": images, "annotations": annotations, "categories": categories}
        write_atomically(self.directory / "panoptic.json", orjson.dumps(panoptic))
        self._records.unlink()


def png_name(image_id: ImageId) -> str:
    """Name of an image's PNGs: its id, where that can be a file's name.

    >>> png_name("city/0001"), png_name(7)
    ('city%2F0001.png', '7.png')
    """
    return f"{quote(str(image_id), safe='')}.png"


def _record(image: Any, annotation: Any, instances: Any) -> bytes:
    return orjson.dumps({"image": image, "annotation": annotation, "instances": instances}) + b"\n"


def _reopened(directory: Path) -> list[bytes]:
    """Records of a directory that was closed; none of a new one.

    Raises:
        InputError: it holds PNGs that no JSON of such a writer names: somebody else's.
    """
    path = directory / "panoptic.json"
    panoptic = json_rows.load(path) if path.is_file() else {"images": [], "annotations": []}
    results = directory / "instances.json"
    instances: dict[ImageId, list[Any]] | None = None
    try:
        if results.is_file():
            instances = {image["id"]: [] for image in panoptic["images"]}
            for one in json_rows.load(results):
                instances[one["image_id"]].append(one)
        images = {image["id"]: image for image in panoptic["images"]}
        records = [
            _record(images[a["image_id"]], a, None if instances is None else instances[a["image_id"]])
            for a in panoptic["annotations"]
        ]
        strangers = {png.name for png in directory.glob("panoptic/*.png")} - {
            a["file_name"] for a in panoptic["annotations"]
        }
    except (KeyError, TypeError) as error:
        raise InputError(f"{directory}: {path.name} or {results.name} is not what a PredictionWriter writes") from error
    if strangers:
        raise InputError(f"{directory}: holds {min(strangers)}, which no JSON there names; expected a new directory")
    return records


def _segments_info(
    labels: Integer[np.ndarray, "h w"], segments: Sequence[Mapping[str, Any]], catalogue: Catalogue, image_id: ImageId
) -> list[dict[str, Any]]:
    """Entries of the JSON, with area and box as counted.

    Raises:
        ValueError: labels and segments do not fit each other or the format.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu" or not labels.size:
        raise ValueError(
            f"image {image_id!r}: labels have shape {labels.shape}, dtype {labels.dtype}; expected integers (h, w)"
        )
    if labels.min() < 0 or labels.max() > MAX_ID:
        raise ValueError(f"image {image_id!r}: labels hold {labels.min()} to {labels.max()}; expected 0 to {MAX_ID}")
    found = ids_of(labels.astype(np.uint32))[0]
    at = {id_: k for k, id_ in enumerate(found.id.tolist()) if id_}
    ids = [int(segment["id"]) for segment in segments]
    known = set(catalogue.ids.tolist())
    faults = [f"segment id {ids[i]} is given twice" for i in json_rows.repeated(ids)]
    faults += [f"segment {id_} has no pixel" for id_ in ids if id_ not in at]
    faults += [f"pixels of id {id_} have no segment" for id_ in sorted(set(at) - set(ids))]
    faults += _value_faults(segments, known, "category")
    if faults:
        raise ValueError(f"image {image_id!r}: " + "; ".join(faults))
    entries = []
    for id_, segment in zip(ids, segments, strict=True):
        x0, y0, x1, y1 = found.box[at[id_]].tolist()
        entry: dict[str, Any] = {
            "id": id_,
            "category_id": int(segment["category_id"]),
            "area": int(found.area[at[id_]]),
        }
        entry["bbox"] = [x0, y0, x1 - x0, y1 - y0]
        if segment.get("score") is not None:
            entry["score"] = float(segment["score"])
        entries.append(entry)
    return entries


def _results(
    instances: Sequence[Mapping[str, Any]], shape: tuple[int, ...], catalogue: Catalogue, image_id: ImageId
) -> list[dict[str, Any]]:
    """COCO results of one image.

    Raises:
        ValueError: an entry that could not be scored.
    """
    things = set(catalogue.ids[catalogue.isthing].tolist())
    faults = _value_faults(instances, things, "thing category")
    results = []
    for i, instance in enumerate(instances):
        result: dict[str, Any] = {"image_id": image_id, "category_id": int(instance["category_id"])}
        if instance.get("bbox") is not None:
            result["bbox"] = [float(side) for side in instance["bbox"]]
        mask = instance.get("segmentation")
        if mask is not None:
            rle = mask if isinstance(mask, Mapping) else mask_utils.encode(np.asfortranarray(mask, np.uint8))
            counts = rle["counts"]
            result["segmentation"] = {
                "size": [int(side) for side in rle["size"]],
                "counts": counts.decode() if isinstance(counts, bytes) else counts,
            }
            if result["segmentation"]["size"] != [*shape]:
                faults.append(f"mask {i} has size {result['segmentation']['size']}; expected {[*shape]}")
        elif "bbox" not in result:
            faults.append(f"instance {i} has neither segmentation nor bbox")
        if instance.get("score") is None:
            faults.append(f"instance {i} has no score")
        else:
            result["score"] = float(instance["score"])
        results.append(result)
    if faults:
        raise ValueError(f"image {image_id!r}: " + "; ".join(faults))
    return results


def _value_faults(entries: Sequence[Mapping[str, Any]], categories: set[int], what: str) -> list[str]:
    """Categories that are not among those given, and scores that are no finite numbers."""
    faults = [
        f"category_id {entry['category_id']} is no {what}"
        for entry in entries
        if int(entry["category_id"]) not in categories
    ]
    scores = [entry["score"] for entry in entries if entry.get("score") is not None]
    return faults + [f"score {score} is not finite" for score in scores if not np.isfinite(score)]


def _panoptic_png(labels: Integer[np.ndarray, "h w"]) -> bytes:
    """R + 256 G + 65536 B is the id."""
    channels = labels.astype("<u4").view(np.uint8).reshape(*labels.shape, 4)
    return _png(np.ascontiguousarray(channels[..., :3]))


def _semantic_png(
    semantic: Integer[np.ndarray, "h w"], shape: tuple[int, ...], catalogue: Catalogue, image_id: ImageId
) -> bytes:
    """Category ids in 8 bits where all categories and values fit, else in 16.

    Raises:
        ValueError: another size, or values that are neither categories nor void.
    """
    if semantic.shape != shape or semantic.dtype.kind not in "iu":
        what = f"shape {semantic.shape}, dtype {semantic.dtype}"
        raise ValueError(f"image {image_id!r}: the semantic map has {what}; expected integers {shape}")
    values = np.unique(semantic)
    known = {0, 255, 65535, *catalogue.ids.tolist()}
    unknown = [value for value in values.tolist() if value not in known or value > 65535]
    if unknown:
        raise ValueError(
            f"image {image_id!r}: the semantic map holds {unknown}; expected category ids, or 0, 255, 65535"
        )
    return _png(semantic.astype(np.uint8 if values.max() < 256 else np.uint16))


def _png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=COMPRESSION)
    return buffer.getvalue()
