"""All scores as a metric of torchmetrics, for its collections, for Lightning and for several ranks.

The one integration that imports its library: a MetricCollection takes subclasses of torchmetrics.Metric alone.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

from panoptic_eval.categories import Catalogue
from panoptic_eval.panoptic_metric import PanopticMetric
from panoptic_eval.report import Report
from panoptic_eval.rules import DEFAULT, Rules

try:
    import torch
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
except ImportError:  # where only the documentation is made
    Metric = object  # type: ignore[assignment, misc]


class PanopticScores(Metric):
    """A torchmetrics `Metric` of all scores: `compute` returns a dictionary of them, as `Report.flat` names them.

        collection = MetricCollection([PanopticScores(categories)], prefix="val/")
        collection.update(prediction, target)
        self.log_dict(collection.compute())  # in a LightningModule

    Its state is the images' pair tables as bytes, some kilobytes each, which torchmetrics gathers from all ranks; an
    image that several ranks have by its `image_id` counts once.

    Args:
        categories, numbering, boundary: as for `PanopticMetric`.
        rules: every choice that changes a number.
        options: those of torchmetrics.Metric.

    Raises:
        ImportError: torchmetrics is not installed.
        InputError: as for `PanopticMetric`.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    images: Any

    def __init__(
        self,
        categories: Catalogue | Sequence[Mapping[str, Any]],
        *,
        numbering: Mapping[int, int] | None = None,
        boundary: float = 0.0,
        rules: Rules = DEFAULT,
        **options: Any,
    ) -> None:
        if Metric is object:
            raise ImportError("PanopticScores needs torchmetrics:  pip install torchmetrics")
        super().__init__(**options)
        self.empty = PanopticMetric(categories, numbering=numbering, boundary=boundary)
        self.rules = rules
        self.add_state("images", default=[], dist_reduce_fx="cat")

    def update(self, preds: Any, target: Any, *, image_id: Any = None) -> None:
        """Add an image, or a batch of images, in any form that `PanopticMetric.update` takes.

        Raises:
            InputError: as for `PanopticMetric.update`. Nothing of the batch is added then.
        """
        added = PanopticMetric(self.empty.catalogue, numbering=self.empty.numbering, boundary=self.empty.boundary)
        added.update(preds, target, image_id=image_id)
        self.images.append(torch.frombuffer(bytearray(pickle.dumps(added)), dtype=torch.uint8).to(self.device))

    def compute(self) -> dict[str, torch.Tensor]:
        """Return every score, 0 to 1; NaN for one that is not defined.

        Raises:
            InputError: no image was added.
        """
        exact = torch.float32 if self.device.type == "mps" else torch.float64  # which that device has not
        scores = self.report().flat()
        return {name: torch.tensor(value, dtype=exact, device=self.device) for name, value in scores.items()}

    def report(self) -> Report:
        """Score the images that are here; those of other ranks are not, but within `compute`.

        Raises:
            InputError: no image was added.
        """
        whole = PanopticMetric(self.empty.catalogue, boundary=self.empty.boundary)
        if len(self.images):
            stored = dim_zero_cat(self.images).to(torch.uint8).cpu().numpy().tobytes()
            stream = io.BytesIO(stored)
            while stream.tell() < len(stored):
                whole.merge(pickle.load(stream))
        return whole.compute(self.rules)
