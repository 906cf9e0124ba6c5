"""Sets the version of the next release in every file that says it:  python release/version.py 0.2.0

In CHANGELOG.md the version gets the date of today; if it has no heading yet, what stands under Unreleased is its.
"""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = {
    "panoptic_eval/__init__.py": (r'^__version__ = ".*"$', '__version__ = "{version}"'),
    "CITATION.cff": (r"^version: .*$", "version: {version}\ndate-released: {date}"),
    "release/recipe.yaml": (r'^  version: ".*"$', '  version: "{version}"'),
    "CHANGELOG.md": (r"^## Unreleased$(\n\n## {version}$)?", "## Unreleased\n\n## {version} ({date})"),
}
"""By file: a line, and what takes its place."""


def set_version(version: str, date: str, root: Path = ROOT) -> None:
    """Write a version.

    Args:
        version: such as 0.2.0.
        date: of the release, YYYY-MM-DD.
        root: the checkout.

    Raises:
        ValueError: it is no version, or a file has no line, or several, for it; nothing is written then.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        raise ValueError(f"{version}: is no version; expected such as 0.2.0 or 0.2.0rc1")
    texts = {}
    for name, (line, new) in LINES.items():
        text = re.sub(r"^date-released: .*\n", "", (root / name).read_text(), flags=re.MULTILINE)
        texts[name], count = re.subn(
            line.replace("{version}", re.escape(version)),
            new.format(version=version, date=date),
            text,
            flags=re.MULTILINE,
        )
        if count != 1:
            raise ValueError(f"{name}: has {count} lines like {line}; expected one")
    for name, text in texts.items():
        (root / name).write_text(text)


def main() -> None:
    """Run the command."""
    if len(sys.argv) != 2:
        sys.exit("expected a version:  python release/version.py 0.2.0")
    try:
        set_version(sys.argv[1], datetime.datetime.now(datetime.UTC).date().isoformat())
    except ValueError as error:
        sys.exit(str(error))
    print(f"version {sys.argv[1]} in {', '.join(LINES)}")


if __name__ == "__main__":
    main()
