"""The command in a process of its own that finds some packages neither to import nor to ask for their version."""

import subprocess
import sys

HIDE = """
import importlib.metadata as metadata, sys
hidden = {packages!r}
for name in hidden:
    sys.modules[name.replace("-", "_")] = None
version = metadata.version
def visible_version(name):
    if name in hidden:
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = visible_version
"""


def panoptic_eval(packages, *arguments):
    """Run `panoptic-eval` without the packages; returns the finished process, its output as text."""
    script = HIDE.format(packages=packages) + f"from panoptic_eval.cli import main; main({[str(a) for a in arguments]})"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
