"""Making an integral along a path finer where it is wrong, without knowing the integral.

The derivative of a function along a path integrates, over each piece of the path, to the difference of the function at
the ends of the piece. So the error of every piece is known from numbers that the gradients bring along, and the pieces
that are wrong can be told from those that are right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from xai_gradients.quadrature import Quadrature

_SHARE = 0.75
"""How much of the allowed error those pieces may have that are not cut: less saves rounds, more saves gradients."""

_FIRST_INTERVALS = 8
"""Between the nodes of the first round, for rules that have nodes at the ends. With fewer, a path is more often right
in sum and wrong in its parts by chance: the gap tells the error along the path, not that across it."""

_LEAST_PIECES = {1: 4}
"""By the number of nodes of the rule; a single node may have the right value by chance."""

_NARROWEST = 2.0**-20
"""A piece that is not cut any more: the function jumps there, or the numbers are too coarse."""

_SMALL = 0.01
"""The least difference that errors are relative to, as a part of the range of values on the path."""

_ROUNDINGS = 4
"""How many roundings of the largest value a piece may be wrong by."""


@dataclass(frozen=True)
class Piece:
    """A part of a path and the error of the integral over it."""

    start: float
    stop: float
    error: float

    def halves(self) -> list[tuple[float, float]]:
        middle = (self.start + self.stop) / 2
        return [(self.start, middle), (middle, self.stop)]


class Refinement:
    """The pieces of one path, from 0 to 1, and what is known along it.

    Ask `wanted` for positions, give what was found there to `learn`, until nothing is wanted.

    Parameters
    ----------
    rule : Quadrature
        For one piece.
    start, stop : float
        The function at the ends of the path.
    tolerance : float
        Of the errors of all pieces together, without their signs, relative to ``scale``.
    difference : float
        What errors are relative to. Where it is less than a hundredth of the range of values met on the path, it is
        this hundredth: relative to no difference at all, no error is small.
    resolution : float
        Relative rounding error of the function; errors of that size are let pass.
    most : int
        The number of positions after which refinement ends.

    Attributes
    ----------
    met : bool
        Whether the error is within the tolerance.
    """

    def __init__(
        self,
        rule: Quadrature,
        start: float,
        stop: float,
        *,
        tolerance: float,
        difference: float,
        resolution: float,
        most: int,
    ) -> None:
        self.rule, self.tolerance, self.difference = rule, tolerance, difference
        self.resolution, self.most = resolution, most
        self.met = False
        self._values = {0.0: start, 1.0: stop}
        self._slopes: dict[float, float] = {}
        self._pieces: list[Piece] = []
        self._cuts = self._first()

    def _first(self) -> list[tuple[float, float]]:
        """Pieces whose ends are nodes too where there are such, so that their values are known."""
        count = _FIRST_INTERVALS // (len(self.rule.nodes) - 1) if self.rule.nodes[0] == 0 else 1
        return [(number / count, (number + 1) / count) for number in range(count)]

    def wanted(self) -> list[float]:
        """Positions at which the function and its derivative are needed next; none: the integral is done."""
        return [at for at in self._positions(self._cuts) if at not in self._slopes]

    def learn(self, found: dict[float, tuple[float, float]]) -> None:
        """Take the value and the derivative along the path at each wanted position."""
        for at, (value, slope) in found.items():
            self._values[at], self._slopes[at] = value, slope
        self._pieces += [self._piece(start, stop) for start, stop in self._cuts]
        self._cuts = []
        error, allowed = sum(abs(piece.error) for piece in self._pieces), self._allowed()
        enough = len(self._pieces) >= _LEAST_PIECES.get(len(self.rule.nodes), 2)
        self.met = error <= allowed and enough
        if not self.met and math.isfinite(error):
            self._cut(error, allowed if enough else -1.0)

    def weights(self) -> dict[float, float]:
        """What the gradient at each position counts for."""
        weights: dict[float, float] = {}
        for piece in self._pieces:
            width = piece.stop - piece.start
            for node, weight in zip(self.rule.nodes, self.rule.weights, strict=True):
                at = piece.start + width * node
                weights[at] = weights.get(at, 0.0) + width * weight
        return weights

    def _cut(self, error: float, allowed: float) -> None:
        """Halve the worst pieces, until what the others have is allowed."""
        worst = sorted(self._pieces, key=lambda piece: abs(piece.error), reverse=True)
        left = self.most - len(self._slopes)
        kept = []
        for piece in worst:
            new = [at for at in self._positions(piece.halves()) if at not in self._slopes]
            if error <= _SHARE * allowed or len(new) > left or piece.stop - piece.start <= _NARROWEST:
                kept.append(piece)
                continue
            error -= abs(piece.error)
            left -= len(new)
            self._cuts += piece.halves()
        self._pieces = kept if self._cuts else self._pieces

    def _allowed(self) -> float:
        values = self._values.values()
        scale = max(abs(self.difference), _SMALL * (max(values) - min(values)))
        rounding = _ROUNDINGS * self.resolution * max(map(abs, values)) * len(self._pieces)
        return max(self.tolerance * scale, rounding)

    def _piece(self, start: float, stop: float) -> Piece:
        width = stop - start
        slopes = [self._slopes[start + width * node] for node in self.rule.nodes]
        integral = width * sum(weight * slope for weight, slope in zip(self.rule.weights, slopes, strict=True))
        return Piece(start, stop, integral - (self._values[stop] - self._values[start]))

    def _positions(self, pieces: list[tuple[float, float]]) -> list[float]:
        at = {start + (stop - start) * node for start, stop in pieces for node in self.rule.nodes}
        return sorted(at)
