"""How the figures look, and how they are written: the same figure gives the same bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from panoptic_eval.files import write_atomically

WIDTH = 7.2
"""Width of a figure, inches: that of a printed page."""
STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # letters that other programs can edit
}


def save(figure: Figure, path: Path, *, dpi: int = 300) -> None:
    """Write a figure as PNG and PDF, without the time and the version that made it.

    Args:
        figure: to be written.
        path: of the files, without suffix.
        dpi: of the PNG.
    """
    for suffix, undated in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        content = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(content, format=suffix, dpi=dpi, metadata=undated)
        write_atomically(path.with_name(f"{path.name}.{suffix}"), content.getvalue())
