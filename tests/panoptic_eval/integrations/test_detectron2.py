from types import SimpleNamespace

import numpy as np
import pytest
import random_maps
import torch

from panoptic_eval import InputError, evaluate, ground_truth
from panoptic_eval.integrations.detectron2 import Evaluator

COCO_KEYS = ["PQ", "SQ", "RQ", "PQ_th", "SQ_th", "RQ_th", "PQ_st", "SQ_st", "RQ_st"]


@pytest.fixture
def scene(tmp_path):
    rng = np.random.default_rng(2)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=5)
    gt, pred = random_maps.write(tmp_path, categories, images)
    things = [c.id for c in categories.categories if c.isthing]
    stuff = [c.id for c in categories.categories if not c.isthing]
    metadata = SimpleNamespace(
        thing_dataset_id_to_contiguous_id={id_: k for k, id_ in enumerate(things)},
        stuff_dataset_id_to_contiguous_id={id_: k + len(things) for k, id_ in enumerate(stuff)},
    )
    contiguous = metadata.thing_dataset_id_to_contiguous_id | metadata.stuff_dataset_id_to_contiguous_id
    return images, gt, evaluate(pred, gt).scores["PQ"], metadata, contiguous, things


def test_predictions_are_scored_under_detectron2s_names_and_stay(scene, tmp_path):
    images, gt, expected, metadata, contiguous, things = scene
    evaluator = Evaluator(ground_truth(gt), tmp_path / "out", metadata=metadata)
    for _ in range(2):
        evaluator.reset()
        for p in images:
            segments = [
                {**s, "isthing": s["category_id"] in things, "category_id": contiguous[s["category_id"]]}
                for s in p.pred_segments
            ]
            labels = torch.from_numpy(p.pred.astype(np.int32))
            evaluator.process([{"image_id": p.image_id}], [{"panoptic_seg": (labels, segments)}])
        scores = evaluator.evaluate()["panoptic_seg"]
        assert list(scores) == COCO_KEYS
        assert scores["PQ"] == pytest.approx(100 * expected["all"])
        assert scores["PQ_th"] == pytest.approx(100 * expected["things"])
    assert len(list((tmp_path / "out/predictions/panoptic").glob("*.png"))) == len(images)
    assert (tmp_path / "out/scores/report.json").exists()


def test_what_was_processed_is_forgotten_and_nothing_is_not_scored(scene, tmp_path):
    images, gt, *_ = scene
    evaluator = Evaluator(gt, tmp_path / "out")
    with pytest.raises(InputError, match="no prediction was processed"):
        evaluator.evaluate()
    for _ in range(2):  # the same images again
        evaluator.reset()
        for p in images[:3]:
            evaluator.process([{"image_id": p.image_id}], [{"panoptic_seg": (p.pred, p.pred_segments)}])
    (tmp_path / "out/predictions/notes.txt").write_text("mine")
    evaluator.reset()
    p = images[4]
    evaluator.process([{"image_id": p.image_id}], [{"panoptic_seg": (p.pred, p.pred_segments)}])
    assert [png.name for png in (tmp_path / "out/predictions/panoptic").iterdir()] == [f"{p.image_id}.png"]
    assert (tmp_path / "out/predictions/notes.txt").exists()


def test_maps_without_a_list_hold_category_and_instance(scene, tmp_path):
    _, gt, _, metadata, contiguous, _ = scene
    maps = ground_truth(gt)
    evaluator = Evaluator(maps, tmp_path / "out", metadata=metadata, label_divisor=100)
    for label_map in maps.maps:
        height, width = label_map.size
        coded = np.full((height, width), -1)
        coded[0, 0] = 100 * min(contiguous.values())  # category 0, instance 0
        evaluator.process([{"image_id": label_map.image_id}], [{"panoptic_seg": (coded, None)}])
    evaluator.evaluate()
    import json

    written = json.loads((tmp_path / "out/predictions/panoptic.json").read_text())
    first = next(id_ for id_, k in contiguous.items() if k == 0)
    assert [[s["category_id"] for s in a["segments_info"]] for a in written["annotations"]] == [[first]] * len(
        maps.maps
    )
