from collections import Counter

import numpy as np
import pytest

from streets.canvas import Camera, Frame
from streets.objects import Item, cuboid
from streets.scene import (
    LABELS,
    MIN_PIXELS,
    UNLABELED,
    VERSIONS,
    Segment,
    back_to_front,
    convex_hull,
    render,
    without_fragments,
)

SCENES, HEIGHT, WIDTH = 30, 128, 256
CROP = WIDTH / 4
"""The training crop, 128 pixels of 512, at this size."""


@pytest.fixture(scope="module")
def scenes():
    return [render((3, i), height=HEIGHT, width=WIDTH) for i in range(SCENES)]


def things(scene):
    """Area and width of every instance."""
    for index, segment in enumerate(scene.segments):
        if LABELS[segment.label].instances and not segment.crowd:
            mask = scene.segment == index
            yield mask.sum(), np.ptp(np.flatnonzero(mask.any(0))) + 1


def test_a_scene_is_a_function_of_its_seed(scenes):
    again = render((3, 0), height=HEIGHT, width=WIDTH)
    assert (again.image == scenes[0].image).all()
    assert (again.segment == scenes[0].segment).all()
    assert again.segments == scenes[0].segments
    assert (scenes[1].image != scenes[0].image).mean() > 0.5


def test_every_segment_has_pixels_enough_to_be_annotated(scenes):
    for scene in scenes:
        assert scene.image.shape == (HEIGHT, WIDTH, 3)
        area = np.bincount(scene.segment.ravel(), minlength=len(scene.segments))
        assert len(area) == len(scene.segments)
        assert all(a >= MIN_PIXELS or s.label == UNLABELED for a, s in zip(area, scene.segments, strict=True))


def test_instances_are_numbered_from_one_and_stuff_is_one_segment(scenes):
    for scene in scenes:
        assert max(Counter(scene.segments).values()) == 1
        assert all((s.instance > 0) == LABELS[s.label].instances for s in scene.segments)
        assert max(s.instance for s in scene.segments) < 256


def test_every_category_occurs_and_void_and_crowds(scenes):
    seen = {LABELS[s.label].name for scene in scenes for s in scene.segments}
    assert seen == {label.name for label in VERSIONS[1].labels}
    assert sum(label.instances for label in LABELS) >= 6
    assert sum(label.evaluate and not label.instances for label in LABELS) >= 5
    crowds = [s for scene in scenes for s in scene.segments if s.crowd]
    assert {LABELS[s.label].name for s in crowds} == {"human--person--individual"}


def test_sizes_are_heavy_tailed(scenes):
    area, width = np.array([t for scene in scenes for t in things(scene)]).T
    size = np.sqrt(area)
    assert 8 <= len(size) / SCENES <= 30
    assert np.median(size) < CROP / 6
    assert np.percentile(size, 99) > 0.9 * CROP  # the largest per cent about fills a crop, or more
    assert (width > CROP).sum() >= 0.6 * SCENES  # 300 in 500 images
    assert width.max() <= 0.6 * WIDTH


def test_twice_the_size_shows_the_same_scene(scenes):
    def labels(scene):
        return np.array([s.label for s in scene.segments])[scene.segment]

    for i in (0, 1):
        large = render((3, i), height=2 * HEIGHT, width=2 * WIDTH)
        assert (labels(large)[::2, ::2] == labels(scenes[i])).mean() > 0.93
        shrunk = large.image.reshape(HEIGHT, 2, WIDTH, 2, 3).mean((1, 3))
        assert np.abs(shrunk - scenes[i].image).mean() < 12


def test_odd_sizes_are_drawn():
    scene = render(5, height=97, width=131)
    assert scene.image.shape == (97, 131, 3)
    assert scene.segment.shape == (97, 131)


def box(name, x, z, *, width=1.0, length=1.0):
    return Item(name, cuboid(Frame(x, z), length, width, 1.5), lambda canvas: None)


@pytest.mark.parametrize("reverse", [False, True])
def test_near_items_are_painted_after_those_they_hide(reverse):
    camera = Camera(400.0, (256.0, 128.0), 1.5)

    def painted(*items):
        return [item.category for item in back_to_front(list(items)[:: -1 if reverse else 1], camera)]

    assert painted(box("near", 0, 6), box("far", 0, 12)) == ["far", "near"]
    bus = box("bus", 3, 12, width=2.5, length=12)  # its side, at x = 1.75, runs from z = 6 to 18
    assert painted(bus, box("man before its side", 1.2, 14)) == ["bus", "man before its side"]
    assert painted(bus, box("man beyond it", 5.5, 8)) == ["man beyond it", "bus"]
    assert painted(bus, box("near", -0.5, 5), box("far", 2.5, 30)) == ["far", "bus", "near"]


def test_fragments_become_void():
    segments = [Segment(UNLABELED, 0), Segment(3, 1), Segment(14, 1), Segment(14, 2)]
    segment = np.full((5, 8), 1, np.uint8)
    segment[0] = 2  # 8 pixels
    segment[1:3, :5] = 3  # 10
    merged, kept = without_fragments(segment, segments)
    assert kept == (segments[0], segments[1], segments[3])
    assert (merged[0] == 0).all()
    assert (merged[1:3, :5] == 2).all()
    assert (merged == 1).sum() == 40 - 18


def test_the_hull_leaves_out_what_is_inside_or_on_an_edge():
    points = np.array([[0, 0], [1, 1], [2, 0], [2, 2], [0, 2], [1, 0], [2, 2]], float)
    assert convex_hull(points) == [(0, 0), (2, 0), (2, 2), (0, 2)]
