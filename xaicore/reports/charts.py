"""Where lines and points of the page's charts stand.

The template draws them as SVG, so that they are there without scripts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from xaicore.reports.content import CurveView, SampleView
from xaicore.reports.payload import is_wrong

WIDTH, HEIGHT = 600, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 14, 12, 48
SQUARE = 320
_INSET = 18  # of points from the edge of a scatter plot
STYLES = 8  # colours and dashes, or colours and symbols, that the style sheet knows


@dataclass(frozen=True)
class Tick:
    """A place on an axis, in pixels, and what is written there."""

    place: float
    text: str


@dataclass(frozen=True)
class Line:
    """One line of a chart: its path, that of its band, and the number of its style."""

    name: str
    path: str
    band: str
    style: int


@dataclass(frozen=True)
class Chart:
    """A curve, ready to be drawn; `low`, `high` are what the left and the right edge stand for."""

    view: CurveView
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


@dataclass(frozen=True)
class Point:
    """A sample in the embedding; `style` is that of its cluster."""

    sample: int
    x: float
    y: float
    style: int
    label: str


@dataclass(frozen=True)
class Scatter:
    """One embedding: of all samples, or of those of one class."""

    title: str
    points: list[Point]
    clusters: list[tuple[str, int, int]]  # name, style, how many samples


def chart_of(curve: CurveView) -> Chart:
    """Lay out a curve."""
    edges = [edge for pair in curve.bands.values() for edge in pair]
    xs, x_marks = _axis(curve.x)
    ys, y_marks = _axis([value for line in [*curve.lines.values(), *edges] for value in line])

    def place(x: float, y: float) -> str:
        return f"{_along(x, xs):.1f},{_up(y, ys):.1f}"

    lines = []
    for number, (name, line) in enumerate(curve.lines.items()):
        band = ""
        if name in curve.bands:
            low, high = curve.bands[name]
            band = _band(curve.x, low, high, ys, xs)
        parts = _unbroken(curve.x, line)
        path = " ".join("M" + " L".join(place(x, y) for x, y in part) for part in parts)
        lines.append(Line(name, path, band, number % STYLES))
    return Chart(
        curve,
        lines,
        [Tick(_along(value, xs), _written(value)) for value in x_marks],
        [Tick(_up(value, ys), _written(value)) for value in y_marks],
        xs,
        ys,
    )


def scatters_of(samples: Sequence[SampleView]) -> list[Scatter]:
    """Lay out the embedding; one plot for each class where clusters are called "class / cluster"."""
    placed = [number for number, sample in enumerate(samples) if sample.position is not None]
    groups: dict[str, list[int]] = {}
    for number in placed:
        groups.setdefault(_group(samples[number]), []).append(number)
    return [_scatter(title, members, samples) for title, members in groups.items()]


def _scatter(title: str, members: list[int], samples: Sequence[SampleView]) -> Scatter:
    names = sorted({samples[number].cluster or "" for number in members})
    style = {name: place % STYLES for place, name in enumerate(names)}
    positions = [samples[number].position or (0.0, 0.0) for number in members]
    (left, width), (bottom, height) = (_extent([each[axis] for each in positions]) for axis in (0, 1))
    room = SQUARE - 2 * _INSET
    points = [
        Point(
            number,
            _INSET + room * (x - left) / width,
            SQUARE - _INSET - room * (y - bottom) / height,
            style[samples[number].cluster or ""],
            _label(samples[number]),
        )
        for number, (x, y) in zip(members, positions, strict=True)
    ]
    counts = [(name, style[name], sum((samples[n].cluster or "") == name for n in members)) for name in names]
    return Scatter(title, points, [each for each in counts if each[0]])


def _group(sample: SampleView) -> str:
    group, separator, _ = (sample.cluster or "").partition(" / ")
    return group if separator else ""


def _label(sample: SampleView) -> str:
    parts = [sample.name, sample.cluster and f"cluster {sample.cluster}", _answer(sample)]
    return ", ".join(part for part in parts if part)


def _answer(sample: SampleView) -> str:
    wrong = is_wrong(sample)
    if wrong is None:
        return f"predicted {sample.predicted}" if sample.predicted else ""
    return f"{'wrong: ' if wrong else ''}predicted {sample.predicted}, true {sample.true}"


def _extent(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high - low) if high > low else (low - 0.5, 1.0)


def _axis(values: Sequence[float]) -> tuple[tuple[float, float], list[float]]:
    """The range of an axis and where its ticks are."""
    finite = [float(value) for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - 0.5, high + 0.5
    margin = 0.02 * (high - low)
    marks = [float(mark) for mark in MaxNLocator(5).tick_values(low, high)]
    return (low - margin, high + margin), [mark for mark in marks if low - margin <= mark <= high + margin]


def _along(x: float, ends: tuple[float, float]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (x - ends[0]) / (ends[1] - ends[0])


def _up(y: float, ends: tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - ends[0]) / (ends[1] - ends[0])


def _unbroken(x: Sequence[float], y: Sequence[float]) -> list[list[tuple[float, float]]]:
    """The stretches of a line without NaN."""
    parts: list[list[tuple[float, float]]] = [[]]
    for pair in zip(x, y, strict=True):
        if all(map(math.isfinite, pair)):
            parts[-1].append(pair)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _band(
    x: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    ys: tuple[float, float],
    xs: tuple[float, float],
) -> str:
    """A band where both of its edges are known."""
    known = [(a, b, c) for a, b, c in zip(x, low, high, strict=True) if all(map(math.isfinite, (a, b, c)))]
    if not known:
        return ""
    there = [f"{_along(a, xs):.1f},{_up(b, ys):.1f}" for a, b, _ in known]
    back = [f"{_along(a, xs):.1f},{_up(c, ys):.1f}" for a, _, c in reversed(known)]
    return "M" + " L".join([*there, *back]) + " Z"


def _written(value: float) -> str:
    return f"{0.0 if abs(value) < 1e-12 else value:g}".replace("-", "\N{MINUS SIGN}")
