"""panoptic-eval table."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from panoptic_eval.commands.options import MOST, MOST_RESAMPLES, Flag, Scoring, within
from panoptic_eval.errors import InputError


@dataclass(frozen=True)
class Table:
    """Print the scores of finished runs as a table for a paper: a row for each run, the best of each column in bold,
    with ± half of the 95 % interval over images."""

    runs: Annotated[tuple[Path, ...], Positional, arg(metavar="RUN", help_behavior_hint="")]
    """Folders of the runs: those that were given to --out."""
    latex: Flag = False
    """Print LaTeX, for the package booktabs."""
    markdown: Flag = False
    """Print Markdown. This is the default."""
    csv: Flag = False
    """Print CSV: fractions, with the limits of the intervals."""
    scoring: Scoring = field(default_factory=Scoring)
    resamples: int = 300
    """Number of resamples of the images for intervals, 0 for no intervals."""
    seed: int = 0
    """Random seed of the resamples."""

    def run(self) -> str:
        """Score the tables."""
        if self.latex + self.markdown + self.csv > 1:
            raise InputError("--latex, --markdown and --csv: expected one of them")
        self.scoring.check()
        within(0, MOST_RESAMPLES, resamples=self.resamples)
        within(0, MOST, seed=self.seed)
        from panoptic_eval.evaluation import load
        from panoptic_eval.outputs import paper_table
        from panoptic_eval.outputs.markdown import names_of
        from panoptic_eval.score import score

        rows, images = {}, set()
        for name, run in zip(names_of(self.runs), self.runs, strict=True):
            tables = load(run)
            rows[name] = paper_table.cells(score(tables, self.scoring, resamples=self.resamples, seed=self.seed))
            truth = (digest.partition("-")[0] for digest in tables.panoptic.digest)
            images.add(frozenset(zip(tables.panoptic.image_id, truth, strict=True)))
        if len(images) > 1:
            print(
                "panoptic-eval: the runs are not on the same images; their scores cannot be compared", file=sys.stderr
            )
        write = paper_table.latex if self.latex else paper_table.csv if self.csv else paper_table.markdown
        return write(rows)
