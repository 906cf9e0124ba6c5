"""What the commands share: options of the data set, the systems and the results; and how a command ends at a fault."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from model.checkpoint_files import CheckpointError
from panoptic_eval import datasets
from panoptic_eval.errors import InputError
from panoptic_eval.labels import LabelMaps
from reproduce.embedded import EMBEDDED, Embedded, named


@dataclass(frozen=True)
class DataSet:
    """A data set, and the folder of the results that are made of it."""

    gt: Annotated[
        str,
        tyro.conf.arg(
            help=f"Ground truth: {EMBEDDED.name} (the embedded data set, which is drawn), {datasets.NAMES}, or a path."
        ),
    ] = EMBEDDED.name
    root: Path | None = None
    """Folder of the data sets. Default: $PANOPTIC_DATA."""
    split: str | None = None
    """Split, named as in the data set. Default: the validation split."""
    gt_version: Literal["1.2", "2.0"] | None = None
    """Release of Mapillary Vistas to read. Default: 1.2 if the data set has both, else the one it has."""
    out: Path | None = None
    """Folder of the results. Default: results/NAME, with the name of the data set."""

    def result(self, name: str) -> Path:
        """Return where a result is written, without its suffix."""
        usual = self.embedded.results if self.embedded else Path("results") / Path(self.gt).name
        return (self.out or usual) / name

    @property
    def embedded(self) -> Embedded | None:
        """Return the embedded data set; None of any other."""
        return named(self.gt)


@dataclass(frozen=True)
class Comparison(DataSet):
    """The systems that are compared on a data set."""

    full: bool = False
    """Compare on all images, not 200, predict with all checkpoints, not first seeds, and name the results NAME_full."""
    checkpoints: Path | None = None
    """Folder of checkpoints: VARIANT/ or VARIANT/seedN/. Default: for the embedded data set, the shipped ones."""
    stored: bool = False
    """Read the shipped pair tables instead of predicting: the same scores, but none of boxes before fusion."""
    predictions: tuple[Path, ...] = ()
    """Folders of predictions of other systems, on the same images."""
    folder: Path = Path("runs/reproduce")
    """Folder for predictions and pair tables; what is there from an earlier run is used again."""
    device: str | None = None
    """Device to predict on: cpu, cuda or cuda:N. Default: the GPU if there is one."""
    side_by_side: int | None = None
    """Number of checkpoints that predict at once. Default: one per core on the embedded data set, one on others."""

    def result(self, name: str) -> Path:
        """Return where a result is written, without its suffix."""
        return super().result(f"{name}_full" if self.full else name)

    @property
    def shipped(self) -> Embedded | None:
        """Return the data set whose shipped networks are compared; None where others are."""
        return None if self.checkpoints else self.embedded


def ground_truth(data: DataSet, *, images: int | None = None) -> LabelMaps:
    """Find a data set; the embedded one is drawn first.

    Args:
        data: the options.
        images: number of images to draw of the embedded data set; by default all of the split.

    Raises:
        InputError: there is no such data set.
    """
    if data.embedded is None:
        return datasets.ground_truth(data.gt, root=data.root, split=data.split, version=data.gt_version)
    split = data.split or "validation"
    return datasets.ground_truth(data.embedded.draw(split, images), split=split)


@contextmanager
def ending_at_faults(command: str) -> Iterator[None]:
    """End the program with one message, not a traceback, where the input is at fault or the user interrupts."""
    try:
        yield
    except (InputError, CheckpointError) as error:
        sys.exit(f"{command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{command}: interrupted; run the same command again to continue")
