"""What stands on the sidewalks of the second version's streets: more kinds of small things, and thicker poles."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from streets import furniture, objects
from streets.canvas import Frame
from streets.layout import CURB_HEIGHT, PARKING, World, along, curb, facade, heap, outside, signs, trees


def furnish(world: World, rng: Generator, side: int) -> None:
    """Furnish the sidewalk of one side, -1 left, 1 right, the road beside it and the sky above."""
    lights(world, rng, side)
    signs(world, rng, side, number=1.6, post=0.14, distance=(9, 30))
    bollards(world, rng, side)
    small_things(world, rng, side)
    two_wheelers(world, rng, side)
    garden_edge(world, rng, side)
    birds(world, rng, side)
    if side > 0:
        manholes(world, rng)


def lights(world: World, rng: Generator, side: int) -> None:
    """Place lamp posts, with banners on some, and traffic lights at junctions and crosswalks."""
    toward_road = 0.0 if side < 0 else np.pi
    z, step = rng.uniform(9, 20), rng.uniform(20, 34)
    hung = rng.random() < 0.5
    while z < 40:
        if outside(world.street, z):
            at = Frame(curb(world.street, side) + side * 0.5, z, toward_road, CURB_HEIGHT)
            if world.place(*furniture.street_light(rng, at)) and hung and rng.random() < 0.7:
                away = Frame(at.x, z - 0.12, np.pi * (side < 0), CURB_HEIGHT)
                world.items.append(furniture.banner(rng, away, low=rng.uniform(2.5, 3.2)))
        z += step * rng.uniform(0.85, 1.15)
    stop = world.street.zebra or (world.street.across and world.street.across[0] - 1.5)
    if stop and rng.random() < 0.75:
        at = Frame(curb(world.street, side) + side * 0.4, stop - 0.4, np.pi + rng.normal(0, 0.1), CURB_HEIGHT)
        world.place(*furniture.traffic_light(rng, at))


def bollards(world: World, rng: Generator, side: int) -> None:
    """Perhaps place a row of short posts along the curb."""
    if rng.random() < 0.45:
        start, step = along(rng, 7, 20), rng.uniform(1.6, 2.4)
        for z in start + step * np.arange(rng.integers(3, 6)):
            if outside(world.street, z):
                at = Frame(curb(world.street, side) + side * 0.4, float(z), 0, CURB_HEIGHT)
                world.place(objects.post(at, height=1.0, width=0.2), margin=0.05)


def small_things(world: World, rng: Generator, side: int) -> None:
    """Place bins, benches, trees and heaps of boxes on the sidewalk."""
    width = world.street.sidewalk[side > 0]
    for _ in range(int(rng.poisson(1.1))):
        z = along(rng, 6, 28)
        if outside(world.street, z):
            x = curb(world.street, side) + side * rng.choice([0.6, width - 0.5])
            world.place(furniture.trash_can(rng, Frame(x, z, rng.normal(0, 0.3), CURB_HEIGHT)))
    for _ in range(int(rng.poisson(0.7))):
        z = along(rng, 7, 28)
        if outside(world.street, z, margin=1.5):
            x = curb(world.street, side) + side * (width - 0.6)
            world.place(furniture.bench(rng, Frame(x, z, -side * np.pi / 2 + rng.normal(0, 0.15), CURB_HEIGHT)))
    trees(world, rng, side, probability=0.3)
    heap(world, rng, side, probability=0.2)


def two_wheelers(world: World, rng: Generator, side: int) -> None:
    """Place parked bicycles on the sidewalk, and motorcycles on it and along the curb."""
    width = world.street.sidewalk[side > 0]
    for _ in range(int(rng.poisson(1.1))):
        z = along(rng, 6, 24)
        if outside(world.street, z):
            yaw = rng.choice([0, np.pi / 2, np.pi / 2]) + rng.normal(0, 0.2)
            at = Frame(curb(world.street, side) + side * rng.uniform(0.7, width - 0.4), z, yaw, CURB_HEIGHT)
            world.place(objects.bicycle(rng, at, stout=1.7))
    for _ in range(int(rng.poisson(0.8))):
        z = along(rng, 6, 30)
        if outside(world.street, z, margin=1.5):
            parked = world.street.parking[side > 0] and rng.random() < 0.6
            x = curb(world.street, side) + side * (-0.5 * PARKING if parked else 0.9)
            yaw = rng.choice([np.pi / 3, np.pi / 2]) * rng.choice([-1, 1]) + rng.normal(0, 0.15)
            world.place(furniture.motorcycle(rng, Frame(x, z, yaw, 0.0 if parked else CURB_HEIGHT)))


def garden_edge(world: World, rng: Generator, side: int) -> None:
    """Perhaps put a fence along the far edge of the sidewalk."""
    if rng.random() < 0.4:
        length = rng.uniform(5, 14)
        z = along(rng, 8, 30) + length / 2
        if outside(world.street, z, margin=length / 2 + 1):
            at = Frame(facade(world.street, side) - side * 0.15, z, 0, CURB_HEIGHT)
            world.items.append(furniture.fence(rng, at, length=length))


def birds(world: World, rng: Generator, side: int) -> None:
    """Let birds fly over one side of the street, alone or in flocks, and stand on the sidewalk."""
    for _ in range(int(rng.choice([0, 1, 3], p=[0.55, 0.3, 0.15]))):
        z = along(rng, 9, 26)
        x, y = side * rng.uniform(0, 0.7) * z, world.eye + z * rng.uniform(0.12, 0.45)
        world.items.append(furniture.bird(rng, Frame(float(x), z, rng.uniform(0, 2 * np.pi), float(y))))
    for _ in range(int(rng.poisson(0.7))):
        z = along(rng, 5, 14)
        if outside(world.street, z):
            x = curb(world.street, side) + side * rng.uniform(0.5, world.street.sidewalk[side > 0] - 0.2)
            world.place(furniture.bird(rng, Frame(x, z, rng.uniform(0, 2 * np.pi), CURB_HEIGHT)), margin=0.02)


def manholes(world: World, rng: Generator) -> None:
    """Place manholes in the lanes."""
    for _ in range(int(rng.poisson(1.8))):
        lane, _ = world.street.lanes[rng.integers(len(world.street.lanes))]
        world.place(furniture.manhole(rng, Frame(lane + rng.normal(0, 0.5), along(rng, 5.5, 22))), margin=0.05)
