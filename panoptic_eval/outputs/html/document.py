"""The frame of a page: it loads nothing from anywhere, is light or dark as the reader's system, and can be printed."""

from __future__ import annotations

from pathlib import Path

from panoptic_eval.outputs.html.marks import text

STYLE, SCRIPT = (Path(__file__).with_name(name) for name in ("style.css", "script.js"))


def document(title: str, body: str, *, scripted: bool) -> str:
    """Write a whole HTML file.

    Args:
        title: of the window.
        body: HTML of the page.
        scripted: whether it has tables to sort and layers to choose.
    """
    script = f"<script>{SCRIPT.read_text()}</script>" if scripted else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{text(title)} · panoptic-eval</title><style>body{{margin:0}}{STYLE.read_text()}</style></head>"
        f'<body><main class="panoptic-report">{body}</main>{script}</body></html>\n'
    )
