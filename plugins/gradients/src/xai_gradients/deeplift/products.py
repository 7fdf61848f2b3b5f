"""Products and quotients of two quantities that both depend on the input: gates, attention, normalization by hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_gradients.deeplift.differences import difference, wide
from xai_gradients.deeplift.rescale import Comparing
from xaicore.propagation import State


class MeanOfOther(Comparing):
    """A product: each factor's multiplier is the mean of the other one over sample and reference.

    ``a b - a0 b0 = (a - a0) (b + b0) / 2 + (b - b0) (a + a0) / 2`` holds exactly. It is what both orders of changing
    the factors give on average, and their Shapley value. A factor whose changes cannot be traced to the input (a mask
    from a comparison) leaves its share to the other.
    """

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of both factors."""
        r, (a, b), layer = rs[0], xs, state.layer
        if r is None:
            return [None, None]
        r = wide(r)
        a0, b0 = self.reference.xs(layer)
        traced = [ref.layer in self.reference.reached for ref in layer.inputs]
        if sum(traced) == 1:
            kept = 0 if traced[0] else 1
            x, x0, other, other0 = (a, a0, b, b0) if kept == 0 else (b, b0, a, a0)
            found: list[Tensor | None] = [None, None]
            mean = (other.to(r.dtype) + other0.to(r.dtype)) / 2
            slope = difference(ys[0], self.reference.ys(layer)[0]) / difference(x, x0)
            found[kept] = (r * torch.where((other == other0) | ~slope.isfinite(), mean, slope)).sum_to_size(x.shape)
            return found
        return [
            (r * ((wide(b) + wide(b0)) / 2)).sum_to_size(a.shape),
            (r * ((wide(a) + wide(a0)) / 2)).sum_to_size(b.shape),
        ]


class Quotient(Comparing):
    """``a / b`` as the product of ``a`` with ``1 / b``, whose slope between ``b0`` and ``b`` is ``-1 / (b b0)``."""

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of numerator and denominator."""
        r, (a, b) = rs[0], xs
        if r is None:
            return [None, None]
        r, a, b = wide(r), wide(a), wide(b)
        a0, b0 = map(wide, self.reference.xs(state.layer))
        return [
            (r * (1 / b + 1 / b0) / 2).sum_to_size(a.shape),
            (r * (a + a0) / -2 / (b * b0)).sum_to_size(b.shape),
        ]
