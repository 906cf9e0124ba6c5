"""What stands in the drawn streets: each function makes one object at a frame, its look drawn from `rng`.

An object is an `Item`: its category, the points that span it (for occlusion and shadow) and how to paint it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator
from numpy.typing import ArrayLike

from streets.canvas import Canvas, Frame

RGB = Float[np.ndarray, " 3"]

GLASS = np.array([58.0, 69, 80])
RUBBER = np.array([26.0, 26, 28])
STEEL = np.array([150.0, 152, 155])
RED_LAMP = np.array([205.0, 22, 18])
WHITE = np.array([240.0, 240, 236])
SIGN_RED = np.array([205.0, 20, 30])
SIGN_BLUE = np.array([20.0, 75, 175])


def palette(colors: str) -> Float[np.ndarray, "n 3"]:
    """Read colors that are written as six hexadecimal digits each."""
    return np.array([list(bytes.fromhex(color)) for color in colors.split()], float)


CAR_PAINT = palette("e1e2e2 b0b4b8 686c70 28292c 243e7a 9e1a1c 285840 c4b492 4678b2 deb228 783828")
CLOTH = palette("202228 40485c b22228 285496 e6e4de d8b034 46784c 805c42 c86e8c 787c82 ec7e2a")
SKIN = palette("f0ceb4 d6a884 a06e4e 624230")
FACADE = palette("b0624c ccb896 e0d6c0 969490 c69c70 a8b0b6 d6c4aa 865442 bea8a6 6e7680")
LEAF = palette("406826 547830 32582c 708032 8c742c")
TIMBER = palette("a48054 5a6e60 3c5078 b4b0a8 be7832")
HAIR = palette("281e18 5c3e24 aa8c5a 787674")
IRON = palette("585c5e 8c8e8e 363e3a")
ROOF = palette("8e4634 605450 703e30 545860")


@dataclass(frozen=True)
class Item:
    """One object of a scene."""

    category: str
    """Its label's name."""
    hull: Float[np.ndarray, "n 3"]
    """Points of the world in whose convex hull it lies."""
    paint: Callable[[Canvas], None]
    crowd: bool = False
    """Several instances that are annotated as one segment."""

    @property
    def footing(self) -> Float[np.ndarray, "m 2"]:
        """x, z of its lowest points: a car's outline, a tree's stem (one may pass below the crown)."""
        height = self.hull[:, 1]
        return self.hull[height < height.min() + 0.05][:, [0, 2]]


def choice(rng: Generator, palette: Float[np.ndarray, "n 3"], *, spread: float = 8) -> RGB:
    """Return a color near one of the palette's."""
    return np.clip(palette[rng.integers(len(palette))] + rng.normal(0, spread, 3), 8, 250)


def cuboid(frame: Frame, length: float, width: float, height: float) -> Float[np.ndarray, "8 3"]:
    """Return the corners of a box that stands on the frame."""
    s, t, y = np.meshgrid([-length / 2, length / 2], [-width / 2, width / 2], [0, height], indexing="ij")
    return frame(s.ravel(), t.ravel(), y.ravel())


def inset(corners: Float[np.ndarray, "n k 3"], keep: float) -> Float[np.ndarray, "n k 3"]:
    """Shrink polygons towards their centers."""
    center = corners.mean(1, keepdims=True)
    return center + (corners - center) * keep


def crosswise(frame: Frame, s: float, rects: ArrayLike) -> Float[np.ndarray, "n 4 3"]:
    """Return upright rectangles t0, t1, y0, y1 across the object at `s`."""
    rect = np.asarray(rects, float).reshape(-1, 4)
    return frame(s, rect[:, [0, 1, 1, 0]], rect[:, [2, 2, 3, 3]])


def lengthwise(frame: Frame, t: float, rects: ArrayLike) -> Float[np.ndarray, "n 4 3"]:
    """Return upright rectangles s0, s1, y0, y1 along the object at `t`."""
    rect = np.asarray(rects, float).reshape(-1, 4)
    return frame(rect[:, [0, 1, 1, 0]], t, rect[:, [2, 2, 3, 3]])


def prism(
    canvas: Canvas, frame: Frame, outline: Float[np.ndarray, "k 2"], half: ArrayLike, color: ArrayLike
) -> Float[np.ndarray, "k 4 3"]:
    """Paint a body whose side view is `outline`: s, y of corners from the rear bottom over the top to the front bottom.

    Args:
        half: half of its width at each corner.
        color: one, or one for each edge from a corner to the next; the sides take the first.

    Returns:
        The faces across, one for each edge.
    """
    half = np.broadcast_to(np.asarray(half, float), len(outline))
    color = np.broadcast_to(np.asarray(color, float), (len(outline), 3))
    ahead, half_ahead = np.roll(outline, -1, 0), np.roll(half, -1)
    s = np.stack([outline[:, 0], outline[:, 0], ahead[:, 0], ahead[:, 0]], -1)
    y = np.stack([outline[:, 1], outline[:, 1], ahead[:, 1], ahead[:, 1]], -1)
    faces = frame(s, np.stack([-half, half, half_ahead, -half_ahead], -1), y)
    edge = (ahead - outline) / np.maximum(np.linalg.norm(ahead - outline, axis=-1, keepdims=True), 1e-6)
    normals = frame.turn(-edge[:, 1], 0, edge[:, 0])
    order = np.argsort(-faces.mean(1)[:, 2], kind="stable")
    canvas.faces(faces[order], normals[order], color[order])
    for side in (-1, 1):
        canvas.faces(frame(outline[:, 0], side * half, outline[:, 1])[None], frame.turn(0, side, 0), color[0])
    return faces


def ring(radius: float, count: int = 16) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the corners of a circle about the origin."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return radius * np.cos(angle), radius * np.sin(angle)


@dataclass(frozen=True)
class Rods:
    """A jointed figure: n rods with start and end (s, t, y) in its frame, thickness in meters, color."""

    start: Float[np.ndarray, "n 3"]
    end: Float[np.ndarray, "n 3"]
    width: Float[np.ndarray, " n"]
    color: Float[np.ndarray, "n 3"]

    def paint(self, canvas: Canvas, frame: Frame) -> None:
        """Paint it, the farthest rod first."""
        canvas.limbs(frame(*self.start.T), frame(*self.end.T), self.width, self.color)


def rods(*parts: tuple[ArrayLike, ArrayLike, float, ArrayLike]) -> Rods:
    """Make a figure of rods, each given as (start, end, width, color)."""
    start, end, width, color = zip(*parts, strict=True)
    return Rods(np.array(start, float), np.array(end, float), np.array(width), np.array(color, float))


def body(rng: Generator) -> tuple[RGB, RGB, RGB, RGB]:
    """Choose the colors of top, trousers, skin, hair."""
    return choice(rng, CLOTH), choice(rng, CLOTH[[0, 1, 3, 7, 9]]), choice(rng, SKIN), choice(rng, HAIR)


def walker(rng: Generator) -> Rods:
    """Return a person standing or walking, about 1.75 m tall."""
    top, bottom, skin, hair = body(rng)
    swing = rng.uniform(-0.32, 0.32)
    bare = skin if rng.random() < 0.3 else top
    shoe = RUBBER * 1.3
    leg = 0.16
    parts: list[tuple[ArrayLike, ArrayLike, float, ArrayLike]] = []
    for t, ahead in ((-0.1, swing), (0.1, -swing)):
        knee, foot = (ahead * 0.55 + 0.04, t, 0.5), (ahead, t, 0.09)
        parts += [((0, t, 0.92), knee, leg, bottom), (knee, foot, leg * 0.8, bottom)]
        parts += [(foot, (ahead + 0.12, t, 0.06), 0.1, shoe)]
    for t, ahead in ((-0.25, -swing), (0.25, swing)):
        elbow = (ahead * 0.4, t * 1.05, 1.13)
        parts += [((0, t * 0.85, 1.4), elbow, 0.1, top), (elbow, (ahead * 0.8 + 0.06, t, 0.9), 0.085, bare)]
    parts += [((0, t, 0.95), (0, t * 1.2, 1.38), 0.22, top) for t in (-0.1, 0, 0.1)]
    if rng.random() < 0.25:  # a coat or a skirt
        parts += [((0, t, 0.98), (0, t * 1.6, 0.6), 0.2, top if rng.random() < 0.5 else bottom) for t in (-0.08, 0.08)]
    if rng.random() < 0.25:  # a rucksack
        parts += [((-0.19, 0, 1.08), (-0.19, 0, 1.33), 0.24, choice(rng, CLOTH))]
    parts += [((0, 0, 1.42), (0, 0, 1.52), 0.11, skin), ((0.02, 0, 1.6), (0.02, 0, 1.65), 0.19, skin)]
    parts += [((-0.03, 0, 1.64), (-0.02, 0, 1.69), 0.2, hair)]
    return rods(*parts)


def person(rng: Generator, frame: Frame) -> Item:
    """Return somebody on foot."""
    figure, scale = walker(rng), rng.uniform(0.93, 1.07) if rng.random() < 0.85 else rng.uniform(0.62, 0.8)
    figure = Rods(figure.start * scale, figure.end * scale, figure.width * scale, figure.color)
    hull = cuboid(frame, 0.5, 0.5, 1.75 * scale)
    return Item("human--person--individual", hull, lambda canvas: figure.paint(canvas, frame))


def crowd(rng: Generator, frame: Frame, *, count: int, spread: tuple[float, float]) -> Item:
    """Return people too close together to tell apart; `spread` is their ground, length along x and z, meters."""
    places = rng.uniform(-0.5, 0.5, (count, 2)) * spread
    places = places[np.argsort(-places[:, 1], kind="stable")]
    figures = [
        (walker(rng), Frame(frame.x + dx, frame.z + dz, rng.uniform(0, 2 * np.pi), frame.ground)) for dx, dz in places
    ]

    def paint(canvas: Canvas) -> None:
        for figure, at in figures:
            figure.paint(canvas, at)

    hull = cuboid(Frame(frame.x, frame.z, 0, frame.ground), spread[1] + 0.5, spread[0] + 0.5, 1.75)
    return Item("human--person--individual", hull, paint, crowd=True)


def bicycle(rng: Generator, frame: Frame, *, stout: float = 1) -> Item:
    """Make a bicycle, its tubes `stout` times as thick as real ones; what is seen through its spokes belongs to it."""
    color = choice(rng, CAR_PAINT)
    hubs, radius = ((-0.52, 0, 0.34), (0.52, 0, 0.34)), 0.34
    saddle, crank, head = (-0.2, 0, 0.92), (-0.05, 0, 0.3), (0.36, 0, 0.9)
    tubes = rods(
        (hubs[0], saddle, 0.035, color),
        (hubs[0], crank, 0.035, color),
        (crank, saddle, 0.045, color),
        (crank, (0.4, 0, 0.75), 0.05, color),
        ((-0.17, 0, 0.8), (0.38, 0, 0.82), 0.045, color),
        (hubs[1], head, 0.045, color),
        (head, (0.34, 0, 1.02), 0.035, STEEL),
        ((0.34, -0.26, 1.03), (0.34, 0.26, 1.03), 0.035, RUBBER),
        ((-0.32, 0, 0.95), (-0.08, 0, 0.95), 0.09, RUBBER),
    )
    tubes = Rods(tubes.start, tubes.end, tubes.width * stout, tubes.color)

    def paint(canvas: Canvas) -> None:
        a, b = ring(1)
        for s, t, y in hubs:
            through = canvas.behind(frame(s, t, y)) * 0.8
            rim, inner = (frame(s + a * r, t, y + b * r) for r in (radius, radius - 0.055 * stout))
            for side in (-1, 1):
                canvas.faces(rim[None], frame.turn(0, side, 0), RUBBER)
                canvas.faces(inner[None], frame.turn(0, side, 0), through, glow=True)
            upright = rods(((s, t, 0.03), (s, t, 2 * y - 0.03), 0.05, RUBBER))
            upright.paint(canvas, frame)  # the tire where the wheel is seen from its edge
        tubes.paint(canvas, frame)

    return Item("object--vehicle--bicycle", cuboid(frame, 1.75, 0.5, 1.05), paint)


def cyclist(rng: Generator, frame: Frame, *, stout: float = 1) -> tuple[Item, Item]:
    """Return a bicycle and the person riding it: two instances, as in Mapillary Vistas."""
    top, bottom, skin, hair = body(rng)
    helmet = choice(rng, CLOTH) if rng.random() < 0.6 else hair
    turn = rng.uniform(0, 2 * np.pi)
    parts: list[tuple[ArrayLike, ArrayLike, float, ArrayLike]] = []
    for t, phase in ((-0.1, turn), (0.1, turn + np.pi)):
        foot = (-0.05 + 0.17 * np.cos(phase), t, 0.32 + 0.17 * np.sin(phase))
        knee = (0.5 * foot[0] + 0.17, t * 1.3, 0.5 * foot[2] + 0.52)
        parts += [
            ((-0.2, t, 0.98), knee, 0.17, bottom),
            (knee, foot, 0.13, bottom),
            (foot, (foot[0] + 0.12, t, foot[2]), 0.1, RUBBER),
        ]
        elbow = (0.2, t * 2.6, 1.18)
        parts += [((0.1, t * 2.1, 1.42), elbow, 0.1, top), (elbow, (0.36, t * 2.2, 1.06), 0.085, skin)]
    parts += [((-0.2, t, 1.0), (0.08, t * 1.4, 1.4), 0.23, top) for t in (-0.1, 0, 0.1)]
    parts += [((0.13, 0, 1.47), (0.17, 0, 1.54), 0.1, skin), ((0.2, 0, 1.61), (0.2, 0, 1.65), 0.19, skin)]
    parts += [((0.13, 0, 1.7), (0.23, 0, 1.71), 0.2, helmet)]
    figure = rods(*parts)
    nearer = np.array([0, 0, -0.02])  # the rider is painted over the bicycle
    rider = Item(
        "human--rider--bicyclist", cuboid(frame, 0.9, 0.55, 1.8) + nearer, lambda canvas: figure.paint(canvas, frame)
    )
    return bicycle(rng, frame, stout=stout), rider


def lamp_post(rng: Generator, frame: Frame) -> Item:
    """Return a street light; its arm reaches to the frame's right."""
    height, arm = rng.uniform(5.5, 8.5), rng.uniform(0.8, 2)
    color = choice(rng, IRON)
    figure = rods(
        ((0, 0, 0), (0, 0, height), 0.17, color),
        ((0, 0, 0), (0, 0, 1.1), 0.26, color),
        ((0, 0, height), (0, arm, height + 0.35), 0.11, color),
        ((0, arm, height + 0.35), (0, arm + 0.6, height + 0.38), 0.2, color * 1.2),
    )
    hull = cuboid(frame, 0.2, 0.2, height + 0.4)
    return Item("object--support--pole", hull, lambda canvas: figure.paint(canvas, frame))


def post(frame: Frame, *, height: float, width: float) -> Item:
    """Return a plain pole."""
    figure = rods(((0, 0, 0), (0, 0, height), width, STEEL * 0.85))
    hull = cuboid(frame, width, width, height)
    return Item("object--support--pole", hull, lambda canvas: figure.paint(canvas, frame))


def traffic_sign(rng: Generator, frame: Frame, *, height: float) -> Item:
    """Return a sign whose middle is at `height`, facing ahead in its frame."""
    size = rng.uniform(0.36, 0.46)
    kind = rng.choice(["limit", "no entry", "warning", "stop", "order", "parking", "direction", "diamond"])
    corners = {"warning": 3, "stop": 8, "parking": 4, "diamond": 4, "direction": 4}.get(str(kind), 20)
    first = {3: np.pi / 2, 8: np.pi / 8, 4: np.pi / 4}.get(corners, 0.0) if kind != "diamond" else 0.0
    stretch = np.array([2.0, 1.2]) if kind == "direction" else np.ones(2)
    angle = first + np.linspace(0, 2 * np.pi, corners, endpoint=False)
    plate = np.stack([np.cos(angle), np.sin(angle)], -1) * stretch * size
    rim, field = {
        "limit": (SIGN_RED, WHITE),
        "no entry": (WHITE, SIGN_RED),
        "warning": (SIGN_RED, WHITE),
        "stop": (WHITE, SIGN_RED),
        "order": (WHITE, SIGN_BLUE),
        "parking": (WHITE, SIGN_BLUE),
        "direction": (WHITE, np.array([16.0, 104, 70]) if rng.random() < 0.5 else SIGN_BLUE),
        "diamond": (RUBBER, np.array([244.0, 190, 20])),
    }[str(kind)]
    mark = {"limit": RUBBER, "warning": RUBBER, "diamond": RUBBER}.get(str(kind), WHITE)
    marks = {  # rectangles: from left to right as it is read, from below; fractions of the size
        "limit": [[-0.45, -0.08, -0.32, 0.32], [0.08, 0.45, -0.32, 0.32]],
        "no entry": [[-0.65, 0.65, -0.15, 0.15]],
        "warning": [[-0.07, 0.07, -0.1, 0.4], [-0.07, 0.07, -0.32, -0.2]],
        "stop": [[-0.65, 0.65, -0.18, 0.18]],
        "order": [[-0.1, 0.1, -0.6, 0.6], [-0.35, 0.35, 0.15, 0.32]],
        "parking": [[-0.3, -0.1, -0.5, 0.5], [-0.1, 0.3, 0.3, 0.5], [-0.1, 0.3, -0.05, 0.12], [0.16, 0.34, 0, 0.45]],
        "direction": [[-1.1, 0.9, 0.25, 0.45], [-1.1, 0.3, -0.1, 0.1], [-1.1, 0.7, -0.5, -0.3]],
        "diamond": [[-0.1, 0.1, -0.45, 0.45], [-0.4, 0.4, 0.0, 0.15]],
    }[str(kind)]

    def paint(canvas: Canvas) -> None:
        out = frame.turn(1, 0, 0)
        for scale, color in ((1.0, rim), (0.78 if rim is SIGN_RED else 0.88, field)):
            canvas.faces(frame(0, plate[:, 0] * scale, height + plate[:, 1] * scale)[None], out, color)
        canvas.faces(
            crosswise(frame, 0, np.array(marks) * [-size, -size, size, size] + [0, 0, height, height]), out, mark
        )

    return Item("object--traffic-sign--front", frame(0, plate[:, 0], height + plate[:, 1]), paint)


def tree(rng: Generator, frame: Frame, *, height: float) -> Item:
    """Return a broad-leaved tree or, one time in five, a conifer."""
    leaf = choice(rng, LEAF)
    conifer = rng.random() < 0.2
    if conifer:
        leaf = leaf * np.array([0.6, 0.75, 0.8])
    radius = height * (rng.uniform(0.16, 0.22) if conifer else rng.uniform(0.26, 0.38))
    clear = height * (0.1 if conifer else rng.uniform(0.25, 0.38))
    n = int(np.clip(5000 / frame.z, 60, 420))  # near ones in more detail
    along = rng.random(n)
    angle, out = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.random(n))
    if conifer:
        reach = radius * (1.02 - along)
        up = clear + along * (height - clear)
    else:
        reach = radius * np.sqrt(np.clip(1 - (2 * along - 1) ** 2, 0.05, 1)) * rng.uniform(0.75, 1.1, n)
        up = clear + along * (height - clear)
    offset = np.stack([np.cos(angle) * out * reach, up, np.sin(angle) * out * reach], -1)
    bulge = radius * rng.uniform(0.13, 0.26, n) * (0.7 if conifer else 1) * (150 / n) ** 0.35
    speckle = rng.normal(1, 0.12, (n, 1))
    trunk = np.array([92.0, 76, 60]) * rng.uniform(0.7, 1.2)
    stem = rods(((0, 0, 0), (0, 0, clear + 0.35 * (height - clear)), 0.045 * height, trunk))

    def paint(canvas: Canvas) -> None:
        stem.paint(canvas, frame)
        leaves(canvas, frame(0, 0, 0) + offset, bulge, leaf * speckle)

    a, b = ring(radius * 0.8, 10)
    crown = [frame(a, b, clear + f * (height - clear)) for f in ((0.1,) if conifer else (0.25, 0.75))]
    tips = frame([0, 0], [0, 0], [0, height])
    return Item("nature--vegetation", np.concatenate([*crown, tips]), paint)


def leaves(
    canvas: Canvas, center: Float[np.ndarray, "n 3"], radius: Float[np.ndarray, " n"], color: Float[np.ndarray, "n 3"]
) -> None:
    """Paint balls of leaves: bright where they look to the sun or the sky, dark inside."""
    middle, extent = center.mean(0), np.maximum(np.ptp(center, axis=0) / 2, 0.3)
    outward = (center - middle) / extent
    lit = canvas.light.ambient * (0.8 + 0.25 * outward[:, 1]) + canvas.light.direct * np.clip(
        0.3 + 0.6 * outward @ canvas.light.sun, 0, 1
    )
    toward = -outward[:, 2] + 0.35 * lit  # the near and the bright ones last
    order = np.argsort(toward, kind="stable")
    canvas.blobs(center[order], radius[order], (color * lit[:, None])[order])


def hedge(rng: Generator, frame: Frame, *, length: float, depth: float, height: float) -> Item:
    """Return bushes along the frame's heading."""
    n = int(np.clip(length * depth * 500 / max(frame.z, 6), 30, 400))
    place = rng.uniform(-0.5, 0.5, (n, 2)) * [length, depth]
    up = rng.uniform(0.1, 1, n) * height
    radius, color = rng.uniform(0.14, 0.34, n), choice(rng, LEAF) * rng.normal(0.95, 0.12, (n, 1))

    def paint(canvas: Canvas) -> None:
        leaves(canvas, frame(place[:, 0], place[:, 1], up), radius, color)

    return Item("nature--vegetation", cuboid(frame, length, depth, height), paint)


def building(rng: Generator, frame: Frame, *, length: float, depth: float, height: float) -> Item:
    """Return a block of flats, offices or shops; its front looks to the frame's right, its length runs ahead."""
    wall = choice(rng, FACADE)
    trim = np.minimum(wall * rng.choice([0.7, 1.2]), 245)
    story, bay = rng.uniform(3.0, 3.6), rng.uniform(2.0, 3.2)
    shops = rng.random() < 0.6
    offices = rng.random() < 0.2
    awning = choice(rng, CLOTH)
    levels, bays = max(1, int(height / story)), max(1, int(length / bay))
    share = 0.86 if offices else rng.uniform(0.42, 0.6)
    tint = rng.choice([0.65, 0.9, 1.25, 2.1], (levels * 64, 1), p=[0.35, 0.35, 0.2, 0.1])

    def openings(span: float, count: int) -> Float[np.ndarray, "n 4"]:
        middle = (np.arange(count) + 0.5) / count * span - span / 2
        wide = span / count * share / 2
        level = np.arange(1 if shops else 0, levels) * story
        s, y = (grid.ravel() for grid in np.meshgrid(middle, level))
        return np.stack([s - wide, s + wide, y + 0.28 * story, y + (0.86 if offices else 0.8) * story], -1)

    def paint(canvas: Canvas) -> None:
        fine = canvas.camera.focal / frame.z > 6  # windows larger than a sample or two
        for facing in (1, -1):
            end, out = facing * length / 2, frame.turn(facing, 0, 0)
            canvas.faces(crosswise(frame, end, [-depth / 2, depth / 2, 0, height]), out, wall)
            if fine:
                count = max(1, int(depth / bay / 1.4))
                windows = crosswise(frame, end, openings(depth, count))
                canvas.faces(windows, out, GLASS * 1.2 * tint[: len(windows)])
        t, out = depth / 2, frame.turn(0, 1, 0)
        canvas.faces(lengthwise(frame, t, [-length / 2, length / 2, 0, height]), out, wall)
        canvas.faces(lengthwise(frame, t, [-length / 2, length / 2, height - 0.5, height]), out, trim)
        windows = openings(length, bays)
        if fine:
            if not offices:
                surround = windows + np.array([-0.12, 0.12, -0.25, 0.1])
                canvas.faces(lengthwise(frame, t, surround), out, trim)
            canvas.faces(lengthwise(frame, t, windows), out, GLASS * 1.3 * tint[: len(windows)])
        if shops:
            shop_fronts(canvas, t, out)

    def shop_fronts(canvas: Canvas, t: float, out: Float[np.ndarray, " 3"]) -> None:
        width = length / max(1, bays // 2)
        start = np.arange(max(1, bays // 2)) * width - length / 2
        level = np.ones(len(start))
        canvas.faces(
            lengthwise(frame, t, np.stack([start + 0.3, start + width - 0.9, 0.5 * level, 2.6 * level], -1)),
            out,
            GLASS * 1.1,
        )
        canvas.faces(
            lengthwise(frame, t, np.stack([start + width - 0.75, start + width - 0.1, 0 * level, 2.5 * level], -1)),
            out,
            trim * 0.45,
        )
        canvas.faces(lengthwise(frame, t, [-length / 2, length / 2, 2.7, 3.2]), out, awning)

    return Item("construction--structure--building", cuboid(frame, length, depth, height), paint)


def house(rng: Generator, frame: Frame, *, length: float, depth: float) -> Item:
    """Return a house with a gabled roof; its front looks to the frame's right, the ridge runs ahead."""
    wall = choice(rng, FACADE)
    roof = choice(rng, ROOF)
    height = rng.choice([3.0, 5.6])
    ridge = height + rng.uniform(0.3, 0.45) * depth
    bays = max(2, int(length / 3))
    door = rng.integers(bays)

    def paint(canvas: Canvas) -> None:
        half = depth / 2
        for facing in (-1, 1):
            end, out = facing * length / 2, frame.turn(facing, 0, 0)
            gable = frame(end, [-half, half, half, 0, -half], [0, 0, height, ridge, height])[None]
            canvas.faces(gable, out, wall)
            canvas.faces(crosswise(frame, end, [[-1.9, -0.7, 1, 2.2], [0.7, 1.9, 1, 2.2]]), out, GLASS)
            canvas.faces(crosswise(frame, end, [-0.5, 0.5, height, height + 1]), out, GLASS)
        out = frame.turn(0, 1, 0)
        canvas.faces(lengthwise(frame, half, [-length / 2, length / 2, 0, height]), out, wall)
        slope = np.array([length / 2 + 0.3, -length / 2 - 0.3])
        eaves = frame(
            [slope[0], slope[1], slope[1], slope[0]], [half + 0.4] * 2 + [0, 0], [height - 0.2] * 2 + [ridge] * 2
        )
        tilt = np.arctan2(ridge - height, half)
        canvas.faces(eaves[None], frame.turn(0, np.sin(tilt), np.cos(tilt)), roof)
        for level in range(int(height / 2.6)):
            middle = (np.arange(bays) + 0.5) / bays * length - length / 2
            low = np.full(bays, 0.95 + 2.7 * level)
            panes = np.stack([middle - 0.55, middle + 0.55, low, low + 1.25], -1)
            canvas.faces(lengthwise(frame, half, panes + np.array([-0.12, 0.12, -0.12, 0.12])), out, WHITE)
            canvas.faces(lengthwise(frame, half, panes), out, GLASS)
            if level == 0:
                entry = [middle[door] - 0.6, middle[door] + 0.6, 0, 2.25]
                canvas.faces(lengthwise(frame, half, entry), out, roof * 0.6)

    hull = np.concatenate([cuboid(frame, length, depth, height), frame([-length / 2, length / 2], 0, ridge)])
    return Item("construction--structure--building", hull, paint)


def clutter(rng: Generator, frame: Frame) -> Item:
    """Return something that no annotator has a name for, which is void: skips, stalls, heaps of boxes."""
    count = int(rng.integers(1, 5))
    boxes = []
    for _ in range(count):
        length, width, height = rng.uniform(0.6, 1.8), rng.uniform(0.6, 1.4), rng.uniform(0.5, 1.5)
        at = Frame(frame.x + rng.normal(0, 0.5), frame.z + rng.normal(0, 0.7), rng.uniform(-0.3, 0.3), frame.ground)
        color = choice(rng, TIMBER)
        boxes.append(
            (
                at,
                np.array([[-length / 2, 0], [-length / 2, height], [length / 2, height], [length / 2, 0]]),
                width / 2,
                color,
            )
        )
    boxes.sort(key=lambda box: -box[0].z)

    def paint(canvas: Canvas) -> None:
        for at, outline, half, color in boxes:
            prism(canvas, at, outline, half, color)

    return Item("void--unlabeled", cuboid(frame, 2.4, 2, 1.5), paint)
