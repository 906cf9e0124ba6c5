"""Exact and fast metrics of panoptic segmentation, at all scales."""

from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import evaluate
from panoptic_eval.report import Report
from panoptic_eval.score import Protocol

__all__ = ["InputError", "Protocol", "Report", "evaluate"]
