"""What all rules for linear layers share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules.linear import linear_of

if TYPE_CHECKING:
    from xaicore.propagation import State


class LinearRule:
    """A rule that shares the relevance of each output of a linear layer among its inputs.

    A subclass implements `share`. An instance is a backward mapping: it can be called by the walk and
    stand in a `Composite`. It needs a layer that is linear in its one input: a convolution, a transposed
    convolution, a linear layer, a batch norm, a product with a constant.
    """

    @property
    def needs(self) -> Collection[str]:
        """Which values of the layer the rule reads: "xs", "ys". The tape does not hold the others."""
        return frozenset({"xs", "ys"})

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        linear_of(state)  # refuses other layers
        (r,) = rs
        return [None if r is None else self.share(xs[0], ys[0], r, state)]

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """Relevance of the input ``x``, from the relevance ``r`` of the output ``y``."""
        raise TypeError(f"{type(self).__name__} is a rule without a `share` method: implement it.")
