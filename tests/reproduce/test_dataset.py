import numpy as np
import pytest
from street_folders import CAR_ID, ROAD_ID, write_scenes

from model.data.index import build_index
from model.presets import Method, configure
from panoptic_eval.datasets import ground_truth
from reproduce import dataset


@pytest.fixture
def gt_and_index(tmp_path):
    ids = np.full((100, 200), ROAD_ID)
    ids[10:20, 10:30] = CAR_ID + 1
    ids[50:60, 10:90] = CAR_ID + 2
    gt = ground_truth(write_scenes(tmp_path, {"a": ids}), split="training")
    return gt, build_index(gt)


def test_sizes_are_mean_areas_beside_the_public_ones(gt_and_index):
    (row,) = dataset.sizes(*gt_and_index).to_dict("records")
    assert (row["category"], row["size"]) == ("Car", 2)
    assert row["mean"] == pytest.approx((200 + 800) / 2 / 20000 * 100)
    assert row["ratio"] == pytest.approx(np.sqrt(2.5 / 0.46))


def test_visible_boxes_are_counted_not_full_ones(gt_and_index):
    """A crop of 32 shows no box of 64 or more, which level 2 of a canonical size of 64 begins with."""
    setting = dataset.Setting("test", 100, 32, 64.0, 2.0)
    shares = dataset.shares_by_level(*gt_and_index, setting, Method(), crops=20, seed=0)
    assert shares.sum() == pytest.approx(1)
    assert shares[2:].sum() == 0


@pytest.mark.parametrize(("shortest", "beyond"), [(100, "50.0 %"), (50, "0.0 %")])
def test_sides_are_compared_with_the_crop_at_the_scale_of_the_setting(gt_and_index, shortest, beyond):
    """The longer of the two sides is 80 pixels in an image of 100, so 40 in one of 50."""
    setting = dataset.Setting("test", shortest, 64, 64.0, 2.0)
    text = dataset.section(setting, *gt_and_index, dataset.Options(crops=2))
    (row,) = [line for line in text.splitlines() if "side beyond the crop of 64" in line]
    assert f"| {beyond} " in row


@pytest.mark.parametrize("isus", [False, True])
def test_the_data_are_judged_as_the_presets_use_them(isus):
    """Networks that train otherwise would not meet what the page says is met."""
    for setting, preset in zip(dataset.SETTINGS, ("streets-large", "streets-2"), strict=True):
        config = configure(preset, Method(isus=isus))
        assert dataset.sample_of(setting, Method(isus=isus)) == config.sample
        assert setting.canonical_size == config.levels.canonical_size


def test_the_page_says_what_is_met(tmp_path):
    options = dataset.Options(images=2, crops=4, workers=1, folder=tmp_path)
    text = dataset.page(options)
    assert [f"Shortest side {s.shortest}, crops of {s.crop}" in text for s in dataset.SETTINGS] == [True, True]
    assert "| objects an image" in text
    assert "nan" not in text
