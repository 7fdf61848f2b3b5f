"""Maxima and minima: the difference goes to one place, chosen so that no multiplier exceeds one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_gradients.deeplift.differences import difference, wide
from xai_gradients.deeplift.reference import Reference
from xai_gradients.deeplift.rescale import Comparing
from xaicore.propagation import State


class Extreme(Comparing):
    """A maximum or minimum over a window, a dimension or two tensors.

    Where a maximum is at least that of the reference, its difference goes to where the sample has it; else to where
    the reference has it. There the input differs by as much or more, in the same direction: the multiplier, the ratio
    of both, lies between 0 and 1, and nothing is lost.

    Parameters
    ----------
    reference : Reference
    lowest : bool
        A minimum instead.
    """

    def __init__(self, reference: Reference, *, lowest: bool = False) -> None:
        super().__init__(reference)
        self.lowest = lowest

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of the inputs."""
        r, layer = rs[0], state.layer
        if r is None:
            return [None] * len(xs)
        x0s, y0 = self.reference.xs(layer), self.reference.ys(layer)[0]
        r, dy = wide(r), difference(ys[0], y0)
        by_sample = dy <= 0 if self.lowest else dy >= 0
        others = [None] * (len(rs) - 1)
        at_sample = state.vjp([torch.where(by_sample, r * dy, 0), *others])
        at_reference = self.reference.pull(layer, x0s, [torch.where(by_sample, 0, r * dy), *others])
        plain = state.vjp([r, *others])
        found: list[Tensor | None] = []
        for x, x0, *parts, gradient in zip(xs, x0s, at_sample, at_reference, plain, strict=True):
            given = [wide(part) for part in parts if part is not None]
            if not given:
                found.append(None)
                continue
            dx = difference(x, x0)
            same = torch.zeros_like(dx) if gradient is None else wide(gradient)
            found.append(torch.where(dx == 0, same, sum(given[1:], given[0]) / dx))
        return found
