"""Pictures of what may be an error in the ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from panoptic_eval.metrics.label_errors import Candidate
from panoptic_eval.outputs.pictures import around, write_drawing
from panoptic_eval.pairs.table import PairTable


def write(table: PairTable, found: Sequence[Candidate], out: Path, *, longest: int = 480) -> Iterator[Path]:
    """Write a PNG for each candidate for an error in the ground truth, in the order given, as the iterator goes on.

    Names begin with their place, and say the kind and the predicted category.

    Raises:
        InputError: as for `pictures.write`.
    """
    for place, candidate in enumerate(found, start=1):
        category = table.catalogue.categories[table.pred.category[candidate.pred]].name
        draw = partial(around, box=table.pred.box[candidate.pred].tolist(), longest=longest)
        yield write_drawing(out, place, f"{candidate.kind}_{category}_", table, candidate.image, draw)
