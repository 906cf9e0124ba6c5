import json
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import random_maps
from table_equality import assert_equal

from panoptic_eval.counting import count
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import evaluate, load, merge, rescore, store
from panoptic_eval.rules import Rules
from panoptic_eval.run_folder import JOURNAL, LOCK, RESULTS, RunFolder

HALVES = Rules(percentiles=(0, 50, 100))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A ground truth and two predictions of it, with instances."""
    rng = np.random.default_rng(11)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=3)
    folder = tmp_path_factory.mktemp("data")
    gt, pred = random_maps.write(folder / "one", categories, images)
    worse = [replace(p, pred=np.roll(p.pred, 3, 1)) for p in images]
    _, other = random_maps.write(folder / "two", categories, worse)
    thing = next(c.id for c in categories.categories if c.isthing)
    boxes = [{"image_id": p.image_id, "category_id": thing, "bbox": [0, 0, 5, 5], "score": 0.5} for p in images]
    for path in (pred, other):
        (path.parent / "instances.json").write_text(json.dumps(boxes))
    evaluate(pred, gt)  # whatever is compiled or loaded at first use, before processes are forked
    return gt, pred, other


def killed_before(change, out, work):
    """Do work in a process that is killed before its n-th change of files in a folder; False if it came to its end."""
    child = os.fork()
    if child == 0:
        seen = 0

        def audit(event, arguments):
            nonlocal seen
            if event == "open" and (not isinstance(arguments[2], int) or not arguments[2] & (os.O_WRONLY | os.O_RDWR)):
                return
            if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"):
                path = os.fspath(arguments[0]) if not isinstance(arguments[0], int) else ""
                if (
                    os.fsdecode(path).startswith(str(out)) or not Path(os.fsdecode(path)).is_absolute()
                ):  # rmtree's paths are relative
                    seen += 1
                    if seen == change:
                        os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(audit)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def scores(out):
    report = json.loads((out / "report.json").read_text())
    return {**report, "provenance": None}


def test_rescored_in_place_and_killed_at_any_moment_the_tables_stay(data, tmp_path):
    gt, pred, _ = data
    for name in ("old", "calm"):
        evaluate(pred, gt, out=tmp_path / name)
    evaluate(pred, gt, out=tmp_path / "new", rules=HALVES)
    tables = load(tmp_path / "old")
    old, new = scores(tmp_path / "old"), scores(tmp_path / "new")
    stored = (tmp_path / "old" / "tables.npz").stat()
    out = tmp_path / "old"
    for change in range(1, 100):
        killed = killed_before(change, out, lambda: store(rescore(load(out), HALVES), load(out), out))
        assert_equal(load(out).instances, tables.instances)
        assert (out / "tables.npz").stat().st_mtime_ns == stored.st_mtime_ns  # what was loaded is not written again
        assert scores(out) in (old, new)
        with RunFolder(out):
            pass
        run = "calm" if scores(out) == old else "new"
        for name in RESULTS[1:-1]:
            assert (out / name).read_bytes() == (tmp_path / run / name).read_bytes()
        store(rescore(load(out)), load(out), out)
        assert {p.name for p in out.iterdir()} == set(RESULTS)
        assert scores(out) == old
        if not killed:
            break
    assert change > 10


@pytest.mark.parametrize("before", ["nothing", "another run"])
def test_run_and_killed_at_any_moment_the_old_or_the_new_run_is_there(data, tmp_path, before):
    gt, pred, other = data
    out = tmp_path / "out"
    evaluate(pred, gt, out=tmp_path / "new")
    new = load(tmp_path / "new").panoptic
    step = 1 if before == "nothing" else 2
    for change in range(1, 200, step):
        old = None
        if before == "another run":
            evaluate(other, gt, out=out)
            old = load(out).panoptic
        killed = killed_before(change, out, lambda: evaluate(pred, gt, out=out, workers=1))
        tables = load(out).panoptic if (out / "tables.npz").exists() else None
        assert tables is not None or old is None
        if tables is not None:
            assert tables.digest in (new.digest, old and old.digest)
            if (out / "report.json").exists():
                is_new = tables.digest == new.digest
                assert (scores(out)["scores"] == scores(tmp_path / "new")["scores"]) == is_new
        evaluate(pred, gt, out=out)
        assert {p.name for p in out.iterdir()} == set(RESULTS)
        assert scores(out) == scores(tmp_path / "new")
        if not killed:
            break
    assert change > 10


def test_merged_in_place_and_killed_at_any_moment_the_shard_or_the_whole_is_there(data, tmp_path):
    gt, pred, _ = data
    shards = [count(pred, gt, shard=(k, 2)) for k in (1, 2)]
    out = tmp_path / "out"
    for change in range(1, 100):
        store(None, shards[0], out)
        assert {p.name for p in out.iterdir()} == {"tables.npz"}  # a part must not look whole

        def work():
            whole = merge([load(out), shards[1]])
            store(rescore(whole), whole, out)

        killed = killed_before(change, out, work)
        assert len(load(out).panoptic) in (len(shards[0].panoptic), 3)
        if (out / "report.json").exists():
            assert scores(out)["images"] == 3 == len(load(out).panoptic)
        if not killed:
            break
    assert change > 10


def test_a_second_run_with_one_folder_is_told_until_the_first_ends_however_it_ends(data, tmp_path):
    gt, pred, _ = data
    out = tmp_path / "out"
    ready, say = os.pipe()
    child = os.fork()
    if child == 0:
        with RunFolder(out):
            if os.fork() == 0:  # as a pool's workers, which outlive a parent that is killed
                os.close(say)
                time.sleep(3)
                os._exit(0)
            os.write(say, b"x")
            time.sleep(60)
    assert os.read(ready, 1)
    with pytest.raises(InputError, match=r"out: another run is writing its results there"):
        evaluate(pred, gt, out=out)
    assert {p.name for p in out.iterdir()} == {LOCK}
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    evaluate(pred, gt, out=out)
    assert {p.name for p in out.iterdir()} == set(RESULTS)


def test_a_second_run_of_one_process_is_told_too(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    with RunFolder(tmp_path / "out"):
        for _ in range(2):
            with pytest.raises(InputError, match="another run"), RunFolder(tmp_path / "link"):
                pass
        assert [p.name for p in (tmp_path / "out").iterdir()] == [LOCK]
    with RunFolder(tmp_path / "link"):
        pass


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    staged = out / ".panoptic-eval.staged.abcdefgh"
    staged.mkdir(parents=True)
    mixed = out / ".panoptic-eval.staged.ijklmnop"
    mixed.mkdir()
    ours = [out / ".tables.npz.abcd_123", out / ".per_image.csv.abcdefgh", staged / "report.json", mixed / "tables.npz"]
    theirs = [out / ".report.json.swp", out / "mine.txt", out / ".tables.npz", mixed / "mine.txt", out / "pairs" / "x"]
    for path in (*ours, *theirs):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    with RunFolder(out):
        pass
    assert not any(path.exists() for path in (*ours, staged))
    assert all(path.exists() for path in theirs)


@pytest.mark.parametrize("name", [*RESULTS, JOURNAL])
@pytest.mark.parametrize("kind", ["file", "folder", "loop", "pipe"])
def test_what_others_put_there_is_neither_replaced_nor_removed(data, tmp_path, name, kind):
    gt, pred, _ = data
    path = tmp_path / "out" / name
    path.parent.mkdir()
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    else:
        os.mkfifo(path)
    with pytest.raises(InputError, match=f"{name}: (was not written by panoptic-eval|is no file)"):
        evaluate(pred, gt, out=tmp_path / "out")
    assert [p.name for p in path.parent.iterdir()] == [name]
    if kind == "file":
        assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_one_is_named_before_anything_is_counted(data, tmp_path, monkeypatch):
    gt, pred, _ = data
    monkeypatch.setattr("panoptic_eval.counting.count_jobs", None)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "loop", Path("/proc/nowhere")):
        with pytest.raises(InputError, match=f"^1 fault in the input:\n- {out}: results cannot be written there"):
            evaluate(pred, gt, out=out)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("room", [0, 600, 6000])
def test_without_room_the_old_results_stay(data, tmp_path, room):
    """A limit on the size of files does what a full disk does."""
    gt, pred, other = data
    out = tmp_path / "out"
    evaluate(pred, gt, out=out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        with pytest.raises(InputError, match="expected a folder with room"):
            evaluate(other, gt, out=out)

    assert not killed_before(-1, out, work)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.name != JOURNAL} == before
    evaluate(other, gt, out=out)
    assert {p.name for p in out.iterdir()} == set(RESULTS)


def test_a_new_folder_is_not_left_empty(data, tmp_path):
    gt, pred, _ = data
    with pytest.raises(InputError):
        evaluate(pred.parent / "nowhere", gt, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("id_", [np.int64(3), True, 2.5, None, ("a",)])
def test_image_ids_that_cannot_be_stored_are_refused_before_anything_is_counted(data, monkeypatch, id_):
    gt = ground_truth(data[0])
    maps = (replace(gt.maps[0], image_id=id_), *gt.maps[1:])
    monkeypatch.setattr("panoptic_eval.counting.count_jobs", None)
    with pytest.raises(InputError, match=r"image id .* is of type"):
        count(data[1], replace(gt, maps=maps), missing="skip")
