"""Metrics as pure functions of a pair table, one file each. To add one, write its file and put its value in METRICS."""

from panoptic_eval.metrics.accounting import CAUSES
from panoptic_eval.metrics.metric import Metric
from panoptic_eval.metrics.panoptic_quality import PQ, PQ_BOUNDARY, PQ_DAGGER, RQ, SQ
from panoptic_eval.metrics.parsing_covering import PC
from panoptic_eval.metrics.semantic import MIOU, MIOU_SEMANTIC

__all__ = ["BOUNDARY_METRICS", "CAUSES", "METRICS", "SEMANTIC_METRICS", "Metric", "by_name"]

METRICS: tuple[Metric, ...] = (PQ, SQ, RQ, PQ_DAGGER, PC, MIOU)
"""Metrics of panoptic maps, in the order of all outputs."""
BOUNDARY_METRICS: tuple[Metric, ...] = (PQ_BOUNDARY,)
"""Metrics of panoptic maps whose boundaries were counted."""
SEMANTIC_METRICS: tuple[Metric, ...] = (MIOU_SEMANTIC,)
"""Metrics of semantic maps, which a prediction may have beside its panoptic ones."""


def by_name() -> dict[str, Metric]:
    """Return all metrics, and the causes in the account of PQ."""
    return {metric.name: metric for metric in (*METRICS, *BOUNDARY_METRICS, *SEMANTIC_METRICS, *CAUSES)}
