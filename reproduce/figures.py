"""How the figures of the reproduction are written: as those of `panoptic-eval plot`, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from panoptic_eval.outputs.plots import STYLE, WIDTH, write

__all__ = ["STYLE", "WIDTH", "save"]


def save(figure: Figure, path: Path, *, dpi: int = 300) -> None:
    """Write a figure as PNG and PDF.

    Args:
        figure: to be written.
        path: of the files, without suffix.
        dpi: of the PNG.
    """
    for suffix in ("png", "pdf"):
        write(figure, path.with_name(f"{path.name}.{suffix}"), dpi=dpi)
