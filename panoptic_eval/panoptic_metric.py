"""A metric for training and validation loops: arrays or tensors in, the report of panoptic-eval out."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError, PngError
from panoptic_eval.evaluation import rescore, store
from panoptic_eval.given_maps import images_of, read_map
from panoptic_eval.labels import ImageId
from panoptic_eval.pairs.arrays import pair_table
from panoptic_eval.pairs.table import PairTable, concatenate, renamed_images
from panoptic_eval.report import Report
from panoptic_eval.rules import DEFAULT, Rules, check_boundary
from panoptic_eval.score import Tables


class PanopticMetric:
    """Scores of the images that were added so far. Keeps the table of segment pairs of each image, and no pixel.

        metric = PanopticMetric(categories)
        for image, target in loader:
            metric.update(network(image), target)
        print(metric.compute().scores["PQ"]["all"])

    Objects pickle, and those of several processes add by `merge` or `sync`.

    Args:
        categories: a Catalogue, or COCO's list of dictionaries with id, name and isthing.
        numbering: category id of each number that predictions use, if these are not the ids.
        boundary: distance of pixels near a boundary, in diagonals of the image, for boundary PQ and AP; 0 for none.

    Raises:
        InputError: a category lacks id, name or isthing, or has the id of another; `boundary` is not from 0 to 1.
    """

    def __init__(
        self,
        categories: Catalogue | Sequence[Mapping[str, Any]],
        *,
        numbering: Mapping[int, int] | None = None,
        boundary: float = 0.0,
    ) -> None:
        check_boundary(boundary)
        self.catalogue = _catalogue(categories)
        self.numbering = numbering
        self.boundary = boundary
        self._tables: list[tuple[ImageId | None, PairTable]] = []
        self._names: set[ImageId] = set()

    def __len__(self) -> int:
        return len(self._tables)

    def update(self, prediction: Any, target: Any, *, image_id: Any = None) -> None:
        """Add an image, or a batch of images.

        Maps of segment ids are arrays or tensors of integers on any device; 0 and -1 are void. Entries without a pixel
        are left out. Categories of a target that are none of the metric's are void, too.

        Args:
            prediction: (map, segments), where segments are dictionaries with id and category_id, perhaps score; what
                Hugging Face's post-processing returns; detectron2's dictionary with panoptic_seg; or category and
                instance of each pixel, integers (h, w, 2), as torchmetrics takes them, where category -1 is void. A
                list is a batch, as is (batch, h, w, 2).
            target: in one of the same forms; segments may have iscrowd.
            image_id: an integer or string that is the image's alone, or a list or tensor of them for a batch. Images
                are numbered if it is not given.

        Raises:
            InputError: a map of another form, of another size than the other one, an unknown category, an id without
                entry, an image that was added already, or a batch of which the two sides differ in length. Nothing of
                the batch is added then.
        """
        predictions, targets = list(images_of(prediction)), list(images_of(target))
        names = [None] * len(targets) if image_id is None else _listed(image_id)
        if not len(predictions) == len(targets) == len(names):
            raise InputError(
                f"there are {len(predictions)} predictions, {len(targets)} targets and {len(names)} image ids; "
                "expected as many of each"
            )
        added: list[tuple[ImageId | None, PairTable]] = []
        for name, pred, gt in zip(names, predictions, targets, strict=True):
            number = len(self) + len(added) + 1
            table = self._count(pred, gt, number if name is None else name)
            given = None if name is None else table.image_id[0]
            if given is not None and (given in self._names or given in {before for before, _ in added}):
                raise InputError(f"image {given!r} was added already; expected each image once")
            added.append((given, table))
        self._add(added)

    def _add(self, tables: list[tuple[ImageId | None, PairTable]]) -> None:
        self._tables += tables
        self._names.update(name for name, _ in tables if name is not None)

    def _count(self, prediction: Any, target: Any, name: Any) -> PairTable:
        """Make the table of one image.

        Raises:
            InputError: as for `update`.
        """
        sides = []
        for side, value in (("prediction", prediction), ("target", target)):
            try:
                predicted = side == "prediction"
                numbering = self.numbering if predicted else None
                sides.append(read_map(value, self.catalogue, numbering=numbering, predicted=predicted))
            except ValueError as error:
                raise InputError(f"{side} of image {name!r}: {error}") from error
        (pred, pred_segments, pred_void), (gt, gt_segments, gt_void) = sides
        try:
            return pair_table(
                self.catalogue,
                gt,
                gt_segments,
                pred,
                pred_segments,
                image_id=name,
                boundary=self.boundary,
                without_pixels="leave out",
                gt_void=gt_void,
                pred_void=pred_void,
            )
        except PngError as error:  # of different sizes
            raise InputError(f"image {name!r}: {error}") from error

    def reset(self) -> None:
        """Forget all images."""
        self._tables = []
        self._names = set()

    def merge(self, other: PanopticMetric) -> None:
        """Add the images of another metric, such as that of another process.

        An image that both have by its `image_id` counts once: samplers of several ranks repeat images to fill batches.

        Raises:
            InputError: the other one has other categories, or another `boundary`.
        """
        if other.catalogue != self.catalogue or other.boundary != self.boundary:
            raise InputError("the metrics differ in their categories or in boundary; expected two of one kind")
        self._add([(name, table) for name, table in other._tables if name is None or name not in self._names])

    def sync(self, group: Any = None) -> None:
        """Add the images of all ranks of torch.distributed, so that each rank has them all. No pixel is sent.

        Raises:
            InputError: torch.distributed is not initialized.
        """
        distributed = sys.modules.get("torch.distributed")  # whoever did not import it did not initialize it
        if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
            raise InputError("torch.distributed is not initialized; expected init_process_group before sync")
        gathered: list[Any] = [None] * distributed.get_world_size(group)
        distributed.all_gather_object(gathered, self, group=group)
        self.reset()
        for metric in gathered:
            self.merge(metric)

    def tables(self) -> Tables:
        """Return the pair tables of all images, which every function of panoptic_eval takes.

        Raises:
            InputError: no image was added, or two have one `image_id`.
        """
        if not self._tables:
            raise InputError("no image was added; expected update before compute")
        taken = {name for name, _ in self._tables}
        free = (number for number in range(1, len(self._tables) + len(taken) + 1) if number not in taken)
        named = [renamed_images(table, [next(free) if name is None else name]) for name, table in self._tables]
        return Tables(concatenate(named))

    def compute(self, rules: Rules = DEFAULT, *, resamples: int = 0, seed: int = 0) -> Report:
        """Score the images that were added so far.

        Args:
            rules: every choice that changes a number.
            resamples: sets of images drawn for 95 % intervals; no intervals if 0.
            seed: of the draw.

        Raises:
            InputError: as for `tables`.
        """
        return rescore(self.tables(), rules, resamples=resamples, seed=seed)

    def save(self, out: Path | str, *, resamples: int = 0) -> Report:
        """Write a folder as `panoptic-eval --out` does, for compare, report and rescore; returns the report.

        Raises:
            InputError: as for `tables`, or the folder cannot be written to.
        """
        tables = self.tables()
        report = rescore(tables, resamples=resamples)
        store(report, tables, out)
        return report


def _listed(image_id: Any) -> list[Any]:
    """Return the names of a batch; one alone is a batch of one."""
    if isinstance(image_id, str):
        return [image_id]
    try:
        return list(image_id)
    except TypeError:
        return [image_id]


def _catalogue(categories: Catalogue | Sequence[Mapping[str, Any]]) -> Catalogue:
    """Take categories in either form."""
    if isinstance(categories, Catalogue):
        return categories
    try:
        return Catalogue(tuple(Category.from_coco(entry) for entry in categories))
    except KeyError as error:
        raise InputError(f"a category has no {error}; expected id, name and isthing") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"categories: {error}; expected dictionaries with id, name and isthing") from error
