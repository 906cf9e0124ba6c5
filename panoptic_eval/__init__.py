"""Exact and fast metrics of panoptic segmentation, at all scales."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panoptic_eval.categories import Catalogue, Category
    from panoptic_eval.checkup import check
    from panoptic_eval.coco_instances import coco_ap
    from panoptic_eval.comparison import compare
    from panoptic_eval.counting import count
    from panoptic_eval.datasets import ground_truth
    from panoptic_eval.errors import InputError
    from panoptic_eval.evaluation import evaluate, load, merge, rescore, store
    from panoptic_eval.panoptic_metric import PanopticMetric
    from panoptic_eval.prediction_writer import PredictionWriter
    from panoptic_eval.predictions import read_predictions
    from panoptic_eval.report import Report
    from panoptic_eval.rules import Rules
    from panoptic_eval.score import Tables

__version__ = "0.1.0"

_MODULES = {
    "Catalogue": "categories",
    "Category": "categories",
    "InputError": "errors",
    "PanopticMetric": "panoptic_metric",
    "PredictionWriter": "prediction_writer",
    "Report": "report",
    "Rules": "rules",
    "Tables": "score",
    "check": "checkup",
    "coco_ap": "coco_instances",
    "compare": "comparison",
    "count": "counting",
    "evaluate": "evaluation",
    "ground_truth": "datasets",
    "load": "evaluation",
    "merge": "evaluation",
    "read_predictions": "predictions",
    "rescore": "evaluation",
    "store": "evaluation",
}

__all__ = [
    "Catalogue",
    "Category",
    "InputError",
    "PanopticMetric",
    "PredictionWriter",
    "Report",
    "Rules",
    "Tables",
    "__version__",
    "check",
    "coco_ap",
    "compare",
    "count",
    "evaluate",
    "ground_truth",
    "load",
    "merge",
    "read_predictions",
    "rescore",
    "store",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command's help does not wait for NumPy."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"panoptic_eval.{_MODULES[name]}"), name)
