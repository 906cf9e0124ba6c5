"""Index of a data set: all segments of its images, read once from the label PNGs. The sampler draws from it."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Bool, Int, UInt32
from tqdm import tqdm

from panoptic_eval.categories import Catalogue
from panoptic_eval.errors import Faults, InputError, PngError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import LabelMaps, resolve
from panoptic_eval.pairs import count_pair, palette
from panoptic_eval.png.ids import Ids

FORMAT = "index 2"
"""Changes with what is stored, so that older files are not taken for newer ones."""


@dataclass(frozen=True)
class DataIndex:
    """Sizes of m images, and one row for each id with pixels that is not void; rows are sorted by image and id."""

    catalogue: Catalogue
    size: Int[np.ndarray, "m 2"]
    """Height, width of each image."""
    image: Int[np.ndarray, " s"]
    id: UInt32[np.ndarray, " s"]
    """Id in the PNG."""
    category: Int[np.ndarray, " s"]
    """Index into the catalogue."""
    crowd: Bool[np.ndarray, " s"]
    area: Int[np.ndarray, " s"]
    """Pixels of the image."""
    box: Int[np.ndarray, "s 4"]
    """x0, y0, x1, y1, pixels of the image."""

    def rows(self, image: int) -> slice:
        """Return the rows of an image."""
        first, last = np.searchsorted(self.image, (image, image + 1))
        return slice(int(first), int(last))

    @cached_property
    def is_instance(self) -> Bool[np.ndarray, " s"]:
        """Return which rows are instances: things, no crowds."""
        return self.catalogue.isthing[self.category] & ~self.crowd

    @cached_property
    def fingerprint(self) -> str:
        """Return twelve hexadecimal digits that change with anything in it: they say which data a result is from."""
        digest = hashlib.sha256(repr(self.catalogue).encode())
        for array in (self.size, self.image, self.id, self.category, self.crowd, self.area, self.box):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:12]


def build_index(gt: LabelMaps, *, workers: int | None = None, progress: bool = False) -> DataIndex:
    """Read every label PNG of a ground truth.

    Args:
        gt: the ground truth.
        workers: threads; as many as there are cores if not given.
        progress: whether to show a bar.

    Raises:
        InputError: everything that is wrong with its files.
    """
    with ThreadPoolExecutor(workers or os.cpu_count()) as executor:
        results = list(
            tqdm(
                executor.map(lambda k: _count(gt, k), range(len(gt.maps))),
                total=len(gt.maps),
                desc="reading labels",
                unit="image",
                disable=not progress,
            )
        )
    faults = [fault for fault in results if isinstance(fault, str)]
    if faults:
        raise InputError(faults)
    counts = [result for result in results if not isinstance(result, str)]
    image = np.repeat(np.arange(len(counts)), [len(ids.id) for _, ids in counts])
    id_ = np.concatenate([np.zeros(0, np.uint32), *(ids.id for _, ids in counts)])
    area = np.concatenate([np.zeros(0, np.int64), *(ids.area for _, ids in counts)])
    box = np.concatenate([np.zeros((0, 4), np.int32), *(ids.box for _, ids in counts)])
    problems = Faults()
    listed, row = resolve(gt, image, id_.astype(np.int64), problems)
    problems.check()
    known = row >= 0
    row = row[known]
    return DataIndex(
        catalogue=gt.catalogue,
        size=np.array([size for size, _ in counts], np.int32).reshape(-1, 2),
        image=image[known].astype(np.int32),
        id=id_[known],
        category=listed.category[row].astype(np.int32),
        crowd=listed.crowd[row],
        area=area[known],
        box=box[known],
    )


def cached_index(
    gt: LabelMaps, *, cache: Path | None = None, workers: int | None = None, progress: bool = False
) -> DataIndex:
    """Return `build_index`, or what it returned before for the same files.

    Args:
        gt: the ground truth.
        cache: folder of indices; by default `panoptic` in $XDG_CACHE_HOME or ~/.cache.
        workers, progress: as of `build_index`.

    Raises:
        InputError: everything that is wrong with its files.
    """
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panoptic"
    path = folder / f"index-{_key(gt)}.npz"
    if path.is_file():
        # Damaged, it is made anew.
        with suppress(OSError, EOFError, ValueError, TypeError, BadZipFile), np.load(path) as arrays:
            return DataIndex(gt.catalogue, **arrays)
    index = build_index(gt, workers=workers, progress=progress)
    buffer = io.BytesIO()
    np.savez(buffer, **{f.name: getattr(index, f.name) for f in fields(index) if f.name != "catalogue"})
    with suppress(OSError):  # nowhere to keep it: the next run reads the labels again
        write_atomically(path, buffer.getvalue())
    return index


def _count(gt: LabelMaps, k: int) -> tuple[tuple[int, int], Ids] | str:
    """Return the size of an image and its ids; or what is wrong with the file."""
    label_map = gt.maps[k]
    try:
        png = label_map.png.read_bytes()
        counts = count_pair(png, png)  # with itself: of pairs and runs, only the ids are wanted
        ids, _ = palette.renamed_ids(counts.gt, palette.lookup(gt, k, counts.gt.id, counts.gt.palette))
    except (OSError, PngError) as error:
        return f"{label_map.png}: {str(error).removeprefix('gt: ')}"  # both sides are the same file
    return (counts.height, counts.width), ids


def _key(gt: LabelMaps) -> str:
    """Return a key that changes with the names, sizes and dates of the PNGs and with what their ids mean."""
    digest = hashlib.sha256(repr((FORMAT, gt.catalogue)).encode())
    for label_map in gt.maps:
        try:
            status = label_map.png.stat()
        except OSError as error:
            raise InputError(
                f"{label_map.png}: {error.strerror}; expected the labels of {label_map.image_id}"
            ) from error
        digest.update(repr((str(label_map.png.absolute()), status.st_size, status.st_mtime_ns)).encode())
    for field in fields(gt.meaning):
        value = getattr(gt.meaning, field.name)
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()[:16]
