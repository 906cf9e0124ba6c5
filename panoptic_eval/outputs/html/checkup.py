"""A checkup as one HTML file with pictures of the first examples; it loads nothing from anywhere."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from PIL import Image

from panoptic_eval.checkup import Checkup, Side
from panoptic_eval.checkup.findings import SEVERITIES, Finding
from panoptic_eval.errors import Faults, InputError, PngError
from panoptic_eval.files import PNG_LIMIT, is_file, read_regular
from panoptic_eval.labels import LabelMaps, resolve
from panoptic_eval.outputs.checkup import SIDES, TITLES, lines, verdict
from panoptic_eval.outputs.html.document import document
from panoptic_eval.outputs.html.marks import text
from panoptic_eval.outputs.html.sections import section
from panoptic_eval.outputs.pictures import GRAY, Region, overlay, resized
from panoptic_eval.pairs.palette import decode
from panoptic_eval.photographs import read

PICTURES, EACH = 24, 2
"""Largest number of pictures on a page, and of one finding."""
LONGEST = 480
"""Longer side of a picture, pixels."""
MARK = (255, 0, 255)
"""Color of the frame around the segment that an example names."""


def page(checkup: Checkup) -> str:
    """Write the page; equal input gives equal bytes."""
    body = [f"<h1>Checkup</h1><p>{text(verdict(checkup))}</p>"]
    for name, side in (("gt", checkup.gt), ("pred", checkup.pred)):
        if side is not None:
            rows = "".join(f"<dt>{text(key)}</dt><dd>{text(value)}</dd>" for key, value in lines(side).items())
            body.append(section(SIDES[name].capitalize(), "", f"<dl>{rows}</dl>"))
    left = PICTURES
    for severity in SEVERITIES:
        parts = []
        for finding in (finding for finding in checkup.findings if finding.severity == severity):
            pictures = list(_pictures(checkup, finding, min(EACH, left))) if severity != "note" else []
            left -= len(pictures)
            parts.append(_finding(finding, pictures))
        if parts:
            body.append(section(TITLES[severity], "", *parts))
    return document("Checkup", "".join(body), scripted=False)


def _finding(finding: Finding, pictures: list[str]) -> str:
    examples = "".join(f"<li><code>{text(example)}</code></li>" for example in finding.examples)
    rest = finding.count - len(finding.examples)
    more = f"<li>… and {rest} more</li>" if rest > 0 else ""
    listed = f"<ul>{examples}{more}</ul>" if examples else ""
    what = f"<b>{SIDES[finding.side].capitalize()}</b>: {text(finding.text)}"
    return f'<div class="finding {finding.severity}"><p>{what}</p>{listed}{"".join(pictures)}</div>'


def _pictures(checkup: Checkup, finding: Finding, most: int) -> Iterator[str]:
    """Yield a picture for each of the first examples that name an image whose PNG can be read."""
    side = checkup.gt if finding.side == "gt" else checkup.pred
    if side is None:
        return
    drawn = 0
    for example in finding.examples:
        image = _image(side.maps, example)
        if drawn < most and image is not None and (content := _drawing(side, image, example)):
            drawn += 1
            yield f'<figure><img alt="{text(example)}" src="data:image/jpeg;base64,{content}"></figure>'


def _image(maps: LabelMaps, example: str) -> int | None:
    """Find the image that an example is about: by its PNG, else by its id."""
    by_png = [k for k, m in enumerate(maps.maps) if str(m.png) in example]
    if by_png:
        return max(by_png, key=lambda k: len(str(maps.maps[k].png)))
    return next(
        (k for k, m in enumerate(maps.maps) if re.search(rf"image {re.escape(repr(m.image_id))}\b", example)), None
    )


def _drawing(side: Side, image: int, example: str) -> str:
    """Draw the segments of an image over its photograph, as JPEG in base64; empty where the PNG cannot be read.

    The segment that the example names has a frame, and so has what no segment is, where it names none.
    """
    label_map = side.maps.maps[image]
    try:
        content = label_map.content() if label_map.content else read_regular(label_map.png, PNG_LIMIT)
        ids = decode(side.maps, image, content)
    except (OSError, PngError):
        return ""
    base = Image.new("RGB", ids.shape[::-1], (GRAY,) * 3)
    if label_map.photograph is not None and is_file(label_map.photograph):
        with suppress(InputError):  # the labels alone say enough
            base, _ = read(label_map.photograph, (LONGEST, LONGEST))
    base.thumbnail((LONGEST, LONGEST))
    known = np.unique(ids).astype(np.int64)
    listed, row = resolve(side.maps, np.full(len(known), image), known, Faults())
    regions = [
        Region(int(id_), side.maps.catalogue.categories[listed.category[r]])
        for id_, r in zip(known.tolist(), row.tolist(), strict=True)
        if r >= 0
    ]
    small = resized(ids.astype(np.int64), base)
    picture = overlay(np.asarray(base), small, regions)
    named = re.search(r"\b(?:segment|id) (\d+)", example)
    if named is not None:
        y, x = np.nonzero(small == int(named[1]))
        if len(y):
            top, bottom, left, right = max(y.min() - 2, 0), y.max() + 3, max(x.min() - 2, 0), x.max() + 3
            picture[top:bottom, left:right][:2] = picture[top:bottom, left:right][-2:] = MARK
            picture[top:bottom, left:right][:, :2] = picture[top:bottom, left:right][:, -2:] = MARK
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=80)
    return base64.b64encode(file.getvalue()).decode()
