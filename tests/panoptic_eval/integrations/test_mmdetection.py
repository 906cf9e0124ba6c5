import json
from types import SimpleNamespace

import numpy as np
import pytest
import random_maps
import torch

from panoptic_eval import InputError, evaluate, ground_truth
from panoptic_eval.integrations.mmdetection import INSTANCE_OFFSET, PanopticEvaluator

KEYS = ["PQ", "SQ", "RQ", "PQ_th", "SQ_th", "RQ_th", "PQ_st", "SQ_st", "RQ_st"]


def in_a_loop(metric, classes, samples, size):
    """What mmengine's Evaluator does with a metric; each image is a batch."""
    metric.dataset_meta = {"classes": classes}
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(size)


def in_mmengine(metric, classes, samples, size):
    evaluator = pytest.importorskip("mmengine.evaluator").Evaluator([metric])
    structures = pytest.importorskip("mmengine.structures")
    evaluator.dataset_meta = {"classes": classes}
    for sample in samples:
        found = structures.PixelData(sem_seg=sample["pred_panoptic_seg"]["sem_seg"])
        data = structures.BaseDataElement(metainfo={"img_id": sample["img_id"]}, pred_panoptic_seg=found)
        evaluator.process([data])
    return evaluator.evaluate(size)


def on_a_rank(rank, world, folder, gt, names, samples, size, loop):
    """One process of several: it sees every second image, and the first one again, as a sampler fills its batches."""
    import torch.distributed

    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    metric = PanopticEvaluator(gt, folder / "out")
    outcomes = []
    for _ in range(2):
        try:
            outcomes.append(loop(metric, names, [*samples[rank::world], samples[0]], size))
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")
    (folder / f"rank{rank}.json").write_text(json.dumps(outcomes))
    torch.distributed.destroy_process_group()


@pytest.fixture
def scene(tmp_path):
    """Predictions as mmdetection's heads give them: void is the number of classes; scores are not known."""
    rng = np.random.default_rng(2)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=5)
    for p in images:
        for s in p.pred_segments:
            s.pop("score", None)
    gt, pred = random_maps.write(tmp_path, categories, images)
    names = [c.name for c in categories.categories][::-1]  # their order is the data set's own
    index = {c.id: names.index(c.name) for c in categories.categories}
    samples = []
    for p in images:
        coded = np.full(p.pred.shape, len(names))
        for instance, s in enumerate(p.pred_segments):
            coded[p.pred == s["id"]] = index[s["category_id"]] + INSTANCE_OFFSET * instance
        samples.append({"img_id": p.image_id, "pred_panoptic_seg": {"sem_seg": torch.from_numpy(coded)[None]}})
    return SimpleNamespace(gt=gt, expected=evaluate(pred, gt).scores, names=names, samples=samples)


@pytest.mark.parametrize("loop", [in_a_loop, in_mmengine])
def test_predictions_are_scored_under_mmdetections_names_epoch_after_epoch(scene, tmp_path, loop):
    metric = PanopticEvaluator(scene.gt, tmp_path / "out")
    for _ in range(2):
        scores = loop(metric, scene.names, scene.samples, len(scene.samples))
        assert list(scores) == [f"coco_panoptic/{key}" for key in KEYS]
        for name, value in scores.items():
            score, _, group = name.removeprefix("coco_panoptic/").partition("_")
            expected = scene.expected[score][{"": "all", "th": "things", "st": "stuff"}[group]]
            assert value == pytest.approx(100 * expected, nan_ok=True)
    assert scene.expected["PQ"]["all"] > 0
    assert (tmp_path / "out/predictions/panoptic.json").exists()
    assert (tmp_path / "out/scores/report.json").exists()


@pytest.mark.parametrize("loop", [in_a_loop, in_mmengine])
def test_ranks_score_all_images_together_each_once(scene, tmp_path, loop):
    if loop is in_mmengine:
        pytest.importorskip("mmengine")
    size = len(scene.samples)
    torch.multiprocessing.spawn(on_a_rank, (2, tmp_path, scene.gt, scene.names, scene.samples, size, loop), nprocs=2)
    alone = loop(PanopticEvaluator(scene.gt, tmp_path / "alone"), scene.names, scene.samples, size)
    for rank in range(2):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == [pytest.approx(alone, nan_ok=True)] * 2
    written, theirs = (json.loads((tmp_path / f / "predictions/panoptic.json").read_text()) for f in ("out", "alone"))
    assert sorted(a["image_id"] for a in written["annotations"]) == [a["image_id"] for a in theirs["annotations"]]


def test_every_rank_is_told_what_is_missing(scene, tmp_path):
    given = (2, tmp_path, scene.gt, scene.names, scene.samples[:3], 5, in_a_loop)
    torch.multiprocessing.spawn(on_a_rank, given, nprocs=2)
    for rank in range(2):
        errors = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert errors == 2 * ["InputError: 1 fault in the input:\n- 3 images were processed of 5; expected all"]


def test_the_ignored_class_and_what_is_no_class_are_void(scene, tmp_path):
    metric = PanopticEvaluator(ground_truth(scene.gt), tmp_path / "out", prefix="val")
    for sample in scene.samples:
        coded = sample["pred_panoptic_seg"]["sem_seg"].clone()
        coded[..., 0, :] = 0
        coded[..., 1, :] = 255
        sample["pred_panoptic_seg"] = {"sem_seg": coded, "ignore_index": 0}
    scores = in_a_loop(metric, scene.names, scene.samples, len(scene.samples))
    written = json.loads((tmp_path / "out/predictions/panoptic.json").read_text())
    ids = {category["name"]: category["id"] for category in written["categories"]}
    used = {segment["category_id"] for annotation in written["annotations"] for segment in annotation["segments_info"]}
    assert used
    assert used <= {ids[name] for name in scene.names[1:]}
    assert set(scores) == {f"val/{key}" for key in KEYS}


def test_what_is_wrong_is_said(scene, tmp_path):
    metric = PanopticEvaluator(scene.gt, tmp_path / "out")
    with pytest.raises(InputError, match="no image of 5 was processed"):
        metric.evaluate(5)
    with pytest.raises(InputError, match="dataset_meta has no classes"):
        metric.process(None, scene.samples)
    with pytest.raises(InputError, match="class 'unicorn' is none of the ground truth; expected "):
        in_a_loop(metric, [*scene.names, "unicorn"], scene.samples, 5)
    with pytest.raises(InputError, match="3 images were processed of 5; expected all"):
        in_a_loop(metric, scene.names, scene.samples[:3], 5)
    metric = PanopticEvaluator(scene.gt, tmp_path / "other")
    with pytest.raises(InputError, match="a data sample has no 'pred_panoptic_seg'"):
        in_a_loop(metric, scene.names, [{"img_id": 1}], 1)
    floats = {"img_id": 1, "pred_panoptic_seg": {"sem_seg": torch.full((1, 2, 2), torch.nan)}}
    with pytest.raises(InputError, match=r"image 1: pred_panoptic_seg has shape \(1, 2, 2\), dtype float32"):
        in_a_loop(metric, scene.names, [floats], 1)


def test_a_folder_with_somebody_elses_predictions_is_not_emptied(scene, tmp_path):
    theirs = tmp_path / "out/predictions/panoptic/theirs.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"their")
    with pytest.raises(InputError, match=r"holds theirs\.png, which no JSON there names"):
        in_a_loop(PanopticEvaluator(scene.gt, tmp_path / "out"), scene.names, scene.samples, 5)
    assert theirs.read_bytes() == b"their"
