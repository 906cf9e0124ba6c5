"""Fig. 6: ground truth and what two systems see, where they differ most on large objects. Porzi et al., CVPR 2021.

No eye chooses the images: on each, the best boxes that both systems have for its large objects are compared by their
mean IoU, and those with the largest absolute difference are drawn, whichever system is the better one there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import tyro
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from model.checkpoint_files import CONFIG
from model.config import from_json
from panoptic_eval.categories import Category
from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs import pictures
from panoptic_eval.outputs.pictures import Region, overlay, regions, resized
from panoptic_eval.pairs.palette import decode_listed
from panoptic_eval.pairs.table import PairTable
from panoptic_eval.photographs import read
from reproduce.bootstrap import best_boxes
from reproduce.figures import STYLE, WIDTH, save
from reproduce.options import Comparison, ending_at_faults
from reproduce.provenance import write_provenance
from reproduce.systems import System, about, checkpoints, images, systems
from reproduce.variants import title

TOP = 95.0
"""Percentile of area from which things are large, where none is wider than a crop."""
LONGEST = 640
"""Largest length of the longer side of one picture, pixels."""
OTHER = (150, 150, 150)
"""Color of predicted objects that lie on none of the ground truth's."""
DULL = 0.6
"""How much of the colors of stuff is gray, so that no object looks like it."""
STRIPES = 6
"""Pixels of the stripes where there is no segment: a light and a dark one together."""
BOX = "#f0e442"
"""Color of the boxes of predictions."""


@dataclass(frozen=True)
class Options(Comparison):
    """Draw Fig. 6: the images on which two systems differ most in the boxes of large objects.

    Writes fig6.png, fig6.pdf, fig6.csv and fig6.json.
    """

    systems: tuple[str, str] = ("crop", "crop+cabb+isus")
    """Names of the two systems: of variants, whose first seeds are used, or of folders of predictions."""
    images: int = 4
    """Number of images to draw."""


@dataclass(frozen=True)
class Panel:
    """An image with the segments of gt or prediction, and boxes to draw on it: x, y, width, height, image pixels."""

    picture: UInt8[np.ndarray, "h w 3"]
    size: tuple[int, int]
    """Height, width of the image, pixels."""
    large: Float[np.ndarray, "r 4"]
    """Boxes of the large objects of the gt."""
    notes: tuple[str, ...]
    """Note on each large object."""
    predicted: Float[np.ndarray, "p 4"]
    """Boxes of predicted segments."""


def crop_widths(compared: Sequence[System], size: Int[np.ndarray, "i 2"]) -> Float[np.ndarray, " i"]:
    """Return the width of the training crop of the first system that has one, pixels of each image; else infinity.

    Args:
        compared: systems; their checkpoints say what they were trained on.
        size: height, width of the images.
    """
    for system in compared:
        if system.checkpoint is not None:
            sample = from_json((system.checkpoint / CONFIG).read_text()).sample
            if sample.crop is not None:
                return sample.crop * size.min(1) / sample.shortest
    return np.full(len(size), np.inf)


def large_objects(table: PairTable, widths: Float[np.ndarray, " i"]) -> tuple[Int[np.ndarray, " r"], str]:
    """Return the rows of `table.gt` that are large things, not crowds, and the rule that chose them.

    Args:
        table: pair table of label maps.
        widths: a box wider than that of its image is large. If there is none, the largest things by area are.
    """
    gt = table.gt
    things = np.flatnonzero(table.catalogue.isthing[gt.category] & ~gt.crowd)
    wide = things[gt.box[things, 2] > widths[gt.image[things]]]
    if len(wide) or not len(things):
        return wide, "things wider than the training crop"
    area = gt.area[things]
    return things[area >= np.percentile(area, TOP)], f"things from the {TOP:g}th percentile of area"


def ranked_images(a: PairTable, b: PairTable, rows: Int[np.ndarray, " r"]) -> pd.DataFrame:
    """Rank the images that have large objects: the largest absolute difference first, equal ones in their order.

    Args:
        a, b: pair tables of label maps: what the panels show, not what fusion has dropped.
        rows: indices into the gt of either, which are the same.

    Returns:
        Columns: `image`, its index, and `image_id`; `large`, its number of large objects; `a` and `b`, the mean IoU of
        these objects with the best box of their category; `difference`, b - a.
    """
    objects = pd.DataFrame({"image": a.gt.image[rows], "a": best_boxes(a, rows)[0], "b": best_boxes(b, rows)[0]})
    images = objects.groupby("image").agg(large=("a", "size"), a=("a", "mean"), b=("b", "mean")).reset_index()
    images.insert(1, "image_id", [a.image_id[image] for image in images["image"].tolist()])
    images["difference"] = images["b"] - images["a"]
    return images.sort_values("difference", key=lambda d: -d.abs(), kind="stable", ignore_index=True)


def boxes_on(table: PairTable, rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, "p 4"]:
    """Return the boxes of predicted segments that lie mostly on one of the gt segments, or cover most of it."""
    pairs = np.isin(table.pairs.gt, rows) & (table.pairs.pred >= 0)
    gt, pred, pixels = table.pairs.gt[pairs], table.pairs.pred[pairs], table.pairs.pixels[pairs]
    most = pixels > np.minimum(table.gt.area[gt], table.pred.area[pred]) / 2
    same = table.gt.category[gt] == table.pred.category[pred]
    return table.pred.box[np.unique(pred[most & same])]


def panels_of(two: Sequence[System], image: int, rows: Int[np.ndarray, " r"]) -> list[Panel]:
    """Make the panel of an image's ground truth, then one of each system's prediction.

    Args:
        two: systems to show.
        image: index of the image in their pair tables.
        rows: large objects of this image, indices into the gt of the tables.

    Raises:
        InputError: the photograph is not known or cannot be read.
    """
    truth = two[0].tables.panoptic
    files = truth.files[image]
    if files.photograph is None:
        name = truth.image_id[image]
        raise InputError(f"{truth.origin.gt}: does not say where image {name!r} is; expected its file")
    photograph, size = read(files.photograph)
    photograph.thumbnail((LONGEST, LONGEST))
    large = truth.gt.box[rows]
    names = tuple(truth.catalogue.categories[c].name for c in truth.gt.category[rows].tolist())
    objects = objects_of(truth, image)
    segments = regions(truth.gt, truth.catalogue, image)
    panels = [Panel(segments_on(photograph, files.gt, segments, objects), size, large, names, np.empty((0, 4)))]
    for system in two:
        table = system.tables.panoptic
        png = table.files[image].pred
        assert png is not None, "a system without a prediction of an image is not counted"
        segments = regions(table.pred, table.catalogue, image)
        picture = segments_on(photograph, png, segments, predicted_objects(table, image))
        notes = tuple(f"IoU {iou:.2f}" for iou in best_boxes(table, rows)[0])
        panels.append(Panel(picture, size, large, notes, boxes_on(table, rows)))
    return panels


def objects_of(table: PairTable, image: int) -> dict[int, int]:
    """Number the things of an image's ground truth, by their ids."""
    rows = np.flatnonzero((table.gt.image == image) & table.catalogue.isthing[table.gt.category])
    return {id_: k for k, id_ in enumerate(np.sort(table.gt.id[rows]).tolist())}


def predicted_objects(table: PairTable, image: int) -> dict[int, int]:
    """Give predicted things of an image, by their ids, the number of the object that they lie on, so that it has one
    color in all pictures; those that lie mostly on none are left out.

    It is the object of their category with which they share most, if that is more than half of the smaller of the two.
    """
    gt, pred, pairs = table.gt, table.pred, table.pairs
    objects = objects_of(table, image)
    both = (pairs.gt >= 0) & (pairs.pred >= 0)
    g, p, shared = pairs.gt[both], pairs.pred[both], pairs.pixels[both]
    fits = (gt.image[g] == image) & (gt.category[g] == pred.category[p]) & table.catalogue.isthing[gt.category[g]]
    fits &= shared > np.minimum(gt.area[g], pred.area[p]) / 2
    g, p, shared = g[fits], p[fits], shared[fits]
    order = np.argsort(shared, kind="stable")  # what shares most comes last, and stays
    return {int(pred.id[p[k]]): objects[int(gt.id[g[k]])] for k in order.tolist()}


def segments_on(
    photograph: Image.Image, png: Path, segments: Sequence[Region], objects: Mapping[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """Lay the segments of a label PNG over its photograph; where there is none, stripes.

    Args:
        photograph: of the image.
        png: label PNG.
        segments: regions of the PNG.
        objects: number of each thing, which gives its color; things without one are gray.
    """
    ids = resized(decode_listed(np.array([s.id for s in segments], np.int64), png.read_bytes()), photograph)
    shown = []
    for segment in segments:  # nameless, as notes say more; none as a thing, as each would get a shade of its own
        category = replace(segment.category, name="", isthing=False, color=dull(segment.category.color))
        if segment.category.isthing:
            category = replace(category, color=object_color(objects.get(segment.id)))
        shown.append(Region(segment.id, category))
    picture = overlay(np.asarray(photograph), ids, shown)
    y, x = np.indices(ids.shape)
    void = ~np.isin(ids, [segment.id for segment in segments])
    dark = (x + y) % STRIPES < STRIPES // 2
    picture[void & dark], picture[void & ~dark] = 40, 90
    return picture


def object_color(number: int | None) -> tuple[int, int, int]:
    """Choose the color of an object by its number; gray for None."""
    if number is None:
        return OTHER
    red, green, blue = pictures.color(Category(number, "", isthing=True), 1).astype(int).tolist()
    return red, green, blue


def dull(color: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    """Mix a color with gray of its brightness."""
    if color is None:
        return None
    gray = sum(color) / 3
    red, green, blue = (round(DULL * gray + (1 - DULL) * c) for c in color)
    return red, green, blue


def draw(
    panels: Sequence[Sequence[Panel]], titles: Sequence[str], labels: Sequence[str], stuff: Sequence[Category]
) -> Figure:
    """Draw a row for each image; titles name the columns, labels the rows. A legend explains boxes and colors."""
    heights = [row[0].size[0] / row[0].size[1] for row in panels]
    with mpl.rc_context(STYLE | {"axes.spines.top": True, "axes.spines.right": True}):
        narrow = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        figure = Figure(figsize=(WIDTH, WIDTH / len(titles) * sum(heights) + 0.8), layout=narrow)
        axes = figure.subplots(len(panels), len(titles), squeeze=False, height_ratios=heights)
        for row, label, of in zip(panels, labels, axes, strict=True):
            for panel, ax in zip(row, of, strict=True):
                draw_panel(panel, ax=ax)
            of[0].set_ylabel(label, fontsize=6)
        for title, ax in zip(titles, axes[0], strict=True):
            ax.set_title(title, loc="left", fontsize=8)
        figure.legend(handles=legend_of(stuff), loc="outside lower left", ncols=5, fontsize=6, alignment="left")
    return figure


def legend_of(stuff: Sequence[Category]) -> list[Patch]:
    """Explain boxes, colors of objects, and those of stuff."""
    ground, line = "#808080", 0.4
    handles = [
        Patch(facecolor=ground, edgecolor="white", linestyle=(0, (3, 2)), label="true box of a large object"),
        Patch(facecolor=ground, edgecolor=BOX, label="box predicted there"),
        Patch(facecolor=_rgb(OTHER), edgecolor="black", linewidth=line, label="predicted object on no true one"),
        Patch(facecolor="#5a5a5a", edgecolor="#282828", hatch="////", label="no segment"),
        Patch(facecolor="none", label="other colors: one an object"),
    ]
    colors = [(c.name, pictures.color(replace(c, color=dull(c.color)), 1).tolist()) for c in stuff]
    of_stuff = (Patch(facecolor=_rgb(c), edgecolor="black", linewidth=line, label=name) for name, c in colors)
    return [*handles, *of_stuff]


def _rgb(color: Sequence[float]) -> tuple[float, float, float]:
    """Return a color of 0 to 255 as one of 0 to 1."""
    red, green, blue = (c / 255 for c in color)
    return red, green, blue


def draw_panel(panel: Panel, *, ax: Axes) -> None:
    """Draw a picture, the large objects of the gt as dashed boxes with their notes, predictions as solid ones."""
    height, width = panel.size
    ax.imshow(panel.picture, extent=(0, width, height, 0))
    outline = [withStroke(linewidth=2, foreground="black")]
    for (x, y, w, h), note in zip(panel.large, panel.notes, strict=True):
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor="white", linewidth=0.9, linestyle=(0, (3, 2))))
        ax.text(
            *(x + w / 2, y + h / 2, note),
            ha="center",
            va="center",
            color="white",
            fontsize=6,
            path_effects=outline,
            clip_on=True,
        )
    for x, y, w, h in panel.predicted:
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=BOX, linewidth=0.9))
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])


def run(options: Options) -> None:
    """Predict, count, choose, and write the figure and how every image was ranked.

    Raises:
        InputError: one of the two systems is missing, or there is nothing to choose from.
        CheckpointError: a checkpoint cannot be read.
    """
    if options.stored:
        raise InputError("--stored: the shipped pair tables hold no pictures; expected predictions")
    if options.images < 1:
        raise InputError(f"--images is {options.images}; expected 1 or more")
    there = dict.fromkeys([c.variant for c in checkpoints(options)] + [p.name for p in options.predictions])
    if missing := [name for name in options.systems if name not in there]:
        known = ", ".join(there) or "none, without --checkpoints and --predictions"
        raise InputError(
            [f"--systems: there is no system {name!r}; expected two of those there are: {known}" for name in missing]
        )
    gt = images(options)
    compared = systems(options, gt)
    two = [next(s for s in compared if s.name == name) for name in options.systems]
    a, b = (s.tables.panoptic for s in two)
    rows, rule = large_objects(a, crop_widths(two, a.size))
    if not len(rows):
        raise InputError(f"{gt.source}: has no things; expected some to compare")
    ranked = ranked_images(a, b, rows)
    chosen = ranked.head(options.images)
    panels = [panels_of(two, image, rows[a.gt.image[rows] == image]) for image in chosen["image"].tolist()]
    labels = [f"{row.image_id}\nmean box IoU {row.a:.2f} → {row.b:.2f}" for row in chosen.itertuples()]
    shown = np.isin(a.gt.image, chosen["image"]) & ~a.catalogue.isthing[a.gt.category]
    stuff = [a.catalogue.categories[c] for c in np.unique(a.gt.category[shown]).tolist()]
    figure = draw(panels, ["ground truth", *map(title, options.systems)], labels, stuff)

    table = ranked.drop(columns="image").rename(columns={k: f"iou {s.name}" for k, s in zip("ab", two, strict=True)})
    table["drawn"] = table.index < options.images
    path = options.result("fig6")
    write_atomically(path.with_suffix(".csv"), table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    record = about(options, gt, two)
    record["config"] |= {"systems": list(options.systems), "images": options.images, "large": rule}
    write_provenance(path.with_suffix(".json"), record)
    save(figure, path, dpi=220)
    up, down = ((sign * ranked["difference"] > 0).sum() for sign in (1, -1))
    print(table.head(options.images).round(3).to_string(index=False))
    print(f"{len(rows)} large objects ({rule}) on {len(ranked)} images; wrote {path}.png")
    print(f"{two[1].name} is better on {up} of these images, {two[0].name} on {down}")


def main(arguments: list[str] | None = None) -> None:
    """Draw the figure, or say why not."""
    options = tyro.cli(Options, args=arguments)
    with ending_at_faults("fig6"):
        run(options)


if __name__ == "__main__":
    main()
