"""Makes a directory of predictions from arrays, image by image, and goes on where it was killed."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import numpy as np
import orjson
from numpy.typing import ArrayLike

from panoptic_eval import arguments
from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import json_rows
from panoptic_eval.datasets.json_rows import short
from panoptic_eval.datasets.panoptic_json import MAX_ID
from panoptic_eval.detections import compressed
from panoptic_eval.errors import InputError
from panoptic_eval.files import leftovers, write_atomically
from panoptic_eval.labels import ImageId, other_type
from panoptic_eval.png.ids import ids_of
from panoptic_eval.png.rle import encode_window, pixels
from panoptic_eval.shapes import Integer

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

RECORDS = "records.jsonl"
"""Journal of a directory that is not closed: a line that says what it is, one for each done image, with checksums."""
FORMAT, VERSION = "panoptic-eval records", 1
"""VERSION changes with what the lines hold."""
MAX_NAME = 200
"""Bytes of a PNG's name; a file system takes 255, with what is added while a file is written."""
COMPRESSION = 1
"""Level of compression of PNGs: half the time of zlib's default; label images are small at any level."""
WRITTEN = {"": ("panoptic.json", "instances.json", RECORDS), "panoptic": ("*.png",), "semantic": ("*.png",)}
"""Names of files by folder."""


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
        InputError: the directory holds PNGs that no such writer has made, records that are damaged, of another version,
            predictions of another catalogue, or another writer is open on it.
        ValueError: the catalogue is none.
    """

    def __init__(self, directory: Path | str, catalogue: Catalogue) -> None:
        if not isinstance(catalogue, Catalogue):
            raise ValueError(f"catalogue is of type {type(catalogue).__name__}; expected a Catalogue of categories")
        self.directory = directory = Path(directory)
        self.catalogue = catalogue
        self._categories = [category.to_coco() for category in catalogue.categories]
        self._records = directory / RECORDS
        head = _record({"format": FORMAT, "version": VERSION, "categories": self._categories})
        resumed = self._records.exists()
        if not resumed:
            write_atomically(self._records, b"".join([head, *_reopened(directory, self._categories)]))
        self._file = self._records.open("r+b")
        _claim(self._file, directory)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]  # the rest is of a line that a kill cut short
        first, *lines = whole.splitlines(keepends=True) or [head]
        self._check(first)
        names: set[str] = set()
        self._done: set[ImageId] = set()
        for number, line in enumerate(lines, 2):
            try:
                annotation = _content(line)["annotation"]
                names.add(annotation["file_name"])
                self._done.add(annotation["image_id"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self._records}: line {number} is damaged; expected what a writer has written: "
                    "remove the line to write its image again"
                ) from error
        for folder, files in WRITTEN.items():
            for half_written in leftovers(directory / folder, files):
                half_written.unlink()
        for png in [*directory.glob("panoptic/*.png"), *directory.glob("semantic/*.png")] if resumed else []:
            if png.name not in names:  # written just before a kill
                png.unlink()
        self._file.truncate(len(whole))
        self._file.seek(len(whole))
        if not whole:
            self._append(head)

    def _check(self, first: bytes) -> None:
        """Check the line that says what the records are of.

        Raises:
            InputError: they are of another version or of other categories, or damaged.
        """
        try:
            head = _content(first)
            version = head["version"] if head["format"] == FORMAT else None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._records}: line 1 is damaged; expected what a writer has written") from error
        if version != VERSION:
            raise InputError(
                f"{self._records}: is of version {version}; expected version {VERSION}, as this release writes"
            )
        if head["categories"] != self._categories:
            raise InputError(
                f"{self._records}: is of other categories than the catalogue; expected the one it began with"
            )

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
        """Return whether an image is written already."""
        return image_id in self._done

    def write(
        self,
        image_id: ImageId,
        labels: ArrayLike,
        segments: Sequence[Mapping[str, Any]],
        *,
        instances: Sequence[Mapping[str, Any]] | None = None,
        semantic: ArrayLike | None = None,
    ) -> None:
        """Write one image's predictions. Arrays may be lists or tensors on the CPU, too, and have the shape (1, h, w).

        Refused, before anything is written: labels that are no integers 0 to 2**24 - 1 (such as -1 for void); a segment
        without pixels, pixels without segment, an id given twice; a missing `id` or `category_id`, or one that is no
        integer; a category that is not in the catalogue, or an instance's that is stuff; a score that is not finite, or
        an instance without one; a mask of another size, or of other values than 0 and 1 (or 0 and 255), such as
        probabilities; run lengths that are malformed or of another size; a box that is not x, y, width, height with a
        width and height of 0 or more; semantic values that are neither categories nor void.

        Args:
            image_id: a string, or an integer of 64 bits.
            labels: the segment's id at each pixel, 1 to 2**24 - 1; 0 is void.
            segments: `id`, `category_id` and, optionally, `score` of each; their order decides ties between scores.
            instances: detections before fusion: `category_id`, `score`, and `segmentation` (a bool array (h, w), or
                COCO run lengths), `bbox` (x, y, width, height, pixels) or both.
            semantic: category id at each pixel; 0, 255 and 65535 are void unless they are categories.

        Raises:
            ValueError: written already, or values that could not be scored; the message names image and key.
        """
        if self._file.closed:
            raise ValueError(f"{self.directory}: the writer is closed; expected a new one, which goes on with it")
        image_id = _image_id(image_id)
        if image_id in self._done:
            raise ValueError(f"image {image_id!r} is written already")
        if other_type(image_id, self._done):
            raise ValueError(f"{other_type(image_id, self._done)}; expected ids of one type")
        name = png_name(image_id)
        try:
            ids = arguments.label_map(labels, MAX_ID)
            info = _segments_info(ids, segments, self.catalogue)
            results = None if instances is None else _results(instances, ids.shape, self.catalogue, image_id)
            semantic_png = None if semantic is None else _semantic_png(semantic, ids.shape, self.catalogue)
        except ValueError as error:
            raise ValueError(f"image {image_id!r}: {error}") from error
        if semantic_png is not None:
            write_atomically(self.directory / "semantic" / name, semantic_png)
        write_atomically(self.directory / "panoptic" / name, _panoptic_png(ids))
        image = {"id": image_id, "height": ids.shape[0], "width": ids.shape[1]}
        annotation = {"image_id": image_id, "file_name": name, "segments_info": info}
        self._append(_record({"image": image, "annotation": annotation, "instances": results}))
        self._done.add(image_id)

    def _append(self, record: bytes) -> None:
        """Add a record; one that did not fit on the disk leaves no trace."""
        end = self._file.tell()
        try:
            self._file.write(record)
            self._file.flush()
        except OSError:
            with suppress(OSError):
                self._file = self._records.open("r+b")  # without the buffer, which is still to be written
                self._file.truncate(end)
                self._file.seek(end)
            raise

    def close(self) -> None:
        """Write panoptic.json, and instances.json if there were any; the directory can be scored from then on."""
        if self._file.closed:
            return
        self._file.close()
        images, annotations, instances = [], [], []
        has_instances = False
        with self._records.open("rb") as lines:
            next(lines)  # what they are records of
            for line in lines:
                record = _content(line)
                images.append(record["image"])
                annotations.append(orjson.Fragment(orjson.dumps(record["annotation"])))
                has_instances |= record["instances"] is not None
                instances += [orjson.Fragment(orjson.dumps(one)) for one in record["instances"] or ()]
        if has_instances:
            write_atomically(self.directory / "instances.json", orjson.dumps(instances))
        panoptic = {"images": images, "annotations": annotations, "categories": self._categories}
        write_atomically(self.directory / "panoptic.json", orjson.dumps(panoptic))
        self._records.unlink()


def png_name(image_id: ImageId) -> str:
    """Name an image's PNGs: by its id, where that can be a file's name.

    >>> png_name("city/0001"), png_name(7)
    ('city%2F0001.png', '7.png')
    """
    return f"{quote(str(image_id), safe='')}.png"


def _claim(records: BinaryIO, directory: Path) -> None:
    """Take a directory until its records are closed.

    Raises:
        InputError: another writer has it, of this process or another one.
    """
    if fcntl is None:
        return
    try:
        fcntl.flock(records, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            f"{directory}: another writer is open on it; expected one at a time, closed before the next"
        ) from error
    except OSError:  # a file system without locks
        return


def _image_id(value: Any) -> ImageId:
    """Check an id that JSON and a file's name can hold.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str):
        try:
            length = len(png_name(value).encode())
        except UnicodeEncodeError:
            raise ValueError(f"image id {value!a} is no text; expected one that UTF-8 can encode") from None
        if not value or length > MAX_NAME:
            raise ValueError(f"image id {short(value)} makes a file name of {length} bytes; expected up to {MAX_NAME}")
        return value
    return arguments.image_id(value)


def _record(content: Mapping[str, Any]) -> bytes:
    """Write a line: checksum of the JSON, the JSON."""
    text = orjson.dumps(content)
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _content(line: bytes) -> Any:
    """Read what a line holds.

    Raises:
        ValueError: it is damaged.
    """
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        raise ValueError("the checksum is wrong")
    return orjson.loads(text)


def _reopened(directory: Path, categories: list[dict[str, Any]]) -> list[bytes]:
    """Make the records of a directory that was closed; none of a new one.

    Raises:
        InputError: it holds PNGs that no JSON of such a writer names: somebody else's; or predictions of other
            categories.
    """
    path = directory / "panoptic.json"
    panoptic = json_rows.load(path) if path.is_file() else {"images": [], "annotations": [], "categories": categories}
    results = directory / "instances.json"
    instances: dict[ImageId, list[Any]] | None = None
    try:
        if results.is_file():
            instances = {image["id"]: [] for image in panoptic["images"]}
            for one in json_rows.load(results):
                instances[one["image_id"]].append(one)
        images = {image["id"]: image for image in panoptic["images"]}
        records = [
            _record(
                {
                    "image": images[a["image_id"]],
                    "annotation": a,
                    "instances": None if instances is None else instances[a["image_id"]],
                }
            )
            for a in panoptic["annotations"]
        ]
        strangers = {png.name for png in directory.glob("panoptic/*.png")} - {
            a["file_name"] for a in panoptic["annotations"]
        }
        other = panoptic["categories"] != categories
    except (KeyError, TypeError) as error:
        raise InputError(f"{directory}: {path.name} or {results.name} is not what a PredictionWriter writes") from error
    if strangers:
        raise InputError(f"{directory}: holds {min(strangers)}, which no JSON there names; expected a new directory")
    if other:
        raise InputError(f"{path}: is of other categories than the catalogue; expected the one it was written with")
    return records


def _segments_info(
    labels: Integer[np.ndarray, "h w"], segments: Sequence[Mapping[str, Any]], catalogue: Catalogue
) -> list[dict[str, Any]]:
    """Make the entries of segments_info, with area and box as counted.

    Raises:
        ValueError: labels and segments do not fit each other or the format.
    """
    present = ids_of(labels.astype(np.uint32))[0]
    given = arguments.segments(present, segments, catalogue)
    at = {id_: k for k, id_ in enumerate(present.id.tolist())}
    entries = []
    for id_, category_id, score in zip(given.id, given.category_id, given.score, strict=True):
        x0, y0, x1, y1 = present.box[at[id_]].tolist()
        area = int(present.area[at[id_]])
        entry = {"id": id_, "category_id": category_id, "area": area, "bbox": [x0, y0, x1 - x0, y1 - y0]}
        entries.append(entry if score is None else {**entry, "score": score})
    return entries


def _results(
    instances: Sequence[Mapping[str, Any]], shape: tuple[int, ...], catalogue: Catalogue, image_id: ImageId
) -> list[dict[str, Any]]:
    """Make the COCO results of one image.

    Raises:
        ValueError: entries that could not be scored.
    """
    things = catalogue.ids[catalogue.isthing].tolist()
    results, faults = [], []
    for i, instance in enumerate(arguments.entries(instances, "instances")):
        try:
            results.append({"image_id": image_id, **_result(instance, shape, things)})
        except ValueError as error:
            faults.append(f"instances[{i}] {error}")
    if faults:
        raise ValueError("; ".join(faults))
    return results


def _result(instance: Mapping[str, Any], shape: tuple[int, ...], things: list[int]) -> dict[str, Any]:
    """Make the COCO result of one detection.

    Raises:
        ValueError: it could not be scored.
    """
    result: dict[str, Any] = {"category_id": arguments.category(instance, things, "thing category")}
    given, mask = instance.get("bbox"), instance.get("segmentation")
    if given is None and mask is None:
        raise ValueError("has neither segmentation nor bbox; expected one of them")
    if given is not None:
        box = arguments.array(given, "x, y, width, height")
        if box.shape != (4,) or not np.isfinite(box).all() or box[2:].min() < 0:
            what = f"shape {box.shape}" if box.shape != (4,) else f"values {box.tolist()}"
            raise ValueError(f'has "bbox" of {what}; expected x, y, width, height: finite, the last two not negative')
        result["bbox"] = [float(side) for side in box]
    if isinstance(mask, Mapping):
        rle = compressed(mask, (shape[0], shape[1]))
        if pixels([rle["counts"]])[0] != shape[0] * shape[1]:
            raise ValueError(f"has run lengths that do not add up to the image's {shape[0]} * {shape[1]} pixels")
    elif mask is not None:
        try:
            inside = arguments.mask(mask, shape)
        except ValueError as error:
            raise ValueError(f'has "segmentation" that {error}, or COCO run lengths') from error
        rle = encode_window(inside, (0, 0), (shape[0], shape[1]))
    if mask is not None:
        result["segmentation"] = {"size": [*shape], "counts": rle["counts"].decode()}
    score = arguments.number(instance, "score")
    if score is None:
        raise ValueError("has no score; expected a finite number")
    return {**result, "score": score}


def _panoptic_png(labels: Integer[np.ndarray, "h w"]) -> bytes:
    """Make a color PNG, where R + 256 G + 65536 B is the id."""
    channels = labels.astype("<u4").view(np.uint8).reshape(*labels.shape, 4)
    return _png(np.ascontiguousarray(channels[..., :3]))


def _semantic_png(given: ArrayLike, shape: tuple[int, ...], catalogue: Catalogue) -> bytes:
    """Make a gray PNG of category ids, of 8 bits where all values fit, else of 16.

    Raises:
        ValueError: another size, or values that are neither categories nor void.
    """
    semantic = arguments.array(given, f"integers {shape}")
    if semantic.shape != shape or semantic.dtype.kind not in "iu":
        what = f"shape {semantic.shape}, dtype {semantic.dtype}"
        raise ValueError(f"the semantic map has {what}; expected an array of integers {shape}")
    values = np.unique(semantic)
    known = {0, 255, 65535, *catalogue.ids.tolist()}
    unknown = [value for value in values.tolist() if value not in known or not 0 <= value <= 65535]
    if unknown:
        raise ValueError(f"the semantic map holds {unknown[:10]}; expected category ids, or 0, 255, 65535 for void")
    return _png(semantic.astype(np.uint8 if values.max() < 256 else np.uint16))


def _png(array: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", compress_level=COMPRESSION)
    return buffer.getvalue()
