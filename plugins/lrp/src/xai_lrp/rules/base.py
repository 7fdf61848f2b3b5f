"""What all rules for linear layers share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xai_lrp.rules.bias import SPREADING
from xai_lrp.rules.linear import linear_of
from xaicore.propagation import ALWAYS, Coefficient

if TYPE_CHECKING:
    from xaicore.graph import Layer
    from xaicore.propagation import State


# What a rule shares by; coefficients are first, since a class that has them made them for what else it defines.
_SHARING = ("coefficients", "share", "stabilizer", "__call__")


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

    def hands_on(self, layer: Layer) -> str | None:
        """Rules that share something else than ``x_i`` times a coefficient hand on relevance as it is."""
        return None

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        linear_of(state)  # refuses other layers
        (r,) = rs
        return [None if r is None else self.share(xs[0], ys[0], r, state)]

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """Relevance of the input ``x``, from the relevance ``r`` of the output ``y``."""
        raise TypeError(f"{type(self).__name__} is a rule without a `share` method: implement it.")


class ProportionalRule(LinearRule):
    """A rule whose shares are ``x_i`` times a coefficient, ``R_i = x_i sum_j w'_ij R_j / z_j``.

    Where a walk asks for it, coefficients are handed on without multiplying them with the input. A subclass implements
    `share` and `coefficients`, and has a parameter ``bias``.
    """

    bias: str

    def hands_on(self, layer: Layer) -> str | None:
        """Coefficients, unless something else is added to the shares, or a subclass shares in a way of its own."""
        # In the order of inheritance, what comes first overrides what comes after.
        defines = [name for cls in type(self).__mro__ for name in _SHARING if name in vars(cls)]
        return ALWAYS if self.bias not in SPREADING and defines[0] == "coefficients" else None

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        (r,) = rs
        if r is None or not state.factored or self.hands_on(state.layer) is None:
            return super().__call__(xs, ys, rs, state)
        return [Coefficient(self.coefficients(xs[0], ys[0], r, state))]

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """What each unit of the input ``x`` is worth, from the relevance ``r`` of the output ``y``.

        Where ``r`` is a clipped coefficient, ``y`` is clipped too: never negative.
        """
        raise TypeError(f"{type(self).__name__} is a rule without a `coefficients` method: implement it.")
