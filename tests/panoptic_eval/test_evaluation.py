import json
import os
import platform
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import PIL
import png
import pytest
import random_maps
from PIL import Image

import panoptic_eval.pairs
from panoptic_eval import evaluate as evaluate_images
from panoptic_eval.counting import count
from panoptic_eval.errors import InputError
from panoptic_eval.evaluation import load, merge, rescore
from panoptic_eval.outputs import json as json_output
from panoptic_eval.outputs.json import encode
from panoptic_eval.pairs.journal import HEAD
from panoptic_eval.rules import Rules
from panoptic_eval.run_folder import LOCK
from panoptic_eval.score import Tables, score


@pytest.fixture
def folders(tmp_path):
    """Gt and predictions of twelve random images, as COCO panoptic files."""
    rng = np.random.default_rng(5)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=12)
    return *random_maps.write(tmp_path / "data", categories, images), random_maps.table(categories, images)


def scores(report):
    """What must not depend on how the work was done."""
    return json.loads(encode(report)) | {"provenance": None}


def edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_files_score_as_arrays_do(folders):
    gt, pred, table = folders
    report = evaluate_images(pred, gt)
    assert report.images == 12
    assert scores(report)["scores"] == scores(score(Tables(table)))["scores"]


def test_scoring_loads_only_what_it_needs(folders):
    gt, pred, _ = folders
    unused = ["tqdm", "PIL.Image", "pycocotools", "importlib.metadata", "tempfile", "csv", "panoptic_eval.run_folder"]
    code = (
        "import sys\nfrom panoptic_eval import evaluate\n"
        f"report = evaluate({str(pred)!r}, {str(gt)!r})\n"
        f"print(sorted(set({unused}) & set(sys.modules)), report.provenance['versions'])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    versions = {"python": platform.python_version(), "numpy": np.__version__, "pillow": PIL.__version__}
    assert done.stdout.strip() == f"[] {versions}"


def test_paths_may_be_text(folders, tmp_path):
    gt, pred, _ = folders
    report = evaluate_images(str(pred), str(gt), out=str(tmp_path / "out"))
    assert scores(report) == scores(evaluate_images(pred, gt))
    assert (tmp_path / "out" / "report.json").exists()


def test_gt_against_itself_is_perfect(folders):
    gt, _, _ = folders
    report = evaluate_images(gt, gt)
    for name in ("PQ", "SQ", "RQ", "PQ_dagger", "PC", "mIoU"):
        assert set(report.scores[name].values()) == {1.0}
    for name in ("AP_mask", "AP_box"):
        assert report.scores[name]["AP"] == pytest.approx(1)


def test_threads_processes_and_shards_give_the_same(folders, tmp_path):
    gt, pred, _ = folders
    expected = scores(evaluate_images(pred, gt, workers=1))
    with ThreadPoolExecutor(3) as threads, ProcessPoolExecutor(2) as processes:
        assert scores(evaluate_images(pred, gt, executor=threads)) == expected
        assert scores(evaluate_images(pred, gt, executor=processes)) == expected
    shards = [count(pred, gt, shard=(k, 5)) for k in (3, 1, 5, 4, 2)]
    merged = rescore(merge(shards))
    assert scores(merged) == expected
    assert merged.provenance["fingerprint"] == evaluate_images(pred, gt).provenance["fingerprint"]


def test_boundaries_are_counted_alike_by_processes_shards_and_from_arrays(folders, tmp_path):
    gt, pred, table = folders
    report = evaluate_images(pred, gt, boundary=0.05, out=tmp_path / "whole")
    shards = [count(pred, gt, boundary=0.05, shard=(k, 3)) for k in (1, 2, 3)]
    assert scores(rescore(merge(shards))) == scores(report)
    assert scores(rescore(load(tmp_path / "whole"))) == scores(report)
    plain = evaluate_images(pred, gt)
    assert set(report.scores) - set(plain.scores) == {"PQ_boundary", "AP_boundary"}
    assert report.scores["PQ_boundary"]["all"] < report.scores["PQ"]["all"]
    np.testing.assert_equal({name: report.scores[name] for name in plain.scores}, plain.scores)
    for ratio in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"--boundary .*: expected a share of the image's diagonal from 0 to 1"):
            evaluate_images(pred, gt, boundary=ratio)
    with pytest.raises(InputError, match="the shards differ in boundary"):
        merge([shards[0], count(pred, gt, shard=(2, 3)), shards[2]])


def test_shards_must_be_all_of_one_run(folders):
    gt, pred, _ = folders
    one, two = (count(pred, gt, shard=(k, 2)) for k in (1, 2))
    with pytest.raises(InputError, match="shard 2/2 is given 0 times"):
        merge([one])
    with pytest.raises(InputError, match="shard 1/2 is given 2 times"):
        merge([one, two, one])
    with pytest.raises(InputError, match="shard 2/3 is of another run"):
        merge([one, two, count(pred, gt, shard=(2, 3))])
    with pytest.raises(InputError, match="differ in pred"):
        merge([one, count(gt, gt, shard=(2, 2))])
    with pytest.raises(InputError, match="no shard"):
        merge([])
    with pytest.raises(InputError, match="shard 3/2 does not exist"):
        count(pred, gt, shard=(3, 2))


def test_out_holds_everything_and_scores_again_without_the_images(folders, tmp_path):
    gt, pred, _ = folders
    report = evaluate_images(pred, gt, out=tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {
        "report.json",
        "per_category.csv",
        "per_image.csv",
        "size_percentiles.csv",
        "segments.csv",
        "tables.npz",
    }
    assert scores(json_output.read(tmp_path / "out")) == scores(report)
    for file in (*gt.parent.glob("gt/*"), *gt.parent.glob("pred/*")):
        file.unlink()
    tables = load(tmp_path / "out")
    assert scores(rescore(tables)) == scores(report)
    by_pixels = rescore(tables, Rules(pc_weight="pixels", percentiles=(0, 50, 100)))
    assert by_pixels.scores["PC"] != report.scores["PC"]
    assert len(by_pixels.size_percentiles) == 2


def test_edges_of_one_run_apply_to_another(folders):
    gt, pred, _ = folders
    first = evaluate_images(pred, gt)
    edges = (first.size_percentiles[0]["from_area"], *(row["to_area"] for row in first.size_percentiles))
    second = evaluate_images(pred, gt, rules=Rules(area_edges=edges))
    for ours, theirs in zip(first.size_percentiles, second.size_percentiles, strict=True):
        assert {**ours, "from_percent": 0, "to_percent": 0} == {**theirs, "from_percent": 0, "to_percent": 0}


def test_per_image_rows_add_up(folders, tmp_path):
    import pandas as pd

    gt, pred, _ = folders
    report = evaluate_images(pred, gt, out=tmp_path)
    rows = pd.read_csv(tmp_path / "per_image.csv")
    categories = pd.read_csv(tmp_path / "per_category.csv")
    assert len(rows) == 12
    for column in ("TP", "FP", "FN"):
        assert rows[column].sum() == categories[column].sum()
    assert categories["PQ"].mean() == pytest.approx(report.scores["PQ"]["all"])


class TestMissing:
    @pytest.fixture
    def without_two(self, folders):
        gt, pred, _ = folders
        edit(pred, lambda d: [d["annotations"].pop(3), d["annotations"].pop(0)])
        for name in ("004.png", "001.png"):
            (pred.with_suffix("") / name).unlink()
        return gt, pred

    def test_is_an_error(self, without_two):
        with pytest.raises(InputError, match="2 images have no panoptic prediction") as error:
            evaluate_images(without_two[1], without_two[0])
        assert error.value.faults[0].places == ("1", "4")

    def test_empty_is_predicted_void(self, folders, without_two):
        report = evaluate_images(without_two[1], without_two[0], missing="empty")
        whole = {p["image_id"]: p for p in report.per_image}
        assert report.images == 12
        assert whole[1]["TP"] == whole[1]["FP"] == 0
        assert report.protocol["missing"] == "empty"
        assert report.protocol["missing_images"] == 2
        assert not any("without" in w for w in report.warnings)  # it was asked for

    def test_skip_leaves_them_out(self, without_two):
        report = evaluate_images(without_two[1], without_two[0], missing="skip")
        assert report.images == 10
        assert {1, 4}.isdisjoint(p["image_id"] for p in report.per_image)


class TestBadFiles:
    """Each fault names file and image, all are listed at once, and nothing is written."""

    def faults(self, folders, tmp_path):
        gt, pred, _ = folders
        with pytest.raises(InputError) as error:
            evaluate_images(pred, gt, out=tmp_path / "out")
        assert {p.name for p in (tmp_path / "out").glob("*")} <= {"pairs.journal"}
        return [str(fault) for fault in error.value.faults]

    def png(self, folders, k):
        return folders[1].with_suffix("") / f"{k:03}.png"

    def test_truncated(self, folders, tmp_path):
        for k in (2, 5):
            self.png(folders, k).write_bytes(self.png(folders, k).read_bytes()[:40])
        (fault,) = self.faults(folders, tmp_path)  # a line a kind
        assert "first of 2: pred image 2:" in fault
        assert "002.png" in fault

    def test_another_size(self, folders, tmp_path):
        Image.new("RGB", (31, 7)).save(self.png(folders, 3))
        (fault,) = self.faults(folders, tmp_path)
        assert "pred image 3:" in fault
        assert "31 x 7" in fault

    def test_wrong_mode(self, folders, tmp_path):
        self.png(folders, 3).write_bytes(png.write(np.zeros((9, 9, 3), int), depth=16))
        (fault,) = self.faults(folders, tmp_path)
        assert "a PNG holds RGB of 16 bits; expected 8-bit RGB" in fault
        assert "003.png" in fault

    def test_an_empty_file(self, folders, tmp_path):
        self.png(folders, 1).write_bytes(b"")
        (fault,) = self.faults(folders, tmp_path)
        assert "a PNG is empty" in fault
        assert "001.png" in fault

    @pytest.mark.parametrize("kind", ["gone", "folder", "pipe", "device", "loop"])
    def test_no_file_that_is_read(self, folders, tmp_path, kind):
        path = self.png(folders, 4)
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind != "gone":
            path.symlink_to("/dev/zero" if kind == "device" else path)
        (fault,) = self.faults(folders, tmp_path)
        assert "004.png" in fault

    def test_no_png(self, folders, tmp_path):
        self.png(folders, 1).write_bytes(b"GIF89a" + bytes(100))
        (fault,) = self.faults(folders, tmp_path)
        assert "does not start like a PNG" in fault

    def test_a_bomb(self, folders, tmp_path):
        data = bytearray(self.png(folders, 1).read_bytes())
        data[16:24] = b"\x00\x0f\x00\x00" * 2
        self.png(folders, 1).write_bytes(data)
        (fault,) = self.faults(folders, tmp_path)
        assert "pred image 1:" in fault
        assert "983040 x 983040" in fault

    def test_an_id_without_entry_and_an_entry_without_pixels(self, folders, tmp_path):
        entry = json.loads(folders[1].read_text())["annotations"]
        k = next(k for k, a in enumerate(entry) if a["segments_info"])
        gone = entry[k]["segments_info"][0]["id"]
        edit(folders[1], lambda d: d["annotations"][k]["segments_info"][0].update(id=777777))
        faults = self.faults(folders, tmp_path)
        assert len(faults) == 2
        assert any(f"{gone}" in f and f"image {k + 1}" in f for f in faults)
        assert any("777777" in f for f in faults)


def test_a_size_other_than_declared_is_a_warning_and_the_png_counts(folders):
    gt, pred, table = folders
    edit(gt, lambda d: d["images"][4].update(width=99))
    report = evaluate_images(pred, gt)
    assert scores(report)["scores"] == scores(score(Tables(table)))["scores"]
    (warning,) = [w for w in report.warnings if "declared are 99 x" in w]
    assert "gt image has another size" in warning
    with pytest.raises(InputError, match="another size"):
        evaluate_images(pred, gt, strict=True)


def test_a_stale_area_is_a_warning_and_the_png_counts(folders):
    gt, pred, table = folders
    edit(gt, lambda d: d["annotations"][0]["segments_info"][0].update(area=123456))
    report = evaluate_images(pred, gt)
    assert scores(report)["scores"] == scores(score(Tables(table)))["scores"]
    (warning,) = [w for w in report.warnings if "123456" in w]
    assert "gt segment has another area" in warning
    quirky = evaluate_images(pred, gt, rules=Rules(protocol="panopticapi"))
    assert quirky.protocol["quirks"]


def test_an_empty_group_is_undefined_with_a_reason(folders):
    gt, pred, _ = folders
    for path in (gt, pred):
        edit(path, lambda d: [c.update(isthing=1) for c in d["categories"]])
    report = evaluate_images(pred, gt)
    assert np.isnan(report.scores["PQ"]["stuff"])
    assert "no stuff category" in report.undefined["PQ.stuff"]
    assert json.loads(encode(report))["scores"]["PQ"]["stuff"] is None


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
import panoptic_eval.pairs as pairs
from panoptic_eval.cli import main
count = pairs.count_pairs
def slow(files, *others):
    time.sleep(0.1 * len(files))
    return count(files, *others)
pairs.count_pairs = slow
main(sys.argv[1:])
"""


class TestInterrupted:
    """The same command goes on where the last one stopped, and gives what an uninterrupted one gives."""

    def stop(self, folders, out, with_signal):
        gt, pred, _ = folders
        options = ["--pred", str(pred), "--gt", str(gt), "--out", str(out), "--workers", "1", "--quiet"]
        process = subprocess.Popen([sys.executable, "-c", SLOW, *options], stderr=subprocess.PIPE, text=True)
        journal = out / "pairs.journal"
        while not (journal.exists() and journal.stat().st_size > len(HEAD)):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(with_signal)
        _, message = process.communicate(timeout=60)
        assert {p.name for p in out.iterdir()} <= {"pairs.journal", LOCK}
        return process.returncode, message

    def go_on(self, folders, out, monkeypatch):
        """The report of the second run, and how many images it counted."""
        gt, pred, _ = folders
        counted = []
        count_pairs = panoptic_eval.pairs.count_pairs
        monkeypatch.setattr(panoptic_eval.pairs, "count_pairs", lambda f, b: (counted.extend(f), count_pairs(f, b))[1])
        return evaluate_images(pred, gt, out=out), len(counted)

    def test_by_ctrl_c(self, folders, tmp_path, monkeypatch):
        code, message = self.stop(folders, tmp_path / "out", signal.SIGINT)
        assert code == 130
        assert "goes on where it stopped" in message
        report, counted = self.go_on(folders, tmp_path / "out", monkeypatch)
        assert 0 < counted < 12
        assert scores(report) == scores(evaluate_images(folders[1], folders[0]))

    def test_by_kill(self, folders, tmp_path, monkeypatch):
        code, _ = self.stop(folders, tmp_path / "out", signal.SIGKILL)
        assert code == -signal.SIGKILL
        report, counted = self.go_on(folders, tmp_path / "out", monkeypatch)
        assert 0 < counted < 12
        assert scores(report) == scores(evaluate_images(folders[1], folders[0]))

    def test_files_that_changed_since_are_counted_anew(self, folders, tmp_path, monkeypatch):
        gt, pred, _ = folders
        self.stop(folders, tmp_path / "out", signal.SIGKILL)
        for file in gt.with_suffix("").glob("*.png"):
            (pred.with_suffix("") / file.name).write_bytes(file.read_bytes())
        pred.write_text(gt.read_text())
        report, counted = self.go_on(folders, tmp_path / "out", monkeypatch)
        assert counted == 12
        assert report.scores["PQ"]["all"] == 1


def test_a_dask_cluster_gives_the_same(folders):
    distributed = pytest.importorskip("distributed")
    gt, pred, _ = folders
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        report = evaluate_images(pred, gt, executor=client.get_executor())
    assert scores(report) == scores(evaluate_images(pred, gt))
