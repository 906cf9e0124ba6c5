"""Exact and fast metrics of panoptic segmentation, at all scales."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panoptic_eval.datasets import ground_truth
    from panoptic_eval.errors import InputError
    from panoptic_eval.evaluation import evaluate
    from panoptic_eval.predictions import read_predictions
    from panoptic_eval.report import Report
    from panoptic_eval.rules import Rules

__version__ = "0.1.0"

__all__ = ["InputError", "Report", "Rules", "__version__", "evaluate", "ground_truth", "read_predictions"]

_MODULES = {
    "InputError": "errors",
    "Report": "report",
    "Rules": "rules",
    "evaluate": "evaluation",
    "ground_truth": "datasets",
    "read_predictions": "predictions",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command's help does not wait for NumPy."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"panoptic_eval.{_MODULES[name]}"), name)
