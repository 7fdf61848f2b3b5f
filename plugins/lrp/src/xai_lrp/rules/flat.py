"""Flat and w-square: relevance by connection, whatever the input."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import LinearRule
from xai_lrp.rules.bias import Portion, connections, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.ratio import masked_ratio, smallest

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class Flat(LinearRule):
    """LRP-flat: each output's relevance in equal parts to the inputs it is connected to. The bias has no part.

    Lapuschkin et al. 2019; Montavon et al. 2019, table 10.1.
    """

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        return share_by_weight(x, r, state, torch.ones_like(linear_of(state).weight), connections(x, state))


@dataclass(frozen=True)
class WSquare(LinearRule):
    """LRP-w-square: ``R_i = sum_j w_ij^2 / sum_i' w_i'j^2 R_j``. The bias has no part.

    Montavon et al. 2017. The denominators depend on the shapes alone and are computed once.
    """

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        linear = linear_of(state)
        squares = state.cached("squared weight", lambda: _scaled_squares(linear.weight))
        ones = linear.ones()
        sums = state.cached(("sums of squared weights", *ones.shape), lambda: linear.apply(ones, squares))
        return share_by_weight(x, r, state, squares, sums)


def share_by_weight(x: Tensor, r: Tensor, state: State, weight: Tensor, sums: Tensor) -> Tensor:
    """Share in proportion to ``weight``, whose sum over the inputs of each output is ``sums``, for one sample."""
    per_unit = masked_ratio(r, sums, sums.detach() <= smallest(sums.dtype))
    inputs = linear_of(state).pull(per_unit, weight)
    return settle(inputs, x, state, "ignore", Portion(r, per_unit, sums, None))


def _scaled_squares(weight: Tensor) -> Tensor:
    # The shares do not depend on the scale of the weights; squares of small numbers vanish in half precision.
    largest = weight.detach().abs().max().clamp(min=torch.finfo(weight.dtype).tiny)
    return (weight / largest).square()
