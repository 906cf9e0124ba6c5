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


LINE = "panoptic-eval: compiling for the first use (about 10 seconds)\n"


def run(tmp_path: Path, script: str = KERNEL) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "kernel.py"
    if not file.exists():
        file.write_text(script)
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(tmp_path)}
    return subprocess.run([sys.executable, file], check=True, capture_output=True, text=True, env=environment)


def test_kernels_are_compiled_and_kept(tmp_path):
    first = run(tmp_path)
    assert (first.stdout, first.stderr) == ("CPUDispatcher\n", LINE)
    assert list(tmp_path.glob("__pycache__/*.nbi"))
    second = run(tmp_path)
    assert (second.stdout, second.stderr) == ("CPUDispatcher\n", "")


def test_a_damaged_cache_costs_time_only(tmp_path):
    run(tmp_path)
    for file in tmp_path.glob("__pycache__/*.nb?"):
        file.write_bytes(file.read_bytes()[:100])
    assert run(tmp_path).stderr == LINE


def test_a_full_disk_costs_time_only(tmp_path):
    full = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    full += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"  # no file grows beyond 100 bytes
    assert run(tmp_path, full + KERNEL).stderr == LINE
    assert run(tmp_path).stderr == LINE


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
