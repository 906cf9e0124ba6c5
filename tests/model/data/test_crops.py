"""A sample is what was asked for, and its ground truth is that of the image."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from folders import write_cityscapes, write_gray
from PIL import Image
from street_folders import (
    CAR,
    CAR_ID,
    PERSON,
    PERSON_ID,
    ROAD,
    ROAD_ID,
    SKY,
    SKY_ID,
    VOID_ID,
    photograph,
    scene,
    write_scenes,
)
from turned import stored_as

from model.config import Levels, SampleConfig
from model.data.crops import MIN_PIXELS, cut_image, cut_labels, make_sample, place_window
from model.data.index import build_index
from model.data.sampling import CropRequest, Sampler
from model.targets import IGNORE
from panoptic_eval.datasets import ground_truth
from panoptic_eval.errors import InputError

CROP = 64
SIZE = (120, 200)
SCENES = {f"scene{i}": scene(i, *SIZE) for i in range(6)}
GRAY = (1, 2, 3)
CONFIG = SampleConfig(shortest=120, crop=CROP, sampling="cus", stuff_scales=(1.0, 1.0))
LEVELS = Levels(canonical_size=32.0)
CATEGORY = np.full(1 << 11, IGNORE)
for id_, category_ in ((SKY_ID, SKY), (CAR_ID, CAR), (PERSON_ID, PERSON), (ROAD_ID, ROAD)):
    CATEGORY[id_ : id_ + 256] = category_


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    gt = ground_truth(write_scenes(tmp_path_factory.mktemp("scenes"), SCENES), split="training")
    return gt, build_index(gt)


def requests(data, config=CONFIG, count=40):
    sampler = Sampler(data[1], config, LEVELS, 0)
    return [sampler.request(k) for k in range(count)]


def sample_of(data, request, crop=CROP):
    return make_sample(*data, request, crop=crop, padding=GRAY)


def ids_of_image(data, request):
    return SCENES[data[0].maps[request.image].image_id]


def request_for(segment, **options):
    """A crop of the first image around a segment."""
    plain = CropRequest(0, 0, 0, segment, level=None, scale=1.0, flip=False, pixel=0.5, place=(0.5, 0.5))
    return replace(plain, **options)


def one_image(tmp_path, ids):
    gt = ground_truth(write_scenes(tmp_path, {"only": ids}), split="training")
    return gt, build_index(gt)


SMALL = (0.2, 0.25)
SCALES = [(1.0, 1.0), (0.7, 0.8), SMALL, (2.0, 2.6)]


@pytest.mark.parametrize("scales", SCALES, ids=str)
def test_pasted_back_the_crop_agrees_with_the_rescaled_image(data, scales):
    for request in requests(data, replace(CONFIG, stuff_scales=scales)):
        sample = sample_of(data, request)
        window, labels = cut_labels(*data, request, crop=CROP)
        ids = ids_of_image(data, request)
        height, width = window.size
        whole = np.asarray(photograph(*SIZE).resize((width, height), Image.Resampling.BILINEAR))
        rescaled = ids[np.ix_(centers(height, SIZE[0]), centers(width, SIZE[1]))]
        rows, columns = np.s_[window.top : window.top + window.height], np.s_[window.left : window.left + window.width]
        order = -1 if request.flip else 1
        image = sample.image.numpy().transpose(1, 2, 0)[: window.height, : window.width]
        error = abs(whole[rows, columns][:, ::order].astype(int) - image)
        assert error.max() <= 2  # two passes, each rounded
        assert error.mean() < 0.2  # half a pixel aside, it would be about 1
        semantic = labels.targets.semantic.numpy()[: window.height, : window.width]
        assert (CATEGORY[rescaled[rows, columns]][:, ::order] == semantic).all()


def centers(count, original):
    """Which pixel the center of each rescaled pixel falls into."""
    return ((np.arange(count) + 0.5) * original / count).astype(int)


@pytest.mark.parametrize("scales", SCALES, ids=str)
def test_ground_truth_from_its_definition(data, scales):
    """Masks, boxes and open sides, from the ids of the crop and of the whole image."""
    seen = 0
    for request in requests(data, replace(CONFIG, stuff_scales=scales)):
        window, labels = cut_labels(*data, replace(request, flip=False), crop=CROP)
        targets, ids = labels.targets, ids_of_image(data, request)
        bottom_edge, right_edge = window.top + window.height, window.left + window.width
        y, x = (centers(*sides) for sides in zip(window.size, SIZE, strict=True))
        crop = ids[np.ix_(y[window.top : bottom_edge], x[window.left : right_edge])]
        is_thing = np.isin(CATEGORY[crop], (CAR, PERSON))
        present = [i for i in np.unique(crop[is_thing]) if (crop == i).sum() >= MIN_PIXELS]
        assert labels.dropped == len(np.unique(crop[is_thing])) - len(present)
        assert data[1].id[labels.row.numpy()].tolist() == present
        assert targets.categories.tolist() == CATEGORY[present].tolist()
        kept = np.isin(crop, present)
        instances = targets.instances.numpy()[: window.height, : window.width]
        assert ((instances >= 0) == kept).all()
        assert (targets.ignore.numpy()[: window.height, : window.width] == ~kept & (is_thing | (crop == VOID_ID))).all()
        for number, id_ in enumerate(present):
            inside, outside = np.argwhere(crop == id_), np.argwhere(ids == id_)
            assert ((instances == number) == (crop == id_)).all()
            (top, left), (bottom, right) = inside.min(0), inside.max(0) + 1
            assert targets.visible[number].tolist() == [left, top, right, bottom]
            rows, columns = outside.T
            beyond = [  # at the first pixel outside of the window, or further on
                left == 0 and window.left > 0 and columns.min() <= x[window.left - 1],
                top == 0 and window.top > 0 and rows.min() <= y[window.top - 1],
                right == window.width and right_edge < len(x) and columns.max() >= x[right_edge],
                bottom == window.height and bottom_edge < len(y) and rows.max() >= y[bottom_edge],
            ]
            assert targets.open_sides[number].tolist() == beyond
            seen += sum(beyond)
            stretch = np.array([window.size[1] / SIZE[1], window.size[0] / SIZE[0]])
            full = np.concatenate([outside.min(0)[::-1] * stretch, (outside.max(0)[::-1] + 1) * stretch])
            corner = [window.left, window.top]
            assert labels.full[number].tolist() == pytest.approx((full - corner * 2).tolist(), abs=1e-4)
    assert (seen > 10) == (scales != SMALL)  # so small that the crop cuts nothing


def test_sides_are_open_where_an_object_goes_on(tmp_path):
    ids = np.full((100, 150), ROAD_ID)
    ids[40:50, 40:130] = CAR_ID + 1  # goes on to the right of the crop 50..114 x 20..84, and to its left
    ids[20:30, 60:114] = CAR_ID + 2  # ends exactly at the crop's right border, and begins at its top border
    ids[60:70, 55:60] = ids[95:, 55:60] = CAR_ID + 3  # goes on below, but the mask does not touch the border
    ids[80:90, 100:150] = PERSON_ID  # reaches the border of the image on the right, and goes on below
    data = one_image(tmp_path, ids)
    request = request_for(CAR_ID + 1, pixel=0, place=(20 / 64, 0))
    window, labels = cut_labels(*data, replace(request, place=(20.5 / 64, -10 / 64)), crop=64)
    assert (window.top, window.left) == (20, 50)
    names = data[1].id[labels.row.numpy()].tolist()
    sides = dict(zip(names, labels.targets.open_sides.int().tolist(), strict=True))
    assert sides == {
        CAR_ID + 1: [1, 0, 1, 0],
        CAR_ID + 2: [0, 0, 0, 0],
        CAR_ID + 3: [0, 0, 0, 0],
        PERSON_ID: [0, 0, 1, 1],
    }
    right = replace(request, segment=PERSON_ID, pixel=0.999, place=(0.5, 0.5))
    window, labels = cut_labels(*data, right, crop=64)
    assert window.left + window.width == 150
    at = data[1].id[labels.row.numpy()].tolist().index(PERSON_ID)
    assert not labels.targets.open_sides[at, 2]  # the image ends there: nobody knows whether the person does


def test_mirrored_samples(data):
    for request in requests(data, count=10):
        plain, mirrored = (sample_of(data, replace(request, flip=flip)) for flip in (False, True))
        assert torch.equal(plain.image.flip(2), mirrored.image)
        ours, theirs = plain.labels.targets, mirrored.labels.targets
        for name in ("instances", "semantic", "ignore"):
            assert torch.equal(getattr(ours, name).flip(1), getattr(theirs, name))
        assert torch.equal(ours.open_sides[:, [2, 1, 0, 3]], theirs.open_sides)
        for number, (x0, y0, x1, y1) in enumerate(theirs.visible.int().tolist()):
            ys, xs = np.nonzero(theirs.instances.numpy() == number)
            assert (x0, y0, x1, y1) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert torch.equal(CROP - plain.labels.full[:, [2, 0]], mirrored.labels.full[:, [0, 2]])


def test_the_crop_shows_the_pixel_that_was_asked_for(data):
    for request in requests(data, replace(CONFIG, stuff_scales=(1.0, 2.0)), count=60):
        window, labels = cut_labels(*data, request, crop=CROP)
        assert (labels.targets.semantic == request.category).any()


def test_crops_of_a_category_reach_all_of_its_pixels(tmp_path):
    ids = np.full((100, 150), ROAD_ID)
    ids[:10] = SKY_ID
    data = one_image(tmp_path, ids)
    lefts = set()
    for pixel in np.linspace(0, 0.999, 30):
        for place in (0.0, 0.5, 0.99):
            window, _ = cut_labels(*data, request_for(SKY_ID, pixel=pixel, place=(place, place)), crop=64)
            assert window.top <= 10
            lefts.add(window.left)
    assert {0, 150 - 64} <= lefts


def test_crowd_and_void_are_ignored(tmp_path):
    ids = np.full((80, 80), 23)
    ids[10:30, 10:30] = 26001  # a car
    ids[40:60, 10:30] = 26  # a group of cars
    ids[70:] = 4  # void
    gt = ground_truth(write_cityscapes(tmp_path, {"ulm_000000_000001": ids}))
    data = gt, build_index(gt)
    targets = sample_of(data, request_for(26001), crop=None).labels.targets
    car = gt.catalogue.index([26])[0]
    assert targets.categories.tolist() == [car]
    assert (targets.ignore.numpy() == np.isin(ids, (26, 4))).all()
    assert (targets.semantic.numpy()[np.isin(ids, (26, 26001))] == car).all()
    assert (targets.semantic.numpy()[ids == 4] == IGNORE).all()


def test_slivers_are_dropped_and_counted(tmp_path):
    ids = np.full((80, 80), ROAD_ID)
    ids[10, 10:13] = CAR_ID + 1
    ids[20:22, 10:12] = CAR_ID + 2
    data = one_image(tmp_path, ids)
    labels = sample_of(data, request_for(CAR_ID + 2)).labels
    assert labels.dropped == 1
    assert labels.targets.visible.tolist() == [[10, 20, 12, 22]]
    assert labels.targets.ignore.sum() == 3
    assert labels.targets.semantic[10, 10] == CAR


@pytest.mark.parametrize("flip", [False, True])
def test_smaller_images_are_padded(data, flip):
    request = replace(requests(data)[0], scale=0.25, flip=flip)  # 30 x 50
    sample = sample_of(data, request)
    assert sample.image.shape == (3, CROP, CROP)
    outside = torch.ones(CROP, CROP, dtype=torch.bool)
    outside[:30, :50] = False
    assert (torch.tensor(GRAY) == sample.image[:, outside].T).all()
    targets = sample.labels.targets
    assert (targets.semantic[outside] == IGNORE).all()
    assert targets.ignore[outside].all()
    assert (targets.instances[outside] == -1).all()
    assert not targets.ignore.logical_not()[outside].any()
    assert not targets.open_sides.any()


def test_a_whole_image(data):
    request = replace(requests(data)[0], scale=0.5, flip=False)
    sample = sample_of(data, request, crop=None)
    assert sample.image.shape == (3, 60, 100)
    assert not sample.labels.targets.open_sides.any()
    assert sample.name == data[0].maps[request.image].image_id


def test_jpegs_decoded_at_reduced_size_look_the_same(tmp_path):
    height, width = 480, 640
    path = tmp_path / "a.jpg"
    photograph(height, width, wave=9).save(path, quality=95)
    request = request_for(0, scale=0.22)
    window = place_window(request, (200, 300), (height, width), CROP)
    with Image.open(path) as image:
        whole = np.asarray(image.resize(window.size[::-1], Image.Resampling.BILINEAR)).astype(int)
    cut = cut_image(path, (height, width), window)
    expected = whole[window.top : window.top + CROP, window.left : window.left + CROP]
    assert abs(cut - expected).mean() < 2


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("scale", [1.0, 0.22])
def test_a_turned_photograph_is_cut_as_it_is_shown(tmp_path, turn, scale):
    height, width = 480, 640
    shown = photograph(height, width, wave=9)
    exif = Image.Exif()
    exif[0x0112] = turn
    stored_as(shown, turn).save(tmp_path / "turned.jpg", quality=95, exif=exif)
    shown.save(tmp_path / "shown.jpg", quality=95)
    window = place_window(request_for(0, scale=scale), (200, 300), (height, width), CROP)
    expected = cut_image(tmp_path / "shown.jpg", (height, width), window).astype(int)
    assert abs(cut_image(tmp_path / "turned.jpg", (height, width), window) - expected).mean() < 2


def test_photographs_that_do_not_fit_their_labels(tmp_path):
    data = one_image(tmp_path, SCENES["scene0"])
    path = data[0].maps[0].photograph
    request = request_for(SKY_ID)
    photograph(60, 100).save(path, "PNG")
    with pytest.raises(InputError, match=r"only\.jpg: has 100 x 60 pixels as it is shown; expected 200 x 120"):
        sample_of(data, request)
    photograph(*SIZE).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"only\.jpg: cannot be read"):
        sample_of(data, request)
    path.unlink()
    with pytest.raises(InputError, match=r"only\.jpg: cannot be read"):
        sample_of(data, request)
    unknown = replace(data[0], maps=(replace(data[0].maps[0], photograph=None),))
    with pytest.raises(InputError, match="does not say where image 'only' is"):
        make_sample(unknown, data[1], request, crop=CROP, padding=GRAY)


def test_labels_that_are_not_those_of_the_index(tmp_path):
    data = one_image(tmp_path, SCENES["scene0"])
    png = data[0].maps[0].png
    write_gray(png, np.full(SIZE, ROAD_ID))
    with pytest.raises(InputError, match=r"only\.png: the image has no pixel of id 0"):
        sample_of(data, request_for(SKY_ID))
    png.write_bytes(b"")
    with pytest.raises(InputError, match=r"only\.png: is empty"):
        sample_of(data, request_for(SKY_ID))
