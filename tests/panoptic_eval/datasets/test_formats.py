"""From folders to scores, through every format: a prediction that repeats its ground truth is perfect."""

import folders
import numpy as np
import pytest

from panoptic_eval import evaluate

CITYSCAPES = np.array([[7, 7, 26001, 26001, 0], [23, 23, 26002, 24000, 29001]])
IDD = np.array([[0, 0, 4000, 4001, 255], [25, 25, 9000, 9001, 255]])
VISTAS = np.array([[0, 1, 512, 256], [768, 769, 512, 257]])  # label * 256 + instance; label 1 is void
IMAGE = "ulm_000000_000019"


def perfect(report):
    return all(report.scores[name]["all"] == 1 for name in ("PQ", "PQ_dagger", "PC", "mIoU"))


def test_cityscapes_by_its_own_files(tmp_path):
    gt = folders.write_cityscapes(tmp_path / "gt", {IMAGE: CITYSCAPES})
    folders.write_gray(tmp_path / "pred" / f"{IMAGE}.png", np.where(CITYSCAPES == 29001, 0, CITYSCAPES))
    assert perfect(evaluate(tmp_path / "pred", gt))


def test_cityscapes_by_train_id(tmp_path):
    gt = folders.write_cityscapes(tmp_path / "gt", {IMAGE: CITYSCAPES})
    by_train_id = {7: 0, 23: 10, 26001: 13001, 26002: 13002, 24000: 11000, 0: 255, 29001: 255}
    folders.write_gray(tmp_path / "pred" / f"{IMAGE}.png", np.vectorize(by_train_id.get)(CITYSCAPES))
    assert perfect(evaluate(tmp_path / "pred", gt))


def test_idd_by_its_own_files(tmp_path):
    gt = folders.write_idd(tmp_path / "gt", {"119/902541": IDD})
    folders.write_gray(tmp_path / "pred" / "119" / "902541_gtFine_instancelevel3Ids.png", IDD)
    assert perfect(evaluate(tmp_path / "pred", gt))


def test_vistas_by_two_channels(tmp_path):
    gt = folders.write_mapillary(tmp_path / "gt", {"-a": VISTAS})
    label, instance = VISTAS // 256, VISTAS % 256
    folders.write_rgb(tmp_path / "pred" / "-a.png", np.where(label == 1, 0, label + 1 + 256 * instance))
    assert perfect(evaluate(tmp_path / "pred", gt))


@pytest.mark.parametrize("predicted", [False, True])
def test_a_group_of_cars_is_a_crowd(tmp_path, predicted):
    """A prediction inside a group of things is no false positive, and missing the group is none either."""
    group = np.where(CITYSCAPES == 26001, 26, CITYSCAPES)
    gt = folders.write_cityscapes(tmp_path / "gt", {IMAGE: group})
    pred = np.where(CITYSCAPES == 26001, 26001 if predicted else 0, np.where(CITYSCAPES == 29001, 0, CITYSCAPES))
    folders.write_gray(tmp_path / "pred" / f"{IMAGE}.png", pred)
    report = evaluate(tmp_path / "pred", gt)
    assert report.scores["PQ"]["all"] == 1
