"""Checkups for people and as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from panoptic_eval.checkup import Checkup, Side
from panoptic_eval.checkup.facts import UNKNOWN, Facts
from panoptic_eval.checkup.findings import SEVERITIES
from panoptic_eval.outputs.markdown import table
from panoptic_eval.text import abbreviated

FORMAT = 1
SHOWN_EXAMPLES = 2
TITLES = {"error": "Errors: so it cannot be scored", "warning": "Warnings", "note": "Notes"}
SIDES = {"gt": "ground truth", "pred": "predictions"}


def text(checkup: Checkup, *, examples: int = SHOWN_EXAMPLES) -> str:
    """Write everything that the terminal shows: numbers of both sides, then findings by severity.

    Args:
        checkup: to be shown.
        examples: examples of a finding at most.
    """
    blocks = [_side(SIDES[name], side) for name, side in (("gt", checkup.gt), ("pred", checkup.pred)) if side]
    for severity in SEVERITIES:
        lines = []
        for finding in checkup.findings:
            if finding.severity == severity:
                lines.append(f"- {SIDES[finding.side]}: {finding.text}")
                lines += [f"    {abbreviated(example, 300)}" for example in finding.examples[:examples]]
                if finding.count > examples:
                    lines.append(f"    … {finding.count - examples} more")
        if lines:
            blocks.append("\n".join([TITLES[severity], *lines]))
    return "\n\n".join([*blocks, verdict(checkup)])


def verdict(checkup: Checkup) -> str:
    """Say in a line what follows."""
    count = {s: sum(f.severity == s for f in checkup.findings) for s in SEVERITIES}
    kinds = ", ".join(f"{n} {s}{'' if n == 1 else 's'}" for s, n in count.items())
    return f"{'cannot be scored so' if count['error'] else 'can be scored'}: {kinds} of different kinds"


def _side(name: str, side: Side) -> str:
    rows = [{"": key, name: value} for key, value in lines(side).items()]
    return table(rows)


def lines(side: Side) -> dict[str, str]:
    """Write the numbers of a side as short texts, by what they are."""
    found = {"recognized": side.source, "by": side.because}
    facts = side.facts
    if facts is None:
        return found | {"images": f"{len(side.maps.maps)}, of which none could be read"}
    things = side.maps.catalogue.isthing
    kinds = {"things": things, "stuff": ~things & (side.maps.catalogue.ids != UNKNOWN)}
    occur = {kind: f"{(facts.segments > 0)[of].sum()} of {of.sum()} {kind}" for kind, of in kinds.items()}
    pixels = _pixels(facts)
    unread = len(side.maps.maps) - facts.images
    crowds = int(facts.crowds.sum())
    return found | {
        "images": f"{facts.images}" + (f" ({unread} could not be read)" if unread > 0 else ""),
        "sizes": _few({f"{w} x {h}": n for (h, w), n in facts.sizes.most_common()}),
        "PNGs": _few(dict(facts.kinds.most_common())),
        "segments": f"{facts.segments.sum()}: {facts.segments[things].sum()} of things, "
        f"{facts.segments[~things].sum()} of stuff; an image has {_spread(facts.per_image)}",
        "areas": f"{_spread(facts.area)} pixels",
        "categories": f"{' and '.join(occur.values())} occur",
        "void": f"{facts.void.mean():.1%} of an image, on average; at most {facts.void.max():.1%}",
        "crowds": f"{crowds}, {facts.crowd_pixels.sum() / max(pixels, 1):.1%} of the segments' pixels"
        if crowds
        else "none",
    }


def _pixels(facts: Facts) -> int:
    return int(facts.pixels.sum())


def _few(counts: Mapping[str, int], most: int = 4) -> str:
    """Write the first counts, and how many others there are."""
    shown = [f"{name} ({n})" for name, n in list(counts.items())[:most]]
    rest = len(counts) - most
    return ", ".join([*shown, *([f"{rest} more"] if rest > 0 else [])])


def _spread(values: np.ndarray) -> str:
    if not len(values):
        return "none"
    return f"{values.min():.10g} to {values.max():.10g}, median {np.median(values):.10g}"


def data(checkup: Checkup) -> dict[str, Any]:
    """Return everything as values for JSON."""
    return {
        "format": FORMAT,
        "scorable": checkup.errors == 0,
        **{name: None if side is None else _data(side) for name, side in (("gt", checkup.gt), ("pred", checkup.pred))},
        "findings": [
            {
                "severity": finding.severity,
                "side": finding.side,
                "text": finding.text,
                "count": finding.count,
                "examples": list(finding.examples),
            }
            for finding in checkup.findings
        ],
    }


def _data(side: Side) -> dict[str, Any]:
    about: dict[str, Any] = {"source": side.source, "because": side.because, "images": len(side.maps.maps)}
    facts = side.facts
    if facts is None:
        return about
    per_category = ("segments", "crowds", "images_with", "pixels")
    return about | {
        "read": facts.images,
        "sizes": [{"height": h, "width": w, "images": n} for (h, w), n in facts.sizes.most_common()],
        "pngs": dict(facts.kinds.most_common()),
        "segments": int(facts.segments.sum()),
        "areas": _quantiles(facts.area),
        "segments_per_image": _quantiles(facts.per_image),
        "void": float(facts.void.mean()),
        "crowd_pixels": float(facts.crowd_pixels.sum() / max(_pixels(facts), 1)),
        "categories": [
            {
                "id": c.id,
                "name": c.name,
                "isthing": c.isthing,
                **{name: int(getattr(facts, name)[k]) for name in per_category},
            }
            for k, c in enumerate(side.maps.catalogue.categories)
        ],
    }


def _quantiles(values: np.ndarray) -> list[float]:
    """Return smallest, lower quartile, median, upper quartile and largest; none of nothing."""
    return np.percentile(values, [0, 25, 50, 75, 100]).tolist() if len(values) else []
