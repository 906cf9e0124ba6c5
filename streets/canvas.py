"""What the drawn streets are painted with: a pinhole camera, sunlight, and a canvas that keeps the ground truth.

World coordinates are meters: x right, y up, z ahead; the camera is above the origin and looks along z. Colors are RGB,
0 to 255.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

NEAR = 0.5
"""Nothing is drawn closer than this, meters: corners there are moved to it."""
SAMPLES = 2
"""Canvas pixels per image pixel, each way."""


@dataclass(frozen=True)
class Camera:
    """Projects the world to the canvas, whose pixel i covers [i, i + 1)."""

    focal: float
    """Pixels."""
    vanishing: tuple[float, float]
    """Point where the road meets the horizon: x, y, pixels."""
    height: float
    """Meters above the road."""

    def project(self, points: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 2"]:
        """Return the pixel position x, y of points in the world."""
        scale = self.focal / np.maximum(points[..., 2], NEAR)
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.vanishing[0] + scale * points[..., 0]
        pixels[..., 1] = self.vanishing[1] + scale * (self.height - points[..., 1])
        return pixels

    def ground(self, size: tuple[int, int], level: float) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h 1"]]:
        """Return world x and z, meters, of the point of the plane y = level that each pixel of a canvas sees.

        `size` is height, width of the canvas. Rows run from the first one below the horizon to the bottom.
        """
        height, width = size
        rows = np.arange(max(0, int(np.ceil(self.vanishing[1]))), height, dtype=np.float32)[:, None] + 0.5
        z = self.focal * (self.height - level) / (rows - self.vanishing[1])
        x = (np.arange(width, dtype=np.float32)[None, :] + 0.5 - self.vanishing[0]) * (z / self.focal)
        return x, z


@dataclass(frozen=True)
class Light:
    """Sun, sky and haze of one scene."""

    sun: Float[np.ndarray, " 3"]
    """Unit vector towards the sun."""
    direct: float
    """Brightness that sunlight adds to a face turned towards it; 0 under clouds."""
    ambient: float
    """Brightness of a face in the shade."""
    haze: Float[np.ndarray, " 3"]
    """Color of the distance."""
    visibility: float
    """Meters after which 63 % of a color is haze."""

    def on(self, normal: Float[np.ndarray, "... 3"]) -> Float[np.ndarray, "... 1"]:
        """Return the brightness of faces with these outward unit normals."""
        upward = 0.9 + 0.1 * normal[..., 1]  # the sky is brighter than the ground
        lit = self.ambient * upward + self.direct * np.maximum(0, normal @ self.sun)
        return lit[..., None]

    def through(
        self, color: Float[np.ndarray, "... 3"], distance: Float[np.ndarray, " *n"] | float
    ) -> Float[np.ndarray, "... 3"]:
        """Return the colors as seen from these distances, meters; the two broadcast."""
        kept = np.exp(distance / -self.visibility)[..., None]
        return self.haze + (color - self.haze) * kept


@dataclass(frozen=True)
class Frame:
    """Position of an object, and the way it faces. Its own coordinates: s ahead, t to its right, y up, meters."""

    x: float
    z: float
    yaw: float = 0.0
    """Radians; 0 faces away from the camera, π towards it, π/2 to the right."""
    ground: float = 0.0
    """Height of what it stands on, meters."""

    def turn(self, s: ArrayLike, t: ArrayLike, y: ArrayLike) -> Float[np.ndarray, "... 3"]:
        """Return a direction of the object in world coordinates."""
        s, t, y = np.asarray(s, float), np.asarray(t, float), np.asarray(y, float)
        sin, cos = math.sin(self.yaw), math.cos(self.yaw)
        direction = np.empty((*np.broadcast_shapes(s.shape, t.shape, y.shape), 3))
        direction[..., 0] = s * sin + t * cos
        direction[..., 1] = y
        direction[..., 2] = s * cos - t * sin
        return direction

    def __call__(self, s: ArrayLike, t: ArrayLike, y: ArrayLike) -> Float[np.ndarray, "... 3"]:
        """Return points of the object in world coordinates."""
        return self.turn(s, t, y) + np.array([self.x, self.ground, self.z])


class Canvas:
    """A picture whose alpha channel is the number of the segment painted there: color and gt cannot disagree."""

    def __init__(self, size: tuple[int, int], camera: Camera, light: Light) -> None:
        """`size` is height, width in canvas pixels."""
        self.size = size
        self.camera = camera
        self.light = light
        self.picture = Image.new("RGBA", (size[1], size[0]))
        self.draw = ImageDraw.Draw(self.picture)
        self.segment = 0
        """Number of the segment being painted, 0 to 255."""

    def ink(self, color: Float[np.ndarray, "n 3"]) -> list[tuple[int, ...]]:
        """Return the colors with the segment in alpha, as Pillow takes them."""
        rgb = (color + 0.5).clip(0, 255).astype(int)
        return [(*c, self.segment) for c in rgb.tolist()]

    def seen(self, color: ArrayLike, at: Float[np.ndarray, "n 3"]) -> list[tuple[int, ...]]:
        """Return the ink of colors, one (3) or one each (n 3), as seen at places in the world."""
        return self.ink(self.light.through(np.asarray(color, float), at[:, 2]))

    def outline(self, pixels: Float[np.ndarray, "k 2"], ink: tuple[int, ...]) -> None:
        """Fill one polygon given in canvas pixels."""
        self.draw.polygon(np.rint(pixels - 0.5).astype(int).ravel().tolist(), fill=ink)

    def faces(
        self, corners: Float[np.ndarray, "n k 3"], normals: ArrayLike, color: ArrayLike, *, glow: bool = False
    ) -> None:
        """Paint flat faces, in the given order, where they are turned towards the camera.

        Args:
            corners: of n polygons with k corners each, world.
            normals: outward unit normals, one for all (3) or one each (n 3).
            color: one for all (3) or one each (n 3).
            glow: the color is not shaded (lamps, glass that mirrors the sky).
        """
        center = corners.sum(1) / corners.shape[1]
        normal, color = np.asarray(normals, float), np.asarray(color, float)
        front: Bool[np.ndarray, " n"] = ((np.array([0, self.camera.height, 0]) - center) * normal).sum(-1) > 0
        if not front.any():
            return
        if not glow:
            color = color * self.light.on(normal)
        inks = self.seen(color, center)
        pixels = np.rint(self.camera.project(corners) - 0.5).astype(int).reshape(len(center), -1)
        for polygon, ink, show in zip(pixels.tolist(), inks, front.tolist(), strict=True):
            if show:
                self.draw.polygon(polygon, fill=ink)

    def limbs(
        self, start: Float[np.ndarray, "n 3"], end: Float[np.ndarray, "n 3"], width: ArrayLike, color: ArrayLike
    ) -> None:
        """Paint rods with round ends, the farthest first. `width` in meters, one for all or one each."""
        a, b = self.camera.project(start), self.camera.project(end)
        middle = (start + end) / 2
        inks = self.seen(np.asarray(color, float) * self.body_light, middle)
        radius = np.maximum(np.asarray(width, float) * self.camera.focal / middle[:, 2] / 2, 0.7)
        along = b - a
        across = np.stack([-along[:, 1], along[:, 0]], -1)
        across *= (radius / np.maximum(np.linalg.norm(along, axis=-1), 1e-6))[:, None]
        sides = np.stack([a + across, b + across, b - across, a - across], 1)
        for i in np.argsort(-middle[:, 2], kind="stable"):
            self.outline(sides[i], inks[i])
            if radius[i] > 1:
                self.discs(np.stack([a[i], b[i]]), radius[[i, i]], [inks[i]] * 2)

    @property
    def body_light(self) -> float:
        """Brightness of round bodies, whose faces look everywhere."""
        return self.light.ambient + 0.5 * self.light.direct

    def blobs(self, center: Float[np.ndarray, "n 3"], radius: Float[np.ndarray, " n"], color: ArrayLike) -> None:
        """Paint balls, in the given order; the colors are not shaded. `radius` in meters."""
        self.discs(self.camera.project(center), radius * self.camera.focal / center[:, 2], self.seen(color, center))

    def discs(
        self, center: Float[np.ndarray, "n 2"], radius: Float[np.ndarray, " n"], inks: list[tuple[int, ...]]
    ) -> None:
        """Paint discs given in canvas pixels."""
        boxes = np.concatenate([center - radius[:, None] - 0.5, center + radius[:, None] - 0.5], 1)
        for box, ink in zip(boxes.tolist(), inks, strict=True):
            self.draw.ellipse(box, fill=ink)

    def behind(self, point: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
        """Return the color already painted where a point of the world is seen (at the nearest pixel of the canvas)."""
        x, y = self.camera.project(point)
        column, row = np.clip([x, y], 0, [self.size[1] - 1, self.size[0] - 1]).astype(int).tolist()
        return np.array(self.picture.getpixel((column, row))[:3], float)  # type: ignore[index]

    def develop(self) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        """Return the image, each pixel the mean of its samples, and the segment that holds most of each pixel."""
        samples = np.asarray(self.picture)
        rgb = np.asarray(self.picture.convert("RGB").reduce(SAMPLES))
        height, width = rgb.shape[:2]
        votes = samples[..., 3].reshape(height, SAMPLES, width, SAMPLES).swapaxes(1, 2).reshape(height, width, -1)
        return rgb, majority(votes)


def majority(votes: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w"]:
    """Return the most frequent of four values.

    >>> majority(np.array([[[7, 3, 3, 9], [1, 2, 5, 5], [4, 4, 4, 1]]], np.uint8)).tolist()
    [[3, 5, 4]]
    """
    a, b, c, d = np.moveaxis(np.sort(votes, -1), -1, 0)
    return np.where(a == b, a, np.where(c == d, c, b))  # else b == c, or all differ
