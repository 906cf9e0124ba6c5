"""Semantic predictions as masks in a JSON: sem_seg_predictions.json, as detectron2 writes it.

A list of objects with file_name (of the photograph), category_id and segmentation (run lengths).
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from panoptic_eval import detections
from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import image_ids, json_rows
from panoptic_eval.datasets.json_rows import INTEGER, STRING, column, integers
from panoptic_eval.errors import Faults
from panoptic_eval.labels import Encoded, LabelMap, LabelMaps


@json_rows.collector_paused()
def read(path: Path, gt: LabelMaps, catalogue: Catalogue, faults: Faults) -> LabelMaps | None:
    """Read such a file; None, with a warning, if it has other categories than the ground truth.

    Args:
        path: the JSON.
        gt: the ground truth.
        catalogue: its categories, numbered as the file is.
        faults: gets what is wrong with the file.

    Raises:
        InputError: not JSON.
    """
    rows = json_rows.objects(json_rows.load(path), str(path), faults)

    def place(i: int) -> str:
        return f"{path}: [{i}]"

    names = column(rows, "file_name", STRING, place, faults, default="")
    category_ids = column(rows, "category_id", INTEGER, place, faults, default=0)
    category = catalogue.index(integers(category_ids.values))
    if not (names.sound & category_ids.sound).all() or not rows:
        return None
    if (category < 0).any():  # such as 0 for all things: mIoU of the others would look like that of all
        faults.warn(
            "[region has|regions have] a category_id that is in no category of the ground truth; the file is not read",
            (f"{place(i)}: category_id {category_ids.values[i]}" for i in np.flatnonzero(category < 0).tolist()),
        )
        return None
    matching = Faults()  # file names stand for ids here: that is no oddity
    image = image_ids.match([PureWindowsPath(name).stem for name in names.values], gt.maps, place, matching)
    matching.check()
    of_gt = np.flatnonzero(image >= 0).tolist()
    masks = detections.masks(
        [rows[i] for i in of_gt],
        image[of_gt],
        lambda k: detections.image_size(gt.maps[k], faults),
        lambda i: place(of_gt[i]),
        faults,
    )
    if masks is None or faults:
        return None
    regions: dict[int, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
    for row, mask in zip(of_gt, masks, strict=True):
        regions[int(image[row])].append((int(category[row]), mask))
    maps = []
    for k, of_image in regions.items():
        content = partial(painted, of_image, len(catalogue))
        maps.append(LabelMap(gt.maps[k].image_id, path, photograph=gt.maps[k].photograph, content=content))
    void = np.append(np.arange(len(catalogue)), -1)
    return LabelMaps(f"{path}, masks", gt.catalogue, tuple(maps), Encoded("divided", 1, False, void, False))


def painted(regions: Sequence[tuple[int, Mapping[str, Any]]], background: int) -> bytes:
    """Paint the regions of an image into a gray PNG of 16 bits; later ones cover earlier ones.

    Args:
        regions: value and COCO's compressed run lengths of each.
        background: value of pixels in no region.
    """
    from PIL import Image
    from pycocotools import mask

    values = np.full(regions[0][1]["size"], background, np.uint16)
    for value, region in regions:
        values[mask.decode(region) > 0] = value
    file = io.BytesIO()
    Image.fromarray(values).save(file, format="PNG", compress_level=1)
    return file.getvalue()
