"""Names and ids from files, made harmless where they are shown: in a terminal, in a spreadsheet."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Show what cannot be printed (control characters, line breaks, lone surrogates) as an escape.

    >>> print(printable("\x1b[2J, car\n"))
    \x1b[2J, car\n
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def spreadsheet(text: str) -> str:
    """Make text safe for a cell of CSV: printable, and behind an apostrophe where it would start a formula.

    >>> spreadsheet("=1+1")
    "'=1+1"
    """
    return f"'{printable(text)}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else printable(text)


def abbreviated(text: str, limit: int = 80) -> str:
    """Cut text that is too long for a message.

    >>> abbreviated("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def path_text(path: object) -> str:
    """Return a path as it is; cut only where it is longer than those that Linux opens, 4096 bytes: it is a mistake.

    >>> path_text("data/gt.json"), len(path_text("a" * 5000))
    ('data/gt.json', 80)
    """
    text = str(path)
    return text if len(text) < 4096 else abbreviated(text)
