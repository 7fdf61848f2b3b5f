"""Where the boxes of a graph go: in layers from top to bottom (Sugiyama, Tagawa and Toda 1981), few lines crossing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SWEEPS = 12
_LINE_ROOM = 0.12  # inches that a passing line takes
_BOX, _LINE = 4.0, 1.0  # how much boxes and lines resist being moved aside


@dataclass(frozen=True)
class Placed:
    """Places in inches from the upper left corner, y downwards."""

    centres: list[tuple[float, float]]  # of each box
    lines: list[list[tuple[float, float]]]  # of each edge: the points that it passes, first and last those of its boxes
    width: float
    height: float


def place(widths: Sequence[float], height: float, edges: Sequence[tuple[int, int]], gap: float, pitch: float) -> Placed:
    """Place boxes of these widths and one height, whose edges lead from lower to higher numbers.

    Parameters
    ----------
    gap : from one box to the next beside it.
    pitch : from one row of boxes to the next.
    """
    ranks = _ranks(len(widths), edges)
    sizes, levels, chains = list(widths), list(ranks), []
    for start, end in edges:  # an edge over several rows is a chain of points, each with a place in its row
        chain = [start]
        for level in range(ranks[start] + 1, ranks[end]):
            sizes.append(_LINE_ROOM)
            levels.append(level)
            chain.append(len(sizes) - 1)
        chains.append([*chain, end])
    steps = [pair for chain in chains for pair in itertools.pairwise(chain)]
    rows: list[list[int]] = [[] for _ in range(max(levels) + 1)]
    for node, level in enumerate(levels):
        rows[level].append(node)
    above: list[list[int]] = [[] for _ in sizes]
    below: list[list[int]] = [[] for _ in sizes]
    for upper, lower in steps:
        below[upper].append(lower)
        above[lower].append(upper)
    x = np.zeros(len(sizes))
    weights = np.where(np.arange(len(sizes)) < len(widths), _BOX, _LINE)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else rows[::-1]:
            near = above if down else below
            wanted = np.array(
                [np.average(x[near[node]], weights=weights[near[node]]) if near[node] else x[node] for node in row]
            )
            order = np.argsort(wanted, kind="stable")
            row[:] = [row[number] for number in order]
            x[row] = _apart(wanted[order], [sizes[node] for node in row], gap, weights[row])
    left = min(x[node] - sizes[node] / 2 for node in range(len(sizes)))
    right = max(x[node] + sizes[node] / 2 for node in range(len(sizes)))
    points = [(float(x[node] - left), levels[node] * pitch + height / 2) for node in range(len(sizes))]
    lines = [[points[node] for node in chain] for chain in chains]
    return Placed(points[: len(widths)], lines, float(right - left), max(levels) * pitch + height)


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The row of each box: the longest way from a source; a source stands right above what first reads it."""
    ranks = [0] * count
    for start, end in sorted(edges, key=lambda edge: edge[1]):
        ranks[end] = max(ranks[end], ranks[start] + 1)
    fed = {end for _, end in edges}
    for node in set(range(count)) - fed:
        readers = [ranks[end] for start, end in edges if start == node]
        ranks[node] = max(min(readers) - 1, 0) if readers else 0
    return ranks


def _apart(
    wanted: NDArray[np.float64], sizes: list[float], gap: float, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The places nearest to those wanted that keep the order and the gaps: a monotone regression."""
    from sklearn.isotonic import isotonic_regression

    offsets = np.concatenate([[0.0], np.cumsum([(a + b) / 2 + gap for a, b in itertools.pairwise(sizes)])])
    found: NDArray[np.float64] = isotonic_regression(wanted - offsets, sample_weight=weights) + offsets
    return found
