"""A metric for mmdetection's evaluator, in the place of CocoPanopticMetric: predictions are written, and stay."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.given_maps import to_array
from panoptic_eval.integrations import epoch
from panoptic_eval.labels import LabelMaps
from panoptic_eval.prediction_writer import PredictionWriter
from panoptic_eval.shapes import Integer

INSTANCE_OFFSET = 1000
"""Pixels of mmdetection's panoptic maps are index of the class + INSTANCE_OFFSET * instance."""


class PanopticEvaluator:
    """A metric of mmengine's `Evaluator` by form: dataset_meta, process, evaluate.

        from panoptic_eval.integrations.mmdetection import PanopticEvaluator
        val_evaluator = dict(type=PanopticEvaluator, gt="annotations/panoptic_val2017.json", out="work_dirs/panoptic")

    Writes `out`/predictions, in the COCO panoptic format, and `out`/scores, as `panoptic-eval --out` does. With several
    ranks of torch.distributed the first one writes: the others keep their maps, compressed, and send them at the end.

    Args:
        gt: the ground truth, or its name or path as for `ground_truth`.
        out: folder for predictions and scores.
        prefix: begins the names of the scores.

    Raises:
        InputError: the ground truth cannot be read.
    """

    def __init__(self, gt: LabelMaps | Path | str, out: Path | str, *, prefix: str = "coco_panoptic") -> None:
        self.gt = gt if isinstance(gt, LabelMaps) else ground_truth(gt)
        self.out = Path(out)
        self.prefix = prefix
        self.dataset_meta: Mapping[str, Any] | None = None
        """Of the data set, with the names of its `classes`; the evaluator sets it."""
        self._writer: PredictionWriter | None = None
        self._written: set[Any] = set()
        self._kept: list[tuple[Any, bytes, tuple[int, ...], list[dict[str, int]]]] = []
        """What a rank of several has processed: image, compressed uint32, (h, w), segments."""

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions.

        Args:
            data_batch: not used.
            data_samples: dictionaries with img_id, and pred_panoptic_seg with sem_seg: integers (1, h, w), index of the
                class + 1000 * instance. Indices that are no class are void.

        Raises:
            InputError: `dataset_meta` has a class that the ground truth has not; the folder holds other predictions.
            ValueError: a prediction that could not be scored; the message names image and key.
        """
        ids, alone = self._category_ids(), _ranks() is None
        for sample in data_samples:
            try:
                found, coded = sample["pred_panoptic_seg"], to_array(sample["pred_panoptic_seg"]["sem_seg"])
                image_id = sample["img_id"]
            except KeyError as error:
                raise InputError(f"a data sample has no {error}; expected img_id and pred_panoptic_seg") from error
            if coded.dtype.kind not in "iu" or coded.ndim < 2:
                raise InputError(
                    f"image {image_id!r}: pred_panoptic_seg has shape {coded.shape}, dtype {coded.dtype}; expected "
                    "integers (1, h, w)"
                )
            numbers, segments = _segments(coded.reshape(coded.shape[-2:]), ids, found.get("ignore_index"))
            if alone:
                self._write(image_id, numbers, segments)
            else:
                self._kept.append(
                    (image_id, zlib.compress(numbers.astype(np.uint32).tobytes(), 1), numbers.shape, segments)
                )

    def _write(self, image_id: Any, numbers: Integer[np.ndarray, "h w"], segments: list[dict[str, int]]) -> None:
        if self._writer is None:
            self._writer, self._written = epoch.begin(self.out, self.gt.catalogue), set()
        self._writer.write(image_id, numbers, segments)
        self._written.add(image_id)

    def evaluate(self, size: int) -> dict[str, float]:
        """Score all predictions, in percent, under the names of CocoPanopticMetric; the next epoch begins anew.

        Every rank gets the scores, or the error. An image that several ranks processed, as samplers repeat images to
        fill batches, counts once.

        Args:
            size: number of images of the data set.

        Raises:
            InputError: images are missing.
        """
        ranks = _ranks()
        if ranks is None:
            return self._scores(size)
        first = ranks.get_rank() == 0
        kept: list[Any] | None = [None] * ranks.get_world_size() if first else None
        ranks.gather_object(self._kept, kept)
        self._kept = []
        outcome: list[Any] = [None]
        if kept is not None:
            try:
                for image_id, packed, shape, segments in (sample for of_rank in kept for sample in of_rank):
                    if self._writer is None or image_id not in self._written:
                        self._write(
                            image_id, np.frombuffer(zlib.decompress(packed), np.uint32).reshape(shape), segments
                        )
                outcome = [self._scores(size)]
            except Exception as error:  # of any kind: the others wait for it
                outcome = [error]
        ranks.broadcast_object_list(outcome)
        if isinstance(outcome[0], Exception):
            raise outcome[0]
        scores: dict[str, float] = outcome[0]
        return scores

    def _scores(self, size: int) -> dict[str, float]:
        if self._writer is None:
            raise InputError(f"no image of {size} was processed; expected process before evaluate")
        if len(self._written) < size:
            raise InputError(f"{len(self._written)} images were processed of {size}; expected all")
        writer, self._writer = self._writer, None
        return {f"{self.prefix}/{name}": value for name, value in epoch.finish(writer, self.gt, self.out).items()}

    def _category_ids(self) -> list[int]:
        """Return the category id of each class of the data set."""
        by_name = {category.name: category.id for category in self.gt.catalogue.categories}
        classes = (self.dataset_meta or {}).get("classes")
        if classes is None:
            raise InputError("dataset_meta has no classes; expected the names of the data set's classes")
        unknown = [name for name in classes if name not in by_name]
        if unknown:
            raise InputError(f"class {unknown[0]!r} is none of the ground truth; expected {', '.join(by_name)}")
        return [by_name[name] for name in classes]


def _ranks() -> Any:
    """Return torch.distributed where several ranks share the work, else None."""
    distributed = sys.modules.get("torch.distributed")  # whoever did not import it did not initialize it
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return None
    return distributed if distributed.get_world_size() > 1 else None


def _segments(
    coded: Integer[np.ndarray, "h w"], category_ids: Sequence[int], ignored: int | None
) -> tuple[Integer[np.ndarray, "h w"], list[dict[str, int]]]:
    """Number the segments of a map from 1 on."""
    values, at = np.unique(coded, return_inverse=True)
    classes = values % INSTANCE_OFFSET
    known = (values >= 0) & (classes < len(category_ids)) & (classes != (-1 if ignored is None else ignored))
    numbers = np.where(known, np.cumsum(known), 0)
    segments = [
        {"id": number, "category_id": category_ids[index]}
        for number, index in zip(numbers.tolist(), classes.tolist(), strict=True)
        if number
    ]
    return numbers[at.reshape(coded.shape)], segments
