"""What results/streets/registration.md fixes for the runs on the embedded data set, and how far they are.

A seed judges once all of its registered networks are there; those of an unfinished one may be shown and judge nothing.
A test compares the endpoints with the page.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from reproduce.variants import BY_NAME, PLAN, VARIANTS

RUNS = tuple(run for run in PLAN if BY_NAME[run.variant].registered)
"""All registered runs, in their order."""
IMAGES = 1500
"""Number of validation images on which the endpoints are scored."""


@dataclass(frozen=True)
class Endpoint:
    """A number that was registered: score of variant b less that of variant a, points, which the paper has above 0."""

    text: str
    """Its name on the page."""
    a: str
    b: str
    score: str
    part: str
    paper: str
    """The paper's effect."""
    interest: str
    """Smallest effect of interest."""
    forecast: str

    @property
    def published(self) -> float | None:
        """Return the paper's effect, points; None where it gives none."""
        return None if self.paper.startswith("above") else float(self.paper)


LARGEST = "99–100 %"
ABOVE = "above 0 (Fig. 5)"
ENDPOINTS = (
    Endpoint("PQ_th, CROP − FULL", "full", "crop", "PQ", "things", "+7.9", "+4.0", "+1 to +4"),
    Endpoint(
        "box AP of the largest hundredth, FULL − CROP",
        "crop", "full", "AP_box", LARGEST, ABOVE, "+5", "+5 to +25",
    ),
    Endpoint(
        "box AP of the largest hundredth, CABB − CROP",
        "crop", "crop+cabb", "AP_box", LARGEST, ABOVE, "+3", "+4 to +10",
    ),
    Endpoint("PQ, ISUS − CROP", "crop", "crop+isus", "PQ", "all", "+1.1", "+1.0", "−1.5 to +0.5"),
    Endpoint("PQ_th, ISUS − CROP", "crop", "crop+isus", "PQ", "things", "+1.2", "+1.0", "−2 to +0.5"),
    Endpoint("PQ, CABB + ISUS − CROP", "crop", "crop+cabb+isus", "PQ", "all", "+1.5", "+1.0", "−1 to +1"),
)  # fmt: skip


def finished_seeds(labels: Collection[str]) -> list[int]:
    """List the registered seeds of which every network is there.

    Args:
        labels: names of the networks that are there, VARIANT/seedN.
    """
    seeds = dict.fromkeys(run.seed for run in RUNS)
    return [seed for seed in seeds if all(run.name in labels for run in RUNS if run.seed == seed)]


def untrained(labels: Collection[str]) -> str:
    """Name the variants of which no network is there, in a line; empty if there is none."""
    names = {label.partition("/")[0] for label in labels}
    absent = [variant.title for variant in VARIANTS if variant.registered and variant.name not in names]
    return f"Not trained yet: {'; '.join(absent)} (see `results/streets/registration.md`)." if absent else ""


def progress(labels: Collection[str]) -> str:
    """Say how many of the registered networks and seeds are there, and which judge, a few sentences."""
    done = [run for run in RUNS if run.name in labels]
    seeds = dict.fromkeys(run.seed for run in RUNS)
    finished = finished_seeds(labels)
    sentences = [
        f"{len(done)} of {len(RUNS)} registered networks are here, and {len(finished)} of {len(seeds)} seeds are "
        "finished: networks of an unfinished seed judge nothing.",
        untrained(labels),
    ]
    return " ".join(sentence for sentence in sentences if sentence)
