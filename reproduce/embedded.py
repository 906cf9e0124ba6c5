"""The embedded data set: street scenes that are drawn, and where what is made of them lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.presets import PRESETS
from streets.dataset import write_dataset
from streets.scene import VERSIONS

CHECKPOINTS, PAIRS, TABLE = "checkpoints", "pairs", "training.csv"
"""Names in a folder of results: of the shipped networks; of the shipped pair tables, of all validation images and also
of later seeds, whose networks are not shipped; of the file with a row for each run that was trained."""


@dataclass(frozen=True)
class Embedded:
    """A data set that is drawn."""

    name: str
    """Name for `--gt`, and of its folder of images."""
    version: int
    """Version of the drawings."""
    preset: str
    """Preset of the networks that are trained on it."""
    training: int
    """Number of training images."""
    validation: int
    """Number of validation images; `--full` compares on all of them."""
    results: Path
    """Folder of its results."""
    registration: Path
    """Page that registers the runs that count, with the folder `registered` beside it."""
    compared: int = 200
    """Number of validation images that systems are compared on by default, the first ones."""

    @property
    def checkpoints(self) -> Path:
        """Return the folder of the shipped networks."""
        return self.results / CHECKPOINTS

    @property
    def pairs(self) -> Path:
        """Return the folder of the shipped pair tables."""
        return self.results / PAIRS

    @property
    def table(self) -> Path:
        """Return the file with a row for each run that was trained."""
        return self.results / TABLE

    @property
    def crop(self) -> float:
        """Return the side of a training crop, pixels of the images as they are drawn."""
        sample = PRESETS[self.preset]["ours"].network.sample
        assert sample.crop is not None  # of a preset, before a variant leaves crops out
        return sample.crop * min(VERSIONS[self.version].size) / sample.shortest

    def draw(self, split: str, images: int | None = None) -> Path:
        """Draw the first images of a split, by default all, and return their folder."""
        count = (self.training if split == "training" else self.validation) if images is None else images
        root = Path("runs") / self.name / f"{split}-{count}"
        write_dataset(root, seed=0, counts={split: count}, version=self.version, progress=True)
        return root


EMBEDDED = Embedded(
    "streets-2",
    2,
    "streets-2",
    training=300,
    validation=1500,
    results=Path("results/streets-2"),
    registration=Path("results/streets/registration.md"),
)


def named(name: str) -> Embedded | None:
    """Return the embedded data set; None of any other name."""
    return EMBEDDED if name == EMBEDDED.name else None
