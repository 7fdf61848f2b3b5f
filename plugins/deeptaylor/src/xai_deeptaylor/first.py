"""Z-plus for the first layer, where the user says that inputs are never negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules import ZPlus

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class FirstZPlus(ZPlus):
    """Z-plus that tells of inputs which are negative after all."""

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `xai_lrp.rules.LinearRule.share`."""
        where = state.layer.where()
        state.note(
            lambda least: (
                f"the input of {where} has values down to {least:g}, outside the domain of non-negative numbers: take "
                "deeptaylor.unbounded, or deeptaylor.bounded with their range"
            ),
            when=(x < 0).any(),
            values=(x.min(),),
        )
        return super().share(x, y, r, state)
