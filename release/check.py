"""Checks archives before they are published:  python release/check.py dist

Each holds the two packages whole, and nothing else; all say one version; the core in a wheel is for the machine that
the wheel's name says.
"""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("crop_aware", "panoptic_eval")
BESIDE = (
    "hatch_build.py",
    "CHANGELOG.md",
    "CITATION.cff",
    "README.md",
    "LICENSE",
    "pyproject.toml",
    ".gitignore",
    "PKG-INFO",
)
"""Files of the source archive beside the packages."""
CORE = "panoptic_eval/core/core.so"
MACHINES = {"x86_64": 62, "aarch64": 183}
"""Number of a machine in the header of an ELF file."""
GLIBC = 17
"""Newest glibc 2.x that a wheel may need, as its name says."""


def version(root: Path = ROOT) -> str:
    """Return the version: the one place where it is written."""
    found = re.search(r'^__version__ = "(.+)"$', (root / "panoptic_eval" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise ValueError('panoptic_eval/__init__.py has no line __version__ = "…"; expected one')
    return found[1]


def sources(root: Path = ROOT) -> set[str]:
    """Return the files of both packages as they are in the checkout."""
    files = (path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file())
    return {str(path.relative_to(root)) for path in files if path.suffix not in (".pyc", ".so")}


def faults(dist: Path, root: Path = ROOT) -> list[str]:
    """Say what is wrong with the archives in a folder, a line each."""
    wheels, sdists = sorted(dist.glob("*.whl")), sorted(dist.glob("*.tar.gz"))
    found = [] if wheels else [f"{dist}: has no wheel"]
    if [path.name for path in sdists] != [f"panoptic_eval-{version(root)}.tar.gz"]:
        names = ", ".join(path.name for path in sdists) or "no source archive"
        found.append(f"{dist}: has {names}; expected panoptic_eval-{version(root)}.tar.gz alone")
    for path in wheels:
        found += [f"{path.name}: {fault}" for fault in of_wheel(path, root)]
    for path in sdists:
        found += [f"{path.name}: {fault}" for fault in of_sdist(path, root)]
    return found


def of_wheel(path: Path, root: Path = ROOT) -> list[str]:
    """Say what is wrong with a wheel."""
    info = f"panoptic_eval-{version(root)}.dist-info"
    if not path.name.startswith(f"panoptic_eval-{version(root)}-"):
        return [f"is of another version; expected {version(root)}"]
    with zipfile.ZipFile(path) as archive:
        names = {name for name in archive.namelist() if not name.startswith(f"{info}/")}
        metadata = archive.read(f"{info}/METADATA").decode()
        core = archive.read(CORE) if CORE in names else b""
    found = differences(names, sources(root) | {CORE}) + of_metadata(metadata, root)
    machine = re.sub(r".*linux_(\d+_\d+_)?", "", path.stem)
    if core and (core[:4] != b"\x7fELF" or int.from_bytes(core[18:20], "little") != MACHINES.get(machine)):
        found.append(f"{CORE} is not for the machine of the wheel's name, {machine}")
    newest = max((int(number) for number in re.findall(rb"GLIBC_2\.(\d+)", core)), default=0)
    if "manylinux_2_17" in path.name and newest > GLIBC:
        found.append(f"{CORE} needs glibc 2.{newest}; expected 2.{GLIBC} or older")
    return found


def of_sdist(path: Path, root: Path = ROOT) -> list[str]:
    """Say what is wrong with a source archive."""
    top = f"panoptic_eval-{version(root)}"
    with tarfile.open(path) as archive:
        names = {member.name for member in archive.getmembers() if member.isfile()}
        metadata = archive.extractfile(f"{top}/PKG-INFO") if f"{top}/PKG-INFO" in names else None
        text = "" if metadata is None else metadata.read().decode()
    return differences({name.removeprefix(f"{top}/") for name in names}, sources(root) | set(BESIDE)) + of_metadata(
        text, root
    )


def of_metadata(text: str, root: Path) -> list[str]:
    """Say what is wrong with the metadata of an archive."""
    given = Parser().parsestr(text)["Version"]
    return [] if given == version(root) else [f"its metadata say version {given}; expected {version(root)}"]


def differences(names: set[str], expected: set[str]) -> list[str]:
    """Say which files are missing or too many."""
    return [f"lacks {name}" for name in sorted(expected - names)] + [
        f"holds {name}, which is not of the package" for name in sorted(names - expected)
    ]


def main() -> None:
    """Run the command."""
    if len(sys.argv) != 2:
        sys.exit("expected a folder:  python release/check.py dist")
    dist = Path(sys.argv[1])
    if found := faults(dist):
        sys.exit("\n".join(found))
    print(f"{dist}: version {version()}, nothing missing, nothing else")


if __name__ == "__main__":
    main()
