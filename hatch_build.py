"""Compiles panoptic_eval/core/*.c when the package is built or installed, or in place:  python hatch_build.py

The compiler is $CC, else cc, gcc or clang, else that of the package ziglang, which pip fetches for the build. Where
none works the package has no library; it then counts with NumPy, and says so.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # in place, where hatchling is not needed
    BuildHookInterface = object  # type: ignore[assignment, misc]

FOLDER = Path(__file__).parent / "panoptic_eval" / "core"
LIBRARY = FOLDER / "core.so"
OPTIONS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden")
TARGETS = {
    "x86_64": ("x86_64-linux-gnu.2.17", "py3-none-manylinux_2_17_x86_64"),
    "aarch64": ("aarch64-linux-gnu.2.17", "py3-none-manylinux_2_17_aarch64"),
}
"""What zig calls the machine of a wheel, and what the wheel's name says."""


def compiler() -> list[str] | None:
    """Return the command of a C compiler; None where there is none."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else None


def compile_core(command: list[str], out: Path, *options: str) -> None:
    """Compile the library.

    Args:
        command: a compiler's.
        out: gets the library once it is whole.
        options: of the compiler, after the usual ones.

    Raises:
        OSError: the compiler cannot be started.
        subprocess.CalledProcessError: it failed.
    """
    work = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        sources = sorted(map(str, FOLDER.glob("*.c")))
        subprocess.run([*command, *OPTIONS, *options, "-o", str(work), *sources, "-lm"], check=True)
        work.replace(out)
    finally:
        work.unlink(missing_ok=True)


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc]
    """Puts the library into the wheel, or beside its sources for an editable install."""

    def dependencies(self) -> list[str]:
        """Have pip fetch a C compiler, for the time of the build, where there is none."""
        return ["ziglang"] if compiler() is None or os.environ.get("PANOPTIC_EVAL_TARGET") else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile for this machine, or for that which $PANOPTIC_EVAL_TARGET names, one of TARGETS."""
        target = os.environ.get("PANOPTIC_EVAL_TARGET")
        if target:
            triple, tag = TARGETS[target]
            library = Path(self.directory) / f"core-{target}.so"
            library.parent.mkdir(parents=True, exist_ok=True)
            compile_core([sys.executable, "-m", "ziglang", "cc"], library, "-target", triple, "-s")
            build_data["force_include"][str(library)] = "panoptic_eval/core/core.so"
        else:
            tag = f"py3-none-{_platform()}"
            try:
                compile_core(compiler() or ["cc"], LIBRARY)
            except (OSError, subprocess.CalledProcessError) as error:
                self.app.display_warning(f"no core ({error}): panoptic-eval will count with NumPy, 30 times slower")
                return
            build_data["artifacts"].append("/panoptic_eval/core/core.so")
        build_data["pure_python"] = False
        build_data["tag"] = tag


def _platform() -> str:
    """Return this machine's name in the name of a wheel."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    command = compiler()
    if command is None:
        sys.exit("no C compiler: install gcc or clang, or  pip install ziglang")
    compile_core(command, LIBRARY)
