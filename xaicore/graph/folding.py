"""Batch norm becomes part of the linear layers beside it, found by data flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref

LINEAR = (Kind.CONVOLUTION, Kind.LINEAR)
MakeConstant = Callable[..., Ref]


def producer_that_takes(graph: Graph, norm: Layer) -> Layer | None:
    """The linear layer that feeds this batch norm, where nothing else reads it: it can take up scale and shift."""
    x = norm.inputs[0]
    alone = graph.consumers[x] == [norm] and x not in graph.outputs.values()
    return x.layer if x.layer.kind in LINEAR and alone and _channels_agree(x.layer, x) else None


def consumers_that_take(graph: Graph, norm: Layer) -> list[Layer]:
    """The layers that this batch norm feeds, where all of them are linear and can take up scale and shift."""
    consumers = graph.consumers.get(norm.ref, [])
    takes = norm.ref not in graph.outputs.values() and all(_takes(layer, norm.ref) for layer in consumers)
    return consumers if takes else []


def fold_into_producer(layer: Layer, scale: Ref, shift: Ref, constant: MakeConstant) -> None:
    """W' = scale * W; b' = scale * b + shift. ``constant`` makes a constant layer of name, operator and arguments."""
    weight: Ref = layer.arguments["weight"]
    scaled = _ScaledChannels(layer, outputs=True)
    layer.arguments["weight"] = constant(f"{layer.name}.scaled_weight", scaled, weight.info, weight=weight, scale=scale)
    layer.arguments["bias"] = constant(
        f"{layer.name}.scaled_bias", _scaled_bias, shift.info,
        bias=layer.arguments.get("bias"), scale=scale, shift=shift,
    )  # fmt: skip
    _by_position(layer)


def fold_into_consumer(layer: Layer, scale: Ref, shift: Ref, constant: MakeConstant) -> None:
    """W' = W * scale; b' = b + W shift, which at a zero-padded border depends on the position."""
    weight: Ref = layer.arguments["weight"]
    x: Ref = layer.arguments["input"]
    map_of_shift = _LinearPart(layer, tuple(x.info.shape[2:]))
    layer.arguments["weight"] = constant(
        f"{layer.name}.scaled_weight", _ScaledChannels(layer, outputs=False), weight.info, weight=weight, scale=scale
    )
    layer.arguments["bias"] = constant(
        f"{layer.name}.shifted_bias", map_of_shift, shift.info,
        weight=weight, bias=layer.arguments.get("bias"), shift=shift,
    )  # fmt: skip
    _by_position(layer)
    if not map_of_shift.uniform:
        layer.op = WithBiasMap(layer.op)


@dataclass(frozen=True)
class WithBiasMap:
    """A convolution whose bias differs from place to place: shape (1, channels, *positions)."""

    op: Callable[..., Tensor]

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor, *options: Any) -> Tensor:
        result = self.op(input, weight, None, *options)
        return result + bias


def _scaled_bias(bias: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
    return shift if bias is None else torch.addcmul(shift, bias, scale)


class _ScaledChannels:
    """Scales a weight along its output or its input channels."""

    def __init__(self, layer: Layer, *, outputs: bool) -> None:
        # A weight is (out, in / groups, ...), that of a transposed convolution (in, out / groups, ...).
        self.along_first = outputs != _is_transposed(layer)
        self.groups = int(layer.arguments.get("groups") or 1)

    def __call__(self, weight: Tensor, scale: Tensor) -> Tensor:
        if self.along_first:
            rows: Tensor = weight * scale.view(-1, *[1] * (weight.ndim - 1))
            return rows
        by_group = weight.unflatten(0, (self.groups, -1)) * scale.view(self.groups, 1, -1, *[1] * (weight.ndim - 2))
        return torch.flatten(by_group, 0, 1)


class _LinearPart:
    """The layer applied to a constant image of the shifts: a bias vector, or a map where padding shows in it."""

    def __init__(self, layer: Layer, positions: tuple[Any, ...]) -> None:
        self.op = layer.op
        self.positions = positions
        taken = ("input", "weight", "bias")
        self.options = [value for name, value in layer.arguments.items() if name not in taken]
        padding = layer.arguments.get("padding", 0)
        padded = any(padding) if isinstance(padding, (list, tuple)) else bool(padding)
        self.dense = layer.kind is Kind.LINEAR
        self.uniform = self.dense or not (padded or _is_transposed(layer))

    def __call__(self, weight: Tensor, bias: Tensor | None, shift: Tensor) -> Tensor:
        if self.dense:
            return torch.nn.functional.linear(shift, weight, bias)
        image = shift.view(1, -1, *[1] * len(self.positions)).expand(1, -1, *self.positions)
        result: Tensor = self.op(image, weight, bias, *self.options)
        return result.flatten(2)[0, :, 0].clone() if self.uniform else result


def _is_transposed(layer: Layer) -> bool:
    return layer.op_name.startswith("conv_transpose") or bool(layer.arguments.get("transposed", False))


def _channels_agree(layer: Layer, output: Ref) -> bool:
    """Whether dimension 1, which batch norm scales, is the layer's output channels."""
    dimensions = len(output.info.shape)
    if not layer.arguments["weight"].layer.constant or isinstance(layer.op, WithBiasMap):
        return False
    if layer.kind is Kind.LINEAR:
        return dimensions == 2 and layer.op_name == "linear"
    return dimensions == len(layer.arguments["weight"].info.shape)


def _takes(layer: Layer, ref: Ref) -> bool:
    """Whether the layer is linear in this tensor, along dimension 1, and its bias can take up the shift."""
    if layer.kind not in LINEAR or layer.inputs != (ref,):
        return False
    shape, positions = ref.info.shape, ref.info.shape[2:]
    return _channels_agree(layer, ref) and all(isinstance(size, int) for size in positions) and len(shape) > 1


def _by_position(layer: Layer) -> None:
    """Input, weight and bias first, then the options in the operator's order, all by position."""
    arguments = layer.arguments
    first = {name: arguments[name] for name in ("input", "weight", "bias")}
    layer.arguments = first | {name: value for name, value in arguments.items() if name not in first}
    layer.positional = len(layer.arguments)
    layer.refresh()
