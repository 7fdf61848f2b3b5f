"""Elementwise nonlinearities: the Rescale rule."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_gradients.deeplift.differences import derivative, difference, is_lost, wide
from xai_gradients.deeplift.reference import Reference
from xaicore.propagation import State


class Comparing:
    """A mapping that reads a layer's values at the sample and at the reference."""

    needs = frozenset({"xs", "ys"})
    compares = True

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def __repr__(self) -> str:
        return type(self).__name__


class Rescale(Comparing):
    """``m_in = m_out * dy / dx`` element by element (Shrikumar et al. 2017, section 3.5.2, equation 5).

    Where the difference is too small for a slope, the derivative takes its place.
    """

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of the input."""
        (r,), (x,) = rs, xs
        if r is None:
            return [None]
        (x0,), (y0,) = self.reference.xs(state.layer), self.reference.ys(state.layer)
        dx = difference(x, x0)
        slope = difference(ys[0], y0) / dx
        lost = is_lost(dx, x, x0)
        if bool(lost.any()):
            slope = torch.where(lost, derivative(self.reference, state.layer, x, x0), slope)
        return [wide(r) * slope]


class RescaleRelu(Comparing):
    """The same for ReLU, whose slopes are free of rounding: equal differences, or a kink between both numbers."""

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of the input."""
        (r,), (x,) = rs, xs
        if r is None:
            return [None]
        (x0,), (y0,) = self.reference.xs(state.layer), self.reference.ys(state.layer)
        dx = wide(x) - x0
        slope = (wide(ys[0]) - y0).div_(dx)
        return [torch.where(dx == 0, (x > 0).to(slope.dtype), slope).mul_(r)]
