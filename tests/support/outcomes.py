"""Mutated inputs by the thousand: counts of what became of them."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from scene import Scene, scene


def of_scene(outcome: Callable[[Scene, random.Random], str], folder: Path, count: int, seed: int) -> Counter[str]:
    """Count how often each outcome came of mutating one scene."""
    rng = random.Random(seed)
    data = scene(folder).write()
    return Counter(outcome(data, rng) for _ in range(count))


def main(description: str | None, outcomes: Callable[[Path, int, int], Counter[str]]) -> None:
    """Run a script's --count mutations from its --seed, and print how often each outcome came."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for what, times in outcomes(Path(folder), options.count, options.seed).most_common():
            print(f"{times:6} {what}")
