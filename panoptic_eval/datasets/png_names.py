"""The PNG that a `file_name` means."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from panoptic_eval.datasets.json_rows import short
from panoptic_eval.errors import Faults
from panoptic_eval.files import is_file


def png_paths(names: Sequence[str], folder: Path, place: Callable[[int], str], faults: Faults) -> tuple[Path, ...]:
    """Return the PNG of each name, which is relative to the folder; one that is missing or lies outside is a fault.

    A name that no file has may be written in another form: with backslashes, in the other Unicode form, behind the
    folder's own name, without .png or with the photograph's ending. It counts where one file alone fits.
    """
    with os.scandir(folder) as entries:
        present = {entry.name for entry in entries}
    paths = [folder / name for name in names]
    missing = [
        i
        for i, name in enumerate(names)
        if name not in present and not (inside(folder, paths[i]) and is_file(paths[i]))
    ]
    search = _Search(folder)
    other = {i: path for i in missing if (path := search.other_form(names[i])) is not None}
    if other:
        used = Counter(map(os.path.normpath, [*(p for i, p in enumerate(paths) if i not in other), *other.values()]))
        other = {i: path for i, path in other.items() if used[os.path.normpath(path)] == 1}
    for i, path in other.items():
        paths[i] = path
    faults.warn(
        "file [name is|names are] in another form than the PNG's",
        (f"{place(i)}: {short(names[i])} is taken for {path.relative_to(folder)}" for i, path in other.items()),
    )
    outside = {i for i in missing if i not in other and not inside(folder, folder / names[i].replace("\\", "/"))}
    faults.add(
        f"file [name leaves|names leave] the folder {folder}; expected a file in it",
        (f"{place(i)}: {short(names[i])}" for i in sorted(outside)),
    )
    faults.add(
        "[PNG does|PNGs do] not exist; expected one for each annotation, in the folder that --gt-folder or "
        "--pred-folder gives",
        (f"{place(i)}: {folder / short(names[i])[1:-1]}" for i in missing if i not in other and i not in outside),
    )
    return tuple(paths)


def inside(folder: Path, path: Path) -> bool:
    """Compare path names only: symbolic links inside the folder may lead out of it."""
    return Path(os.path.relpath(path, folder)).parts[:1] != (os.pardir,)


class _Search:
    """Listings of a folder and its subfolders, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listings: dict[Path, dict[str, list[str]]] = {}

    def other_form(self, name: str) -> Path | None:
        """Return the one file that a name means in another form, if there is one."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts or ".." in parts or "/" in parts:
            return None
        tries = [parts, parts[1:]] if parts[0] == self.folder.name and len(parts) > 1 else [parts]
        paths = [path for path in map(self._along, tries) if path is not None]
        return paths[0] if paths else None

    def _along(self, parts: Sequence[str]) -> Path | None:
        at: Path | None = self.folder
        for part in parts[:-1]:
            at = None if at is None else self._entry(at, _normal(part))
        if at is None:
            return None
        name = PurePosixPath(_normal(parts[-1]))
        stem = name.stem if name.suffix.lower() in (".png", ".jpg", ".jpeg") else name.name
        return self._entry(at, name.name) or self._entry(at, stem + "/")

    def _entry(self, folder: Path, key: str) -> Path | None:
        """Return the one entry with this name, or with this stem and .png where the key ends in a slash."""
        if folder not in self.listings:
            listing = defaultdict(list)
            for entry in folder.iterdir() if folder.is_dir() else ():
                name = PurePosixPath(_normal(entry.name))
                listing[name.name].append(entry.name)
                if name.suffix.lower() == ".png":
                    listing[f"{name.stem}/"].append(entry.name)
            self.listings[folder] = listing
        names = self.listings[folder].get(key, ())
        return folder / names[0] if len(names) == 1 else None


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
