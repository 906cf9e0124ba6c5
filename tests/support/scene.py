"""A small ground truth and its prediction on disk, to be made odd: three images of sky, road, a person and a car."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from folders import write_rgb

PERSON, CAR, ROAD, SKY = 1, 3, 7, 9
CATEGORIES = (
    {"id": PERSON, "name": "person", "isthing": 1},
    {"id": CAR, "name": "car", "isthing": 1},
    {"id": ROAD, "name": "road", "isthing": 0},
    {"id": SKY, "name": "sky", "isthing": 0},
)
OF = {11: SKY, 12: ROAD, 21: PERSON, 22: CAR}
"""Category of each segment id."""


def draw(shift: int) -> np.ndarray:
    """Segment ids of 20 x 30 pixels, objects moved right by `shift`; the last column is void."""
    ids = np.full((20, 30), 12)
    ids[:8] = 11
    ids[7:18, 2 + shift : 8 + shift] = 21
    ids[10:17, 13 + shift : 25 + shift] = 22
    ids[:, 29] = 0
    return ids


def entries(ids: np.ndarray, **keys: Any) -> list[dict[str, Any]]:
    """Entries of segments_info for the ids that occur."""
    return [
        {"id": id_, "category_id": OF[id_], "area": int((ids == id_).sum()), **keys}
        for id_ in np.unique(ids).tolist()
        if id_
    ]


@dataclass
class Side:
    """A panoptic JSON and the ids of its PNGs by file name."""

    json: dict[str, Any]
    ids: dict[str, np.ndarray] = field(default_factory=dict)

    def segments(self) -> list[dict[str, Any]]:
        """All entries of segments_info."""
        return [s for a in self.json["annotations"] for s in a["segments_info"]]


@dataclass
class Scene:
    """Both sides, and where `write` puts them."""

    root: Path
    gt: Side
    pred: Side

    @property
    def gt_json(self) -> Path:
        return self.root / "gt.json"

    @property
    def pred_json(self) -> Path:
        return self.root / "pred" / "panoptic.json"

    def write(self) -> Scene:
        """Write gt.json with gt/, and pred/panoptic.json with pred/panoptic/."""
        for path, side in ((self.gt_json, self.gt), (self.pred_json, self.pred)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(side.json))
            for name, ids in side.ids.items():
                write_rgb(path.with_suffix("") / name, ids)
        return self


def scene(root: Path) -> Scene:
    """Nothing odd, nothing written yet."""
    gt = Side({"images": [], "annotations": [], "categories": copy.deepcopy(list(CATEGORIES))})
    pred = Side({"annotations": []})
    for number in (1, 2, 3):
        name = f"{number:06}.png"
        gt.ids[name], pred.ids[name] = draw(0), draw(number - 1)
        gt.json["images"].append({"id": number, "width": 30, "height": 20, "file_name": f"{number:06}.jpg"})
        for side, keys in ((gt, {"iscrowd": 0}), (pred, {"score": 0.9 - number / 10})):
            side.json["annotations"].append(
                {"image_id": number, "file_name": name, "segments_info": entries(side.ids[name], **keys)}
            )
    return Scene(root, gt, pred)
