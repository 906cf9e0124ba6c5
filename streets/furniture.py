"""Small things of the second version's streets: lights, bins, banners, benches, birds, manholes, motorcycles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from streets.canvas import Canvas, Frame
from streets.objects import (
    CAR_PAINT,
    GLASS,
    IRON,
    RED_LAMP,
    RUBBER,
    STEEL,
    TIMBER,
    WHITE,
    Item,
    choice,
    crosswise,
    cuboid,
    lengthwise,
    palette,
    prism,
    ring,
    rods,
)

BIN_PAINT = palette("2c5a34 3a3e42 24487c b8541c 6a6e70")
CLOTHS = palette("c02030 1c5aa8 e0a818 208048 7c2c84 e4e4e0")
PLUMAGE = palette("30302e 6c7078 e8e6e0 4c4238")


def street_light(rng: Generator, frame: Frame) -> tuple[Item, Item]:
    """Return a lamp post and its lamp, which reaches to the frame's right: two instances, as in Mapillary Vistas."""
    height, arm = rng.uniform(5, 8), rng.uniform(0.7, 1.6)
    color = choice(rng, IRON)
    figure = rods(
        ((0, 0, 0), (0, 0, height), 0.15, color),
        ((0, 0, 0), (0, 0, 1.2), 0.22, color * 0.9),
        ((0, 0, height), (0, arm, height + 0.3), 0.12, color),
    )
    post = Item(
        "object--support--pole", cuboid(frame, 0.3, 0.3, height + 0.3), lambda canvas: figure.paint(canvas, frame)
    )
    shell = np.array([[-0.18, 0.0], [-0.14, 0.22], [0.14, 0.22], [0.18, 0.0]])
    at = frame(0, arm + 0.45, height + 0.2)
    head = Frame(float(at[0]), float(at[2]), frame.yaw, float(at[1]))

    def paint(canvas: Canvas) -> None:
        prism(canvas, head, shell, 0.55, np.minimum(color * 1.3, 200))
        canvas.faces(crosswise(head, -0.18, [-0.5, 0.5, 0.0, 0.1]), head.turn(-1, 0, 0), WHITE, glow=True)
        canvas.faces(crosswise(head, 0.18, [-0.5, 0.5, 0.0, 0.1]), head.turn(1, 0, 0), WHITE, glow=True)

    return post, Item("object--street-light", cuboid(head, 0.4, 1.1, 0.22), paint)


def traffic_light(rng: Generator, frame: Frame) -> tuple[Item, Item]:
    """Return a post and a traffic light on it that faces ahead in its frame."""
    height = rng.uniform(2.4, 3.2)
    figure = rods(((0, 0, 0), (0, 0, height + 0.9), 0.14, STEEL * 0.5))
    post = Item(
        "object--support--pole", cuboid(frame, 0.16, 0.16, height + 0.9), lambda canvas: figure.paint(canvas, frame)
    )
    lit = int(rng.integers(3))
    lamps = np.array([[230.0, 30, 24], [240, 170, 20], [40, 210, 90]])
    box = np.array([[-0.14, 0.0], [-0.14, 1.05], [0.14, 1.05], [0.14, 0.0]])
    at = frame(0.24, 0, height)
    body = Frame(float(at[0]), float(at[2]), frame.yaw, float(at[1]))
    a, b = ring(0.12, 12)

    def paint(canvas: Canvas) -> None:
        prism(canvas, body, box, 0.2, RUBBER * 1.1)
        out = body.turn(1, 0, 0)
        for k, lamp in enumerate(lamps):
            disc = body(0.15, a, 0.86 - 0.33 * k + b)[None]
            canvas.faces(disc, out, lamp if k == lit else lamp * 0.3, glow=True)

    return post, Item("object--traffic-light--general-upright", cuboid(body, 0.3, 0.4, 1.05), paint)


def trash_can(rng: Generator, frame: Frame) -> Item:
    """Return a bin with a lid, on wheels or on a stand."""
    color = choice(rng, BIN_PAINT)
    height, half = rng.uniform(0.9, 1.2), rng.uniform(0.26, 0.36)
    barrel = np.array([[-0.8, 0.06], [-1.0, 0.88], [1.0, 0.88], [0.8, 0.06]]) * [half, height]
    lid = np.array([[-1.12, 0.88], [-1.0, 1.0], [1.0, 1.0], [1.12, 0.88]]) * [half, height]

    def paint(canvas: Canvas) -> None:
        prism(canvas, frame, barrel, half, color)
        prism(canvas, frame, lid, half * 1.1, color * 0.6)

    return Item("object--trash-can", cuboid(frame, 2.2 * half, 2.2 * half, height), paint)


def banner(rng: Generator, frame: Frame, *, low: float) -> Item:
    """Return a cloth with a stripe and a disc, from `low` meters upwards, that faces along the street both ways."""
    width, height = rng.uniform(0.7, 1.0), rng.uniform(1.6, 2.4)
    ground, mark = choice(rng, CLOTHS), choice(rng, CLOTHS[[2, 5]])
    a, b = ring(width * 0.28, 14)

    def paint(canvas: Canvas) -> None:
        for facing in (-1, 1):
            out = frame.turn(facing, 0, 0)
            canvas.faces(crosswise(frame, 0, [0.1, 0.1 + width, low, low + height]), out, ground)
            stripe = [0.1, 0.1 + width, low + 0.15 * height, low + 0.3 * height]
            canvas.faces(crosswise(frame, 0, stripe), out, mark)
            canvas.faces(frame(0, 0.1 + width / 2 + a, low + 0.66 * height + b)[None], out, mark)

    corners = frame(0, [0.1, 0.1 + width, 0.1 + width, 0.1], [low, low, low + height, low + height])
    return Item("object--banner", corners, paint)


def bench(rng: Generator, frame: Frame) -> Item:
    """Return a wooden bench that looks ahead in its frame; its boards touch, so that nothing shows between them."""
    wood, iron = choice(rng, TIMBER), choice(rng, IRON) * 0.7
    length = rng.uniform(1.5, 1.9)
    parts: list[tuple[ArrayLike, ArrayLike, float, ArrayLike]] = []
    for t in (-length / 2 + 0.15, length / 2 - 0.15):
        parts += [((0.2, t, 0), (0.2, t, 0.45), 0.09, iron), ((-0.25, t, 0), (-0.3, t, 0.95), 0.09, iron)]
    seat = [(s, 0.46, 0.21) for s in (0.2, 0.0, -0.2)]
    back = [(s, y, 0.17) for s, y in ((-0.26, 0.58), (-0.28, 0.72), (-0.3, 0.86))]
    for k, (s, y, wide) in enumerate(seat + back):
        parts += [((s, -length / 2, y), (s, length / 2, y), wide, wood * (1.0, 0.85)[k % 2])]
    figure = rods(*parts)
    return Item("object--bench", cuboid(frame, 0.6, length, 0.95), lambda canvas: figure.paint(canvas, frame))


def bird(rng: Generator, frame: Frame) -> Item:
    """Return a bird: in flight with spread wings, or standing where its frame is on the ground."""
    color = choice(rng, PLUMAGE)
    flying = frame.ground > 1
    size = rng.uniform(0.75, 1.2) if flying else rng.uniform(0.34, 0.5)
    lift = rng.uniform(-0.15, 0.45)
    parts: list[tuple[ArrayLike, ArrayLike, float, ArrayLike]] = [
        ((-0.5, 0, 0.42), (0.3, 0, 0.5), 0.34, color),
        ((0.3, 0, 0.52), (0.5, 0, 0.66), 0.24, color * 0.8),
        ((0.5, 0, 0.66), (0.68, 0, 0.64), 0.08, np.array([210.0, 150, 40])),
        ((-0.5, 0, 0.42), (-0.85, 0, 0.4), 0.2, color * 0.85),
    ]
    for side in (-1, 1):
        if flying:
            elbow = (0.05, side * 0.55, 0.5 + lift)
            tip = (-0.2, side * 1.2, 0.5 + lift * 0.4)
            parts += [((0.1, 0, 0.5), elbow, 0.3, color), (elbow, tip, 0.2, color * 0.8)]
        else:
            parts += [((0, side * 0.12, 0), (0, side * 0.12, 0.4), 0.07, np.array([200.0, 110, 50]))]
    figure = rods(*((np.array(a) * size, np.array(b) * size, w * size, c) for a, b, w, c in parts))
    hull = cuboid(frame, 1.6 * size, (2.4 if flying else 0.6) * size, (1.2 if flying else 0.85) * size)
    return Item("animal--bird", hull, lambda canvas: figure.paint(canvas, frame))


def manhole(rng: Generator, frame: Frame) -> Item:
    """Return a cover in the road: a dark ring and a ribbed plate."""
    radius, color = rng.uniform(0.4, 0.5), choice(rng, IRON) * rng.uniform(0.55, 0.8)

    def paint(canvas: Canvas) -> None:
        up = np.array([0.0, 1, 0])
        for scale, tone in ((1.0, 0.5), (0.84, 1.0), (0.4, 0.65)):
            a, b = ring(radius * scale, 20)
            canvas.faces(frame(a, b, 0)[None], up, color * tone)

    a, b = ring(radius, 8)
    return Item("object--manhole", frame(a, b, 0), paint)


def fence(rng: Generator, frame: Frame, *, length: float) -> Item:
    """Return a fence of boards along the frame's heading."""
    height, color = rng.uniform(1.0, 1.7), choice(rng, TIMBER)
    boards = np.arange(-length / 2, length / 2 - 0.2, 0.24)
    level = np.ones(len(boards))
    face = np.stack([boards, boards + 0.2, 0.05 * level, height * level], -1)

    def paint(canvas: Canvas) -> None:
        for side in (-1, 1):
            out = frame.turn(0, side, 0)
            canvas.faces(lengthwise(frame, 0, [-length / 2, length / 2, 0, 0.95 * height]), out, color * 0.6)
            canvas.faces(lengthwise(frame, 0, face), out, color)

    return Item("construction--barrier--fence", cuboid(frame, length, 0.06, height), paint)


def motorcycle(rng: Generator, frame: Frame) -> Item:
    """Return a motorcycle on its stand: thick wheels, a tank in its color, a long seat."""
    color = choice(rng, CAR_PAINT)
    body = rods(
        ((-0.62, 0, 0.34), (-0.1, 0, 0.5), 0.16, RUBBER * 1.6),
        ((-0.15, 0, 0.34), (0.25, 0, 0.42), 0.42, STEEL * 0.6),
        ((-0.75, 0, 0.78), (0.0, 0, 0.78), 0.2, RUBBER),
        ((-0.72, 0, 0.66), (-0.4, 0, 0.66), 0.16, color),
        ((0.0, 0, 0.8), (0.36, 0, 0.86), 0.36, color),
        ((0.68, 0, 0.34), (0.42, 0, 1.0), 0.11, STEEL * 0.8),
        ((0.4, -0.34, 1.06), (0.4, 0.34, 1.06), 0.08, RUBBER),
        ((0.52, 0, 0.9), (0.6, 0, 0.9), 0.26, GLASS * 0.8),
        ((0.3, 0, 0.3), (-0.75, 0, 0.3), 0.12, STEEL),
    )

    def paint(canvas: Canvas) -> None:
        a, b = ring(0.34)
        for s in (-0.68, 0.68):
            wheel = rods(((s, 0, 0.04), (s, 0, 0.64), 0.18, RUBBER))
            wheel.paint(canvas, frame)
            for side in (-1, 1):
                canvas.faces(frame(s + a, side * 0.07, 0.34 + b)[None], frame.turn(0, side, 0), RUBBER)
                canvas.faces(frame(s + a * 0.5, side * 0.08, 0.34 + b * 0.5)[None], frame.turn(0, side, 0), STEEL * 0.8)
        body.paint(canvas, frame)
        canvas.faces(crosswise(frame, -0.86, [-0.1, 0.1, 0.66, 0.8]), frame.turn(-1, 0, 0), RED_LAMP, glow=True)

    return Item("object--vehicle--motorcycle", cuboid(frame, 2.0, 0.6, 1.1), paint)
