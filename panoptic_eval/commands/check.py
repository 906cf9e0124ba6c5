"""panoptic-eval check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import Positional, arg

from panoptic_eval.commands.options import (
    DATA_SETS,
    MOST,
    Flag,
    OptionalNumber,
    OptionalPath,
    Reading,
    can_be_written,
    within,
)


@dataclass(frozen=True)
class Check:
    """Check a data set, and predictions for it, before anything is scored: what they hold, all faults at once, and what
    is probably not meant so."""

    gt: Annotated[
        str, Positional, arg(metavar="GT", help=f"Name of a data set ({DATA_SETS}), or path of a ground truth.")
    ]
    pred: OptionalPath = None
    """Folder or JSON of predictions, to be checked against the ground truth, too."""
    html: OptionalPath = None
    """HTML file that receives the same, with pictures of the first examples."""
    json: Flag = False
    """Print JSON instead of text."""
    reading: Reading = field(default_factory=Reading)
    workers: OptionalNumber = None
    """Number of threads. Default: one for each core."""
    quiet: Flag = False
    """Show no progress bar."""

    def run(self) -> tuple[str, int]:
        """Look at all files; returns what to print, and the exit code: 1 if the input cannot be scored so."""
        from panoptic_eval.checkup import check
        from panoptic_eval.files import write_atomically
        from panoptic_eval.outputs import checkup
        from panoptic_eval.outputs.html import checkup as checkup_page
        from panoptic_eval.outputs.json import dumps

        self.reading.check()
        can_be_written(html=self.html)
        if self.workers is not None:
            within(1, MOST, workers=self.workers)
        result = check(
            self.gt,
            self.pred,
            **self.reading.of_gt(),
            pred_folder=self.reading.pred_folder,
            divisor=self.reading.divisor,
            category_ids=self.reading.category_ids,
            workers=self.workers,
            progress=not self.quiet,
        )
        if self.html is not None:
            write_atomically(self.html, checkup_page.page(result))
        failing = ("error", "warning") if self.reading.strict else ("error",)
        code = int(any(finding.severity in failing for finding in result.findings))
        return dumps(checkup.data(result)) if self.json else checkup.text(result), code
