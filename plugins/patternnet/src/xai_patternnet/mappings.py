"""Backward mappings: patterns in place of weights, the gradient everywhere else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_patternnet.estimators import LINEAR
from xai_patternnet.layers import channel_dimension, signs
from xai_patternnet.patterns import Patterns
from xaicore.graph import Graph, Layer
from xaicore.propagation import reads

if TYPE_CHECKING:
    from xaicore.propagation import State


@reads()
def as_the_gradient(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """The vector-Jacobian product: ReLUs pass what they let through, max pooling by its winners."""
    return state.vjp(rs)


class _WithPatterns:
    """What the mappings of learnt layers share.

    Parameters
    ----------
    patterns : Patterns, optional
        None: the mapping can be matched with layers, but not run.
    estimator : str
        The one that was chosen.
    attribution : bool
        Weight times pattern in place of the weight; else the pattern itself.
    rectified : bool
        Whether its layers stand in front of a ReLU: elsewhere patterns are linear, whatever was chosen.
    """

    needs: Collection[str] = frozenset({"xs"})

    def __init__(self, patterns: Patterns | None, estimator: str, attribution: bool, rectified: bool) -> None:
        self.patterns, self.estimator, self.rectified = patterns, estimator, rectified
        self.attribution = attribution

    def pattern(self, state: State, like: Tensor) -> Tensor:
        """The pattern of the layer in the type and on the device of what it is used with; notes units without one."""
        assert self.patterns is not None
        if words := self.patterns.dead_units(self.estimator):
            state.note(words)
        return self.patterns.of(state.layer, self.estimator).to(like.device, like.dtype)

    def __repr__(self) -> str:
        what = "weights times patterns" if self.attribution else "patterns"
        return f"{what} ({self.estimator if self.rectified else LINEAR})"


class LinearMapping(_WithPatterns):
    """Convolutions and linear layers: the transposed map with other weights."""

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        (r,) = rs
        if r is None:
            return [None]
        linear = state.linear
        assert linear is not None  # as `learns` found
        pattern = self.pattern(state, linear.weight)
        sent = linear.pull(r, linear.weight * pattern if self.attribution else pattern)
        dtype = state.layer.inputs[0].info.dtype
        # Where it is float16, rules work in float32, and what is too large becomes the largest number.
        largest = min(torch.finfo(dtype).max, torch.finfo(sent.dtype).max)
        state.note(_overflow(dtype), when=~(sent.abs() < largest).all())
        return [sent]


class AdditionMapping(_WithPatterns):
    """Sums of two tensors: each gets the share of the sum that its pattern says."""

    needs: Collection[str] = frozenset()

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        (r,) = rs
        if r is None:
            return [None, None]
        dimension = channel_dimension(state.layer)
        shape = [-1 if each == dimension else 1 for each in range(r.ndim)]
        weights = signs(state.layer) if self.attribution else (1.0, 1.0)
        pairs = zip(weights, self.pattern(state, r), strict=True)
        return [r * (weight * pattern).view(shape) for weight, pattern in pairs]


class ScaleMapping:
    """Layers with one input a unit, ``y = w x + b``: whatever the data, the pattern is 1/w, and w times it is one."""

    needs: Collection[str] = frozenset({"xs"})

    def __init__(self, attribution: bool) -> None:
        self.attribution = attribution

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        (r,) = rs
        if r is None:
            return [None]
        linear = state.linear
        assert linear is not None
        weight = linear.weight
        return [linear.pull(r, (weight != 0).to(weight.dtype) if self.attribution else inverse(weight))]

    def __repr__(self) -> str:
        return "passed on" if self.attribution else "1 / weight"


def inverse(weight: Tensor) -> Tensor:
    """One over the weight; zero where that is zero."""
    return torch.where(weight == 0, 0.0, 1 / torch.where(weight == 0, 1.0, weight)).to(weight.dtype)


def size_of_inverse(layer: Layer, graph: Graph) -> float:
    """The root mean square of `inverse` for a layer with one input a unit; 1 where its weight depends on the batch."""
    ref = layer.parameters.get("weight")
    if ref is None or any(not isinstance(size, int) for size in ref.info.shape):
        return 1.0
    weight = graph.constants.value(ref, {})
    return float(inverse(weight.double()).square().mean().sqrt())


def _overflow(dtype: torch.dtype) -> str:
    wider, name = "float64" if dtype == torch.float32 else "float32", str(dtype).removeprefix("torch.")
    return (
        f"do not trust this explanation: numbers became too large for {name} on the way back. "
        f"Give the model in {wider} instead (its patterns serve with check_weights=False)"
    )
