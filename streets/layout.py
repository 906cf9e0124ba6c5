"""What stands where in a drawn street: meters only, nothing of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from streets import objects, vehicles
from streets.canvas import Camera, Frame
from streets.objects import Item

CURB_HEIGHT = 0.13
"""Height of the sidewalk above the road, meters."""
ZEBRA_DEPTH = 3.0
"""Depth of a crosswalk along the street, meters."""
PARKING = 2.3
"""Width of the strip where cars park, meters."""


@dataclass(frozen=True)
class Scheme:
    """Measures that the layouts of a version have in common."""

    near: tuple[float, float, float]
    """Probabilities of 0, 1 and 2 large vehicles close by."""
    zebra: float
    """Probability of a crosswalk."""
    people: tuple[float, ...]
    """Expected numbers of people on a sidewalk, one of which is drawn."""
    cyclists: float
    """Distance within which people ride, meters."""
    stout: float
    """Thickness of a bicycle's tubes, relative to real ones."""
    furnish: Callable[[World, Generator, int], None]
    """Places what stands on the sidewalk of one side."""


@dataclass(frozen=True)
class Street:
    """The ground, meters: a straight road along z, perhaps with another one across it."""

    left: float
    right: float
    """x of the curbs."""
    sidewalk: tuple[float, float]
    """Widths of the sidewalks, left and right."""
    lines: tuple[tuple[float, bool], ...]
    """x of the markings between lanes, and whether they are dashed."""
    lanes: tuple[tuple[float, bool], ...]
    """x of the middle of each lane, and whether its traffic comes towards the camera."""
    parking: tuple[bool, bool]
    """True where cars park along the left, and the right curb."""
    across: tuple[float, float] | None
    """z where the other road begins and ends."""
    zebra: float | None
    """z where a crosswalk begins; it is ZEBRA_DEPTH deep."""

    def edge(self, x: Float[np.ndarray, "h w"], z: Float[np.ndarray, "h 1"]) -> Float[np.ndarray, "h w"]:
        """Return the distance of points to the road, meters; 0 on it."""
        aside = np.maximum(np.maximum(self.left - x, x - self.right), 0)
        if self.across is None:
            return aside
        return np.minimum(aside, np.maximum(np.maximum(self.across[0] - z, z - self.across[1]), 0))


@dataclass
class World:
    """A scene before it is painted; positions in meters, camera as fractions of the image."""

    focal: float
    """Fraction of the image's width."""
    vanishing: tuple[float, float]
    """Fractions of the image's width and height."""
    eye: float
    """Height of the camera, meters."""
    aspect: float
    """Width over height of the image."""
    street: Street
    items: list[Item] = field(default_factory=list)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Ground that has been given away: x0, z0, x1, z1."""

    def span(self, item: Item) -> Float[np.ndarray, " 4"]:
        """Give the item's box in the image: x0, y0, x1, y1 as fractions of the image's width, clipped to the image."""
        top = self.vanishing[1] / self.aspect
        points = Camera(self.focal, (self.vanishing[0], top), self.eye).project(item.hull)
        return np.clip(np.concatenate([points.min(0), points.max(0)]), 0, [1, 1 / self.aspect] * 2)

    def place(self, *items: Item, margin: float = 0.25) -> bool:
        """Add the items, which belong together, unless their ground is taken or the camera would be inside."""
        ground = np.concatenate([item.footing for item in items])
        (left, near), (right, far) = (ground.min(0) - margin).tolist(), (ground.max(0) + margin).tolist()
        if near < 2.5 or (left < 1 and right > -1 and near < 5):
            return False
        if any(left < x1 and x0 < right and near < z1 and z0 < far for x0, z0, x1, z1 in self.taken):
            return False
        self.items += items
        self.taken.append((left + margin, near + margin, right - margin, far - margin))
        return True


def layout(rng: Generator, aspect: float, focal: tuple[float, float], scheme: Scheme) -> World:
    """Lay out a scene.

    Args:
        rng: of the scene.
        aspect: width over height of the image.
        focal: bounds of the focal length, fractions of the image's width.
        scheme: of the version.
    """
    lane = rng.uniform(3.0, 3.6)
    own, oncoming = int(rng.integers(1, 3)), int(rng.integers(0 if rng.random() < 0.3 else 1, 3))
    ego = int(rng.integers(own))
    parking = (bool(rng.random() < 0.45), bool(rng.random() < 0.45))
    lanes = [((i - ego) * lane, False) for i in range(own)] + [((-ego - 1 - i) * lane, True) for i in range(oncoming)]
    left = min(x for x, _ in lanes) - lane / 2 - PARKING * parking[0]
    right = max(x for x, _ in lanes) + lane / 2 + PARKING * parking[1]
    middle = (-ego - 0.5) * lane
    lines = [(x + lane / 2, True) for x, _ in lanes if x + lane < right and abs(x + lane / 2 - middle) > 0.1]
    lines += [(middle, bool(rng.random() < 0.6))] if oncoming else []
    start = rng.uniform(11, 26)
    across = (start, start + rng.uniform(6.5, 10)) if rng.random() < 0.45 else None
    zebra = (start - 4.2 if across else start) if rng.random() < scheme.zebra else None
    street = Street(
        left=left,
        right=right,
        sidewalk=(rng.uniform(2.2, 4.5), rng.uniform(2.2, 4.5)),
        lines=tuple(lines),
        lanes=tuple(lanes),
        parking=parking,
        across=across,
        zebra=zebra,
    )
    world = World(
        focal=rng.uniform(*focal),
        vanishing=(0.5 + rng.normal(0, 0.06), rng.uniform(0.4, 0.52)),
        eye=rng.uniform(1.4, 2.3),
        aspect=aspect,
        street=street,
    )
    feature(world, rng, scheme.near)
    gathering(world, rng)
    traffic(world, rng)
    for side in (-1, 1):
        scheme.furnish(world, rng, side)
    passers_by(world, rng, scheme)
    for side in (-1, 1):
        style = rng.choice(["city", "houses", "park"], p=[0.55, 0.25, 0.2])
        {"city": city, "houses": houses, "park": park}[str(style)](world, rng, side)
    return world


Maker = Callable[[Generator, Frame], Item]
LARGE: tuple[Maker, Maker] = (vehicles.bus, vehicles.truck)


def feature(world: World, rng: Generator, probabilities: tuple[float, float, float]) -> None:
    """Perhaps place a bus or a truck close by, seen along its side: what a crop cuts."""
    street = world.street
    for _ in range(int(rng.choice([0, 1, 2], p=probabilities))):
        for _ in range(12):  # until one fits
            make = LARGE[rng.integers(2)] if rng.random() < 0.93 else vehicles.car
            kinds = ["lane", "lane", "curb", "turning"] + (["across"] * 4 if street.across else [])
            kind = rng.choice(kinds)
            away = rng.uniform(9, 24)
            beside = [
                lane for lane in street.lanes if abs(lane[0]) > 1
            ]  # ahead in our own lane, only its rear would show
            lane_x, oncoming = (beside or street.lanes)[rng.integers(len(beside or street.lanes))]
            if kind == "lane":
                frame = Frame(lane_x + rng.normal(0, 0.2), away, np.pi * oncoming + rng.normal(0, 0.05))
            elif kind == "curb":
                frame = Frame(street.right - 1.5, away, rng.normal(0, 0.03))
            elif kind == "turning":
                frame = Frame(rng.uniform(-5, 5), away, rng.uniform(0.35, 1.2) * rng.choice([-1, 1]) + np.pi * oncoming)
            else:
                assert street.across is not None
                near, far = street.across
                side = rng.choice([-1, 1])
                lane_z = (
                    near * (2 + side) + far * (2 - side)
                ) / 4  # on the right: the near lane is the one to the right
                frame = Frame(rng.uniform(-9, 9), lane_z, side * np.pi / 2 + rng.normal(0, 0.06))
            item = make(rng, frame)
            x0, y0, x1, y1 = world.span(item)
            fits = 0.1 < x1 - x0 < 0.57 and (x1 - x0) * (y1 - y0) * world.aspect < 0.22
            on_road = kind in ("lane", "curb") or np.abs(item.hull[:, 0]).max() < 16
            if fits and on_road and world.place(item):
                break


def traffic(world: World, rng: Generator) -> None:
    """Place cars, buses and trucks in the lanes, across the road and along the curbs."""
    street = world.street
    density = rng.uniform(0.5, 1.6)
    for x, oncoming in street.lanes:
        z = (8 if abs(x) < 1 else 5) + rng.exponential(9 / density)
        while z < 95:
            make = (vehicles.car, *LARGE)[rng.choice(3, p=[0.76, 0.1, 0.14])]
            length = 4.5 if make is vehicles.car else 9.0
            z += length / 2
            stopped = street.across is not None and street.across[0] - 2 < z < street.across[1] + 2
            if not stopped:
                world.place(make(rng, Frame(x + rng.normal(0, 0.2), z, np.pi * oncoming + rng.normal(0, 0.03))))
            z += length / 2 + 2 + rng.exponential(13 / density)
    for side, parked in zip((-1, 1), street.parking, strict=True):
        z = rng.uniform(4, 12)
        while parked and z < 60:
            x = curb(street, side) - side * PARKING / 2
            near_junction = street.across is not None and street.across[0] - 7 < z < street.across[1] + 6
            if rng.random() < 0.55 and not near_junction:
                facing = np.pi * (side < 0) if rng.random() < 0.8 else np.pi * (side > 0)
                world.place(vehicles.car(rng, Frame(x + rng.normal(0, 0.1), z, facing + rng.normal(0, 0.02))))
            z += rng.uniform(5.4, 6.5)


def along(rng: Generator, near: float, far: float) -> float:
    """Return a distance: as many between 5 and 10 m as between 10 and 20."""
    return float(np.exp(rng.uniform(np.log(near), np.log(far))))


def outside(street: Street, z: float, *, margin: float = 0.8) -> bool:
    """Tell whether the sidewalks go on at z, clear of the road across."""
    return street.across is None or not street.across[0] - margin < z < street.across[1] + margin


def furnish(world: World, rng: Generator, side: int) -> None:
    """Furnish the sidewalk of one side, -1 left, 1 right: lamps, signs, trees, heaps of boxes and bicycles."""
    street = world.street
    width = street.sidewalk[side > 0]
    toward_road = 0.0 if side < 0 else np.pi
    signs(world, rng, side, number=1.8, post=0.09, distance=(7, 40))
    z, step = rng.uniform(6, 30), rng.uniform(20, 36)
    while z < 60:
        if outside(street, z):
            world.place(objects.lamp_post(rng, Frame(curb(street, side) + side * 0.5, z, toward_road, CURB_HEIGHT)))
        z += step * rng.uniform(0.85, 1.15)
    trees(world, rng, side, probability=0.35)
    for _ in range(int(rng.poisson(0.5))):
        z = along(rng, 7, 30)
        if outside(street, z):
            yaw = rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
            x = curb(street, side) + side * rng.uniform(0.7, width - 0.4)
            world.place(objects.bicycle(rng, Frame(x, z, yaw, CURB_HEIGHT)))
    heap(world, rng, side, probability=0.25)


def signs(
    world: World, rng: Generator, side: int, *, number: float, post: float, distance: tuple[float, float]
) -> None:
    """Place traffic signs on posts.

    Args:
        world: to place them in.
        rng: of the scene.
        side: of the street, -1 left, 1 right.
        number: how many are expected.
        post: thickness of a post, meters.
        distance: of the nearest and the farthest, meters.
    """
    for _ in range(int(rng.poisson(number))):
        z, x = along(rng, *distance), curb(world.street, side) + side * rng.uniform(0.35, 0.7)
        height = rng.uniform(2.1, 2.7)
        if outside(world.street, z):
            sign = objects.traffic_sign(rng, Frame(x, z - 0.1, np.pi + rng.normal(0, 0.15), CURB_HEIGHT), height=height)
            world.place(objects.post(Frame(x, z, 0, CURB_HEIGHT), height=height + 0.3, width=post), sign)


def trees(world: World, rng: Generator, side: int, *, probability: float) -> None:
    """Perhaps plant a row of trees along the curb."""
    if rng.random() < probability:
        z, step = rng.uniform(6, 14), rng.uniform(8, 14)
        while z < 80:
            if outside(world.street, z, margin=3):
                at = Frame(curb(world.street, side) + side * 0.9, z, 0, CURB_HEIGHT)
                world.place(objects.tree(rng, at, height=rng.uniform(5, 8.5)))
            z += step * rng.uniform(0.85, 1.15)


def heap(world: World, rng: Generator, side: int, *, probability: float) -> None:
    """Perhaps place a heap of boxes at the far side of the sidewalk."""
    if rng.random() < probability:
        z = along(rng, 8, 28)
        if outside(world.street, z, margin=2.5):
            x = curb(world.street, side) + side * (world.street.sidewalk[side > 0] - 0.9)
            world.place(objects.clutter(rng, Frame(x, z, 0, CURB_HEIGHT)))


def gathering(world: World, rng: Generator) -> None:
    """Perhaps place a crowd that waits on a sidewalk."""
    street = world.street
    if rng.random() < 0.4:
        side, z = int(rng.choice([-1, 1])), along(rng, 9, 28)
        width = street.sidewalk[side > 0]
        x = curb(street, side) + side * width / 2
        if outside(street, z, margin=3):
            count = int(rng.integers(8, 18))
            world.place(
                objects.crowd(rng, Frame(x, z, 0, CURB_HEIGHT), count=count, spread=(width * 0.7, rng.uniform(2, 4)))
            )


def passers_by(world: World, rng: Generator, scheme: Scheme) -> None:
    """Place people on the sidewalks and the crosswalk, cyclists on the road."""
    street = world.street
    for side in (-1, 1):
        width = street.sidewalk[side > 0]
        for _ in range(int(rng.poisson(rng.choice(scheme.people)))):
            z = along(rng, 6, 60)
            yaw = rng.choice([0, np.pi]) + rng.normal(0, 0.3) if rng.random() < 0.8 else rng.uniform(0, 2 * np.pi)
            frame = Frame(curb(street, side) + side * rng.uniform(0.9, width - 0.3), z, yaw, CURB_HEIGHT)
            if outside(street, z):
                world.place(objects.person(rng, frame), margin=0.02)
    if street.zebra is not None:
        for _ in range(int(rng.poisson(1.5))):
            x, z = rng.uniform(street.left, street.right), street.zebra + rng.uniform(0.4, ZEBRA_DEPTH - 0.4)
            frame = Frame(x, z, rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.2))
            world.place(objects.person(rng, frame), margin=0.05)
    for _ in range(int(rng.poisson(1.5))):
        side = int(rng.choice([-1, 1]))
        x = curb(street, side) - side * (0.8 + PARKING * street.parking[side > 0])
        yaw = np.pi * (side < 0 and any(oncoming for _, oncoming in street.lanes)) + rng.normal(0, 0.12)
        z = along(rng, 6, scheme.cyclists)
        if street.across and rng.random() < 0.5:
            x, z = rng.uniform(-7, 7), rng.uniform(*street.across)
            yaw = rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.2)
        world.place(*objects.cyclist(rng, Frame(x, z, yaw), stout=scheme.stout), margin=0.05)


def curb(street: Street, side: int) -> float:
    """Return x of the curb of one side, -1 left, 1 right."""
    return street.right if side > 0 else street.left


def facade(street: Street, side: int) -> float:
    """Return x of the far edge of the sidewalk of one side."""
    return street.right + street.sidewalk[1] if side > 0 else street.left - street.sidewalk[0]


def city(world: World, rng: Generator, side: int) -> None:
    """Build blocks wall to wall along the sidewalk, and along the road across."""
    street = world.street
    z = rng.uniform(-12, -2)
    tall = rng.uniform(8, 20)
    while z < 130:
        length, depth = rng.uniform(9, 22), rng.uniform(9, 13)
        if street.across and z < street.across[1] + 2.5 and z + length > street.across[0] - 2.5:
            length = street.across[0] - 2.5 - z
        if length > 3:
            frame = Frame(facade(street, side) + side * depth / 2, z + length / 2, np.pi * (side > 0), CURB_HEIGHT)
            height = tall * rng.uniform(0.7, 1.4)
            world.items.append(objects.building(rng, frame, length=length, depth=depth, height=height))
        z += max(length, 0) + (rng.uniform(2, 6) if rng.random() < 0.15 else 0)
        if street.across and street.across[0] - 6 < z < street.across[1] + 2.5:
            z = street.across[1] + 2.5
            x = abs(facade(street, side)) + 13.5
            while x < 70:
                length = rng.uniform(10, 20)
                frame = Frame(side * (x + length / 2), z + 6, np.pi / 2, CURB_HEIGHT)
                height = tall * rng.uniform(0.7, 1.4)
                world.items.append(objects.building(rng, frame, length=length, depth=11, height=height))
                x += length


def houses(world: World, rng: Generator, side: int) -> None:
    """Build detached houses in gardens with hedges and trees."""
    street = world.street
    z = rng.uniform(-6, 4)
    while z < 110:
        length, depth, setback = rng.uniform(8, 12), rng.uniform(7, 9), rng.uniform(3, 7)
        middle = z + length / 2
        if outside(street, middle, margin=length / 2 + 3):
            frame = Frame(facade(street, side) + side * (setback + depth / 2), middle, np.pi * (side > 0), CURB_HEIGHT)
            world.items.append(objects.house(rng, frame, length=length, depth=depth))
            if rng.random() < 0.6 and z > 2:
                front = Frame(facade(street, side) + side * 0.6, middle, 0, CURB_HEIGHT)
                world.items.append(
                    objects.hedge(rng, front, length=length * 0.8, depth=0.8, height=rng.uniform(0.8, 1.5))
                )
        gap = rng.uniform(3, 7)
        if outside(street, z + length + gap / 2, margin=4) and z + length > 4:
            at = Frame(facade(street, side) + side * rng.uniform(2, 6), z + length + gap / 2, 0, CURB_HEIGHT)
            world.items.append(objects.tree(rng, at, height=rng.uniform(5, 10)))
        z += length + gap
    behind_trees(world, rng, side, depth=(18, 30))


def park(world: World, rng: Generator, side: int) -> None:
    """Plant bushes and trees on grass."""
    behind_trees(world, rng, side, depth=(2, 14))
    behind_trees(world, rng, side, depth=(12, 30))
    for _ in range(int(rng.integers(1, 4))):
        z = along(rng, 7, 40)
        if outside(world.street, z, margin=5):
            at = Frame(facade(world.street, side) + side * rng.uniform(1, 3), z, 0, CURB_HEIGHT)
            world.items.append(
                objects.hedge(rng, at, length=rng.uniform(2, 6), depth=1.2, height=rng.uniform(0.6, 1.4))
            )


def behind_trees(world: World, rng: Generator, side: int, *, depth: tuple[float, float]) -> None:
    """Scatter trees between two distances from the sidewalk."""
    for _ in range(int(rng.integers(8, 15))):
        z = along(rng, 9, 110)
        if outside(world.street, z, margin=4):
            at = Frame(facade(world.street, side) + side * rng.uniform(*depth), z, 0, CURB_HEIGHT)
            world.items.append(objects.tree(rng, at, height=rng.uniform(6, 13)))
