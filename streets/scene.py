"""Street scenes with perfect panoptic ground truth, each a pure function of a seed.

A scene is laid out in meters without regard to the image's size, then painted back to front at twice that size.
Perspective spreads the sizes of instances over two orders of magnitude, and near buses and trucks exceed a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from streets import objects, town
from streets.canvas import NEAR, SAMPLES, Camera, Canvas, Frame, Light
from streets.layout import CURB_HEIGHT, PARKING, ZEBRA_DEPTH, Scheme, Street, along, curb, furnish, layout
from streets.objects import Item

MIN_PIXELS = 10
"""Smallest number of visible pixels of a segment: less is void, too little to annotate."""
FAR = 140.0
"""Distance at which the street ends, meters; a backdrop stands beyond."""


@dataclass(frozen=True)
class Label:
    """An entry of the data set's config, as Mapillary Vistas describes its labels."""

    name: str
    readable: str
    color: tuple[int, int, int]
    instances: bool = False
    """Thing or stuff."""
    evaluate: bool = True
    """False is void."""


LABELS = (
    Label("construction--flat--road", "Road", (128, 64, 128)),
    Label("construction--flat--sidewalk", "Sidewalk", (244, 35, 232)),
    Label("construction--structure--building", "Building", (70, 70, 70)),
    Label("human--person--individual", "Person", (220, 20, 60), instances=True),
    Label("human--rider--bicyclist", "Bicyclist", (255, 0, 0), instances=True),
    Label("marking--discrete--crosswalk-zebra", "Lane Marking - Crosswalk", (200, 128, 128)),
    Label("marking--general", "Lane Marking - General", (255, 255, 255)),
    Label("nature--sky", "Sky", (70, 130, 180)),
    Label("nature--terrain", "Terrain", (152, 251, 152)),
    Label("nature--vegetation", "Vegetation", (107, 142, 35)),
    Label("object--support--pole", "Pole", (153, 153, 153), instances=True),
    Label("object--traffic-sign--front", "Traffic Sign (Front)", (220, 220, 0), instances=True),
    Label("object--vehicle--bicycle", "Bicycle", (119, 11, 32), instances=True),
    Label("object--vehicle--bus", "Bus", (0, 60, 100), instances=True),
    Label("object--vehicle--car", "Car", (0, 0, 142), instances=True),
    Label("object--vehicle--truck", "Truck", (0, 0, 70), instances=True),
    Label("void--ego-vehicle", "Ego Vehicle", (120, 10, 10), evaluate=False),
    Label("void--unlabeled", "Unlabeled", (0, 0, 0), evaluate=False),
    Label("animal--bird", "Bird", (165, 42, 42), instances=True),
    Label("construction--barrier--curb", "Curb", (196, 196, 196)),
    Label("construction--barrier--fence", "Fence", (190, 153, 153)),
    Label("object--banner", "Banner", (255, 255, 128), instances=True),
    Label("object--bench", "Bench", (250, 0, 30), instances=True),
    Label("object--manhole", "Manhole", (100, 128, 160), instances=True),
    Label("object--street-light", "Street Light", (210, 170, 100), instances=True),
    Label("object--traffic-light--general-upright", "Traffic Light (Upright)", (250, 170, 30), instances=True),
    Label("object--trash-can", "Trash Can", (140, 140, 20), instances=True),
    Label("object--vehicle--motorcycle", "Motorcycle", (0, 0, 230), instances=True),
)
"""Labels of all versions: those of the first come first, so that its label ids stay."""
INDEX = {label.name: index for index, label in enumerate(LABELS)}
"""Label id of each label name."""
ROAD, SIDEWALK = INDEX["construction--flat--road"], INDEX["construction--flat--sidewalk"]
BUILDING, VEGETATION = INDEX["construction--structure--building"], INDEX["nature--vegetation"]
TERRAIN, SKY, UNLABELED = INDEX["nature--terrain"], INDEX["nature--sky"], INDEX["void--unlabeled"]
ZEBRA, MARKING = INDEX["marking--discrete--crosswalk-zebra"], INDEX["marking--general"]
CURB = INDEX["construction--barrier--curb"]

PAVING = np.array([[168.0, 164, 158], [150, 146, 144], [176, 148, 132], [140, 142, 146]])
GRASS = np.array([[96.0, 122, 58], [112, 126, 66], [142, 132, 84], [82, 112, 54]])
TEXTURE = np.full(len(LABELS), 0.01)
"""Contrast of the fine grain of each label, relative."""
TEXTURE[[ROAD, SIDEWALK, BUILDING, TERRAIN, VEGETATION]] = 0.015, 0.015, 0.012, 0.04, 0.06
TEXTURE[SKY] = 0.002


@dataclass(frozen=True)
class Version:
    """Labels, sizes and camera that the scenes of a version have in common."""

    labels: tuple[Label, ...]
    """Labels that occur; a label's id is its index."""
    size: tuple[int, int]
    """Height and width of the images unless others are asked for, pixels."""
    focal: tuple[float, float]
    """Bounds of the focal length, fractions of the image's width."""
    scheme: Scheme
    curb: int
    """Label of the curb."""
    zebra_gaps: bool
    """True if the road between the stripes of a crosswalk belongs to the crosswalk."""


VERSIONS = {
    1: Version(
        labels=LABELS[:18],
        size=(256, 512),
        focal=(0.72, 0.9),
        scheme=Scheme((0.1, 0.45, 0.45), zebra=0.5, people=(1, 4, 7), cyclists=40, stout=1, furnish=furnish),
        curb=SIDEWALK,
        zebra_gaps=False,
    ),
    2: Version(
        labels=LABELS,
        size=(512, 1024),
        focal=(0.36, 0.45),
        scheme=Scheme(
            near=(0.75, 0.2, 0.05), zebra=0.7, people=(1, 2, 4), cyclists=24, stout=1.7, furnish=town.furnish
        ),
        curb=CURB,
        zebra_gaps=True,
    ),
}
"""1: objects as large as a crop are common. 2: objects are as large in the image as in Mapillary Vistas."""


@dataclass(frozen=True)
class Segment:
    """One region of the ground truth."""

    label: int
    """Index into LABELS."""
    instance: int
    """1, 2, … among the things of its label; 0 for stuff and void."""
    crowd: bool = False


@dataclass(frozen=True)
class Scene:
    """An image and what every pixel of it shows."""

    image: UInt8[np.ndarray, "h w 3"]
    segment: UInt8[np.ndarray, "h w"]
    """Index into `segments`."""
    segments: tuple[Segment, ...]
    """Every one has a pixel."""


def render(seed: int | Sequence[int], *, height: int = 256, width: int = 512, version: int = 1) -> Scene:
    """Draw the scene of a seed.

    Args:
        seed: one or several non-negative integers.
        height, width: of the image, pixels. Of one seed, sizes of the same shape show the same scene.
        version: of the drawings, one of VERSIONS.
    """
    layout_rng, light_rng, sky_rng, ground_rng, photo_rng = np.random.default_rng(seed).spawn(5)
    of = VERSIONS[version]
    world = layout(layout_rng, width / height, of.focal, of.scheme)
    light = weather(light_rng)
    size = (SAMPLES * height, SAMPLES * width)
    vanishing = (world.vanishing[0] * size[1], world.vanishing[1] * size[0])
    canvas = Canvas(size, Camera(world.focal * size[1], vanishing, world.eye), light)
    segments: list[Segment] = [Segment(label, 0) for label, entry in enumerate(of.labels) if not entry.instances]
    number = {segment.label: index for index, segment in enumerate(segments)}
    items = [item for item in world.items if worth_painting(item, canvas)]

    paint_sky(canvas, sky_rng, number)
    paint_ground(canvas, world.street, shadows(canvas, items), ground_rng, number, of)
    for item in back_to_front(items, canvas.camera):
        label = INDEX[item.category]
        canvas.segment = number.get(label, len(segments))
        if canvas.segment == len(segments):
            segments.append(Segment(label, 1 + sum(s.label == label for s in segments), item.crowd))
        item.paint(canvas)
    if photo_rng.random() < 0.25:
        paint_hood(canvas, photo_rng, number)

    assert len(segments) <= 256, "the alpha channel of the canvas holds a byte"
    image, segment = canvas.develop()
    segment, kept = without_fragments(segment, segments)
    labels = np.array([s.label for s in kept])[segment]
    return Scene(photograph(image, labels, photo_rng), segment, kept)


def worth_painting(item: Item, canvas: Canvas) -> bool:
    """Tell whether an item would show, and large enough to be recognized."""
    if item.hull[:, 2].max() < 2 * NEAR:
        return False
    points = canvas.camera.project(item.hull) / SAMPLES
    low, high = points.min(0), points.max(0)
    inside = np.minimum(high, np.array(canvas.size[::-1]) / SAMPLES) - np.maximum(low, 0)
    return bool((inside > 1).all() and np.prod(high - low) > 2 * MIN_PIXELS)


def back_to_front(items: list[Item], camera: Camera) -> list[Item]:
    """Return the order in which to paint: an item comes after all that it may hide.

    Of two whose images overlap sideways, the one that is nearer in z throughout hides the other; if they stand side by
    side, the one nearer to the line of sight does.
    """
    columns = [camera.project(item.hull)[:, 0] for item in items]
    low, high = (np.array([f(c) for c in columns]) for f in (np.min, np.max))
    near, far = (np.array([f(item.hull[:, 2]) for item in items]) for f in (np.min, np.max))
    left, right = (np.array([f(item.hull[:, 0]) for item in items]) for f in (np.min, np.max))
    inner = np.where(left > 0, left, np.where(right < 0, -right, 0))
    outer = np.maximum(np.abs(left), np.abs(right))
    beside: Bool[np.ndarray, "n n"] = (far[:, None] > near) & (near[:, None] < far)
    overlap = (low[:, None] < high) & (high[:, None] > low)
    aside = (left[:, None] * left > 0) & (outer[:, None] <= inner)
    middle = near + far
    hides = overlap & np.where(beside, aside | (~aside.T & (middle[:, None] < middle)), middle[:, None] < middle)
    waiting = np.ones(len(items), bool)
    order = []
    for _ in items:
        free = waiting & ~(hides & waiting).any(1)
        candidates = np.flatnonzero(free if free.any() else waiting)  # a ring of three is broken at its farthest
        pick = candidates[np.argmax(middle[candidates])]
        waiting[pick] = False
        order.append(items[pick])
    return order


def without_fragments(
    segment: UInt8[np.ndarray, "h w"], segments: list[Segment]
) -> tuple[UInt8[np.ndarray, "h w"], tuple[Segment, ...]]:
    """Make void what shows fewer than MIN_PIXELS, and renumber the segments that remain."""
    area = np.bincount(segment.ravel(), minlength=len(segments))
    void = next(i for i, s in enumerate(segments) if s.label == UNLABELED)
    source = np.arange(len(segments))
    source[area < MIN_PIXELS] = void
    present = np.unique(source[area > 0])
    renumbered = np.searchsorted(present, source).astype(np.uint8)
    return renumbered[segment], tuple(segments[i] for i in present)


def weather(rng: Generator) -> Light:
    """Draw the light of a scene: sunshine, clouds or dusk."""
    kind = rng.choice(["sunny", "cloudy", "dusk"], p=[0.6, 0.3, 0.1])
    azimuth = rng.uniform(0, 2 * np.pi)
    elevation = {"sunny": rng.uniform(0.45, 1.05), "cloudy": 1.2, "dusk": rng.uniform(0.25, 0.4)}[str(kind)]
    sun = np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    direct, ambient = {"sunny": (0.62, 0.58), "cloudy": (0.06, 0.92), "dusk": (0.35, 0.55)}[str(kind)]
    haze = {"sunny": [188.0, 206, 224], "cloudy": [198, 202, 206], "dusk": [222, 190, 168]}[str(kind)]
    visibility = along(rng, 180, 900)
    return Light(sun, direct, ambient, np.array(haze) + rng.normal(0, 5, 3), visibility)


def fractal(rng: Generator, size: tuple[int, int], *, cells: tuple[int, int], octaves: int) -> Float[np.ndarray, "h w"]:
    """Draw smooth noise of mean 0 and deviation 1; `cells` is its coarsest grid, whatever the size."""
    total = np.zeros(size, np.float32)
    for octave in range(octaves):
        grid = rng.standard_normal((cells[0] * 2**octave, cells[1] * 2**octave)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize(size[::-1], Image.Resampling.BICUBIC)) / 2**octave
    return (total - total.mean()) / total.std()


def paint_sky(canvas: Canvas, rng: Generator, number: dict[int, int]) -> None:
    """Paint the sky with clouds, and the far end of the street against it."""
    light, horizon = canvas.light, canvas.camera.vanishing[1]
    height, width = int(np.ceil(horizon / SAMPLES)), canvas.size[1] // SAMPLES  # the sky has no edges that need more
    overcast = light.direct < 0.2
    zenith = np.array([168.0, 176, 186]) if overcast else np.array([84, 138, 206]) * rng.uniform(0.85, 1.1)
    rise = np.clip(1 - (np.arange(height)[:, None, None] + 0.5) * SAMPLES / horizon, 0, 1)
    sky = (light.haze + (zenith - light.haze) * rise**0.8).astype(np.float32)
    cover = np.clip(fractal(rng, (height, width), cells=(3, 4), octaves=4) * 0.8 + rng.uniform(-1.1, 0.56), 0, 0.85)
    cloud = np.float32(min(1.0, light.ambient + light.direct)) * np.array([236, 236, 238], np.float32)
    pixels = np.full((height, width, 4), number[SKY], np.uint8)
    pixels[..., :3] = sky + (cloud - sky) * cover[..., None]
    canvas.picture.paste(Image.fromarray(pixels).resize((SAMPLES * width, SAMPLES * height), Image.Resampling.NEAREST))
    canvas.segment = number[TERRAIN]  # behind the end of the street
    ground = canvas.seen([110, 124, 84], np.array([[0.0, 0, FAR]]))[0]
    canvas.draw.rectangle((0, round(horizon), canvas.size[1], canvas.size[0]), fill=ground)
    canvas.segment = number[BUILDING]
    for z in np.sort(rng.uniform(150, 260, int(rng.choice([6, 40]))))[::-1]:
        far = Frame(rng.uniform(-1, 1) * z * 0.8, z, np.pi)
        block = objects.cuboid(far, 12, rng.uniform(10, 28), rng.uniform(6, 34))
        canvas.faces(block[[4, 6, 7, 5]][None], [0, 0, -1], objects.choice(rng, objects.FACADE))
    canvas.segment = number[VEGETATION]
    count = int(rng.choice([60, 250]))
    place = np.stack(
        [rng.uniform(-110, 110, count), rng.uniform(0, 6, count), rng.uniform(FAR - 10, FAR + 15, count)], -1
    )
    shade = rng.normal(0.8, 0.12, (count, 1))
    objects.leaves(canvas, place, rng.uniform(2, 4.5, count), objects.choice(rng, objects.LEAF) * shade)


def shadows(canvas: Canvas, items: list[Item]) -> Float[np.ndarray, "h w"]:
    """Compute the brightness of the ground, 0 to 1: cast shadows, and the dark below vehicles."""
    light = canvas.light
    size = (canvas.size[1] // SAMPLES, canvas.size[0] // SAMPLES)
    cast, below = Image.new("L", size), Image.new("L", size)
    shift = -light.sun[[0, 2]] / light.sun[1]
    for item in items:
        base = item.hull[:, 1].min()
        level = CURB_HEIGHT if base > 0 else 0.0  # what it stands on
        if item.category.startswith(("object--vehicle", "human")):
            ImageDraw.Draw(below).polygon(hull_outline(canvas.camera, item.hull[:, [0, 2]], level), fill=255)
        if light.direct > 0.2:
            fallen = item.hull[:, [0, 2]] + (item.hull[:, 1:2] - level) * shift
            shadow = np.concatenate([item.footing, fallen])
            ImageDraw.Draw(cast).polygon(hull_outline(canvas.camera, shadow, level), fill=255)
    sunlit = light.ambient + light.direct * light.sun[1]
    shade = np.float32(sunlit - light.ambient * 0.85) / 255, np.float32(0.62) / 255
    blurred = (m.filter(ImageFilter.GaussianBlur(r * size[0] / 500)) for m, r in ((cast, 0.5), (below, 1)))
    sun, sky = (np.asarray(mask, np.float32) * depth for mask, depth in zip(blurred, shade, strict=True))
    half = Image.fromarray((np.float32(sunlit) - sun) * (1 - sky))
    return np.asarray(half.resize((canvas.size[1], canvas.size[0]), Image.Resampling.BILINEAR))


def hull_outline(camera: Camera, ground: Float[np.ndarray, "n 2"], level: float) -> list[float]:
    """Return the outline x, y, x, y…, in image pixels, of the convex hull of points x, z of the plane y = `level`."""
    corners = np.insert(np.array(convex_hull(ground)), 1, level, axis=-1)
    return (camera.project(corners) / SAMPLES).ravel().tolist()


def convex_hull(points: Float[np.ndarray, "n 2"]) -> list[tuple[float, float]]:
    """Return the corners of the convex hull, anticlockwise.

    By Andrew's monotone chain; SciPy's way costs more for a dozen points.
    """
    ordered = sorted({(x, y) for x, y in points.tolist()})

    def chain(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for x, y in points:
            while len(kept) > 1:
                (x0, y0), (x1, y1) = kept[-2:]
                if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                    break
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return chain(ordered) + chain(ordered[::-1])


def tile(rng: Generator) -> Float[np.ndarray, "256 256"]:
    """Draw noise of deviation 1 at every scale, for a square of ground: stains, patches, grains."""
    grain = rng.standard_normal((256, 256), np.float32)
    return fractal(rng, (256, 256), cells=(3, 3), octaves=5) * np.float32(0.6) + grain * np.float32(0.4)


def paint_ground(
    canvas: Canvas,
    street: Street,
    brightness: Float[np.ndarray, "h w"],
    rng: Generator,
    number: dict[int, int],
    version: Version,
) -> None:
    """Paint road with markings, curb, sidewalk and grass: color and label of every pixel below the horizon."""
    x, z = canvas.camera.ground(canvas.size, 0)
    x_up, z_up = canvas.camera.ground(canvas.size, CURB_HEIGHT)
    near = z[:, 0] < FAR  # beyond, the end of the street is painted already
    x, z, x_up, z_up = x[near], z[near], x_up[near], z_up[near]
    road = street.edge(x, z) <= 0
    raised = street.edge(x_up, z_up)
    beyond = np.where(x_up > 0, np.float32(street.sidewalk[1]), np.float32(street.sidewalk[0]))
    noise = tile(rng)
    grain, stain = (noise[(z * scale).astype(int) & 255, (x * scale).astype(int) & 255] for scale in (20, 2.5))

    kinds = (  # material: label, color, contrast of grain, of stain
        (ROAD, np.array([104.0, 104, 106]) * rng.uniform(0.75, 1.15) + rng.normal(0, 3, 3), 0.03, 0.03),
        (MARKING, np.array([224.0, 224, 218]) * rng.uniform(0.82, 1), 0.05, 0.04),
        (ZEBRA, np.array([224.0, 224, 218]) * rng.uniform(0.82, 1), 0.05, 0.04),
        (version.curb, np.array([136.0, 134, 130]), 0.03, 0.02),  # the face of the curb
        (SIDEWALK, objects.choice(rng, PAVING), 0.03, 0.03),
        (version.curb, np.array([188.0, 186, 180]), 0.03, 0.02),  # its top
        (TERRAIN, objects.choice(rng, GRASS), 0.1, 0.06),
    )
    gap = (ZEBRA, *kinds[0][1:])  # the road between the stripes of a crosswalk
    label, color, fine, coarse = (np.array(column) for column in zip(*kinds, gap, strict=True))
    marked, zebra = markings(street, x, z)
    material = np.where(road, np.where(zebra, 2, np.where(marked, 1, 0)), 3)  # off the road but not raised: the curb
    material[raised > 0] = 5
    material[raised > 0.18] = 4
    material[raised > beyond] = 6
    if version.zebra_gaps and street.zebra:
        material[(material == 0) & (z > street.zebra) & (z < street.zebra + ZEBRA_DEPTH)] = 7

    texture = 1 + fine.astype(np.float32).take(material) * grain + coarse.astype(np.float32).take(material) * stain
    for lane, _ in street.lanes:  # where wheels roll
        texture -= np.float32(0.06) * (np.abs(np.abs(x - np.float32(lane)) - np.float32(0.8)) < 0.22) * (material == 0)
    joint = ((x_up % 0.9 < 0.06) | (z_up % 0.9 < 0.06)) & (material == 4)
    texture -= joint * (np.float32(0.16) * np.exp(-z_up / 14))
    top = canvas.size[0] - len(x)
    kept = np.exp(z / -canvas.light.visibility)
    texture *= brightness[top:] * kept
    shown = (
        color.astype(np.float32).take(material, 0) * texture[..., None]
        + ((1 - kept) * canvas.light.haze).astype(np.float32)[:, None]
    )
    pixels = np.empty((*x.shape, 4), np.uint8)
    pixels[..., :3] = np.clip(shown, 0, 255)
    pixels[..., 3] = np.array([number[k] for k in label], np.uint8).take(material)
    canvas.picture.paste(Image.fromarray(pixels), (0, top))


def markings(
    street: Street, x: Float[np.ndarray, "h w"], z: Float[np.ndarray, "h 1"]
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Mark the ground of lines and of a crosswalk; lines end at 60 m, where they are too thin to see."""
    marked = np.zeros(x.shape, bool)
    clear = np.ones(z.shape, bool)
    if street.across:
        clear &= (z < street.across[0] - 1.2) | (z > street.across[1] + 1)
        stop = street.across[0] - (4.9 if street.zebra else 1.2)
        lanes = [lane for lane, oncoming in street.lanes if not oncoming]
        marked |= (np.abs(z - stop) < 0.2) & (x > min(lanes) - 1.4) & (x < max(lanes) + 1.4)
    if street.zebra:
        clear &= (z < street.zebra - 0.6) | (z > street.zebra + ZEBRA_DEPTH + 0.6)
    for line, dashed in street.lines:
        marked |= (np.abs(x - line) < 0.085) & clear & ((z % 6 < 3) | (not dashed))
    for side, parked in zip((-1, 1), street.parking, strict=True):
        if parked:
            line = curb(street, side) - side * PARKING
            marked |= (np.abs(x - line) < 0.06) & clear
    zebra = np.zeros(x.shape, bool)
    if street.zebra:
        zebra = (z > street.zebra) & (z < street.zebra + ZEBRA_DEPTH) & ((x - street.left) % 1.0 < 0.55)
    return marked & (z < 60), zebra


def paint_hood(canvas: Canvas, rng: Generator, number: dict[int, int]) -> None:
    """Paint the hood of the car that carries the camera: void."""
    height, width = canvas.size
    rise, middle = rng.uniform(0.06, 0.13), 0.5 + rng.normal(0, 0.03)
    color = objects.choice(rng, objects.CAR_PAINT) * (canvas.light.ambient + canvas.light.direct * 0.6)
    across = np.linspace(-0.6, 0.6, 40)
    canvas.segment = number[INDEX["void--ego-vehicle"]]
    for step in np.linspace(0, 1, 10):  # darker towards the windshield
        edge = 1 - rise * (1 - step) * (1 - np.abs(across / 0.62) ** 3.5)
        top = np.stack([(middle + across) * width, edge * height], -1)
        corners = np.array([[top[-1, 0], height + 2], [top[0, 0], height + 2]])
        canvas.outline(np.concatenate([top, corners]), canvas.ink((color * (1.1 - 0.5 * step))[None])[0])


def photograph(
    image: UInt8[np.ndarray, "h w 3"], labels: Int[np.ndarray, "h w"], rng: Generator
) -> UInt8[np.ndarray, "h w 3"]:
    """Turn the painting into a photograph: grain of the surfaces, exposure, white balance, vignette, noise."""
    height, width = labels.shape
    corner, speckle, gamma = rng.uniform(0, 0.14), rng.uniform(0.5, 2.5), rng.uniform(0.75, 1.05)
    exposure, warmth = rng.uniform(0.96, 1.2), rng.normal(0, 0.03)
    fine = rng.standard_normal((height, width), np.float32)
    coarse = rng.standard_normal(((height + 1) // 2, (width + 1) // 2), np.float32).repeat(2, 0).repeat(2, 1)
    texture = 1 + TEXTURE.astype(np.float32)[labels] * (fine + coarse[:height, :width])
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    texture *= 1 - np.float32(corner) * (y**2 + x**2)
    noise = rng.standard_normal(labels.shape, np.float32) * np.float32(speckle)
    tone = np.linspace(0, 1, 256) ** gamma * 255 * exposure
    curves = (tone[:, None] * (1 + np.array([1, 0, -1]) * warmth)).astype(np.float32)
    exposed = np.stack([curves[image[..., c], c] for c in range(3)], -1) * texture[..., None] + noise[..., None]
    return np.clip(exposed, 0, 255).astype(np.uint8)
