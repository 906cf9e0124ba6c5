"""The networks of other authors in Table 1: what was published, how large they are, and what of ours is assumed.

    python -m reproduce.systems_page

Writes results/streets/systems.md. Networks are put together without memory for their weights: it takes seconds.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from model.checkpoint_files import WEIGHTS
from model.families import assemble
from model.presets import System, configure, method_named
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.markdown import table
from reproduce.audit import CATEGORIES, published
from reproduce.embedded import EMBEDDED
from reproduce.variants import title
from streets.scene import VERSIONS

PAGE = Path("results/streets/systems.md")
FULL, SMALL = "mvd", EMBEDDED.preset
"""Presets of the networks in the size of their authors, and of the small ones."""
SMALL_CHECKPOINTS, SMALL_SCORES = EMBEDDED.checkpoints, EMBEDDED.results / "table1.csv"
"""Shipped small networks, VARIANT/seedN/, and the scores that reproduce.table1 found for them."""
COSTS = Path("results/benchmarks/systems.csv")
"""What benchmarks.systems has measured: columns name, quantity, value, and with what."""
OURS = ("crop", "seamless")
"""Variants to compare the others with."""
NOT_TRAINED, NOT_MEASURED = "not trained yet", "not measured yet"
Costs = Mapping[tuple[str, str], float]
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


@dataclass(frozen=True)
class Cost:
    """One number that benchmarks.systems measures."""

    name: str
    """Variant."""
    quantity: str
    """What it is, with its unit. Full: "network, s", "half, s", "map, s", "peak, GiB"; small: "step, s", "image, s"."""
    value: float


def costs(path: Path) -> dict[tuple[str, str], float]:
    """Read what was measured, by name and quantity; nothing where there is no file."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {(row["name"], row["quantity"]): float(row["value"]) for row in csv.DictReader(file)}


def scores(path: Path) -> dict[tuple[str, str], float]:
    """Read scores of a table of reproduce.table1, fractions, by name and column; nothing where there is no file."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {(row["name"], row["column"]): float(row["value"]) for row in csv.DictReader(file)}


def small_row(
    name: str, isthing: Sequence[bool], checkpoints: Path, pq: Mapping[tuple[str, str], float], cost: Costs
) -> dict[str, str]:
    """Make the row of a small network; what only a trained one can have is said to be missing until it is shipped.

    Args:
        name: of the variant.
        isthing: of each category.
        checkpoints: folder of the small networks.
        pq: of `scores`.
        cost: of `costs`.
    """
    trained = (checkpoints / name / "seed0" / WEIGHTS).is_file()
    step, base, image = (cost.get(key) for key in ((name, "step, s"), ("crop", "step, s"), (name, "image, s")))
    score = pq.get((name, "PQ"))
    return {
        "": title(name),
        "name": f"`{name}`",
        "parameters": size(SMALL, name, isthing),
        "a step": NOT_MEASURED if step is None or base is None else f"{step / base:.2f}",
        "an image, s": NOT_TRAINED if not trained else NOT_MEASURED if image is None else f"{image:.2f}",
        "PQ": NOT_TRAINED if not trained else "not scored yet" if score is None else f"{100 * score:.1f}",
    }


def large_row(name: str, cost: Costs) -> dict[str, str]:
    """Make the row of a full network."""
    found = {q: cost.get((name, q)) for q in ("network, s", "half, s", "map, s", "peak, GiB")}
    measured = {q: NOT_MEASURED if value is None else f"{value:.1f}" for q, value in found.items()}
    return {"": title(name), "name": f"`{name}`", **measured}


def size(preset: str, variant: str, isthing: Sequence[bool]) -> str:
    """Count the parameters of a variant on a data set, in millions."""
    with torch.device("meta"):
        network = assemble(configure(preset, method_named(variant)), isthing)
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f}"


def page(checkpoints: Path = SMALL_CHECKPOINTS, scored: Path = SMALL_SCORES, measured: Path = COSTS) -> str:
    """Write the page.

    Args:
        checkpoints: folder of the small networks that are shipped.
        scored: CSV file of their scores.
        measured: CSV file of costs.
    """
    things, stuff = CATEGORIES[FULL]
    isthing = [True] * things + [False] * stuff
    names = [*OURS, *(row.system for row in ROWS)]
    cost, pq = costs(measured), scores(scored)
    streets = [label.instances for label in VERSIONS[2].labels if label.evaluate]
    printed = {row["network"]: row for row in published() if row["dataset"] == FULL}
    cells = [
        {
            "": title(row.system),
            "name": f"`{row.system}`",
            **{column: printed[title(row.system)][column] or "–" for column in COLUMNS},
            "parameters, published": row.published_size,
            "parameters, ours": size(FULL, row.system, isthing),
        }
        for row in ROWS
    ]
    assumed = "\n".join(f"- **{title(row.system)}** (`{row.system}`). {' '.join(row.assumed)}" for row in ROWS)
    where = " ([systems.csv](../benchmarks/systems.csv))" if measured.is_file() else ""
    return f"""# The other systems of Table 1

Written by `python -m reproduce.systems_page`. Scores are per cent on Mapillary Vistas, as Table 1 of the paper prints
them; nothing here was scored by us. Parameters are millions: as published (of the two Deeplabs by Wang et al.,
"Axial-DeepLab", ECCV 2020; of EfficientPS by its authors, on Cityscapes), and of the preset `{FULL}` with its
{things + stuff} categories.

{table(cells)}

`python -m model.train PRESET --arm NAME` trains one; `{FULL}` and `{SMALL}` are two of the presets. All start from
random weights unless `--initial` names a file for the body, and make one pass over an image, at one scale. So the order
of the small ones says nothing about the order of the originals, whose bodies were all pre-trained.

## What they cost

One image of 12 megapixels with the full networks, on one thread of a CPU: seconds of the processor for the network,
for the network in bfloat16 (`model.predict --precision bfloat16`), and for the panoptic map of a drawn scene with 64
objects, for which AdaptIS asks its network once more an object; and the most memory that the process ever had.

{table([large_row(name, cost) for name in names])}

The small networks of `{SMALL}`, for two CPU cores: parameters in millions, the cost of a training step as a multiple of
that of CROP, seconds of the processor for one image of 512x1024 pixels, and PQ on 200 of its validation images.

{table([small_row(name, streets, checkpoints, pq, cost) for name in names])}

This trains one and ships it; its row in Table 1 then comes by itself:

    bash reproduce/train.sh --variants NAME --seeds 0

Costs are measured by `python -m benchmarks.systems`{where}.

## What is assumed

{assumed}

## What is not decided

- Whether offsets should be learned from objects that the crop cuts. Their center is that of the visible part, so the
  same pixel learns another offset in each crop: what the paper says of cut boxes (Sec. 2.2) may hold for centers. The
  original learns them, and so does `deeplab-hr48`; `deeplab-hr48+closed` does not. Nothing is known until both were
  trained, from one seed and in the registered budget:

      bash reproduce/train.sh --variants deeplab-hr48 deeplab-hr48+closed --seeds 0
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
