"""Compares the second version of the embedded data set with Mapillary Vistas, from its labels alone.

    python -m reproduce.dataset

Writes dataset.md: class mean sizes beside the public ones of Mapillary Vistas, objects larger than a crop, and shares
of visible boxes over pyramid levels. The images are drawn once; each setting rescales them to its own shortest side. No
network sees the data before this page is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import tyro

from model.config import Levels, SampleConfig
from model.data.index import DataIndex, cached_index
from model.data.sampling import Sampler
from model.presets import Method, configure
from panoptic_eval import datasets
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import LabelMaps
from panoptic_eval.outputs.markdown import table
from reproduce.fig2 import cropped_objects, entropy
from reproduce.options import ending_at_faults
from streets.dataset import write_dataset
from streets.scene import VERSIONS

VISTAS = {
    "Person": 0.11,
    "Bicyclist": 0.19,
    "Pole": 0.052,
    "Traffic Sign (Front)": 0.071,
    "Bicycle": 0.18,
    "Bus": 1.1,
    "Car": 0.46,
    "Truck": 0.99,
}
"""Mean area of an instance of Mapillary Vistas, per cent of the image: evaluation/instance_sizes.py of Mapillary's code
(mapillary_vistas), over the mean image of 8.8 Mpixel."""


@dataclass(frozen=True)
class Setting:
    """Scale and crops of one way to use the data set."""

    name: str
    shortest: int
    """s_0: shortest side of a rescaled image, pixels."""
    crop: int
    """Side of a crop of the rescaled image, pixels."""
    canonical_size: float
    """Box size at which pyramid level 2 begins, pixels of the rescaled image."""
    most_beyond: float
    """Largest share of objects that may have a side beyond the crop, per cent."""


SETTINGS = (
    Setting("large", 512, 288, 64.0, 2.0),
    Setting("two cores", 384, 192, 48.0, 4.0),
)
THING_SCALES = (2 / 3, 3.0)
"""r_th: smallest and largest scale factor of ISUS. Shrinking adds many small boxes beside the one that is chosen; less
of it evens out the levels better."""


@dataclass(frozen=True)
class Options:
    """Compare the second version of the embedded data set with Mapillary Vistas, from its labels alone."""

    images: int = 100
    """Number of training images to draw."""
    crops: int = 500
    """Number of crops to draw with each kind of sampling."""
    seed: int = 0
    """Random seed of the images and the crops."""
    workers: int | None = None
    """Number of processes that draw. Default: one per core."""
    folder: Path = Path("runs/streets/version2")
    """Folder for the images."""
    out: Path = Path("results/streets/dataset.md")
    """File of the page."""


def sizes(gt: LabelMaps, index: DataIndex) -> pd.DataFrame:
    """Make a row for each thing category: number, mean area in per cent of the image, ratio to Mapillary Vistas."""
    rows = np.flatnonzero(index.is_instance)
    share = 100 * index.area[rows] / index.size[index.image[rows]].prod(1)
    names = np.array([category.name for category in gt.catalogue.categories])[index.category[rows]]
    means = pd.DataFrame({"category": names, "share": share}).groupby("category")["share"].agg(["size", "mean"])
    means["vistas"] = [VISTAS.get(name, np.nan) for name in means.index]
    means["ratio"] = np.sqrt(means["mean"] / means["vistas"])
    return means.reset_index()


def shares_by_level(
    gt: LabelMaps, index: DataIndex, setting: Setting, method: Method, *, crops: int, seed: int
) -> np.ndarray:
    """Return the shares of visible boxes over pyramid levels in random crops."""
    levels = Levels(canonical_size=setting.canonical_size)
    objects = cropped_objects(gt, index, Sampler(index, sample_of(setting, method), levels, seed), crops=crops)
    return np.bincount(objects["level"], minlength=levels.count) / len(objects)


def sample_of(setting: Setting, method: Method) -> SampleConfig:
    """Return how crops are drawn in a setting."""
    return replace(
        configure("streets", method).sample,
        shortest=setting.shortest,
        crop=setting.crop,
        isus="level_first",
        thing_scales=THING_SCALES,
    )


def section(setting: Setting, gt: LabelMaps, index: DataIndex, options: Options) -> str:
    """Write the part of the page about one setting."""
    rows = np.flatnonzero(index.is_instance)
    scale = setting.shortest / index.size[index.image[rows]].min(1)
    sides = scale * (index.box[rows, 2:] - index.box[rows, :2]).max(1)
    beyond = 100 * float((sides > setting.crop).mean())
    classes = sizes(gt, index)
    shares = {
        name: shares_by_level(gt, index, setting, method, crops=options.crops, seed=options.seed)
        for name, method in (("CUS", Method()), ("ISUS", Method(isus=True)))
    }
    bits = {name: entropy(share) for name, share in shares.items()}
    top = 100 * shares["CUS"][-1]
    known = classes["ratio"].dropna()
    checks = [
        ("objects an image", f"{len(rows) / len(index.size):.1f}", "20 or more", len(rows) / len(index.size) >= 20),
        ("thing categories", str(int(gt.catalogue.isthing.sum())), "12 or more", gt.catalogue.isthing.sum() >= 12),
        ("stuff categories", str(int((~gt.catalogue.isthing).sum())), "9 or more", (~gt.catalogue.isthing).sum() >= 9),
        (
            "class mean sizes, linear, beside Mapillary Vistas",
            f"{known.min():.2f} to {known.max():.2f}",
            "0.70 to 1.30",
            known.between(0.7, 1.3).all(),
        ),
        (
            f"objects with a side beyond the crop of {setting.crop}",
            f"{beyond:.1f} %",
            f"under {setting.most_beyond:g} %",
            beyond < setting.most_beyond,
        ),
        ("visible boxes on the top level, CUS", f"{top:.1f} %", "1 to 2 %", 1 <= top <= 2),
        ("entropy over levels, CUS", f"{bits['CUS']:.2f} bits", "at most 1.3", bits["CUS"] <= 1.3),
        (
            "entropy over levels, ISUS − CUS",
            f"{bits['ISUS'] - bits['CUS']:+.2f} bits",
            "0.2 or more",
            bits["ISUS"] - bits["CUS"] >= 0.2,
        ),
    ]
    measured = [{"": a, "measured": b, "asked": c, "met": "yes" if d else "**no**"} for a, b, c, d in checks]
    levels = [
        {
            "sampling": name,
            **{f"P{k + 2}": f"{100 * s:.1f} %" for k, s in enumerate(share)},
            "bits": f"{bits[name]:.2f}",
        }
        for name, share in shares.items()
    ]
    title = f"## Shortest side {setting.shortest}, crops of {setting.crop} ({setting.name})"
    used = (
        f"Level 2 from {setting.canonical_size:g} pixels; r_th {THING_SCALES[0]:.2f} to {THING_SCALES[1]:g}; "
        "ISUS draws a level first."
    )
    return "\n\n".join([title, used, table(measured), "Visible boxes by pyramid level:", table(levels)])


def class_sizes(gt: LabelMaps, index: DataIndex) -> str:
    """Write the part of the page about the sizes of objects, which no setting changes."""
    by_class = [
        {
            "category": row["category"],
            "objects": str(row["size"]),
            "mean area, % of the image": f"{row['mean']:.3f}",
            "Mapillary Vistas": "–" if np.isnan(row["vistas"]) else f"{row['vistas']:g}",
            "linear ratio": "–" if np.isnan(row["ratio"]) else f"{row['ratio']:.2f}",
        }
        for row in sizes(gt, index).to_dict("records")
    ]
    return "\n\n".join(["## Sizes of objects", table(by_class)])


def page(options: Options) -> str:
    """Draw the images and write the page.

    Raises:
        InputError: the images cannot be drawn.
    """
    write_dataset(
        options.folder,
        seed=options.seed,
        counts={"training": options.images},
        version=2,
        workers=options.workers,
        progress=True,
    )
    gt = datasets.ground_truth(options.folder, split="training")
    index = cached_index(gt)
    height, width = VERSIONS[2].size
    parts = [
        "# The second version of the embedded data set",
        f"{options.images} training images of {height} x {width} pixels and seed {options.seed}, {options.crops} crops "
        "with each sampling.\nEach setting rescales the same images. Boxes are those of visible pixels. Made by "
        "`python -m reproduce.dataset`.",
        *(section(setting, gt, index, options) for setting in SETTINGS),
        class_sizes(gt, index),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page and print it."""
    options = tyro.cli(Options, description=__doc__)
    with ending_at_faults("dataset"):
        text = page(options)
        write_atomically(options.out, text)
    print(text)


if __name__ == "__main__":
    main()
