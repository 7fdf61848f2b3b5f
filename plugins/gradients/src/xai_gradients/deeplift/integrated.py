"""Every other layer: its Jacobian, integrated along the straight line from the reference to the sample."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xai_gradients.deeplift.differences import difference, wide
from xai_gradients.deeplift.reference import Reference
from xai_gradients.deeplift.rescale import Comparing
from xaicore.analyzers import Target
from xaicore.propagation import State

_NODES = (8, 16, 32, 64, 128)
_TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
_TOLERANCE_OF_HALF = 1e-2


class Integrated(Comparing):
    """The layer's own integrated gradients: complete, for any layer, as far as the integral is found.

    Gauss-Legendre quadrature with as many nodes as it takes for the contributions to sum to the change of the output,
    within 1e-5 of its size (float64: 1e-10; or what rounding allows), 128 at most; beyond that a note says so.

    Parameters
    ----------
    reference : Reference
    nodes : int, optional
        As many nodes in every case: for polynomials, of which n nodes integrate a degree of 2n - 1 exactly.
    """

    def __init__(self, reference: Reference, nodes: int | None = None) -> None:
        super().__init__(reference)
        self.nodes = nodes

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of the inputs."""
        layer = state.layer
        x0s, y0s = self.reference.xs(layer), self.reference.ys(layer)
        found: list[Tensor | None] = []
        if self.nodes is not None:
            return self._quadrature(xs, x0s, rs, state, self.nodes)
        flowing = [_Share.of(r, y, y0) for r, y, y0 in zip(rs, ys, y0s, strict=False) if r is not None]
        tolerance = _TOLERANCE.get(xs[0].dtype, _TOLERANCE_OF_HALF)
        gap = torch.zeros(())
        for nodes in _NODES:
            found = self._quadrature(xs, x0s, rs, state, nodes)
            given = [_Share.of(m, x, x0) for m, x, x0 in zip(found, xs, x0s, strict=True) if m is not None]
            gap = _gap(given, flowing, torch.finfo(xs[0].dtype).eps / tolerance)
            if float(gap) <= tolerance:
                return found
        where = layer.where()
        state.note(
            lambda gap: (
                f"{where}: an integral over this layer is not closer than {gap:.1g} of the change of its output"
            ),
            values=[gap],
        )
        return found

    def _quadrature(
        self, xs: Sequence[Tensor], x0s: Sequence[Tensor], rs: Sequence[Tensor | None], state: State, nodes: int
    ) -> list[Tensor | None]:
        sums: list[Tensor | None] = [None] * len(xs)
        for place, weight in zip(*_gauss_legendre(nodes), strict=True):
            points = [_between(x, x0, place) for x, x0 in zip(xs, x0s, strict=True)]
            for number, gradient in enumerate(self.reference.pull(state.layer, points, rs)):
                if gradient is not None:
                    share, before = wide(gradient) * weight, sums[number]
                    sums[number] = share if before is None else before.add_(share)
        return sums


def seed_between(target: Target, y: Tensor, y0: Tensor) -> tuple[Tensor, Tensor]:
    """Multipliers of the output, and the explained values at the reference.

    An element or a contrast is linear in the output and has its gradient; a function of the user's has its gradient
    integrated between both outputs.
    """
    scores, gradient = target.gradient(y)
    reference = target.score(y0).detach()
    change = difference(y, y0)

    def missing(multipliers: Tensor) -> Tensor:
        shares = (wide(multipliers) * change).reshape(len(y), -1)
        size = shares.abs().sum(1) + wide(scores).abs() + wide(reference).abs()
        gap = (shares.sum(1) - (wide(scores) - wide(reference))).abs()
        return (gap / size.clamp_min(torch.finfo(change.dtype).tiny)).max()

    if float(missing(gradient)) <= 64 * torch.finfo(y.dtype).eps:
        return gradient, reference
    for nodes in _NODES:
        pairs = zip(*_gauss_legendre(nodes), strict=True)
        parts = [wide(target.gradient(_between(y, y0, place))[1]) * weight for place, weight in pairs]
        gradient = sum(parts[1:], parts[0])
        if float(missing(gradient)) <= _TOLERANCE.get(y.dtype, _TOLERANCE_OF_HALF):
            break
    return gradient, reference


def _between(x: Tensor, x0: Tensor, place: float) -> Tensor:
    if not x.is_floating_point():
        return x
    return (torch.where(x == x0, wide(x), wide(x0) + place * (wide(x) - wide(x0)))).to(x.dtype)


@dataclass(frozen=True)
class _Share:
    """What one tensor contributes, with its size, and what rounding its values may add to that in epsilons."""

    contribution: Tensor
    rounding: Tensor

    @classmethod
    def of(cls, multiplier: Tensor, x: Tensor, x0: Tensor) -> _Share:
        change = difference(x, x0)
        moved = torch.where(change == 0, 0.0, wide(x).abs() + wide(x0).abs())
        return cls((wide(multiplier) * change).double(), (wide(multiplier).abs() * moved).double())


def _gap(given: Sequence[_Share], flowing: Sequence[_Share], rounding: float) -> Tensor:
    """By how much contributions miss the change of the output, in parts of its size; the worst sample.

    ``rounding`` is the precision in parts of the tolerance: differences that are lost in it are no reason to go on.
    """
    shares = [*given, *flowing]
    by_sample = len({len(share.contribution) if share.contribution.ndim else 1 for share in shares}) == 1

    def total(tensors: Sequence[Tensor]) -> Tensor:
        flat = [t.reshape(len(t), -1).sum(1) if by_sample and t.ndim else t.sum() for t in tensors]
        return sum(flat[1:], flat[0]) if flat else torch.zeros((), dtype=torch.float64)

    missing = total([share.contribution for share in given]) - total([share.contribution for share in flowing])
    size = total([share.contribution.abs() + 4 * rounding * share.rounding for share in shares])
    return (missing.abs() / size.clamp_min(torch.finfo(torch.float32).tiny)).max()


@functools.cache
def _gauss_legendre(nodes: int) -> tuple[list[float], list[float]]:
    """Places and weights on the interval from 0 to 1."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    return ((places + 1) / 2).tolist(), (weights / 2).tolist()
