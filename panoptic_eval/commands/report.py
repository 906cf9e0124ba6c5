"""panoptic-eval report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from panoptic_eval.commands.options import MOST, MOST_RESAMPLES, OptionalPath, can_be_written, number, within


@dataclass(frozen=True)
class Report:
    """Write a finished run as one HTML file that can be mailed: scores with intervals, where the points of PQ went, the
    most expensive images, and how another run differs."""

    folder: Annotated[Path, Positional, arg(metavar="RUN")]
    """Folder of the run: the one that was given to --out."""
    against: OptionalPath = None
    """Folder of a second run on the same images, which is compared with the first."""
    out: Annotated[Path, arg(metavar="FILE")] = Path("report.html")
    """File that receives the page."""
    images: int = 24
    """Number of the most expensive images to show. Their PNGs must still be where they were."""
    resamples: int = 300
    """Number of resamples of the images for intervals that the run does not hold, 0 for none."""
    seed: int = 0
    """Random seed of the resamples."""

    def run(self) -> str:
        """Read the run, and write the page."""
        from panoptic_eval.evaluation import load
        from panoptic_eval.files import write_atomically
        from panoptic_eval.outputs import html, json
        from panoptic_eval.outputs.markdown import names_of

        within(0, MOST_RESAMPLES, resamples=self.resamples)
        within(0, MOST, seed=self.seed, images=self.images)
        can_be_written(out=self.out)
        folders = (self.folder,) if self.against is None else (self.folder, self.against)
        names = names_of(folders)
        page = html.page(
            json.read(self.folder),
            load(self.folder),
            name=names[0],
            against=None if self.against is None else (names[1], load(self.against)),
            images=self.images,
            resamples=self.resamples,
            seed=self.seed,
        )
        write_atomically(self.out, page)
        size = len(page.encode())
        return f"{self.out}: {number(page.count('<figure '), 'picture')}, {size / 1e6:.2f} MB"
