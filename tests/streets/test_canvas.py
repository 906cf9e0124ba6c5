import numpy as np
import pytest

from streets.canvas import SAMPLES, Camera, Canvas, Frame, Light, majority

CAMERA = Camera(focal=100.0, vanishing=(40.0, 20.0), height=1.5)
NOON = Light(sun=np.array([0.0, 1, 0]), direct=0.0, ambient=1.0, haze=np.full(3, 200.0), visibility=1e9)


def wall(z, *, left=-1.0, right=1.0):
    return np.array([[[left, 0, z], [right, 0, z], [right, 2, z], [left, 2, z]]])


def canvas():
    return Canvas((40, 80), CAMERA, NOON)


def test_projection_is_that_of_a_pinhole():
    assert CAMERA.project(np.array([2.0, 1.5, 10.0])).tolist() == [60, 20]  # at eye level: on the horizon
    assert CAMERA.project(np.array([0.0, 0.0, 10.0])).tolist() == [40, 35]  # 1.5 m lower, 10 px a meter


@pytest.mark.parametrize("level", [0.0, 0.13])
def test_ground_undoes_projection(level):
    x, z = CAMERA.ground((40, 80), level)
    points = np.stack(np.broadcast_arrays(x, level, z), -1)
    rows, columns = np.mgrid[20:40, 0:80] + 0.5
    assert CAMERA.project(points) == pytest.approx(np.stack([columns, rows], -1), abs=1e-3)


def test_a_frame_turns_what_stands_on_it():
    to_the_right = Frame(x=3, z=10, yaw=np.pi / 2, ground=0.1)
    assert to_the_right(2, 0, 1) == pytest.approx(np.array([5, 1.1, 10]))  # ahead is to the right
    assert to_the_right(0, 1, 0) == pytest.approx(np.array([3, 0.1, 9]))  # its right is towards the camera


def test_color_and_segment_are_painted_together():
    picture = canvas()
    picture.segment = 7
    picture.faces(wall(10), [0, 0, -1], [90, 60, 30], glow=True)
    pixels = np.asarray(picture.picture)
    assert (pixels[..., 3] == 7).sum() == pytest.approx(20 * 20, rel=0.15)  # 2 m by 2 m at 10 px a meter
    assert set(map(tuple, pixels[pixels[..., 3] == 7].tolist())) == {(90, 60, 30, 7)}
    assert not pixels[pixels[..., 3] == 0].any()


def test_a_face_that_looks_away_is_not_painted():
    picture = canvas()
    picture.segment = 7
    picture.faces(wall(10), [0, 0, 1], [90, 60, 30])
    assert not np.asarray(picture.picture).any()
    both = np.concatenate([wall(10, left=-3, right=-1), wall(10, left=1, right=3)])
    picture.faces(both, [[0, 0, -1], [0, 0, 1]], [90, 60, 30])
    columns = np.flatnonzero(np.asarray(picture.picture)[..., 3].any(0))
    assert columns.max() <= 30  # only the left one, from x = 10 to 30


def test_sunlit_faces_are_brighter_and_far_ones_hazier():
    light = Light(sun=np.array([0.0, 0, -1]), direct=0.5, ambient=0.5, haze=np.full(3, 200.0), visibility=50.0)
    bright, dark = light.on(np.array([[0.0, 0, -1], [0, 0, 1]]))
    assert bright > dark > 0
    assert light.through(np.zeros(3), np.array([0.0])).tolist() == [[0, 0, 0]]
    assert light.through(np.zeros(3), np.array([50.0])) == pytest.approx(200 * (1 - np.exp(-1)), abs=1e-9)


def test_a_pixel_belongs_to_the_segment_with_most_samples():
    votes = np.array([[[7, 3, 3, 9], [1, 2, 5, 5], [4, 4, 4, 1], [6, 8, 6, 8]]], np.uint8)
    assert majority(votes).tolist() == [[3, 5, 4, 6]]
    picture = canvas()
    picture.segment = 5
    picture.draw.rectangle((0, 0, 2, 3), fill=(10, 20, 30, 5))  # 3 columns of samples: one pixel and a half
    image, segment = picture.develop()
    assert image.shape == (40 // SAMPLES, 80 // SAMPLES, 3)
    assert segment[0].tolist()[:3] == [5, 0, 0]
    assert image[0, 0].tolist() == [10, 20, 30]
