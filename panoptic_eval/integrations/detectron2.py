"""An evaluator for detectron2's loops: predictions are written as they come, and stay."""

from __future__ import annotations

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


class Evaluator:
    """A detectron2 `DatasetEvaluator` by form: reset, process, evaluate.

        evaluator = Evaluator("coco", "runs/mine", metadata=MetadataCatalog.get("coco_2017_val_panoptic"))
        inference_on_dataset(model, data_loader, evaluator)

    Writes `out`/predictions, in the COCO panoptic format, and `out`/scores, as `panoptic-eval --out` does. With several
    processes each writes its own folder: give each another `out`, and score them together with `panoptic-eval`.

    Args:
        gt: the ground truth, or its name or path as for `ground_truth`.
        out: folder for predictions and scores.
        metadata: of the data set, with thing_dataset_id_to_contiguous_id and stuff_dataset_id_to_contiguous_id; None
            if predictions have the ids of the ground truth.
        label_divisor: of predictions without a list of segments, whose pixels are category * label_divisor + instance.

    Raises:
        InputError: the ground truth cannot be read.
    """

    def __init__(
        self, gt: LabelMaps | Path | str, out: Path | str, *, metadata: Any = None, label_divisor: int = 1000
    ) -> None:
        self.gt = gt if isinstance(gt, LabelMaps) else ground_truth(gt)
        self.out = Path(out)
        self.label_divisor = label_divisor
        self._dataset_ids = {
            thing: {number: id_ for id_, number in getattr(metadata, f"{kind}_dataset_id_to_contiguous_id", {}).items()}
            for thing, kind in ((True, "thing"), (False, "stuff"))
        }
        self._known = metadata is not None
        self._writer: PredictionWriter | None = None

    def reset(self) -> None:
        """Forget what was processed; the next prediction removes its files, and those of an earlier run in `out`."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Write predictions.

        Args:
            inputs: dictionaries with image_id.
            outputs: dictionaries with panoptic_seg: a map of ids, and segments (id, category_id, perhaps isthing and
                score), or None.

        Raises:
            InputError: the folder holds predictions of another kind.
            ValueError: a prediction that could not be scored; the message names image and key.
        """
        if self._writer is None:
            self._writer = epoch.begin(self.out, self.gt.catalogue)
        for given, made in zip(inputs, outputs, strict=True):
            labels, segments = made["panoptic_seg"]
            ids = to_array(labels)
            if segments is None:
                ids, segments = self._listed(ids)
            self._writer.write(given["image_id"], ids, [self._segment(segment) for segment in segments])

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Score all predictions, in percent, under the names of detectron2's COCOPanopticEvaluator.

        Raises:
            InputError: nothing was processed.
        """
        if self._writer is None:
            raise InputError("no prediction was processed; expected process before evaluate")
        return {"panoptic_seg": epoch.finish(self._writer, self.gt, self.out)}

    def _listed(self, coded: Integer[np.ndarray, "h w"]) -> tuple[Integer[np.ndarray, "h w"], list[dict[str, Any]]]:
        """Number the segments of a map whose pixels are category * label_divisor + instance; -1 is void."""
        values, at = np.unique(coded, return_inverse=True)
        known = values >= 0
        numbers = np.where(known, np.cumsum(known), 0)
        categories = (values // self.label_divisor).tolist()
        segments = [
            {"id": number, "category_id": category, "isthing": category in self._dataset_ids[True]}
            for number, category in zip(numbers.tolist(), categories, strict=True)
            if number
        ]
        return numbers[at.reshape(coded.shape)], segments

    def _segment(self, segment: Mapping[str, Any]) -> dict[str, Any]:
        """Give a segment the category id of the ground truth."""
        category = segment["category_id"]
        if self._known:
            category = self._dataset_ids[bool(segment.get("isthing", False))].get(category, category)
        kept = {"score": float(segment["score"])} if segment.get("score") is not None else {}
        return {"id": segment["id"], "category_id": category, **kept}
