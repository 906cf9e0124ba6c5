import math

import numpy as np
import pytest
from torch.utils.data import DataLoader

from crop_aware import ScaleUniformSampler

LEVELS = (16.0, 32.0, 64.0)


def data(seed=0, images=12):
    """Boxes of three categories, most of them small."""
    rng = np.random.default_rng(seed)
    sizes = np.full((images, 2), (240, 320))
    image_of = np.repeat(np.arange(images), 15)
    side = np.exp(rng.uniform(np.log(6), np.log(120), (len(image_of), 2)))
    corner = rng.random((len(image_of), 2)) * ([320, 240] - side)
    return np.concatenate([corner, corner + side], 1), image_of, rng.integers(0, 3, len(image_of)) * 7, sizes


def sampler(**options):
    return ScaleUniformSampler(
        *data(), **{"crop": 128, "samples": 600, "levels": LEVELS, "scales": (0.5, 2), **options}
    )


def test_a_crop_depends_on_seed_epoch_and_number_alone():
    one, two = sampler(seed=3), sampler(seed=3)
    assert list(one) == list(two) == [two.draw(k) for k in range(600)]
    assert list(sampler(seed=4)) != list(one)
    two.set_epoch(1)
    assert list(two) != list(one)
    assert len(one) == 600


def test_the_box_is_brought_to_the_level_where_the_factors_allow_it():
    boxes, _, _, _ = data()
    found = sampler()
    ends = (0.0, *LEVELS, math.inf)
    reached = 0
    for crop in found:
        assert 0.5 <= crop.scale <= 2
        size = crop.scale * math.sqrt(np.prod(boxes[crop.box, 2:] - boxes[crop.box, :2]))
        inside = ends[crop.level] <= size < ends[crop.level + 1] + 1e-9
        assert inside or crop.scale in (0.5, 2)
        reached += inside
    assert reached > 500


def test_the_window_shows_a_part_of_the_box_and_stays_in_the_image():
    boxes, image_of, _, sizes = data()
    for crop in sampler():
        assert crop.image == image_of[crop.box]
        x0, y0, x1, y1 = crop.window
        assert (x1 - x0, y1 - y0) == (128, 128)
        box = boxes[crop.box] * crop.scale
        assert box[0] < x1
        assert box[2] > x0
        assert box[1] < y1
        assert box[3] > y0
        height, width = sizes[crop.image] * crop.scale
        assert 0 <= x0 <= max(0, round(width) - 128)
        assert 0 <= y0 <= max(0, round(height) - 128)


def test_categories_and_levels_come_equally_often():
    _, _, categories, _ = data()
    crops = list(sampler(samples=3000))
    of_category = np.unique([categories[crop.box] for crop in crops], return_counts=True)[1]
    of_level = np.bincount([crop.level for crop in crops])
    assert (np.abs(of_category - 1000) < 120).all()
    assert (np.abs(of_level - 750) < 110).all()


def test_images_are_first_brought_to_one_side():
    crop = sampler(shortest=480).draw(0)
    assert 1 <= crop.scale <= 4  # 2, times a factor from 1/2 to 2


class Windows:
    """A data set that is asked for crops."""

    def __getitem__(self, crop):
        return np.array([crop.image, crop.box, *crop.window])

    def __len__(self):
        return 600


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_with_workers_gets_the_same_crops(workers):
    found = sampler(samples=20)
    loader = DataLoader(Windows(), sampler=found, batch_size=5, num_workers=workers)
    rows = np.concatenate([batch.numpy() for batch in loader])
    assert rows.tolist() == [[crop.image, crop.box, *crop.window] for crop in found]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": np.zeros((2, 4))}, "box 0 is .*expected x0, y0, x1, y1 with a positive size"),
        ({"image_of": [0, 5]}, "of an image that is not there; expected 0 to 0"),
        ({"categories": [1]}, "there are 2 boxes, 2 images of boxes and 1 categories"),
        ({"levels": (64, 32)}, "levels are .*expected numbers above 0 that ascend"),
        ({"scales": (0.0, 2.0)}, "scales are .*expected numbers above 0 that ascend"),
    ],
)
def test_what_makes_no_sense_is_refused(change, message):
    given = {"boxes": [[0, 0, 5, 5], [1, 1, 9, 9]], "image_of": [0, 0], "categories": [1, 2], "image_sizes": [(20, 20)]}
    with pytest.raises(ValueError, match=message):
        ScaleUniformSampler(**{**given, "crop": 8, "samples": 4, **change})
