import contextlib
import copy
import io

import numpy as np
import pytest
import random_maps
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval as Theirs

from panoptic_eval import InputError
from panoptic_eval.integrations.pycocotools import COCOeval


def loaded(gt, results):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(gt)
        coco.createIndex()
        return coco, coco.loadRes(copy.deepcopy(results))


def run(evaluation):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [line for line in printed.getvalue().splitlines() if line.startswith(" Average")]


@pytest.fixture(params=range(3))
def scene(request):
    """Several detections of an object, equal scores, crowds, categories that one side does not have."""
    rng = np.random.default_rng(request.param)
    categories = random_maps.catalogue(rng)
    gt, results = random_maps.coco(categories, random_maps.pairs(rng, categories, images=8))
    more = [{**r, "score": float(rng.choice([0.2, 0.5, 0.9]))} for r in results for _ in range(rng.integers(0, 5))]
    results = [results[k] if k < len(results) else more[k - len(results)] for k in rng.permutation(len(results + more))]
    for row in gt["annotations"]:
        row["area"] = float(row["area"] * rng.choice([1, 90]))  # of all sizes
    return gt, results


@pytest.mark.parametrize("boxes_given", [False, True])
@pytest.mark.parametrize("kind", ["segm", "bbox"])
def test_everything_is_as_in_pycocotools(scene, kind, boxes_given):
    gt, results = scene
    if boxes_given or kind == "bbox":
        results = [{**r, "bbox": (mask.toBbox(r["segmentation"]) * [1, 1, 1.3, 1]).tolist()} for r in results]
    if kind == "bbox":
        results = [{k: v for k, v in r.items() if k != "segmentation"} for r in results]
    theirs, ours = (evaluation(*loaded(gt, results), kind) for evaluation in (Theirs, COCOeval))
    assert run(ours) == run(theirs)
    assert len(ours.stats) == 12
    np.testing.assert_allclose(ours.stats, theirs.stats, atol=1e-12)
    assert (theirs.stats[[0, 6, 7, 8]] > 0).all()
    assert ours.eval["counts"] == theirs.eval["counts"]
    for name in ("precision", "recall", "scores"):
        np.testing.assert_allclose(ours.eval[name], theirs.eval[name], atol=1e-12, err_msg=name)


@pytest.mark.parametrize("use_categories", [1, 0])
def test_other_images_categories_thresholds_ranges_and_numbers_of_detections(scene, use_categories):
    gt, results = scene
    results = [{**r, "bbox": mask.toBbox(r["segmentation"]).tolist()} for r in results]
    for kind in ("segm", "bbox"):
        both = []
        for evaluation in (Theirs, COCOeval):
            one = evaluation(*loaded(gt, results), kind)
            one.params.useCats = use_categories
            one.params.imgIds = one.params.imgIds[1:5][::-1]
            one.params.catIds = one.params.catIds[-2:][::-1]
            one.params.iouThrs = np.array([0.2, 0.6])
            one.params.recThrs = np.array([0.0, 0.3, 1.0])
            one.params.areaRng = [[0, 1e10], [20, 500]]
            one.params.areaRngLbl = ["all", "some"]
            one.params.maxDets = [3, 2]
            with contextlib.redirect_stdout(io.StringIO()):
                one.evaluate()
                one.accumulate()
            both.append(one)
        theirs, ours = both
        assert (theirs.eval["recall"] > 0).any()
        assert ours.eval["counts"] == theirs.eval["counts"]
        for name in ("precision", "recall", "scores"):
            np.testing.assert_allclose(ours.eval[name], theirs.eval[name], atol=1e-12, err_msg=name)
        with pytest.raises(InputError, match=r"maxDets \[2, 3\]"):
            ours.summarize()


def test_what_is_not_supported_is_said(scene):
    coco_gt, coco_dt = loaded(*scene)
    with pytest.raises(InputError, match=r"iouType is 'keypoints'; expected \"segm\" or \"bbox\""):
        COCOeval(coco_gt, coco_dt, "keypoints")
    with pytest.raises(InputError, match=r"cocoDt is of type str; expected COCO\(path\)"):
        COCOeval(coco_gt, "results.json")
    evaluation = COCOeval(coco_gt, coco_dt)
    with pytest.raises(InputError, match="expected evaluate before accumulate"):
        evaluation.accumulate()
    with pytest.raises(InputError, match="expected accumulate before summarize"):
        evaluation.summarize()
    for name in ("evalImgs", "ious"):
        with pytest.raises(AttributeError, match=f"{name} are not kept, .*; expected eval or stats"):
            getattr(evaluation, name)
    evaluation.params.maxDets = [1, 10, 500]
    with pytest.raises(InputError, match="expected 100 at most"):
        evaluation.evaluate()
