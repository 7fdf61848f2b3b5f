"""LRP-z-box: for inputs that live in a box, such as pixels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import LinearRule
from xai_lrp.rules.bias import Portion, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.ratio import stabilized_ratio
from xaicore.errors import InputError, ParameterError

if TYPE_CHECKING:
    from xaicore.propagation import State

# Inputs outside the box by less than this part of its width are rounded, not wrong.
_ROUNDING = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class ZBox(LinearRule):
    """LRP-z-box: shares by ``x_i w_ij - low_i w_ij+ - high_i w_ij-``, for inputs between ``low`` and ``high``.

    Montavon et al. 2017, eq. 17. The bias has no part. Meant for the first layer, whose inputs have known
    bounds: those of the numbers that the model gets, after any normalization.

    Parameters
    ----------
    low, high : float or Tensor
        Bounds of the inputs; tensors broadcast to the layer's input (one value a channel: shape (C, 1, 1)).
    epsilon : float
        Stabilizer of the denominator.
    """

    low: float | Tensor
    high: float | Tensor
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if not bool(torch.all(torch.as_tensor(self.low) <= torch.as_tensor(self.high))):
            raise ParameterError(f"low must not exceed high, got {self!r}.")
        if not self.epsilon >= 0:
            raise ParameterError(f"epsilon={self.epsilon!r} must be zero or positive.")

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        linear = linear_of(state)
        positive = state.cached("positive weight", lambda: linear.weight.clamp(min=0))
        negative = state.cached("negative weight", lambda: linear.weight.clamp(max=0))
        # w = w+ + w-, so that the rule's numerator is (x - low) w+ + (x - high) w-: within the box, no cancellation.
        above = x - self._bound("low", x, state)
        below = x - self._bound("high", x, state)
        self._note_outside(x, above, below, state)
        z = linear.apply(above, positive) + linear.apply(below, negative)
        per_unit = stabilized_ratio(r, z, self.epsilon)
        inputs = above * linear.pull(per_unit, positive) + below * linear.pull(per_unit, negative)
        return settle(inputs, x, state, "ignore", Portion(r, per_unit, z, None))

    def _note_outside(self, x: Tensor, above: Tensor, below: Tensor, state: State) -> None:
        """Tell the user of inputs that the rule is not derived for."""
        if x.is_meta or x.numel() == 0:
            return
        tolerance = _ROUNDING * (above - below).detach()  # a part of the width of the box
        if bool(((above < -tolerance) | (below > tolerance)).any()):
            state.note(
                f"the input of {state.layer.where()} ranges from {float(x.min()):g} to {float(x.max()):g}, outside the "
                f"box [{_written(self.low)}, {_written(self.high)}]: the z-box rule is derived for inputs inside it"
            )

    def _bound(self, name: str, x: Tensor, state: State) -> Tensor | float:
        bound = getattr(self, name)
        if not isinstance(bound, Tensor):
            return float(bound)
        try:
            fits = torch.broadcast_shapes(bound.shape, x.shape) == x.shape
        except RuntimeError:
            fits = False
        if not fits:
            raise InputError(
                f"{name} of shape {tuple(bound.shape)} does not broadcast to the input {tuple(x.shape)} of "
                f"{state.layer.where()}; one bound a channel has shape {(x.shape[1], *[1] * (x.dim() - 2))}."
            )
        return bound.to(device=x.device, dtype=x.dtype)

    def __repr__(self) -> str:
        return f"ZBox(low={_written(self.low)}, high={_written(self.high)}, epsilon={self.epsilon})"


def _written(bound: float | Tensor) -> str:
    return f"tensor{tuple(bound.shape)}" if isinstance(bound, Tensor) and bound.numel() > 1 else f"{float(bound):g}"
