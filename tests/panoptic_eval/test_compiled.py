import subprocess
import sys
from pathlib import Path

import numpy as np

from panoptic_eval.compiled import compiled

KERNEL = """
import sys
from panoptic_eval.compiled import compiled
assert "numba" not in sys.modules, "a decorator that nobody has used yet imports numba"
@compiled
def double(values):
    return values + values
import numpy as np
assert double(np.arange(3)).tolist() == [0, 2, 4]
print(type(double).__name__)
"""


def run(tmp_path: Path, **environment: str) -> str:
    script = tmp_path / "kernel.py"
    script.write_text(KERNEL)
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, script],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": root, "HOME": str(tmp_path), **environment},
    ).stdout.strip()


def test_kernels_are_compiled_and_kept(tmp_path):
    assert run(tmp_path) == "CPUDispatcher"
    assert list(tmp_path.glob("__pycache__/*.nbi"))


def test_without_a_place_to_keep_them_kernels_are_compiled_all_the_same(tmp_path, monkeypatch):
    import numba.core.caching

    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    double = compiled(lambda values: values + values)
    assert double(np.arange(3)).tolist() == [0, 2, 4]


def test_without_numba_a_kernel_is_plain_python(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)

    def kernel(x):
        return x

    assert compiled(kernel) is kernel
