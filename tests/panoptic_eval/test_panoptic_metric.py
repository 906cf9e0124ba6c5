import json
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import random_maps
import torch

from panoptic_eval import InputError, PanopticMetric, evaluate, load
from panoptic_eval.cli import main
from panoptic_eval.outputs.json import encode
from panoptic_eval.rules import Rules


@pytest.fixture
def drawn():
    rng = np.random.default_rng(4)
    categories = random_maps.catalogue(rng)
    return categories, random_maps.pairs(rng, categories, images=6)


def scores(report):
    return json.loads(encode(report)) | {"provenance": None, "warnings": None}


def filled(categories, images, **options):
    metric = PanopticMetric(categories, **options)
    for p in images:
        metric.update((p.pred, p.pred_segments), (p.gt, p.gt_segments), image_id=p.image_id)
    return metric


def test_a_loop_scores_as_the_command_does_to_the_last_digit(drawn, tmp_path):
    categories, images = drawn
    gt, pred = random_maps.write(tmp_path, categories, images)
    expected = evaluate(pred, gt, boundary=0.1)
    found = filled([c.to_coco() for c in categories.categories], images, boundary=0.1).compute()
    assert scores(found) == scores(expected)
    assert set(found.scores) == set(expected.scores)


def test_what_is_saved_is_a_run(drawn, tmp_path, capsys):
    metric = filled(*drawn)
    report = metric.save(tmp_path / "run")
    assert len(load(tmp_path / "run").panoptic) == len(drawn[1]) == len(metric)
    main(["rescore", str(tmp_path / "run"), "--json", "--resamples", "0"])
    assert json.loads(capsys.readouterr().out)["scores"]["PQ"]["all"] == report.scores["PQ"]["all"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
def test_arrays_and_tensors_of_any_integers(dtype):
    categories = [{"id": 1, "name": "car", "isthing": 1}, {"id": 2, "name": "road", "isthing": 0}]
    labels = np.array([[1, 1, 2], [2, 2, 0]], dtype)
    segments = [{"id": 1, "category_id": 1}, {"id": 2, "category_id": 2}]
    tensor = torch.from_numpy(labels.astype(np.int64))
    for given in (labels, labels[:, ::-1][:, ::-1], labels.tolist(), tensor, tensor[None], memoryview(labels)):
        metric = PanopticMetric(categories)
        metric.update((given, segments), (labels, segments))
        assert metric.compute().scores["PQ"]["all"] == 1


def test_other_libraries_forms_mean_the_same():
    categories = [{"id": 7, "name": "car", "isthing": 1}, {"id": 9, "name": "road", "isthing": 0}]
    labels = torch.tensor([[1, 1, 2, 2], [3, 3, 3, -1]])
    target = (np.maximum(labels.numpy(), 0), [{"id": k, "category_id": c} for k, c in ((1, 7), (2, 7), (3, 9))])
    entries = [(1, 7, 0.9), (2, 7, 0.8), (3, 9, 0.7)]
    hugging_face = {
        "segmentation": labels,
        "segments_info": [{"id": k, "label_id": c, "was_fused": False, "score": s} for k, c, s in entries],
    }
    detectron2 = {
        "panoptic_seg": (
            torch.clamp(labels, min=0),
            [{"id": k, "isthing": c == 7, "category_id": c, "score": s} for k, c, s in entries],
        ),
        "sem_seg": None,
    }
    torchmetrics = torch.tensor(
        [[[7, 0], [7, 0], [7, 1], [7, 1]], [[9, 4], [9, 5], [9, 5], [255, 0]]]
    )  # instances of stuff mean nothing
    for prediction in (hugging_face, detectron2):
        metric = PanopticMetric(categories)
        metric.update(prediction, target)
        assert metric.compute().scores["PQ"] == {"all": 1, "things": 1, "stuff": 1}
    with pytest.raises(InputError, match="has category 255, which is none of the categories; expected one of 7, 9"):
        metric.update(torchmetrics, target)
    metric = PanopticMetric(categories)
    metric.update(torchmetrics.where(torchmetrics != 255, torch.tensor(-1)), target)  # category -1 is void
    assert metric.compute().scores["PQ"] == {"all": 1, "things": 1, "stuff": 1}
    metric = PanopticMetric(categories)
    metric.update(target, torchmetrics)  # a target's other categories are void
    assert metric.compute().scores["PQ"]["all"] == 1


@pytest.mark.parametrize("boundary", [0.0, 0.2])
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
def test_segments_of_other_categories_are_void_as_if_they_were_not_drawn(dtype, boundary):
    categories = [{"id": 7, "name": "car", "isthing": 1}]
    rng = np.random.default_rng(2)
    target, prediction = (np.kron(rng.integers(0, 5, (3, 4)), np.ones((4, 4), int)) for _ in range(2))
    of_car = [{"id": k, "category_id": 7} for k in (1, 2)]
    expected = PanopticMetric(categories, boundary=boundary)
    expected.update((prediction % 3, of_car), (np.where(target > 2, 0, target), of_car))
    void = np.where(target == 0, -1, target) if np.dtype(dtype).kind == "i" else target
    metric = PanopticMetric(categories, boundary=boundary)
    others = [{"id": 3, "category_id": 255}, {"id": 4, "category_id": 8}]
    metric.update(((prediction % 3).astype(dtype), of_car), (void.astype(dtype), of_car + others))
    assert scores(metric.compute()) == scores(expected.compute())


def test_other_numbers_than_ids_are_said_with_their_image():
    metric = PanopticMetric([{"id": 7, "name": "car", "isthing": 1}])
    good = np.array([[0, 1]]), [{"id": 1, "category_id": 7}]
    metric.update(good, good)
    for wrong, message in ((-2, "labels hold -2 to 1"), (2**32, "labels hold 1 to 4294967296")):
        with pytest.raises(InputError, match=f"pred, image 2: {message}; expected 0 to 4294967295"):
            metric.update((np.array([[wrong, 1]]), good[1]), good)


def test_an_image_in_which_hugging_face_finds_nothing_is_void():
    target = np.array([[1, 1]]), [{"id": 1, "category_id": 7}]
    metric = PanopticMetric([{"id": 7, "name": "car", "isthing": 1}])
    metric.update({"segmentation": torch.full((1, 2), -1.0), "segments_info": []}, target)
    assert metric.compute().scores["PQ"]["all"] == 0
    for map_, entries in ((torch.full((1, 2), 0.5), []), (torch.ones(1, 2), target[1])):
        with pytest.raises(InputError, match="expected an array of integers"):
            metric.update({"segmentation": map_, "segments_info": entries}, target)


def hugging_face(labels, *entries):
    keys = ("id", "label_id", "was_fused", "score")
    return {"segmentation": torch.tensor(labels), "segments_info": [dict(zip(keys, e, strict=True)) for e in entries]}


def test_what_hugging_face_fuses_and_all_its_stuff_is_one_segment():
    categories = [{"id": 7, "name": "car", "isthing": 1}, {"id": 9, "name": "road", "isthing": 0}]
    target = np.array([[1, 1, 2, 2, 2, 2]]), [{"id": 1, "category_id": 7}, {"id": 2, "category_id": 9}]
    fused = hugging_face([[1, 1, 2, 2, 2, 2]], (1, 7, False, 0.9), (2, 9, True, 0.5), (2, 9, True, 0.8))
    apart = hugging_face([[1, 1, 3, 3, 2, 4]], (1, 7, False, 0.9), *((k, 9, False, 0.1 * k) for k in (2, 3, 4)))
    for given in (fused, apart):
        metric = PanopticMetric(categories)
        metric.update(given, target)
        assert metric.compute().scores["PQ"] == {"all": 1, "things": 1, "stuff": 1}
    assert metric.tables().panoptic.pred.score.tolist() == [0.9, 0.4]
    for again in ((2, 7, False, 0.8), (2, 9, False, 0.8)):
        metric = PanopticMetric(categories)
        wrong = hugging_face([[1, 1, 2, 2, 2, 2]], (1, 9, True, 0.5), (2, 7, False, 0.9), again)
        with pytest.raises(InputError, match=r"two segments of id 2, of the categories 7 and \d; .*label_ids_to_fuse"):
            metric.update(wrong, target)


def test_batches_are_images(drawn):
    categories, _ = drawn
    rng = np.random.default_rng(0)
    things = int(categories.ids[categories.isthing][0])
    maps = np.stack([np.full((3, 4, 5), things), rng.integers(0, 3, (3, 4, 5))], axis=-1)
    batch, single = PanopticMetric(categories), PanopticMetric(categories)
    batch.update(torch.from_numpy(maps), maps)
    for one in maps:
        single.update(one, one)
    assert len(batch) == 3
    assert scores(batch.compute()) == scores(single.compute())
    listed = PanopticMetric(categories)
    listed.update(list(maps), list(maps), image_id=["a", "b", "c"])
    assert listed.tables().panoptic.image_id == ("a", "b", "c")


def test_numbers_of_a_network_are_given_a_meaning():
    categories = [{"id": 7, "name": "car", "isthing": 1}]
    labels = np.ones((2, 2), int)
    metric = PanopticMetric(categories, numbering={0: 7})
    metric.update((labels, [{"id": 1, "category_id": 0}]), (labels, [{"id": 1, "category_id": 7}]))
    assert metric.compute().scores["PQ"]["all"] == 1
    with pytest.raises(InputError, match=r"prediction of image 2: has category 7.*expected one of 0"):
        metric.update((labels, [{"id": 1, "category_id": 7}]), (labels, [{"id": 1, "category_id": 7}]))


def test_merged_and_pickled_is_as_if_it_were_one(drawn):
    categories, images = drawn
    whole = filled(categories, images).compute()
    first, second = filled(categories, images[:4]), filled(categories, images[2:])
    first.merge(pickle.loads(pickle.dumps(second)))
    assert len(first) == len(images)  # two images are in both
    assert scores(first.compute()) == scores(whole)
    unnamed, others = PanopticMetric(categories), PanopticMetric(categories)
    for metric, some in ((unnamed, images[:4]), (others, images[4:])):
        for p in some:
            metric.update((p.pred, p.pred_segments), (p.gt, p.gt_segments))
    unnamed.merge(others)
    assert unnamed.tables().panoptic.image_id == tuple(range(1, 7))
    np.testing.assert_equal(unnamed.compute().scores, whole.scores)
    with pytest.raises(InputError, match="differ in their categories"):
        first.merge(PanopticMetric([{"id": 1, "name": "x", "isthing": 1}]))


def test_ranks_have_all_images_after_sync(drawn, tmp_path):
    categories, images = drawn
    expected = filled(categories, images).compute()
    (tmp_path / "data.pickle").write_bytes(pickle.dumps((categories, [vars(p) for p in images])))
    script = tmp_path / "rank.py"
    script.write_text(
        textwrap.dedent(
            """
            import pickle, sys
            from pathlib import Path
            from torch import distributed
            from panoptic_eval import PanopticMetric
            folder, rank = Path(sys.argv[1]), int(sys.argv[2])
            distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
            categories, images = pickle.loads((folder / "data.pickle").read_bytes())
            metric = PanopticMetric(categories)
            for p in images[rank::2] + images[:1] * rank:  # an image that a sampler repeats
                metric.update(
                    (p["pred"], p["pred_segments"]), (p["gt"], p["gt_segments"]), image_id=p["image_id"]
                )
            metric.sync()
            print(repr(sorted(metric.tables().panoptic.image_id)), metric.compute().scores["PQ"]["all"])
            """
        )
    )
    ranks = [
        subprocess.Popen([sys.executable, script, tmp_path, str(rank)], stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    lines = {rank.communicate(timeout=120)[0].splitlines()[-1] for rank in ranks}
    (line,) = lines
    ids, quality = line.rsplit(" ", 1)
    assert ids == "[1, 2, 3, 4, 5, 6]"
    assert float(quality) == pytest.approx(expected.scores["PQ"]["all"], abs=1e-12)


def test_without_ranks_there_is_nothing_to_sync(drawn):
    with pytest.raises(InputError, match="expected init_process_group before sync"):
        filled(*drawn).sync()


def test_flat_names_are_what_loggers_take(drawn):
    report = filled(*drawn).compute()
    flat = report.flat("val/")
    assert flat["val/PQ"] == report.scores["PQ"]["all"]
    assert flat["val/PQ/things"] == report.scores["PQ"]["things"]
    assert {"val/AP_mask", "val/AP_mask/AP50", "val/AP_mask/75-99", "val/AP_box/0-25"} <= {*flat}
    assert all(isinstance(value, float) for value in flat.values())
    by_area = filled(*drawn).compute(Rules(area_edges=(0.0, 9.0, 100.0))).flat()
    assert "AP_mask/0-9px" in by_area


def test_reset_forgets_and_nothing_has_no_score(drawn):
    metric = filled(*drawn)
    metric.reset()
    for call in (metric.compute, metric.tables):
        with pytest.raises(InputError, match="no image was added; expected update before compute"):
            call()


def test_a_refused_batch_adds_nothing(drawn):
    categories, images = drawn
    p = images[0]
    metric = PanopticMetric(categories)
    good, bad = (p.pred, p.pred_segments), (p.pred[:, :0], [])
    for prediction, target, message in (
        ([good, bad], [(p.gt, p.gt_segments)] * 2, "prediction|labels"),
        ([good], [(p.gt, p.gt_segments)] * 2, "there are 1 predictions, 2 targets"),
        ("text", (p.gt, p.gt_segments), r"prediction of image 1: is an array \(\) of <U4|is str|is an array"),
        ({"masks": 1}, (p.gt, p.gt_segments), "is a dictionary with the keys masks; expected"),
        (p.pred, (p.gt, p.gt_segments), r"expected \(map, segments\)"),
        ((p.pred, [{"id": 1}]), (p.gt, p.gt_segments), "expected id and category_id"),
        ((p.pred.astype(float), p.pred_segments), (p.gt, p.gt_segments), "expected an array of integers"),
    ):
        with pytest.raises((InputError, ValueError), match=message):
            metric.update(prediction, target)
        assert len(metric) == 0


def test_what_is_wrong_is_said_with_the_image():
    metric = PanopticMetric([{"id": 1, "name": "car", "isthing": 1}])
    target = np.array([[1, 1, 0]]), [{"id": 1, "category_id": 1}]

    def listed(**entry):
        return target[0], [{"id": 1, "category_id": 1, **entry}]

    for prediction, message in (
        ((target[0][:, :2], target[1]), "image 'a.jpg': pred: has 2 x 1 pixels; expected 3 x 1"),
        (listed(id=1.5), "prediction of image 'a.jpg': has \"id\" 1.5; expected an integer"),
        (listed(id="1"), "has \"id\" '1'; expected an integer"),
        (listed(category_id=None), 'has "category_id" None; expected an integer'),
        ({"panoptic_seg": (target[0], None)}, "has no list of segments"),
        (np.full((1, 3, 2), np.nan), r"is an array \(1, 3, 2\) of float64"),
        ((np.full((1, 3), np.nan), target[1]), "dtype float64; expected an array of integers"),
        ((np.zeros((0, 3), int), []), r"labels have shape \(0, 3\), dtype int64; .*not empty"),
    ):
        with pytest.raises(InputError, match=message):
            metric.update(prediction, target, image_id="a.jpg")
        assert len(metric) == 0


def test_names_of_a_batch_and_each_image_once():
    metric = PanopticMetric([{"id": 1, "name": "car", "isthing": 1}])
    image = np.array([[1, 1, 0]]), [{"id": torch.tensor(1), "category_id": torch.tensor(1)}]
    for names in (torch.tensor([3, 4]), np.array([5, 6]), range(7, 9), ("a", "b")):
        metric.update([image, image], [image, image], image_id=names)
    metric.update(image, image, image_id=torch.tensor(9))
    assert metric.tables().panoptic.image_id == (3, 4, 5, 6, 7, 8, "a", "b", 9)
    for again in ([10, 4], [10, 10]):
        with pytest.raises(InputError, match=f"image {again[1]} was added already"):
            metric.update([image, image], [image, image], image_id=again)
    assert len(metric) == 9


def test_categories_that_are_none():
    for given, message in (
        ([{"id": 1, "name": "x"}], "has no 'isthing'"),
        ([], "at least one category"),
        ([{"id": "a", "name": "x", "isthing": 1}], "expected dictionaries with id, name and isthing"),
    ):
        with pytest.raises(InputError, match=message):
            PanopticMetric(given)
