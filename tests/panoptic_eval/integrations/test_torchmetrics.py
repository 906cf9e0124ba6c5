import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import random_maps
import torch

torchmetrics = pytest.importorskip("torchmetrics")

from panoptic_eval import InputError, PanopticMetric  # noqa: E402
from panoptic_eval.integrations.torchmetrics import PanopticScores  # noqa: E402
from panoptic_eval.rules import Rules  # noqa: E402

CATEGORIES = [{"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "road", "isthing": 0}]


@pytest.fixture
def drawn():
    rng = np.random.default_rng(4)
    categories = random_maps.catalogue(rng)
    images = random_maps.pairs(rng, categories, images=6)
    expected = PanopticMetric(categories)
    for p in images:
        expected.update((p.pred, p.pred_segments), (p.gt, p.gt_segments), image_id=p.image_id)
    return categories, images, expected.compute()


def add(metric, images):
    for p in images:
        metric.update((p.pred, p.pred_segments), (p.gt, p.gt_segments), image_id=p.image_id)


def same(found, expected):
    assert found.keys() == expected.keys()
    np.testing.assert_array_equal([found[k] for k in expected], [*expected.values()])


def test_scores_are_those_of_the_metric_to_the_last_digit(drawn):
    categories, images, expected = drawn
    metric = PanopticScores([category.to_coco() for category in categories.categories])
    add(metric, images)
    same(metric.compute(), expected.flat())
    same(pickle.loads(pickle.dumps(metric)).compute(), expected.flat())
    half = PanopticScores(categories)
    add(half, images)
    half.set_dtype(torch.float16)  # which its bytes survive
    same(half.compute(), expected.flat())
    strict = PanopticScores(categories, rules=Rules(area_edges=(0.0, 9.0, 100.0)))
    add(strict, images)
    assert "AP_mask/0-9px" in strict.compute()


def test_in_a_collection_beside_torchmetrics_own():
    collection = torchmetrics.MetricCollection(
        {"their": torchmetrics.detection.PanopticQuality({1}, {2}), "ours": PanopticScores(CATEGORIES)}, prefix="val/"
    )
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(1, 3, (2, 4, 4), generator=generator).repeat_interleave(8, 1).repeat_interleave(8, 2)
    target = torch.stack([blocks, torch.zeros_like(blocks)], -1)
    moved = target.roll(2, dims=1)
    batch = collection(moved, target)  # forward: the scores of this batch, which is added, too
    assert batch["val/PQ"] == pytest.approx(float(batch["val/their"]), abs=1e-7)  # theirs adds float32
    assert 0 < batch["val/PQ"] < 1
    collection.update(target, target)
    both = collection.compute()
    assert batch["val/PQ"] < both["val/PQ"] == pytest.approx(float(both["val/their"]), abs=1e-7)
    collection.reset()
    collection.update(target, target)
    assert collection.compute()["val/PQ"] == 1


def test_without_an_image_and_with_a_wrong_one_it_says_so():
    metric = PanopticScores(CATEGORIES)
    with pytest.warns(UserWarning, match="before the"), pytest.raises(InputError, match="no image was added"):
        metric.compute()
    with pytest.raises(InputError, match=r"prediction of image 1: .*expected"):
        metric.update(torch.full((1, 4, 4, 2), torch.nan), torch.ones(1, 4, 4, 2, dtype=torch.int64))
    assert len(metric.images) == 0
    with pytest.raises(ValueError, match="Unexpected keyword"):
        PanopticScores(CATEGORIES, nonsense=1)


def test_ranks_are_gathered_when_computed(drawn, tmp_path):
    categories, images, expected = drawn
    (tmp_path / "data.pickle").write_bytes(pickle.dumps((categories, [vars(p) for p in images])))
    script = tmp_path / "rank.py"
    script.write_text(
        textwrap.dedent(
            """
            import pickle, sys
            from pathlib import Path
            from torch import distributed
            from panoptic_eval.integrations.torchmetrics import PanopticScores
            folder, rank = Path(sys.argv[1]), int(sys.argv[2])
            distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
            categories, images = pickle.loads((folder / "data.pickle").read_bytes())
            metric = PanopticScores(categories)
            for p in images[rank::2] + images[:1] * rank:  # an image that a sampler repeats
                metric.update((p["pred"], p["pred_segments"]), (p["gt"], p["gt_segments"]), image_id=p["image_id"])
            print(metric.compute()["PQ"].item())
            print(len(metric.images))  # of this rank, as before
            """
        )
    )
    command = [sys.executable, script, tmp_path]
    ranks = [subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    for rank, process in enumerate(ranks):
        quality, kept = process.communicate(timeout=240)[0].splitlines()[-2:]
        assert float(quality) == pytest.approx(expected.scores["PQ"]["all"], abs=1e-12)
        assert int(kept) == 3 + rank
