"""No undefined behavior, no memory lost: the core compiled with sanitizers, or with memory that runs out."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import png
import pytest

import hatch_build
from panoptic_eval import core
from panoptic_eval.metrics import coco_matching
from panoptic_eval.metrics.average_precision import RECALLS
from panoptic_eval.pairs import compiled

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def test_the_library_is_the_one_of_this_checkout():
    if os.environ.get("PANOPTIC_EVAL_CORE") or hatch_build.compiler() is None:
        pytest.skip("another library is wanted, or there is no compiler")
    assert core.library()._name == str(hatch_build.LIBRARY)


@pytest.mark.parametrize("interface", ["", f"int core_interface(void) {{ return {core.INTERFACE - 1}; }}"])
def test_a_library_of_another_version_is_not_called(interface, tmp_path, monkeypatch):
    if hatch_build.compiler() is None:
        pytest.skip("there is no compiler")
    (tmp_path / "old.c").write_text(f"void core_start(void) {{}} {interface}")
    old = tmp_path / "core.so"
    subprocess.run([*hatch_build.compiler(), "-shared", "-fPIC", "-o", old, tmp_path / "old.c"], check=True)
    monkeypatch.setenv("PANOPTIC_EVAL_CORE", str(old))
    core.library.cache_clear()
    try:
        assert core.library() is None
    finally:
        monkeypatch.undo()
        core.library.cache_clear()
    assert core.library() is not None


@pytest.fixture(scope="module")
def with_sanitizers(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc, whose sanitizers these are")
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("gcc has no address sanitizer here")
    library = tmp_path_factory.mktemp("core") / "core.so"
    hatch_build.compile_core(["gcc"], library, *SANITIZERS)
    return {
        **os.environ,
        "PANOPTIC_EVAL_CORE": str(library),
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",  # of Python's own; what the core does not give back, another test counts
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests/support")]),
    }


def test_mutated_files_under_sanitizers(with_sanitizers):
    command = [sys.executable, ROOT / "tests/support/mutated.py", "--cases", "3000", "--seed", "1"]
    done = subprocess.run(command, env=with_sanitizers, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "3000 cases" in done.stdout


def test_everything_else_under_sanitizers(with_sanitizers):
    tests = [
        "metrics/test_coco_matching.py",
        "png/test_rle.py",
        "pairs/test_compiled.py",
        "png/test_label_runs.py",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command += [str(HERE.parent / test) for test in tests]
    command += ["-k", "not mutated and not in_memory and not inflated and not bit_anywhere and not any_two_maps"]
    done = subprocess.run(command, env=with_sanitizers, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_sanitizers_would_tell(with_sanitizers):
    script = """
import numpy as np
from panoptic_eval import core
ends, pixels = np.zeros(9999, np.int64), np.zeros(9999, np.int64)
core.library().core_mask_pixels(b"", ends.ctypes.data, 99999, pixels.ctypes.data)  # there are not so many
"""
    done = subprocess.run([sys.executable, "-c", script], env=with_sanitizers, capture_output=True, text=True)
    assert "AddressSanitizer" in done.stderr


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """The core with `fail_after` and `blocks_in_use`."""
    compiler = hatch_build.compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("core") / "core.so"
    names = [f"-D{name}=failing_{name}" for name in ("malloc", "calloc", "realloc", "free")]
    hatch_build.compile_core(compiler, library, *names, str(HERE / "failing_memory.c"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PANOPTIC_EVAL_CORE", str(library))
        failing = core.library.__wrapped__()
    failing.fail_after.argtypes, failing.blocks_in_use.restype = (ctypes.c_int64,), ctypes.c_int64
    return failing


def image(ids: np.ndarray) -> bytes:
    return png.write(png.samples(ids, png.RGB), filters=(4, 2))


def works(library, monkeypatch):
    """Functions that take memory, and what they should return."""
    noise = image(np.arange(60 * 70).reshape(60, 70))  # so many ids that tables grow
    flat = image(np.zeros((60, 70), int))
    ids = np.array([0, 5, 99], np.uint32)
    rng = np.random.default_rng(0)
    first, hit = np.array([0, 40]), rng.random((1, 1, 40)) < 0.5
    monkeypatch.setattr(core, "library", lambda: library)

    def read_runs():
        runs = core.Runs()
        if core.check(library.core_read_runs(noise, len(noise), runs)):
            library.core_release_runs(runs)

    def encode():
        masks = core.Masks()
        if core.check(library.core_encode_segments(noise, len(noise), *core.addresses((ids, np.uint32)), 3, masks)):
            library.core_release_masks(masks)

    return {
        "files": lambda: compiled.count_files(library, [(noise, noise[:-9]), (flat, flat), (noise, flat)]),
        "arrays": lambda: compiled.count_arrays(library, np.arange(900).reshape(30, 30), np.ones((30, 30), np.uint32)),
        "runs": read_runs,
        "masks": encode,
        "match": lambda: coco_matching.match(
            np.array([0, 1]),
            np.array([0]),
            np.array([0.8]),
            hit[0, :, :1],
            hit[0, 0, :1],
            hit[0, :, :1],
            RECALLS[50:60],
        ),
        "accumulate": lambda: coco_matching.accumulate(first, hit, ~hit, np.array([[40]]), RECALLS),
        "resample": lambda: coco_matching.resample(
            np.ones((1, 3, 64), np.uint8), np.zeros(40, int), first, hit[0], ~hit[0], np.array([[9], [9], [9]]), RECALLS
        ),
    }


@pytest.mark.parametrize("name", ["files", "arrays", "runs", "masks", "match", "accumulate", "resample"])
def test_memory_that_runs_out_is_an_error_and_nothing_is_lost(failing, monkeypatch, name):
    work = works(failing, monkeypatch)[name]
    failing.fail_after(2**62)
    work()
    assert failing.blocks_in_use() == 0
    for calls in range(200):
        failing.fail_after(calls)
        try:
            work()
        except MemoryError:
            assert failing.blocks_in_use() == 0
        else:
            break
    assert calls > 0
    failing.fail_after(2**62)
    work()
    assert failing.blocks_in_use() == 0
