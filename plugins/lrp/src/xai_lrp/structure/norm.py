"""How relevance passes layers that normalise by statistics of what they are given: layer, group, instance, RMS norm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.ratio import stabilized_ratio
from xai_lrp.structure.precision import at_least_float32
from xaicore.errors import MatchError

if TYPE_CHECKING:
    from xaicore.propagation import State

EPSILON = 1e-6  # added to the size of each output, as in a batch norm that stands alone


@dataclass(frozen=True)
class NormRule:
    """Normalisation as a linear layer: its variance, and unless ``centred`` its mean, are taken for constants.

    ``y_i = a_i (x_i - mean) + b_i`` with ``a_i = weight_i / sqrt(var + eps)``. With a constant mean each input is
    connected to its own output, and ``b_i - a_i mean`` keeps a share as a bias does. ``centred``: the mean is linear in
    the inputs, ``x_i - mean = sum_j (delta_ij - 1/N) x_j``, and only ``b_i`` is a bias (Ali et al. 2022, "XAI for
    Transformers"). RMS norm has no mean. Statistics that a layer has learnt are constants in either case.
    """

    centred: bool = False

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        r, y = rs[0], ys[0]
        if r is None:
            return [None] * len(xs)
        norm = _Normalisation.of(xs, state)
        x = norm.x
        per_unit = stabilized_ratio(r, y, EPSILON)
        pulled = norm.scale * per_unit
        inputs = x * (pulled - norm.average(pulled) if self.centred and norm.takes_mean else pulled)
        shift = norm.shift if self.centred and norm.takes_mean else norm.shift - norm.scale * norm.mean
        sent: list[Tensor | None] = [inputs, *[None] * (len(xs) - 1)]
        of_shift = shift * per_unit
        if norm.computed_shift is not None:  # a bias that depends on the input gets its share
            own = norm.shift * per_unit
            share = state.vjp([own, *[None] * (len(rs) - 1)])[norm.computed_shift]
            sent[norm.computed_shift], of_shift = share, of_shift if share is None else of_shift - own
        if state.ledger_open:
            state.absorb(bias=of_shift, stabilizer=r - per_unit * y)
        return sent


def identity(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Relevance unchanged from what is normalised; a computed weight or bias gets nothing."""
    return [rs[0], *[None] * (len(xs) - 1)]


@dataclass(frozen=True)
class _Normalisation:
    """``scale * (x - mean) + shift``, element by element."""

    x: Tensor
    mean: Tensor
    scale: Tensor
    shift: Tensor
    takes_mean: bool  # over the dimensions below, of the input itself
    grouped: tuple[int, ...]  # the shape in which the statistics are taken
    over: tuple[int, ...]
    computed_shift: int | None

    @classmethod
    def of(cls, xs: Sequence[Tensor], state: State) -> _Normalisation:
        layer, x = state.layer, xs[0]
        if layer.inputs[0] != layer.arguments.get("input"):
            raise MatchError(f"{layer.where()} normalises a constant: no norm rule fits. Use identity or another rule.")
        grouped, over = _where_statistics_are_taken(state, x)
        mean, variance = _statistics(state, at_least_float32(x), grouped, over)
        weight, _ = _argument("weight", xs, state)
        bias, position = _argument("bias", xs, state)
        eps = layer.arguments.get("eps")
        scale = torch.rsqrt(variance + (torch.finfo(x.dtype).eps if eps is None else eps))
        scale = scale.expand(grouped).reshape(x.shape).to(x.dtype)
        return cls(
            x=x,
            mean=mean.expand(grouped).reshape(x.shape).to(x.dtype),
            scale=scale if weight is None else scale * weight,
            shift=torch.zeros_like(x) if bias is None else bias.expand(x.shape),
            takes_mean=layer.op_name != "rms_norm" and _learnt(state) is None,
            grouped=grouped,
            over=over,
            computed_shift=position,
        )

    def average(self, values: Tensor) -> Tensor:
        """The mean over the elements that were normalised together, at each of them."""
        return values.reshape(self.grouped).mean(self.over, keepdim=True).expand(self.grouped).reshape(values.shape)


def _where_statistics_are_taken(state: State, x: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shape of the input, and the dimensions of it, over which mean and variance are taken."""
    arguments, shape = state.layer.arguments, tuple(x.shape)
    spatial = tuple(range(2, x.ndim))
    match state.layer.op_name:
        case "layer_norm" | "native_layer_norm" | "rms_norm":
            return shape, tuple(range(x.ndim - len(arguments["normalized_shape"]), x.ndim))
        case "group_norm" | "native_group_norm":
            groups = arguments["num_groups"] if "num_groups" in arguments else arguments["group"]
            return (shape[0], groups, x[0].numel() // groups), (2,)
        case "instance_norm":
            return shape, spatial
        case "batch_norm":
            return shape, (0, *spatial)
    raise MatchError(f"no norm rule knows {state.layer.where()}: choose structure={{'norm': 'identity'}}.")


def _statistics(state: State, x: Tensor, grouped: tuple[int, ...], over: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    learnt = _learnt(state)
    if learnt is not None:
        mean, variance = (values.view(-1, *[1] * (x.ndim - 2)).to(x.dtype) for values in learnt)
        return mean, variance
    values = x.reshape(grouped)
    if state.layer.op_name == "rms_norm":
        mean_square = values.square().mean(over, keepdim=True)
        return torch.zeros_like(mean_square), mean_square
    mean = values.mean(over, keepdim=True)
    return mean, (values - mean).square().mean(over, keepdim=True)


def _learnt(state: State) -> tuple[Tensor, Tensor] | None:
    """Running statistics, where the layer normalises by those."""
    arguments = state.layer.arguments
    mean, variance = state.parameter("running_mean"), state.parameter("running_var")
    of_batch = arguments.get("training") or arguments.get("use_input_stats")
    return None if of_batch or mean is None or variance is None else (mean, variance)


def _argument(name: str, xs: Sequence[Tensor], state: State) -> tuple[Tensor | None, int | None]:
    """Weight or bias, shaped to broadcast; where it depends on the input, also its place among ``xs``."""
    layer, x = state.layer, xs[0]
    ref = layer.arguments.get(name)
    position = None if ref is None or ref.layer.constant else layer.inputs.index(ref)
    value = state.parameter(name) if position is None else xs[position]
    if value is None or layer.op_name in ("layer_norm", "native_layer_norm", "rms_norm"):
        return value, position
    return value.view(-1, *[1] * (x.ndim - 2)), position
