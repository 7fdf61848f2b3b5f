"""LRP-z-box: for inputs that live in a box, such as pixels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_lrp.rules.base import LinearRule
from xai_lrp.rules.bias import Portion, settle
from xai_lrp.rules.bounds import Bound, by_channel, checked, comparable, shaped, written
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.numbers import check_number
from xai_lrp.rules.paired import Paired
from xai_lrp.rules.ratio import stabilized_ratio
from xaicore.errors import InputError, ParameterError

if TYPE_CHECKING:
    from xaicore.propagation import State

# Inputs outside the box by less than this part of its width are rounded, not wrong.
_ROUNDING = 1e-4


@dataclass(frozen=True, eq=False, repr=False)
class ZBox(LinearRule):
    """LRP-z-box: shares by ``x_i w_ij - low_i w_ij+ - high_i w_ij-``, for inputs between ``low`` and ``high``.

    Montavon et al. 2017. The bias has no part. Meant for the first layer, whose inputs have known bounds.

    Parameters
    ----------
    low, high : float, sequence of float, or Tensor
        Bounds of the inputs: one number, one a channel (dimension 1), or a tensor that broadcasts to the layer's input
        (one value a channel: shape (C, 1, 1)). Without ``mean`` and ``std`` they are bounds of the numbers that the
        model gets.
    epsilon : float
        Stabilizer of the denominator.
    mean, std : sequence of float, or Tensor, optional
        The normalisation ``(pixel - mean) / std`` that made the model's inputs, one number a channel. ``low`` and
        ``high`` are then bounds of the pixels.
    """

    low: Bound
    high: Bound
    epsilon: float = 1e-6
    mean: Sequence[float] | Tensor | None = None
    std: Sequence[float] | Tensor | None = None

    def __post_init__(self) -> None:
        low, high = checked("low", self.low), checked("high", self.high)
        if low.numel() > 1 and high.numel() > 1 and isinstance(self.low, Tensor) != isinstance(self.high, Tensor):
            raise ParameterError("low and high must both be sequences with one number a channel, or both tensors.")
        if not bool((low <= high).all()):
            raise ParameterError(f"low must not exceed high, got {self!r}.")
        check_number("epsilon", self.epsilon)
        mean = None if self.mean is None else by_channel("mean", self.mean)
        std = None if self.std is None else by_channel("std", self.std)
        if std is not None and not bool((std > 0).all()):
            raise ParameterError(f"std={self.std!r} must be positive: pixels were divided by it.")
        if mean is not None and std is not None and len({len(mean), len(std)} - {1}) > 1:
            raise ParameterError(f"mean has {len(mean)} channels and std {len(std)}: give both one number a channel.")

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
        parts = Paired((above, below), (positive, negative), state, ("by sign", True))
        z = parts.apply()
        per_unit = stabilized_ratio(r, z, self.epsilon)
        to_above, to_below = parts.pull(per_unit)
        inputs = above * to_above + below * to_below
        return settle(inputs, x, state, "ignore", Portion(r, per_unit, z, None))

    def _note_outside(self, x: Tensor, above: Tensor, below: Tensor, state: State) -> None:
        """Tell the user of inputs that the rule is not derived for."""
        if x.is_meta or x.numel() == 0:
            return
        where, box = state.layer.where(), f"[{written(self.low)}, {written(self.high)}]"
        pixels = "" if self.mean is None and self.std is None else " of the normalised pixels"
        tolerance = _ROUNDING * (above - below).detach()  # a part of the width of the box
        state.note(
            lambda least, most: (
                f"the input of {where} ranges from {least:g} to {most:g}, outside the box {box}{pixels}: the z-box "
                "rule is derived for inputs inside it"
            ),
            when=((above < -tolerance) | (below > tolerance)).any(),
            values=(x.min(), x.max()),
        )

    def _bound(self, name: str, x: Tensor, state: State) -> Tensor | float:
        """A bound of the numbers that the model gets, which broadcasts against ``x``."""
        bound = self._in_model_space(name, x, state)
        if isinstance(bound, Tensor) and not _broadcasts(bound, x):
            raise InputError(
                f"{name} of shape {tuple(bound.shape)} does not broadcast to the input {tuple(x.shape)} of "
                f"{state.layer.where()}; one bound a channel has shape {(x.shape[1], *[1] * (x.dim() - 2))}."
            )
        return bound

    def _in_model_space(self, name: str, x: Tensor, state: State) -> Tensor | float:
        unbatched, where = linear_of(state).unbatched, state.layer.where()

        def of_channels(name: str, values: Sequence[float] | Tensor) -> Tensor:
            return shaped(name, by_channel(name, values), x, unbatched, where)

        bound: Bound = getattr(self, name)
        if isinstance(bound, Sequence):
            bound = of_channels(name, bound)
        bound = bound.to(device=x.device, dtype=x.dtype) if isinstance(bound, Tensor) else float(bound)
        if self.mean is not None:
            bound = bound - of_channels("mean", self.mean)
        return bound if self.std is None else bound / of_channels("std", self.std)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZBox) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def _values(self) -> tuple[Any, ...]:
        bounds = (self.low, self.high, self.mean, self.std)
        return (self.epsilon, *(comparable(bound) for bound in bounds))

    def __repr__(self) -> str:
        normalised = "".join(
            f", {name}={written(value)}"
            for name, value in (("mean", self.mean), ("std", self.std))
            if value is not None
        )
        return f"ZBox(low={written(self.low)}, high={written(self.high)}, epsilon={self.epsilon}{normalised})"


def _broadcasts(bound: Tensor, x: Tensor) -> bool:
    try:
        return bool(torch.broadcast_shapes(bound.shape, x.shape) == x.shape)
    except RuntimeError:
        return False
