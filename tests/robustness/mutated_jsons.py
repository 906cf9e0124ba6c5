"""Mutated JSONs of both sides: each is scored, or refused with a message; nothing else may happen.

    python tests/robustness/mutated_jsons.py --count 1000 --seed 0

tries as many mutations as are asked for and prints how many were scored and refused, and each that did neither.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from outcomes import main, of_scene
from scene import CAR, Scene

from panoptic_eval import InputError, evaluate

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, 2, -1, 9.0, 9.5, -0.0, 1e300, float("nan"), float("inf"),
    2**31, 2**53, 2**63, 2**64, 10**400,
    "", "1", "000001", "..", "../x", "a\\b", "x" * 3000, "\ud800", "\0", "é",
    [], {}, [[]], [0, 0, 1], {"id": 1}, [None], json.loads("[" * 300 + "]" * 300),
)  # fmt: skip
KEYS = ("id", "image_id", "category_id", "label_id", "isthing", "iscrowd", "name", "file_name", "segments_info", "size")
DETECTION = {"image_id": 1, "category_id": CAR, "score": 0.5, "bbox": [1, 2, 3, 4]}


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy in which one place, chosen at random, is another value, doubled, missing or moved."""
    value = copy.deepcopy(value)
    holders = [h for h in _containers(value) if h]
    if not holders:
        return rng.choice(VALUES)
    holder = rng.choice(holders)
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    what = rng.randrange(6)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif what == 2 and isinstance(holder, dict):
        holder[rng.choice(KEYS)] = holder.pop(key)
    elif what == 3:
        other = rng.choice(holders)
        place = rng.choice(list(other)) if isinstance(other, dict) else rng.randrange(len(other))
        holder[key] = copy.deepcopy(other[place])
    else:
        holder[key] = rng.choice(VALUES)
    return value


def _containers(value: Any) -> list[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict | list) else []
    for child in children:
        if isinstance(child, dict | list) and len(found) < 1000:
            found += _containers(child)
    return found


def outcome(data: Scene, rng: random.Random) -> str:
    """Mutate one to three places, score: "scored", "refused", or the traceback of what should not happen."""
    contents = {data.gt_json: data.gt.json, data.pred_json: data.pred.json}
    contents[data.pred_json.parent / "instances.json"] = [DETECTION, {**DETECTION, "image_id": 2}]
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(contents))
        contents[path] = mutated(contents[path], rng)
    for path, content in contents.items():
        text = json.dumps(content)
        path.write_text(text[: rng.randrange(len(text))] if rng.random() < 0.02 and text else text)
    try:
        evaluate(data.pred_json.parent, data.gt_json, missing="skip", workers=1)
    except InputError as error:
        str(error).encode("ascii", "replace")
        return "refused"
    except Exception:
        return traceback.format_exc()
    return "scored"


outcomes = partial(of_scene, outcome)


if __name__ == "__main__":
    main(__doc__, outcomes)
