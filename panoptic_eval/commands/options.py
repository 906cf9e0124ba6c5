"""Types of options, and how numbers are checked and named; loads nothing that a help text would wait for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from panoptic_eval.errors import InputError
from panoptic_eval.rules import CategoryIds, Rules
from panoptic_eval.text import abbreviated, path_text

if TYPE_CHECKING:
    from panoptic_eval.labels import LabelMaps
    from panoptic_eval.predictions import Predictions

MOST = 2**31 - 1
MOST_RESAMPLES = 100_000
DATA_SETS = "mvd, idd, cityscapes, coco"
"""Names of `datasets.FORMATS`, which imports NumPy; a test holds them equal."""
OptionalPath = Annotated[Path | None, arg(metavar="PATH", help_behavior_hint="")]
OptionalText = Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")]
Flag = Annotated[bool, arg(help_behavior_hint="")]
OptionalNumber = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]

NUMBERINGS = (
    "Numbering of categories in predictions. id: that of the data set. position: 0, 1, 2, … in the order of the ground "
    "truth's categories. label: one less than the id, as in Mapillary's own files. trainId: that of Cityscapes. auto: "
    "by the names that the predictions' JSON gives, else id (for Cityscapes: id or trainId, as fits)."
)


@dataclass(frozen=True)
class Scoring(Rules):
    """Rules of the scores, and their size bins."""

    area_edges: Annotated[tuple[float, ...], arg(metavar="AREA ...", help_behavior_hint="")] = ()
    """Edges of the size bins in pixels of area, instead of percentiles: perhaps those in another run's report.json."""


@dataclass(frozen=True)
class Reading:
    """How files are found and read."""

    root: OptionalPath = None
    """Folder of the data sets, where the ground truth is given by name. Default: $PANOPTIC_DATA."""
    split: OptionalText = None
    """Split to read, named as in the data set (val, validation, …). Default: the validation split."""
    gt_version: Annotated[Literal["1.2", "2.0"] | None, arg(metavar="1.2|2.0", help_behavior_hint="")] = None
    """Release of Mapillary Vistas to read. Default: 1.2 if the data set has both, else the one it has."""
    gt_folder: OptionalPath = None
    """Folder of the ground truth's PNGs, if they are not in the folder named like its JSON."""
    pred_folder: OptionalPath = None
    """Folder of the predictions' PNGs, if they are not in the folder named like their JSON."""
    things: Annotated[tuple[str, ...] | None, arg(metavar="NAME ...", help_behavior_hint="")] = None
    """Names or ids of the categories that are things, or a JSON of categories, if the ground truth does not say so."""
    category_ids: Annotated[CategoryIds, arg(help=NUMBERINGS)] = "auto"
    divisor: int = 1000
    """For PNG predictions without a JSON: each pixel holds category * DIVISOR + instance."""
    strict: Flag = False
    """Stop with an error where there would be a warning about the input."""

    def check(self) -> None:
        """Say what is wrong with the options, before anything is read.

        Raises:
            InputError: --things names none.
        """
        if self.things == ():
            raise InputError("--things names none; expected names or ids of categories, or a JSON of categories")

    def ground_truth(self, gt: str) -> LabelMaps:
        """Read a ground truth, given by name or path.

        Raises:
            InputError: as for `datasets.ground_truth`.
        """
        from panoptic_eval.datasets import ground_truth

        return ground_truth(gt, **self.of_gt())

    def of_gt(self) -> dict[str, Any]:
        """Return the options of `datasets.ground_truth`."""
        return {
            "root": self.root,
            "split": self.split,
            "version": self.gt_version,
            "folder": self.gt_folder,
            "things": self.things or (),
        }

    def predictions(self, pred: Path, gt: LabelMaps) -> Predictions:
        """Read predictions.

        Raises:
            InputError: as for `read_predictions`.
        """
        from panoptic_eval.predictions import read_predictions

        return read_predictions(pred, gt, folder=self.pred_folder, divisor=self.divisor, category_ids=self.category_ids)


def within(least: int, most: int, **options: int) -> None:
    """Say so if the value of an option is out of its range.

    Raises:
        InputError: one is.
    """
    for name, value in options.items():
        if not least <= value <= most:
            raise InputError(f"--{name} {abbreviated(str(value))}: expected {least} to {most}")


def can_be_written(**files: Path | None) -> None:
    """Say so if an option names a file that cannot be written, before anything is counted: all files come, or none.

    Raises:
        InputError: one does.
    """
    from panoptic_eval.files import check_place

    for name, path in files.items():
        if path is None:
            continue
        given = f"--{name} {path_text(path)}"
        if path.is_dir():
            raise InputError(f"{given}: is a folder; expected the name of a file")
        try:
            check_place(path)
        except OSError as error:
            raise InputError(f"{given}: cannot be written: {error.strerror or error}") from error


def number(count: int, name: str) -> str:
    """Write how many there are of something.

    >>> number(1, "image"), number(2, "image")
    ('1 image', '2 images')
    """
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
