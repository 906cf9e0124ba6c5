"""Cars, buses and trucks of the drawn streets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from streets.canvas import Canvas, Frame
from streets.objects import (
    CAR_PAINT,
    GLASS,
    RED_LAMP,
    RUBBER,
    STEEL,
    WHITE,
    Item,
    choice,
    crosswise,
    cuboid,
    inset,
    lengthwise,
    palette,
    prism,
    ring,
)


def tires(canvas: Canvas, frame: Frame, axles: Float[np.ndarray, " a"], radius: float, half: float) -> None:
    """Paint what shows of wheels below a body: to be painted before it."""
    a, b = ring(radius)
    inside = half - 0.25
    for side in (-1, 1):
        t = side * np.array([inside, half])
        discs = frame(np.tile(axles, 2)[:, None] + a, t.repeat(len(axles))[:, None], radius + b)
        canvas.faces(discs, frame.turn(0, side, 0), RUBBER)
        treads = [[-half, -inside, 0, 1.7 * radius], [inside, half, 0, 1.7 * radius]]
        for s in axles:
            canvas.faces(crosswise(frame, s, treads), frame.turn(side, 0, 0), RUBBER)


def wheels(canvas: Canvas, frame: Frame, axles: Float[np.ndarray, " a"], radius: float, half: float) -> None:
    """Paint the wheels on the sides of a body: to be painted after it."""
    a, b = ring(radius)
    looks = ((1.18, RUBBER * 0.6), (1.0, RUBBER), (0.62, STEEL), (0.2, GLASS))
    scale = np.array([size for size, _ in looks]).repeat(len(axles))[:, None]
    color = np.array([tone for _, tone in looks]).repeat(len(axles), 0)
    for side in (-1, 1):
        discs = frame(np.tile(axles, len(looks))[:, None] + a * scale, side * half, np.maximum(radius + b * scale, 0))
        canvas.faces(discs, frame.turn(0, side, 0), color)


@dataclass(frozen=True)
class CarShape:
    """The side view of a kind of car: corners from the rear bottom over the roof to the front bottom.

    Its rear window is between corners 2 and 3, its windshield between 4 and 5.
    """

    size: tuple[float, float, float]
    """Length, width, height, meters."""
    s: tuple[float, ...]
    """Position of each corner, fraction of the length; 0 is the middle."""
    y: tuple[float, ...]
    """Height of each corner, fraction of the whole height."""


SALOON = CarShape(
    (4.6, 1.8, 1.45),
    s=(-0.5, -0.49, -0.36, -0.22, 0.06, 0.23, 0.46, 0.5, 0.5),
    y=(0.2, 0.66, 0.69, 0.97, 1, 0.69, 0.6, 0.45, 0.2),
)
HATCHBACK = CarShape(
    (4.0, 1.75, 1.5),
    s=(-0.5, -0.5, -0.47, -0.37, 0.05, 0.25, 0.46, 0.5, 0.5),
    y=(0.2, 0.6, 0.66, 0.97, 1, 0.68, 0.6, 0.45, 0.2),
)
OFF_ROADER = CarShape(
    (4.6, 1.9, 1.78),
    s=(-0.5, -0.5, -0.49, -0.45, 0.08, 0.22, 0.47, 0.5, 0.5),
    y=(0.24, 0.58, 0.64, 0.98, 1, 0.66, 0.6, 0.45, 0.24),
)
PEOPLE_CARRIER = CarShape(
    (4.8, 1.9, 1.95),
    s=(-0.5, -0.5, -0.5, -0.47, 0.2, 0.36, 0.47, 0.5, 0.5),
    y=(0.18, 0.56, 0.6, 0.98, 1, 0.6, 0.52, 0.42, 0.18),
)
CARS = (SALOON, HATCHBACK, OFF_ROADER, PEOPLE_CARRIER)
BUS_PAINT = palette("ecba1e c41e22 285cb0 e4e6e4 2e8654 e47420")
CAB_PAINT = palette("e8e8e6 be221e 224c96 3c4046 2c784a ec961e")
CARGO_PAINT = palette("eeeeea ced0ce 2c589e ba2c28 dec446 608c68")


def car(rng: Generator, frame: Frame) -> Item:
    """Return a passenger car."""
    shape = CARS[rng.integers(len(CARS))]
    length, width, height = np.array(shape.size) * rng.uniform(0.95, 1.06, 3)
    paint_color = choice(rng, CAR_PAINT)
    lit = rng.random() < 0.3
    outline = np.stack([shape.s, shape.y], -1) * [length, height]
    waist = outline[2, 1]
    half = np.interp(outline[:, 1], [0, waist, height], [0.48 * width, width / 2, 0.38 * width])
    axles, radius = np.array([-0.31, 0.31]) * length, 0.33

    def paint(canvas: Canvas) -> None:
        tires(canvas, frame, axles, radius, width / 2)
        colors = np.tile(paint_color, (len(outline), 1))
        colors[-1] = RUBBER
        faces = prism(canvas, frame, outline, half, colors)
        for edge, normal in ((2, frame.turn(-0.8, 0, 0.6)), (4, frame.turn(0.6, 0, 0.8))):  # rear window, windshield
            canvas.faces(inset(faces[edge : edge + 1], 0.84), normal, GLASS)
        side_windows(canvas)
        wheels(canvas, frame, axles, radius, width / 2)
        w, h = width / 2, height
        rear, front = frame.turn(-1, 0, 0), frame.turn(1, 0, 0)
        behind, before = -length / 2, length / 2
        canvas.faces(crosswise(frame, behind, [-w, w, 0.2 * h, 0.32 * h]), rear, paint_color * 0.55)
        lamps = [[-0.95 * w, -0.58 * w, 0.46 * h, 0.6 * h], [0.58 * w, 0.95 * w, 0.46 * h, 0.6 * h]]
        canvas.faces(crosswise(frame, behind, lamps), rear, RED_LAMP * (1.2 if lit else 0.8), glow=True)
        canvas.faces(crosswise(frame, behind, [-0.28 * w, 0.28 * w, 0.36 * h, 0.44 * h]), rear, WHITE)
        canvas.faces(crosswise(frame, before, [-0.6 * w, 0.6 * w, 0.24 * h, 0.42 * h]), front, GLASS * 0.6)
        lamps = [[-0.95 * w, -0.62 * w, 0.36 * h, 0.46 * h], [0.62 * w, 0.95 * w, 0.36 * h, 0.46 * h]]
        canvas.faces(crosswise(frame, before, lamps), front, WHITE * (1.05 if lit else 0.9), glow=True)
        canvas.faces(crosswise(frame, before, [-0.28 * w, 0.28 * w, 0.25 * h, 0.32 * h]), front, WHITE)

    def side_windows(canvas: Canvas) -> None:
        low, high = waist + 0.02 * height, 0.93 * height
        rear = np.interp([low, high], outline[2:4, 1], outline[2:4, 0]) + 0.03 * length
        front = np.interp([low, high], outline[5:3:-1, 1], outline[5:3:-1, 0]) - 0.02 * length
        pillar = np.array([-0.08, -0.055]) * length
        lower, upper = np.interp([low, high], [waist, height], [width / 2, 0.38 * width]) + 0.01
        for start, end in ((rear, pillar[[0, 0]]), (pillar[[1, 1]], front)):
            s = np.array([start[0], end[0], end[1], start[1]])
            for side in (-1, 1):
                t = side * np.array([lower, lower, upper, upper])
                canvas.faces(frame(s, t, [low, low, high, high])[None], frame.turn(0, side, 0), GLASS)
        for side in (-1, 1):  # the gap between the doors
            door = lengthwise(frame, side * width / 2, [pillar[0], pillar[0] + 0.03, 0.28 * height, waist])
            canvas.faces(door, frame.turn(0, side, 0), paint_color * 0.5)

    return Item("object--vehicle--car", cuboid(frame, length, width, height), paint)


def bus(rng: Generator, frame: Frame) -> Item:
    """Return a city bus, with one deck or two: a long row of windows, doors on its right."""
    decks = 2 if rng.random() < 0.15 else 1
    length, width, height = rng.uniform(9, 12.5), 2.55, rng.uniform(2.9, 3.2) if decks == 1 else 4.2
    base = choice(rng, BUS_PAINT)
    accent = choice(rng, np.array([[240, 240, 238], base * 0.5, [30, 40, 60]]))
    banded = rng.random() < 0.6
    bays = round(length / 1.45)
    tint = rng.uniform(0.7, 1.5, (decks * bays, 1))
    axles, radius = np.array([-0.27 * length, 0.32 * length]), 0.48
    outline = np.array([[-0.5, 0.35], [-0.5, height], [0.485, height], [0.5, 1.2], [0.5, 0.35]])
    outline[:, 0] *= length

    def paint(canvas: Canvas) -> None:
        tires(canvas, frame, axles, radius, width / 2 - 0.05)
        colors = np.tile(base, (5, 1))
        colors[-1] = RUBBER
        prism(canvas, frame, outline, width / 2, colors)
        for side in (-1, 1):
            flank(canvas, side)
        wheels(canvas, frame, axles, radius, width / 2)
        w, front, rear = width / 2, frame.turn(1, 0, 0), frame.turn(-1, 0, 0)
        before, behind = length / 2, -length / 2
        top = height if decks == 1 else 2.4
        canvas.faces(crosswise(frame, before - 0.04, [-0.92 * w, 0.92 * w, 1.15, top - 0.45]), front, GLASS)
        canvas.faces(crosswise(frame, before - 0.1, [-0.8 * w, 0.8 * w, top - 0.4, top - 0.1]), front, GLASS * 0.4)
        canvas.faces(
            crosswise(frame, before - 0.1, [-0.5 * w, 0.5 * w, top - 0.34, top - 0.16]),
            front,
            [250, 170, 40],
            glow=True,
        )
        if decks == 2:
            canvas.faces(crosswise(frame, before - 0.1, [-0.9 * w, 0.9 * w, 2.65, height - 0.4]), front, GLASS)
            canvas.faces(crosswise(frame, behind, [-0.7 * w, 0.7 * w, 2.8, height - 0.5]), rear, GLASS)
        canvas.faces(crosswise(frame, before, [-w, w, 0.35, 0.6]), front, base * 0.5)
        lamps = [[-0.95 * w, -0.6 * w, 0.65, 0.88], [0.6 * w, 0.95 * w, 0.65, 0.88]]
        canvas.faces(crosswise(frame, before, lamps), front, WHITE, glow=True)
        canvas.faces(crosswise(frame, behind, [-0.75 * w, 0.75 * w, 1.5, 2.35]), rear, GLASS)
        canvas.faces(crosswise(frame, behind, [-0.75 * w, 0.75 * w, 0.6, 1.25]), rear, base * 0.45)
        canvas.faces(crosswise(frame, behind, [-0.35 * w, 0.35 * w, top - 0.4, top - 0.12]), rear, GLASS * 0.4)
        canvas.faces(
            crosswise(frame, behind, [-0.2 * w, 0.2 * w, top - 0.35, top - 0.17]), rear, [250, 170, 40], glow=True
        )
        canvas.faces(crosswise(frame, behind, [-w, w, 0.35, 0.55]), rear, RUBBER)
        lamps = [[-0.98 * w, -0.8 * w, 0.7, 1.5], [0.8 * w, 0.98 * w, 0.7, 1.5]]
        canvas.faces(crosswise(frame, behind, lamps), rear, RED_LAMP, glow=True)

    def flank(canvas: Canvas, side: int) -> None:
        out, t = frame.turn(0, side, 0), side * width / 2
        ends = np.array([-0.5, 0.5]) * length
        if banded:
            canvas.faces(lengthwise(frame, t, [*ends, 0.35, 0.95]), out, accent)
        edges = np.linspace(-0.485, 0.485, bays + 1) * length
        rows = [(1.2, 2.25)] if decks == 1 else [(1.2, 2.15), (2.75, 3.75)]
        for row, (low, high) in enumerate(rows):
            canvas.faces(lengthwise(frame, t, [*ends * 0.98, low - 0.05, high + 0.05]), out, RUBBER * 1.4)
            panes = np.stack([edges[:-1] + 0.06, edges[1:] - 0.06, np.full(bays, low), np.full(bays, high)], -1)
            canvas.faces(lengthwise(frame, t, panes), out, GLASS * 1.2 * tint[row * bays : (row + 1) * bays])
        if side == 1:
            for s in (0.4 * length, 0.02 * length):
                canvas.faces(lengthwise(frame, t, [s - 0.65, s + 0.65, 0.4, 2.3]), out, RUBBER)
                leaves = [[s - 0.58, s - 0.04, 0.5, 2.22], [s + 0.04, s + 0.58, 0.5, 2.22]]
                canvas.faces(lengthwise(frame, t, leaves), out, GLASS * 1.7)
        roof = lengthwise(frame, t, [*ends, height - 0.16, height])
        canvas.faces(roof, out, np.minimum(base * 1.2, 250))

    return Item("object--vehicle--bus", cuboid(frame, length, width, height), paint)


def truck(rng: Generator, frame: Frame) -> Item:
    """Return a truck: a cab, a gap, and a windowless box high above its wheels."""
    length, width = rng.uniform(6.5, 8.5) if rng.random() < 0.65 else rng.uniform(10, 13.5), rng.uniform(2.3, 2.5)
    height = rng.uniform(3.0, 3.8)
    cab_color, cargo_color = choice(rng, CAB_PAINT), choice(rng, CARGO_PAINT)
    cab_height = rng.uniform(2.5, 2.9)
    stripe = choice(rng, CAB_PAINT) if rng.random() < 0.5 else None
    nose = length / 2 - 1.9
    axles = np.array([-0.36 * length, -0.36 * length + 1.15, length / 2 - 1.2])
    radius, half = 0.5, width / 2
    cargo_outline = np.array([[-length / 2, 1.0], [-length / 2, height], [nose - 0.45, height], [nose - 0.45, 1.0]])
    chassis = np.array([[-length / 2 + 0.2, 0.6], [-length / 2 + 0.2, 1.0], [nose, 1.0], [nose, 0.6]])
    cab_outline = np.array(
        [[nose, 0.5], [nose, cab_height], [length / 2 - 0.35, cab_height], [length / 2, 1.45], [length / 2, 0.4]]
    )

    def paint(canvas: Canvas) -> None:
        tires(canvas, frame, axles, radius, half)
        prism(canvas, frame, chassis, half * 0.8, GLASS * 0.8)
        parts = [(cab_outline, cab), (cargo_outline, cargo)]
        for outline, part in sorted(parts, key=lambda p: -float(frame(p[0][:, 0].mean(), 0, 0)[2])):
            part(canvas, outline)
        wheels(canvas, frame, axles, radius, half)

    def cargo(canvas: Canvas, outline: Float[np.ndarray, "k 2"]) -> None:
        colors = np.tile(cargo_color, (4, 1))
        colors[-1] = RUBBER
        prism(canvas, frame, outline, half, colors)
        back, front, behind = outline[0, 0], outline[2, 0], frame.turn(-1, 0, 0)
        for side in (-1, 1):
            out = frame.turn(0, side, 0)
            edges = [[back, front, 1.0, 1.14], [back, front, height - 0.1, height], [back, back + 0.1, 1, height]]
            canvas.faces(
                lengthwise(frame, side * half, [*edges, [front - 0.1, front, 1, height]]), out, cargo_color * 0.62
            )
            ribs = np.arange(back + 1.2, front - 0.6, 1.2)
            upright = np.stack([ribs, ribs + 0.05, np.full(len(ribs), 1.14), np.full(len(ribs), height - 0.1)], -1)
            canvas.faces(lengthwise(frame, side * half, upright), out, cargo_color * 0.85)
            if stripe is not None:
                sign = [0.7 * back + 0.3 * front, 0.25 * back + 0.75 * front, 1.2 + 0.3 * height, 0.75 * height]
                canvas.faces(lengthwise(frame, side * half, sign), out, stripe)
        frame_color = cargo_color * 0.55
        canvas.faces(
            crosswise(frame, back, [[-half, -half + 0.1, 1, height], [half - 0.1, half, 1, height]]),
            behind,
            frame_color,
        )
        canvas.faces(
            crosswise(frame, back, [[-half, half, 1, 1.15], [-half, half, height - 0.12, height]]), behind, frame_color
        )
        bars = [[-0.03, 0.03, 1.1, height - 0.1], [-0.45, -0.4, 1.1, height - 0.1], [0.4, 0.45, 1.1, height - 0.1]]
        canvas.faces(crosswise(frame, back, bars), behind, cargo_color * 0.5)
        canvas.faces(crosswise(frame, back, [-half, half, 0.55, 0.72]), behind, [200, 200, 196])  # underrun bar
        lamps = [[-half, -half + 0.4, 0.75, 0.95], [half - 0.4, half, 0.75, 0.95]]
        canvas.faces(crosswise(frame, back, lamps), behind, RED_LAMP, glow=True)

    def cab(canvas: Canvas, outline: Float[np.ndarray, "k 2"]) -> None:
        colors = np.tile(cab_color, (5, 1))
        faces = prism(canvas, frame, outline, half * 0.96, colors)
        front, before = frame.turn(1, 0, 0), length / 2
        canvas.faces(inset(faces[2:3], 0.86), frame.turn(0.94, 0, 0.34), GLASS)
        canvas.faces(crosswise(frame, before, [-0.6 * half, 0.6 * half, 0.75, 1.3]), front, GLASS * 0.7)
        canvas.faces(crosswise(frame, before, [-half * 0.96, half * 0.96, 0.4, 0.62]), front, cab_color * 0.5)
        lamps = [[-0.92 * half, -0.62 * half, 0.65, 0.85], [0.62 * half, 0.92 * half, 0.65, 0.85]]
        canvas.faces(crosswise(frame, before, lamps), front, WHITE, glow=True)
        top = cab_height - 0.25
        for side in (-1, 1):
            s = np.array([nose + 0.75, before - 0.1, before - 0.38, nose + 0.75])
            window = frame(s, side * half * 0.97, [1.5, 1.5, top, top])[None]
            canvas.faces(window, frame.turn(0, side, 0), GLASS)
            door = lengthwise(frame, side * half * 0.97, [nose + 0.66, nose + 0.7, 0.7, top])
            canvas.faces(door, frame.turn(0, side, 0), cab_color * 0.5)

    return Item("object--vehicle--truck", cuboid(frame, length, width, height), paint)
