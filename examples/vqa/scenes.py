"""Scenes of a few flat objects, each of a shape, a colour and a size: CLEVR (Johnson et al. 2017) in two dimensions.

A scene is a tuple of `Thing`. Scene number i of a seed is always the same, so that nothing has to be stored. `draw`
makes the pictures, and `masks` says which pixels belong to which object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Width and height of a picture in pixels."""

SHAPES = ("circle", "square", "triangle")
COLORS = {
    "red": (0.84, 0.16, 0.16),
    "green": (0.18, 0.62, 0.20),
    "blue": (0.16, 0.32, 0.86),
    "yellow": (0.93, 0.80, 0.12),
    "purple": (0.58, 0.22, 0.70),
    "gray": (0.42, 0.42, 0.42),
}
SIZES = {"small": 4.5, "large": 8.0}
"""The radius of a circle in pixels. A square of that size covers as much, a triangle two thirds of it."""

_ATTEMPTS = 100
_GAP = 2.0


@dataclass(frozen=True)
class Thing:
    """One object. Its centre is in pixels, x to the right and y downwards; the angle is in radians."""

    shape: str
    color: str
    size: str
    x: float
    y: float
    angle: float
    rgb: tuple[float, float, float]

    @property
    def radius(self) -> float:
        """Of a circle that holds the object, in pixels."""
        return SIZES[self.size] * {"circle": 1.0, "square": 0.88 * math.sqrt(2), "triangle": 1.3}[self.shape]


Scene = tuple[Thing, ...]


def scene(seed: int, number: int, fewest: int = 3, most: int = 4) -> Scene:
    """Return scene `number` of this seed: `fewest` to `most` objects that do not touch, no two of the same kind."""
    random = Random(f"scene {number} of seed {seed}")
    wanted = random.randint(fewest, most)
    things: list[Thing] = []
    while len(things) < wanted:
        kind = random.choice(SHAPES), random.choice(tuple(COLORS)), random.choice(tuple(SIZES))
        if any((thing.shape, thing.color, thing.size) == kind for thing in things):
            continue
        for _ in range(_ATTEMPTS):
            thing = _placed(*kind, random)
            if all(math.dist((thing.x, thing.y), (o.x, o.y)) > thing.radius + o.radius + _GAP for o in things):
                things.append(thing)
                break
        else:  # the first objects leave no room for another one
            things.clear()
    return tuple(things)


def _placed(shape: str, color: str, size: str, random: Random) -> Thing:
    """Return an object somewhere in the picture, turned a little, in a shade of its colour."""
    margin = SIZES[size] * 1.25 + 1
    x, y = (margin + (SIDE - 2 * margin) * random.random() for _ in range(2))
    angle = 0.5 * (random.random() - 0.5)
    lighter = 0.14 * (random.random() - 0.5)
    red, green, blue = (min(1.0, max(0.0, part + lighter)) for part in COLORS[color])
    return Thing(shape, color, size, x, y, angle, (red, green, blue))


def draw(scenes: Sequence[Scene], chunk: int = 256) -> NDArray[np.uint8]:
    """Return pictures (N, 3, SIDE, SIDE) with soft edges, on a light background that gets a little darker downwards."""
    shade = np.linspace(0.95, 0.87, SIDE, dtype=np.float32)[:, None]
    pictures = np.empty((len(scenes), 3, SIDE, SIDE), np.uint8)
    for start in range(0, len(scenes), chunk):
        part = scenes[start : start + chunk]
        cover = np.clip(0.5 - _distances([thing for things in part for thing in things]), 0, 1)[:, None]
        rgb = np.array([thing.rgb for things in part for thing in things], np.float32)[:, :, None, None]
        first = np.cumsum([0, *map(len, part[:-1])])
        canvas = shade + np.add.reduceat(cover * (rgb - shade), first)  # objects do not overlap: in any order
        pictures[start : start + chunk] = np.rint(255 * canvas)
    return pictures


def masks(things: Scene) -> NDArray[np.bool_]:
    """Return the pixels of each object, (objects, SIDE, SIDE): those whose centre lies in it."""
    return _distances(things) <= 0


def _distances(things: Sequence[Thing]) -> NDArray[np.float32]:
    """Return how many pixels each pixel lies outside of each object, (objects, SIDE, SIDE); inside it is negative."""
    places = np.arange(SIDE, dtype=np.float32) + 0.5
    x, y, angle, radius = (
        np.array([(thing.x, thing.y, thing.angle, SIZES[thing.size]) for thing in things], np.float32)
    ).T[:, :, None, None]
    right, down = places[None, None, :] - x, places[None, :, None] - y
    along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    shape = np.array([thing.shape for thing in things])
    distances = np.empty((len(things), SIDE, SIDE), np.float32)
    for name in SHAPES:
        chosen = shape == name
        u, v, r = along[chosen], across[chosen], radius[chosen]
        if name == "circle":
            distances[chosen] = np.hypot(u, v) - r
        elif name == "square":
            distances[chosen] = np.maximum(np.abs(u), np.abs(v)) - 0.88 * r
        else:  # three edges, the lowest of them level; centred on what it covers
            slanted = np.abs(u) * math.cos(math.pi / 6) - v * 0.5
            distances[chosen] = np.maximum(slanted, v) - 0.65 * r
    return distances
