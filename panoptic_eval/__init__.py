"""Exact and fast metrics of panoptic segmentation, at all scales."""

from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import evaluate
from panoptic_eval.predictions import read_predictions
from panoptic_eval.report import Report
from panoptic_eval.rules import Rules

__version__ = "0.1.0"

__all__ = ["InputError", "Report", "Rules", "__version__", "evaluate", "ground_truth", "read_predictions"]
