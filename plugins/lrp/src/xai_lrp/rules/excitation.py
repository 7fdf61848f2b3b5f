"""Excitation backprop: along positive weights, from active inputs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules.base import LinearRule
from xai_lrp.rules.bias import Portion, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.ratio import ratio_to_part, weigh

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class ExcitationBackprop(LinearRule):
    """Excitation backprop: ``R_i = sum_j x_i+ w_ij+ / sum_i' x_i'+ w_i'j+ R_j``.

    Zhang et al. 2016. The bias has no part, and neither have inputs that are negative: for inputs that are never
    negative it is z-plus without bias. A unit without excitatory inputs passes nothing.
    """

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        linear = linear_of(state)
        excitatory = state.cached("positive weight", lambda: linear.weight.clamp(min=0))
        active = x if state.nonnegative[0] else x.clamp(min=0)
        z = linear.apply(active, excitatory)
        per_unit = ratio_to_part(r, z, scratch=not state.ledger_open)
        inputs = weigh(active, linear.pull(per_unit, excitatory))
        return settle(inputs, x, state, "ignore", Portion(r, per_unit, z, None))
