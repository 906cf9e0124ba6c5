"""The networks of other authors in Table 1: what was published, how large they are, and what of ours is assumed.

    python -m reproduce.systems_page

Writes results/streets/systems.md. Networks are put together without memory for their weights: it takes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from model.families import assemble
from model.presets import System, configure, method_named
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.markdown import table
from reproduce.audit import CATEGORIES, published
from reproduce.systems import RESULTS
from reproduce.variants import title
from streets.scene import VERSIONS

PAGE = RESULTS / "systems.md"
FULL, SMALL = "mvd", "streets-2"
"""Presets of the networks in the size of their authors, and of the small ones."""
COLUMNS = ("PQ", "PQ_th", "PQ_st", "mAP", "mIoU")


MEMORY = "Steps and crops for Mapillary Vistas are from memory of the paper; batch and learning rate are assumed."


@dataclass(frozen=True)
class Row:
    """One system."""

    system: System
    published_size: str
    """Its parameters as somebody has published them, millions; a dash where nobody has."""
    assumed: tuple[str, ...]
    """What has no source, or is otherwise to be known before its numbers are compared."""


ROWS = (
    Row(
        "tascnet",
        "–",
        (
            "No code was published: it is a reconstruction. Depth and width of the semantic head, thresholds and "
            "weight of the consistency loss, two levels beyond stride 32 and the schedule are ours.",
        ),
    ),
    Row(
        "adaptis",
        "–",
        (
            "The body of the published row is a ResNeXt-101; that it is 32x4d is assumed. What its authors took for "
            "Mapillary Vistas is not known, and the published row averages mirrored images.",
            "Its authors train proposals in a second stage. Here they are learned in the same steps, from features "
            "that they do not change. The score of an instance is ours, as there is none in the original.",
        ),
    ),
    Row(
        "deeplab-x71",
        "46.7",
        (MEMORY,),
    ),
    Row(
        "efficientps",
        "40.89",
        (
            "How its pyramid halves features on the way up is not given: a 3x3 maximum with stride 2 is ours. The "
            "pyramid's convolutions are separable and those of region proposals are not, which was chosen by the "
            "published number of parameters: so that number proves nothing.",
            "Mask logits vote with a gain of 1, as in the paper; the published code takes 4.",
        ),
    ),
    Row(
        "deeplab-hr48",
        "71.7",
        (
            "The dilated convolutions of its context are dense, which is nearer to the published number of parameters "
            "than separable ones; the rest of the difference is not explained.",
            "The published row almost certainly averages scales and mirrored images, and may be of a wider network.",
            MEMORY,
        ),
    ),
)


def size(preset: str, system: System, isthing: Sequence[bool]) -> str:
    """Count the parameters of a system on a data set, in millions."""
    with torch.device("meta"):
        network = assemble(configure(preset, method_named(system)), isthing)
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f}"


def page() -> str:
    """Write the page."""
    things, stuff = CATEGORIES[FULL]
    streets = [label.instances for label in VERSIONS[2].labels if label.evaluate]
    printed = {row["network"]: row for row in published() if row["dataset"] == FULL}
    cells = [
        {
            "": title(row.system),
            "name": f"`{row.system}`",
            **{column: printed[title(row.system)][column] or "–" for column in COLUMNS},
            "parameters, published": row.published_size,
            "parameters, full": size(FULL, row.system, [True] * things + [False] * stuff),
            "parameters, small": size(SMALL, row.system, streets),
        }
        for row in ROWS
    ]
    assumed = "\n".join(f"- **{title(row.system)}** (`{row.system}`). {' '.join(row.assumed)}" for row in ROWS)
    return f"""# The other systems of Table 1

Written by `python -m reproduce.systems_page`. Scores are per cent on Mapillary Vistas, as Table 1 of the paper prints
them; nothing here was scored by us. Parameters are millions: as published (of the two Deeplabs by Wang et al.,
"Axial-DeepLab", ECCV 2020; of EfficientPS by its authors, on Cityscapes), of the preset `{FULL}` with its
{things + stuff} categories, and of `{SMALL}`, for two CPU cores.

{table(cells)}

`python -m model.train PRESET --arm NAME` trains one; `{FULL}` and `{SMALL}` are two of the presets. All start from
random weights unless `--initial` names a file for the body, and make one pass over an image, at one scale. So the order
of the small ones says nothing about the order of the originals, whose bodies were all pre-trained.

## What is assumed

{assumed}
"""


@dataclass(frozen=True)
class Options:
    """Write the page about the networks of other authors."""

    out: Path = PAGE
    """File to write."""


def main() -> None:
    """Run the command."""
    write_atomically(tyro.cli(Options, description=__doc__).out, page())


if __name__ == "__main__":
    main()
