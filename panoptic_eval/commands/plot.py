"""panoptic-eval plot."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from panoptic_eval.commands.options import MOST, MOST_RESAMPLES, OptionalPath, Scoring, can_be_written, within
from panoptic_eval.errors import InputError


@dataclass(frozen=True)
class Plot:
    """Draw finished runs: AP and lost points of PQ by size of the objects, with 95 % intervals over images. Or draw
    precision over recall, or how reliable their scores are."""

    runs: Annotated[tuple[Path, ...], Positional, arg(metavar="RUN", help_behavior_hint="")]
    """Folders of the runs: those that were given to --out. By size, others are compared with the first."""
    out: Annotated[Path, arg(metavar="PATH")]
    """File that receives the figure; its ending says the kind: .pdf, .png or .svg."""
    show: Literal["sizes", "precision-recall", "reliability"] = "sizes"
    """What is drawn. sizes: of any number of runs on the same images. The others: of up to four runs."""
    csv: OptionalPath = None
    """CSV file that receives the numbers by size; fractions."""
    kind: Literal["mask", "box"] = "mask"
    """AP of masks or of boxes."""
    scoring: Scoring = field(default_factory=Scoring)
    resamples: int = 300
    """Number of resamples of the images for intervals, 0 for no intervals."""
    seed: int = 0
    """Random seed of the resamples."""

    def run(self) -> str:
        """Score the tables in bins of size, and draw."""
        self.scoring.check()
        within(0, MOST_RESAMPLES, resamples=self.resamples)
        within(0, MOST, seed=self.seed)
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            raise InputError("plot needs the extra:  pip install 'panoptic-eval[plots]'") from error
        from panoptic_eval.evaluation import load
        from panoptic_eval.outputs import csv, plots
        from panoptic_eval.outputs.markdown import names_of
        from panoptic_eval.score import score
        from panoptic_eval.size_curves import size_curves

        if self.out.suffix.lower() not in plots.UNDATED:
            raise InputError(f"--out {self.out}: expected a name that ends in {', '.join(plots.UNDATED)}")
        can_be_written(out=self.out, csv=self.csv)
        if self.csv is not None and self.show != "sizes":
            raise InputError(f"--csv holds numbers by size; expected none with --show {self.show}")
        tables = dict(zip(names_of(self.runs), map(load, self.runs), strict=True))
        if self.show != "sizes":
            reports = {name: score(of_run, self.scoring) for name, of_run in tables.items()}
            drawn = (
                plots.reliability(reports)
                if self.show == "reliability"
                else plots.precision_recall(reports, kind=f"AP_{self.kind}")
            )
            plots.write(drawn, self.out)
            return f"{self.show}: {self.out}"
        curves = size_curves(tables, rules=self.scoring, resamples=self.resamples, seed=self.seed)
        plots.write(plots.by_size(curves, kind=f"AP_{self.kind}"), self.out)
        if self.csv is not None:
            base = next(iter(tables))
            rows = [{**vars(p), "minus": ""} for p in curves.points]
            csv.write_rows([*rows, *({**vars(p), "minus": base} for p in curves.differences)], self.csv)
        return f"AP and lost points of PQ by size: {self.out}"
