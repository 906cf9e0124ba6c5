"""Laws of class-uniform and instance scale-uniform sampling (Porzi et al., CVPR 2021, Sec. 2.1)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.config import Levels, SampleConfig
from model.data.index import DataIndex
from model.data.sampling import Sampler
from model.levels import box_levels
from panoptic_eval.categories import Catalogue, Category
from panoptic_eval.errors import InputError

SKY, CAR, PERSON, ABSENT = range(4)
CATALOGUE = Catalogue(
    (Category(1, "sky", False), Category(2, "car", True), Category(3, "person", True), Category(4, "bear", True))
)
LEVELS = Levels(canonical_size=64.0)
ISUS = SampleConfig(shortest=512, crop=128, sampling="isus", stuff_scales=(0.8, 1.25), thing_scales=(0.25, 4.0))
CUS = replace(ISUS, sampling="cus")


def small_data_set(images: int = 40) -> DataIndex:
    """Images of 256 x 512; people in half of them, a single one, and a crowd in all; sizes heavy-tailed."""
    rng = np.random.default_rng(0)
    rows = []
    for image in range(images):
        rows.append((image, 10, SKY, False, 256 * 100, [0, 0, 512, 100]))
        rows.append((image, 11, PERSON, True, 900, [0, 0, 30, 30]))
        people = 1 if image % 2 else 0
        for number in range(3 + people):
            w, h = np.exp(rng.normal(2.5, 0.9, 2)).clip(3, 250).astype(int).tolist()
            kind = PERSON if number == 3 else CAR
            rows.append((image, 20 + number, kind, False, w * h, [5, 2, 5 + w, 2 + h]))
    image, id_, category, crowd, area, box = zip(*rows, strict=True)
    return DataIndex(
        catalogue=CATALOGUE,
        size=np.tile(np.array([[256, 512]]), (images, 1)),
        image=np.array(image),
        id=np.array(id_, np.uint32),
        category=np.array(category),
        crowd=np.array(crowd),
        area=np.array(area),
        box=np.array(box),
    )


INDEX = small_data_set()
N = 6000


def draw(config=ISUS, *, index=INDEX, seed=0, count=N):
    sampler = Sampler(index, config, LEVELS, seed)
    return [sampler.request(k) for k in range(count)]


def row_of(request, index=INDEX):
    (row,) = np.flatnonzero((index.image == request.image) & (index.id == request.segment))
    return row


def assert_uniform(values, count):
    """Each of `count` values as often, within five standard deviations of a binomial draw."""
    seen = np.bincount(values, minlength=count)
    expected = len(values) / count
    assert (abs(seen - expected) < 5 * np.sqrt(expected)).all(), seen


def entropy(counts):
    """Compute the entropy of a histogram, bits."""
    share = np.asarray(counts) / np.sum(counts)
    return -(share[share > 0] * np.log2(share[share > 0])).sum()


REQUESTS = draw()


def test_a_request_depends_on_seed_and_number_alone():
    backwards = Sampler(INDEX, ISUS, LEVELS, 0)
    assert [backwards.request(k) for k in reversed(range(50))] == REQUESTS[49::-1]
    assert draw(seed=1, count=50) != REQUESTS[:50]
    assert len({r.pixel for r in REQUESTS}) == N


def test_all_arms_of_a_seed_see_the_same_images_and_categories():
    for config in (CUS, replace(CUS, crop=None, shortest=128)):
        for ours, theirs in zip(REQUESTS, draw(config), strict=True):
            assert (ours.image, ours.category, ours.flip) == (theirs.image, theirs.category, theirs.flip)
            if ours.level is None:  # stuff: the same scale factor, too
                assert ours.scale / ISUS.shortest == pytest.approx(theirs.scale / config.shortest)


def test_categories_that_exist_are_uniform():
    assert ABSENT not in {r.category for r in REQUESTS}
    assert_uniform([r.category for r in REQUESTS], 3)


@pytest.mark.parametrize(("category", "images"), [(SKY, range(40)), (CAR, range(40)), (PERSON, range(1, 40, 2))])
def test_images_that_have_the_category_are_uniform(category, images):
    drawn = [r.image for r in REQUESTS if r.category == category]
    assert_uniform([list(images).index(i) for i in drawn], len(images))


@pytest.mark.parametrize("config", [CUS, ISUS])
def test_the_segment_is_one_of_the_category_and_no_crowd(config):
    for request in draw(config, count=500):
        row = row_of(request)
        assert INDEX.category[row] == request.category
        assert not INDEX.crowd[row]


def test_isus_draws_instances_uniformly():
    assert_uniform([r.segment - 20 for r in REQUESTS if r.category == CAR], 3)


def test_cus_draws_pixels_of_the_category_uniformly():
    index = replace(INDEX, area=np.where(INDEX.id == 20, 1000, np.where(INDEX.id == 21, 3000, INDEX.area)))
    index.area[index.id == 22] = 4000
    drawn = [r.segment for r in draw(CUS, index=index) if r.category == CAR]
    share = np.bincount(np.array(drawn) - 20) / len(drawn)
    assert share == pytest.approx([1 / 8, 3 / 8, 4 / 8], abs=0.05)


def test_the_levels_that_isus_wants_are_uniform():
    assert_uniform([r.level for r in REQUESTS if r.level is not None], LEVELS.count)


def test_isus_puts_the_instance_on_the_level_unless_clamped():
    clamped = 0
    for request in REQUESTS:
        if request.level is None:
            assert request.category == SKY
            continue
        factor = request.scale / (ISUS.shortest / 256)
        assert 0.25 - 1e-9 <= factor <= 4 + 1e-9
        box = torch.tensor(INDEX.box[row_of(request)], dtype=torch.float64) * request.scale
        if factor in (pytest.approx(0.25), pytest.approx(4)):
            clamped += 1
        else:
            assert box_levels(box, LEVELS) == request.level
    assert 0 < clamped < N / 2


def test_without_clamping_sizes_are_log_uniform_over_the_levels():
    free = draw(replace(ISUS, thing_scales=(1e-9, 1e9)))
    boxes = np.array([INDEX.box[row_of(r)] * r.scale for r in free if r.level is not None])
    octaves = np.log2(np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])) / LEVELS.octave(0)[0])
    assert octaves.min() >= 0
    assert octaves.max() < LEVELS.count
    assert_uniform((octaves * 4).astype(int), 4 * LEVELS.count)


@pytest.mark.parametrize("config", [CUS, ISUS])
def test_other_scale_factors_are_uniform_in_their_range(config):
    factors = np.array([r.scale / 2 for r in draw(config) if r.level is None])
    assert factors.min() >= 0.8
    assert factors.max() < 1.25
    assert_uniform(((factors - 0.8) / 0.45 * 10).astype(int), 10)
    assert (len(factors) == N) == (config is CUS)  # ISUS gives some of them a level


@pytest.mark.parametrize("size", [(256, 512), (512, 256), (300, 300)])
def test_the_shortest_side_is_scaled_to_the_config(size):
    index = replace(INDEX, size=np.tile(np.array([size]), (40, 1)))
    requests = draw(replace(CUS, stuff_scales=(1.0, 1.0)), index=index, count=20)
    assert {r.scale * min(size) for r in requests} == {512}


def test_half_of_the_crops_are_mirrored_whatever_else_is_drawn():
    assert_uniform([int(r.flip) for r in REQUESTS], 2)
    assert_uniform([int(r.flip) for r in REQUESTS if r.category == PERSON], 2)


def test_levels_of_all_instances_are_flatter_under_isus():
    """All instances of the drawn images, as large as these are drawn."""

    def levels(config):
        found = np.zeros(LEVELS.count)
        for request in draw(config, count=2000):
            boxes = INDEX.box[INDEX.rows(request.image)][INDEX.is_instance[INDEX.rows(request.image)]]
            scaled = torch.tensor(boxes, dtype=torch.float64) * request.scale
            found += np.bincount(box_levels(scaled, LEVELS).numpy(), minlength=LEVELS.count)
        return found

    assert entropy(levels(ISUS)) > entropy(levels(CUS)) + 0.1


LEVEL_FIRST = replace(ISUS, isus="level_first", thing_scales=(0.5, 2.0))


def within(size, level):
    return (level == 0 or size >= LEVELS.octave(level)[0]) and (level == 3 or size < LEVELS.octave(level)[1])


def test_level_first_reaches_the_level_wherever_an_instance_of_the_image_can():
    """Against all factors of the range, instance by instance; a standard factor may leave the level again."""
    reached = moved = 0
    for request in draw(LEVEL_FIRST, count=3000):
        if request.level is None:
            continue
        rows = [r for r in range(len(INDEX.id)) if INDEX.image[r] == request.image and INDEX.is_instance[r]]
        rows = [r for r in rows if INDEX.category[r] == request.category]
        side = {r: 2 * np.sqrt(np.prod(INDEX.box[r][2:] - INDEX.box[r][:2])) for r in rows}
        factors = np.geomspace(0.5, 2, 2001)
        can = [r for r in rows if any(within(side[r] * factor, request.level) for factor in factors)]
        row = row_of(request)
        if can and side[row] * 2 != pytest.approx(LEVELS.octave(request.level)[0]):
            reached += 1
            assert row in can
            factor = request.scale / 2
            if within(side[row], request.level):
                assert 0.8 <= factor <= 1.25
            else:
                moved += 1
                assert 0.5 - 1e-9 <= factor <= 2 + 1e-9
                assert within(side[row] * factor * (1 + 1e-9), request.level)
    assert 0 < moved < reached


def test_level_first_draws_the_same_categories_images_and_levels():
    for ours, theirs in zip(draw(LEVEL_FIRST, count=500), REQUESTS, strict=False):
        assert (ours.image, ours.category, ours.level) == (theirs.image, theirs.category, theirs.level)


def test_the_longest_side_is_capped_after_random_scaling():
    factors = [r.scale * 512 for r in draw(replace(CUS, longest=1100), count=500)]
    assert max(factors) == pytest.approx(1100)
    assert 0.2 < np.mean(np.isclose(factors, 1100)) < 0.6  # 1024 times 0.8 to 1.25
    assert max(r.scale * 512 for r in draw(replace(CUS, longest=700), count=50)) == pytest.approx(700)


def test_a_data_set_without_things():
    stuff = replace(
        INDEX,
        **{f: getattr(INDEX, f)[INDEX.category == SKY] for f in ("image", "id", "category", "crowd", "area", "box")},
    )
    assert {r.category for r in draw(index=stuff, count=20)} == {SKY}


def test_nothing_but_crowds():
    crowds = replace(
        INDEX, **{f: getattr(INDEX, f)[INDEX.crowd] for f in ("image", "id", "category", "crowd", "area", "box")}
    )
    with pytest.raises(InputError, match="no segment to sample"):
        Sampler(crowds, ISUS, LEVELS, 0)


def test_isus_without_pyramid_levels_is_refused_and_class_uniform_sampling_needs_none():
    with pytest.raises(InputError, match=r"sample\.sampling is 'isus'.*no pyramid levels; expected 'cus'"):
        Sampler(INDEX, ISUS, None, 0)
    uniform = replace(ISUS, sampling="cus")
    assert Sampler(INDEX, uniform, None, 0).request(5) == Sampler(INDEX, uniform, LEVELS, 0).request(5)
