"""Predict whole images into a directory that `panoptic-eval` scores:  python -m model.predict --checkpoint DIR ..."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from jaxtyping import UInt8
from tqdm import tqdm

from model.checkpoint import load_network
from model.checkpoint_files import CheckpointError, fingerprint
from model.data.crops import Window, cut_image
from model.distributed import Ranks, everybodys, joined, wait
from model.families import PanopticNetwork
from model.memory import OutOfMemory, advised
from model.panoptic_map import Instance, PanopticMap
from panoptic_eval.categories import Catalogue
from panoptic_eval.datasets import NAMES, ground_truth, recognize
from panoptic_eval.datasets.folders import files
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.files import leftovers, write_atomically
from panoptic_eval.labels import ImageId, LabelMaps
from panoptic_eval.photographs import shown_size
from panoptic_eval.png.container import HEAD, png_size
from panoptic_eval.png.rle import encode_window
from panoptic_eval.predictions import PredictionWriter

PHOTOGRAPHS = (".jpg", ".jpeg", ".png")
Precision = Literal["float32", "bfloat16"]
ADVICE = "use a device with more memory, or a checkpoint whose config.json has a smaller sample.shortest"
MADE_BY = "made_by.json"
"""Which checkpoint a directory of predictions is from, so that a second one does not go on with it."""
PARTS = "parts"
"""Folder of what each rank has written, until all are done."""
JOINED = ".parts.joined"
"""Parts that are to be removed: half of a part must not be taken for one."""


@dataclass(frozen=True)
class Options:
    """Predict whole images, at the resolution that the checkpoint was made for, and bring the result back to theirs."""

    checkpoint: Path
    """Folder with model.safetensors, config.json and categories.json."""
    images: Annotated[
        str,
        tyro.conf.arg(
            help=f"Images to predict: a folder of JPEGs and PNGs, or a ground truth ({NAMES}, or a path), whose image "
            "ids the predictions then have, so that panoptic-eval can match them."
        ),
    ]
    out: Path
    """Folder for panoptic.json, panoptic/ and instances.json. If it is interrupted, run the same command again."""
    root: Path | None = None
    """Folder of the data sets. Default: $PANOPTIC_DATA."""
    split: str | None = None
    """Split of the ground truth to predict. Default: the validation split."""
    version: Literal["1.2", "2.0"] | None = None
    """Release of Mapillary Vistas to read, 1.2 or 2.0. Default: 1.2 if the data set has both."""
    limit: int | None = None
    """Predict only so many images, the first ones."""
    scale: float = 1.0
    """Factor on the resolution that the checkpoint was made for: how well it does at other scales of the objects."""
    precision: Precision | None = None
    """Precision of most arithmetic. Default: bfloat16 on a GPU, float32 on a CPU (with AMX bfloat16 is faster)."""
    semantic: bool = False
    """Write semantic/ as well: the category of each pixel, by the semantic head or as fusion.semantic says."""
    broken: Literal["error", "skip"] = "error"
    """If an image cannot be read: stop with an error, or leave it out."""
    device: str | None = None
    """Device: cpu, cuda or cuda:N. Default: the GPU if there is one."""
    quiet: bool = False
    """Show no progress bar."""


@dataclass(frozen=True)
class Photograph:
    """An image to predict."""

    image_id: ImageId
    path: Path
    labels: Path | None = None
    """Label PNG of a ground truth, whose frame the prediction must have."""


@dataclass(frozen=True)
class Output:
    """Predictions of one image that are written, all at its own size."""

    panoptic: PanopticMap
    instances: tuple[dict[str, Any], ...]
    """Detections before fusion, in the form that `PredictionWriter` takes."""
    semantic: UInt8[np.ndarray, "h w"] | None
    """Catalogue index of each pixel."""


def photographs(
    images: str, *, root: Path | None = None, split: str | None = None, version: str | None = None
) -> tuple[list[Photograph], LabelMaps | None]:
    """List the images of a folder, whose names are their ids; or those of a ground truth, and return it, too.

    Raises:
        InputError: neither, or without images, or two images of one name.
    """
    folder = Path(images)
    paths = [p for p in files(folder, "*") if p.suffix.lower() in PHOTOGRAPHS]
    if paths:
        if twice := [name for name, count in Counter(path.stem for path in paths).items() if count > 1]:
            raise InputError(f"{folder}: holds two images named {min(twice)}; expected one, as the name is the id")
        return [Photograph(path.stem, path) for path in paths], None
    if folder.is_dir() and recognize(folder) is None:
        kinds = ", ".join(PHOTOGRAPHS)
        raise InputError(f"{folder}: holds no image and no known ground truth; expected {kinds} files, or a data set")
    gt = ground_truth(images, root=root, split=split, version=version)
    return photographs_of(gt), gt


def photographs_of(gt: LabelMaps) -> list[Photograph]:
    """List the images of a ground truth.

    Raises:
        InputError: it does not say where one of them is.
    """
    without = [m.image_id for m in gt.maps if m.photograph is None]
    if without:
        raise InputError(f"{gt.source}: does not say where image {without[0]} is; expected a folder of images")
    return [Photograph(m.image_id, m.photograph, m.png) for m in gt.maps if m.photograph is not None]


@torch.inference_mode()
def predict_image(
    network: PanopticNetwork,
    catalogue: Catalogue,
    image: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int],
    *,
    semantic: bool,
    precision: Precision | None = None,
) -> Output:
    """Predict everything that is written about an image.

    Args:
        network: in evaluation mode.
        catalogue: ids of its categories.
        image: at the network's resolution.
        size: height, width of the image as it is in its file: the frame of the result.
        semantic: whether to make the semantic map.
        precision: of most arithmetic; None: bfloat16 on a GPU, float32 on a CPU.
    """
    device = network.mean.device
    batch = torch.from_numpy(image).to(device).permute(2, 0, 1)[None]
    precision = precision or ("bfloat16" if device.type == "cuda" else "float32")
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        found: list[Any] = network.predict(batch)  # of the network's own kind
    fused = network.fuse(found[0], image.shape[:2], size)
    results = tuple(coco_result(instance, catalogue, size) for instance in fused.instances)
    return Output(fused.panoptic, results, fused.semantic.cpu().numpy() if semantic else None)


def read_image(
    path: Path, shortest: int, labels: Path | None = None
) -> tuple[UInt8[np.ndarray, "h w 3"], tuple[int, int]]:
    """Read an image as it is shown, at the network's resolution, and its own height and width.

    Raises:
        InputError: it cannot be read, or is not of the size of its label PNG.
    """
    size = shown_size(path)
    if labels is not None:
        with suppress(OSError, PngError), labels.open("rb") as file:  # a test set may have none
            if (expected := png_size(file.read(HEAD))) != size:
                raise InputError(
                    f"{path}: has {size[1]} x {size[0]} pixels as it is shown; "
                    f"expected {expected[1]} x {expected[0]}, as {labels} has"
                )
    height, width = (max(round(side * shortest / min(size)), 1) for side in size)
    return np.array(cut_image(path, size, Window((height, width), 0, 0, height, width))), size


def predict(
    network: PanopticNetwork,
    catalogue: Catalogue,
    photographs: Sequence[Photograph],
    out: Path,
    *,
    made_by: str,
    ranks: Ranks,
    scale: float = 1.0,
    precision: Precision | None = None,
    semantic: bool = False,
    broken: Literal["error", "skip"] = "error",
    progress: bool = True,
) -> list[str]:
    """Predict the images that are not predicted yet; ranks share the work, and the first joins what they wrote.

    Args:
        network: in evaluation mode, on the ranks' device.
        catalogue: of its categories.
        photographs: in the order of the result.
        out: the directory of predictions, new or begun.
        made_by: what tells the network from others; a directory that another one has begun is refused.
        ranks: this process among all.
        scale: factor on the network's resolution, above 0.
        precision: as for `predict_image`.
        semantic: write semantic/, too.
        broken: whether an image that cannot be read is an error, or left out.
        progress: show a bar.

    Returns:
        Why each image that was left out could not be read, of all ranks.

    Raises:
        InputError: `out` holds other predictions, an image cannot be read, or the scale is no factor.
        OutOfMemory: with advice.
    """
    if not 0 < scale < math.inf:
        raise InputError(f"--scale {scale:g}: expected a number above 0")
    order = [p.image_id for p in photographs]
    if ranks.first:
        unusual = ({} if scale == 1 else {"scale": scale}) | ({} if precision is None else {"precision": precision})
        _claim(out, {"checkpoint": made_by, "semantic": semantic} | unusual)
        _remove_leftovers(out)
        _join(out, catalogue, order)  # of a run that was killed, perhaps with another number of ranks
    wait(ranks)
    done = _finished(out)
    mine = [p for p in photographs if p.image_id not in done][ranks.rank :: ranks.count]
    skipped: list[str] = []
    with ExitStack() as stack:
        writer = stack.enter_context(PredictionWriter(out / PARTS / str(ranks.rank), catalogue))
        bar = stack.enter_context(tqdm(total=len(mine), unit="image", disable=not (progress and ranks.first)))
        # Decoding the next image and encoding the last one take as long as a GPU takes in between.
        reading, writing = (stack.enter_context(ThreadPoolExecutor(1)) for _ in range(2))
        written: Future[None] | None = None
        for photograph, read in _ahead(reading, mine, max(round(scale * network.config.sample.shortest), 1)):
            try:
                image, size = read.result()
            except InputError as error:
                if broken == "error":
                    raise
                skipped += map(str, error.faults)
                bar.update()
                continue
            with advised(ADVICE):
                output = predict_image(network, catalogue, image, size, semantic=semantic, precision=precision)
            if written is not None:
                written.result()
            written = writing.submit(_write, writer, catalogue, photograph.image_id, output)
            bar.update()
        if written is not None:
            written.result()
    all_skipped = [fault for one in everybodys(skipped, ranks) for fault in one]
    if ranks.first:
        _join(out, catalogue, order)
    wait(ranks)
    return all_skipped


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = tyro.cli(Options, args=arguments, prog="python -m model.predict", description=Options.__doc__)
    try:
        with joined(options.device) as ranks:
            skipped = _predict(options, ranks)
    except (CheckpointError, InputError, OutOfMemory) as error:
        sys.exit(f"model.predict: {error}")
    except KeyboardInterrupt:
        print("model.predict: interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
    if ranks.first and skipped:
        print(f"model.predict: {len(skipped)} images were left out:", *skipped, sep="\n- ", file=sys.stderr)


def _predict(options: Options, ranks: Ranks) -> list[str]:
    network, catalogue = load_network(options.checkpoint)
    network.to(ranks.device)
    found, _ = photographs(options.images, root=options.root, split=options.split, version=options.version)
    return predict(
        network,
        catalogue,
        found[: options.limit],
        options.out,
        made_by=fingerprint(options.checkpoint),
        ranks=ranks,
        scale=options.scale,
        precision=options.precision,
        semantic=options.semantic,
        broken=options.broken,
        progress=not options.quiet,
    )


def _ahead(
    pool: ThreadPoolExecutor, photographs: Sequence[Photograph], shortest: int
) -> Iterator[tuple[Photograph, Future]]:
    """Yield each image with its contents to come, while the next one is being read."""

    def read(photograph: Photograph) -> Future:
        return pool.submit(read_image, photograph.path, shortest, photograph.labels)

    following: Future | None = None
    for i, photograph in enumerate(photographs):
        this = following or read(photograph)
        following = read(photographs[i + 1]) if i + 1 < len(photographs) else None
        yield photograph, this


def _write(writer: PredictionWriter, catalogue: Catalogue, image_id: ImageId, output: Output) -> None:
    writer.write(
        image_id,
        output.panoptic.ids.numpy(),
        [
            {"id": s.id, "category_id": int(catalogue.ids[s.category])}
            | ({} if s.score is None else {"score": s.score})
            for s in output.panoptic.segments
        ],
        instances=output.instances,
        semantic=None if output.semantic is None else catalogue.ids[output.semantic],
    )


def coco_result(instance: Instance, catalogue: Catalogue, size: tuple[int, int]) -> dict[str, Any]:
    """Return a detection as a COCO result, in an image of height, width."""
    x0, y0, x1, y1 = instance.box
    return {
        "category_id": int(catalogue.ids[instance.category]),
        "score": instance.score,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "segmentation": encode_window(instance.mask.cpu().numpy(), instance.corner, size),
    }


def _claim(out: Path, made_by: dict[str, Any]) -> None:
    """Mark a new directory as this network's.

    Raises:
        InputError: it is another's.
    """
    path = out / MADE_BY
    if path.is_file():
        if json.loads(path.read_text()) != made_by:
            raise InputError(f"{out}: holds predictions of another checkpoint or other options; expected a new --out")
    elif (out / "panoptic.json").exists() or (out / "panoptic").exists():
        raise InputError(f"{out}: holds predictions that this command has not made; expected a new --out")
    else:
        write_atomically(path, json.dumps(made_by) + "\n")


def _finished(out: Path) -> set[ImageId]:
    path = out / "panoptic.json"
    return {a["image_id"] for a in json.loads(path.read_text())["annotations"]} if path.is_file() else set()


def _join(out: Path, catalogue: Catalogue, order: Sequence[ImageId]) -> None:
    """Move what ranks have written to where it belongs. Killed at any point, the next call completes it."""
    parts = sorted((out / PARTS).glob("*"))
    if not parts:
        return
    for part in parts:
        PredictionWriter(part, catalogue).close()
    rows: dict[ImageId, _Row] = {}
    for home in (out, *parts):
        rows |= _rows(home)
    position = {id_: i for i, id_ in enumerate(order)}
    chosen = sorted(rows, key=lambda id_: position.get(id_, len(order)))
    for part in parts:
        for kind in ("panoptic", "semantic"):
            for png in (part / kind).glob("*.png"):
                (out / kind).mkdir(exist_ok=True)
                png.rename(out / kind / png.name)
    categories = json.loads((parts[0] / "panoptic.json").read_text())["categories"]
    panoptic = {
        "images": [rows[id_].image for id_ in chosen],
        "annotations": [rows[id_].annotation for id_ in chosen],
        "categories": categories,
    }
    write_atomically(out / "instances.json", json.dumps([one for id_ in chosen for one in rows[id_].instances]))
    write_atomically(out / "panoptic.json", json.dumps(panoptic))
    (out / PARTS).rename(out / JOINED)
    shutil.rmtree(out / JOINED)


def _remove_leftovers(out: Path) -> None:
    """Remove what a run that was killed left half-written or half-removed."""
    for file in leftovers(out, (MADE_BY, "panoptic.json", "instances.json")):
        file.unlink()
    if (out / JOINED).exists():
        shutil.rmtree(out / JOINED)


@dataclass(frozen=True)
class _Row:
    """Entries of one image in the JSONs of a directory of predictions."""

    image: dict[str, Any]
    annotation: dict[str, Any]
    instances: list[dict[str, Any]]


def _rows(home: Path) -> dict[ImageId, _Row]:
    """Read the rows of each image of a directory of predictions; there are none if it is not finished."""
    if not (home / "panoptic.json").is_file():
        return {}
    panoptic = json.loads((home / "panoptic.json").read_text())
    images = {image["id"]: image for image in panoptic["images"]}
    instances: dict[ImageId, list[dict[str, Any]]] = {id_: [] for id_ in images}
    results = home / "instances.json"
    for one in json.loads(results.read_text()) if results.is_file() else ():
        instances.setdefault(one["image_id"], []).append(one)
    return {a["image_id"]: _Row(images[a["image_id"]], a, instances[a["image_id"]]) for a in panoptic["annotations"]}


if __name__ == "__main__":
    main()
