"""Fig. 2: why crops bias boxes, and how object scales are distributed. Porzi et al., CVPR 2021.

Left: IoU of the boxes that training crops leave of objects with the full boxes, against object size, under
class-uniform (CROP) and instance scale-uniform sampling (ISUS). Right: sizes of all objects as the network sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
import tyro
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from tqdm import tqdm

from model.config import Levels, SampleConfig
from model.data.crops import cut_labels
from model.data.index import DataIndex, cached_index
from model.data.sampling import Sampler
from model.levels import box_levels
from model.presets import PRESETS, configure
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.labels import LabelMaps
from reproduce.figures import STYLE, WIDTH, save
from reproduce.options import DataSet, ending_at_faults, ground_truth
from reproduce.provenance import provenance, write_provenance
from reproduce.variants import BY_NAME

SAMPLINGS = {"CROP": "crop", "ISUS": "crop+isus"}
"""Variants whose crops are compared, by the name of the sampling in the figure."""
COLORS = {"data set": "#666666", **{series: BY_NAME[variant].color for series, variant in SAMPLINGS.items()}}
PER_OCTAVE = 2
"""Number of size bins per doubling of the size."""
MIN_COUNT = 20
"""Smallest number of objects in a bin that is drawn: the mean of fewer says little."""


@dataclass(frozen=True)
class Options(DataSet):
    """Draw Fig. 2 from the labels of a data set.

    Writes fig2.png, fig2.pdf, fig2.json, fig2_iou.csv, fig2_scales.csv and fig2_levels.csv.
    """

    split: str | None = "training"
    """Split, named as in the data set."""
    preset: str | None = None
    """Preset of the crops: streets, streets-2, mvd, idd or cityscapes. Default: that of the data set, else mvd."""
    crops: int = 4000
    """Number of crops to draw with each kind of sampling."""
    seed: int = 0
    """Random seed of the crops."""
    workers: int = 2
    """Number of threads."""


def cropped_objects(
    gt: LabelMaps, index: DataIndex, sampler: Sampler, *, crops: int, workers: int = 1, progress: bool = False
) -> pd.DataFrame:
    """Make a row for each object in each of the first crops of a stream.

    Columns: `size`, √area in the image; `scaled`, √(width * height) of its full box at the scale of the crop; `level`
    of its visible box, as what the crop shows is all that a network learns from; `iou` of the visible box with the full
    one.
    """

    levels = sampler.levels
    assert levels is not None  # of a network with a pyramid

    def one(number: int) -> pd.DataFrame:
        request = replace(sampler.request(number), flip=False)
        _, labels = cut_labels(gt, index, request, crop=sampler.config.crop)
        # The pixels that the whole object would have at this scale: else rounding would look like cropping.
        full = np.ceil(labels.full.numpy().astype(np.float64) - 0.5)
        row = labels.row.numpy()
        scaled = index.box[row] * request.scale
        visible = labels.targets.visible.numpy().astype(np.float64)
        return pd.DataFrame(
            {
                "size": np.sqrt(index.area[row]),
                "scaled": box_size(scaled),
                "level": box_levels(torch.from_numpy(visible), levels).numpy(),
                "iou": box_iou(visible, full),
            }
        )

    with ThreadPoolExecutor(workers) as executor:
        rows = executor.map(one, range(crops))
        name = sampler.config.sampling.upper()
        return pd.concat(tqdm(rows, total=crops, desc=name, unit="crop", disable=not progress), ignore_index=True)


def all_objects(index: DataIndex, config: SampleConfig, levels: Levels) -> pd.DataFrame:
    """Make a row for each object of a data set at the scale of its rescaled images; columns as of `cropped_objects`."""
    rows = np.flatnonzero(index.is_instance)
    scale = config.shortest / index.size.min(1)[index.image[rows]]
    scaled = index.box[rows] * scale[:, None]
    return pd.DataFrame(
        {
            "size": np.sqrt(index.area[rows]),
            "scaled": box_size(scaled),
            "level": box_levels(torch.from_numpy(scaled), levels).numpy(),
        }
    )


def box_size(boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Return √(width * height) of boxes."""
    return np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def box_iou(ours: Float[np.ndarray, "n 4"], theirs: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Return the IoU of boxes, row by row."""
    shared = np.minimum(ours[:, 2:], theirs[:, 2:]) - np.maximum(ours[:, :2], theirs[:, :2])
    intersection = shared.clip(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (ours, theirs)]
    return intersection / (areas[0] + areas[1] - intersection)


def bin_edges(sizes: Float[np.ndarray, " n"]) -> Float[np.ndarray, " b+1"]:
    """Return powers of 2 ** (1 / PER_OCTAVE) that enclose all sizes."""
    low, high = np.floor(np.log2(sizes.min()) * PER_OCTAVE), np.floor(np.log2(sizes.max()) * PER_OCTAVE) + 1
    return 2 ** (np.arange(low, high + 1) / PER_OCTAVE)


def iou_by_size(objects: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compute mean, quartiles and number of `iou` in each bin of `size`, for each sampling."""
    edges = bin_edges(np.concatenate([rows["size"].to_numpy() for rows in objects.values()]))
    parts = []
    for name, rows in objects.items():
        found = rows.groupby(np.digitize(rows["size"], edges) - 1)["iou"].describe()
        at = found.index.to_numpy()
        parts.append(
            pd.DataFrame(
                {
                    "sampling": name,
                    "size_from": edges[at],
                    "size_to": edges[at + 1],
                    "objects": found["count"].astype(int),
                    "mean_iou": found["mean"],
                    "quartile_1": found["25%"],
                    "median": found["50%"],
                    "quartile_3": found["75%"],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def share_by_scale(objects: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compute the share of objects in each bin of `scaled`, for each source."""
    edges = bin_edges(np.concatenate([rows["scaled"].to_numpy() for rows in objects.values()]))
    parts = []
    for name, rows in objects.items():
        count, _ = np.histogram(rows["scaled"], edges)
        share = count / count.sum()
        parts.append(
            pd.DataFrame(
                {"source": name, "scaled_from": edges[:-1], "scaled_to": edges[1:], "objects": count, "share": share}
            )
        )
    return pd.concat(parts, ignore_index=True)


def share_by_level(objects: Mapping[str, pd.DataFrame], levels: Levels) -> pd.DataFrame:
    """Compute the share of visible boxes on each pyramid level, and the entropy of the shares in bits, by source."""
    parts = []
    for name, rows in objects.items():
        count = np.bincount(rows["level"], minlength=levels.count)
        names = [f"P{level + 2}" for level in range(levels.count)]
        part = {"source": name, "level": names, "objects": count, "share": count / count.sum()}
        parts.append(pd.DataFrame({**part, "entropy_bits": entropy(count)}))
    return pd.concat(parts, ignore_index=True)


def entropy(count: np.ndarray) -> float:
    """Return the entropy of a histogram, bits: log2 of the number of bins if it is flat.

    >>> entropy(np.array([2, 2, 0, 0]))
    1.0
    """
    share = count[count > 0] / count.sum()
    return float(-(share * np.log2(share)).sum())


def draw(iou: pd.DataFrame, scales: pd.DataFrame, by_level: pd.DataFrame, levels: Levels, crop: float) -> Figure:
    """Draw both panels; `crop` is the side of a crop in pixels of the image."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_iou(iou, crop, ax=left)
        draw_scales(scales, by_level, levels, ax=right)
    return figure


def draw_iou(iou: pd.DataFrame, crop: float, *, ax: Axes) -> None:
    """Draw the left panel: mean IoU against size, with quartiles, and where objects are as large as the crop."""
    iou = iou[iou["objects"] >= MIN_COUNT]
    shift = 2**0.04  # so that the bars of two samplings do not hide each other
    for k, (name, rows) in enumerate(iou.groupby("sampling", sort=False)):
        center = np.sqrt(rows["size_from"] * rows["size_to"]) * shift ** (2 * k - 1)
        color = COLORS[str(name)]
        ax.plot(center, rows["mean_iou"], color=color, marker="os"[k % 2], markersize=3, label=f"{name}, mean")
        ax.vlines(
            center,
            rows["quartile_1"],
            rows["quartile_3"],
            color=color,
            linewidth=1,
            alpha=0.5,
            label=f"{name}, quartiles",
        )
    ax.axvline(crop, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    ax.annotate(f"crop: {crop:g} pixels", (crop, 0.02), (-3, 0), textcoords="offset points", ha="right", va="bottom")
    ax.set_xscale("log", base=2)
    ax.set_ylim(0, 1.03)
    ax.set_title("(a) boxes that crops leave")
    ax.set_xlabel("object size in the image, √area, pixels")
    ax.set_ylabel("IoU of cropped and full box")
    _plain_ticks(ax)
    ax.legend(loc="lower left", borderaxespad=0.3, handlelength=1.5)


def draw_scales(scales: pd.DataFrame, by_level: pd.DataFrame, levels: Levels, *, ax: Axes) -> None:
    """Draw the right panel: shares of sizes, the sizes at which levels switch, and the entropy over levels."""
    for name, rows in scales.groupby("source", sort=False):
        bits = by_level.loc[by_level["source"] == name, "entropy_bits"].iloc[0]
        edges = [*rows["scaled_from"], rows["scaled_to"].iloc[-1]]
        label = f"{name} (entropy over levels: {bits:.2f} bits)"
        ax.stairs(100 * rows["share"], edges, color=COLORS[str(name)], linewidth=1.3, label=label)
    ax.set_xscale("log", base=2)
    shown = scales[scales["share"] > 0]
    low, high = shown["scaled_from"].min(), shown["scaled_to"].max() * 2**0.1
    switches = [levels.octave(level)[0] for level in range(1, levels.count)]
    for switch in switches:
        ax.axvline(switch, color="black", linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
    inner = [low, *(s for s in switches if low < s < high), high]
    first = sum(s <= low for s in switches)
    above = ax.secondary_xaxis("top")
    above.set_xticks([np.sqrt(a * b) for a, b in pairwise(inner)], [f"P{first + k + 2}" for k in range(len(inner) - 1)])
    above.xaxis.set_minor_locator(NullLocator())
    above.tick_params(length=0)
    above.set_xlabel("level of the pyramid that sees the size")
    ax.set_xlim(low, high)
    ax.set_ylim(0, 140 * scales["share"].max())  # room for the legend
    ax.set_title("(b) sizes of objects")
    ax.set_xlabel("object size at the network, √(width · height), pixels")
    ax.set_ylabel(f"share of objects in 1/{PER_OCTAVE} octave, %")
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    _plain_ticks(ax)
    ax.legend(
        loc="upper left",
        borderaxespad=0.3,
        handlelength=1.5,
        frameon=True,
        framealpha=1,
        edgecolor="none",
        fancybox=False,
    )


def _plain_ticks(ax: Axes) -> None:
    ax.xaxis.set_major_locator(LogLocator(base=2, numticks=20))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure, or say why not."""
    options = tyro.cli(Options, args=arguments)
    with ending_at_faults("fig2"):
        run(options, ground_truth(options))


def run(options: Options, gt: LabelMaps) -> None:
    """Draw from the labels of a data set, and write the figure, its numbers and their provenance.

    Raises:
        InputError: the labels cannot be used.
    """
    name = Path(options.gt).name
    preset = options.preset or (name if name in PRESETS else "mvd")
    index = cached_index(gt, workers=options.workers, progress=True)
    if not index.is_instance.any():
        raise InputError(f"{gt.source}: has no things; expected some to crop")
    configs = {series: configure(preset, BY_NAME[variant].method) for series, variant in SAMPLINGS.items()}
    config = configs["CROP"]
    levels = config.levels
    assert config.sample.crop is not None
    assert levels is not None
    crop = config.sample.crop * float(np.median(index.size.min(1))) / config.sample.shortest
    objects = {
        series: cropped_objects(
            gt,
            index,
            Sampler(index, c.sample, levels, options.seed),
            crops=options.crops,
            workers=options.workers,
            progress=True,
        )
        for series, c in configs.items()
    }
    every = {"data set": all_objects(index, config.sample, levels), **objects}
    iou, scales, by_level = iou_by_size(objects), share_by_scale(every), share_by_level(every, levels)

    path = options.result("fig2")
    for part, table in (("iou", iou), ("scales", scales), ("levels", by_level)):
        write_atomically(
            path.with_name(f"{path.name}_{part}.csv"),
            table.to_csv(index=False, float_format="%.5g", lineterminator="\n"),
        )
    record = provenance(
        seed=options.seed,
        data={
            "gt": options.gt,
            "split": options.split,
            "images": len(index.size),
            "objects": int(index.is_instance.sum()),
            "fingerprint": index.fingerprint,
        },
        config={
            "preset": preset,
            "crops": options.crops,
            "levels": asdict(levels),
            **{series: asdict(c.sample) for series, c in configs.items()},
        },
    )
    write_provenance(path.with_suffix(".json"), record)
    save(draw(iou, scales, by_level, levels, crop), path)
    print(by_level.drop_duplicates("source")[["source", "entropy_bits"]].round(3).to_string(index=False))
    print(f"of {np.log2(levels.count):g} bits at most; wrote {path}.png")


if __name__ == "__main__":
    main()
