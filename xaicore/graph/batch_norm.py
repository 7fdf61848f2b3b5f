"""Batch norm becomes part of a linear layer beside it, found by data flow, or a linear layer of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.graph.facts import with_facts
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref, TensorInfo

_LINEAR = (Kind.CONVOLUTION, Kind.LINEAR)


def fold_batch_norm(graph: Graph) -> Graph:
    """A copy of the graph in which no batch norm is left but as weight and bias of a linear layer.

    ``y = scale * x + shift`` with ``scale = weight / sqrt(var + eps)`` and ``shift = bias - mean * scale`` goes into
    the convolution or dense layer that feeds it, where nothing else reads that layer; else into all the layers it
    feeds, where those are linear; else it becomes a scale-and-shift layer of kind ``BATCH_NORM``.
    """
    graph = graph.copy()
    folding = _Folding(graph)
    for layer in list(graph.layers):
        if layer.kind is Kind.BATCH_NORM and not layer.constant:
            folding.fold(layer)
    known = [layer for layer in graph.layers if layer.constant]
    graph.layers = (*known, *folding.constants, *(layer for layer in graph.layers if not layer.constant))
    folded = with_facts(graph.replaced(folding.changes, absorbed=folding.absorbed))
    folded.is_folded = True
    return folded


class _Folding:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.changes: dict[Ref, Ref] = {}
        self.absorbed: dict[Ref, list[Layer]] = {}  # the layers that have taken up what no tensor holds any more
        self.constants: list[Layer] = []

    def fold(self, norm: Layer) -> None:
        scale, shift = self._scale_and_shift(norm)
        producer = norm.inputs[0].layer
        consumers = self.graph.consumers.get(norm.ref, [])
        returned = set(self.graph.outputs.values())
        alone = self.graph.consumers[norm.inputs[0]] == [norm] and norm.inputs[0] not in returned
        if producer.kind in _LINEAR and alone and _channels_agree(producer, norm.inputs[0]):
            self._fold_into_producer(producer, scale, shift)
            self.changes[norm.ref] = norm.inputs[0]
        elif consumers and norm.ref not in returned and all(_takes(layer, norm.ref) for layer in consumers):
            for layer in consumers:
                self._fold_into_consumer(layer, scale, shift)
            self.changes[norm.ref] = norm.inputs[0]
            self.absorbed[norm.ref] = consumers
        else:
            norm.op, norm.op_name, norm.positional = scale_shift, "scale_shift", 3
            norm.arguments = {"input": norm.inputs[0], "weight": scale, "bias": shift}
            norm.refresh()

    def _scale_and_shift(self, norm: Layer) -> tuple[Ref, Ref]:
        arguments = norm.arguments
        mean = arguments["running_mean"]
        scale = self._constant(
            f"{norm.name}.scale", _scale, mean.info,
            weight=arguments.get("weight"), variance=arguments["running_var"], eps=arguments["eps"],
        )  # fmt: skip
        shift = self._constant(
            f"{norm.name}.shift", _shift, mean.info, bias=arguments.get("bias"), mean=mean, scale=scale
        )
        return scale, shift

    def _fold_into_producer(self, layer: Layer, scale: Ref, shift: Ref) -> None:
        weight: Ref = layer.arguments["weight"]
        scaled = _ScaledChannels(layer, outputs=True)
        layer.arguments["weight"] = self._constant(
            f"{layer.name}.scaled_weight", scaled, weight.info, weight=weight, scale=scale
        )
        layer.arguments["bias"] = self._constant(
            f"{layer.name}.scaled_bias", _scaled_bias, shift.info,
            bias=layer.arguments.get("bias"), scale=scale, shift=shift,
        )  # fmt: skip
        _by_position(layer)

    def _fold_into_consumer(self, layer: Layer, scale: Ref, shift: Ref) -> None:
        """W' = W * scale; b' = b + W shift, which at a zero-padded border depends on the position."""
        weight: Ref = layer.arguments["weight"]
        x: Ref = layer.arguments["input"]
        map_of_shift = _LinearPart(layer, tuple(x.info.shape[2:]))
        layer.arguments["weight"] = self._constant(
            f"{layer.name}.scaled_weight",
            _ScaledChannels(layer, outputs=False),
            weight.info,
            weight=weight,
            scale=scale,
        )
        bias = self._constant(
            f"{layer.name}.shifted_bias", map_of_shift, shift.info,
            weight=weight, bias=layer.arguments.get("bias"), shift=shift,
        )  # fmt: skip
        layer.arguments["bias"] = bias
        _by_position(layer)
        if not map_of_shift.uniform:
            layer.op = WithBiasMap(layer.op)

    def _constant(self, name: str, op: Callable[..., Tensor], like: TensorInfo, **arguments: Any) -> Ref:
        layer = Layer(name, Kind.CONSTANT, op, name.rsplit(".", 1)[-1], arguments, (like,), constant=True)
        self.constants.append(layer)
        return layer.ref


@dataclass(frozen=True)
class WithBiasMap:
    """A convolution whose bias differs from place to place: shape (1, channels, *positions)."""

    op: Callable[..., Tensor]

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor, *options: Any) -> Tensor:
        result = self.op(input, weight, None, *options)
        return result + bias


def scale_shift(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``weight * input + bias`` for each channel (dimension 1)."""
    shape = (1, -1) + (1,) * (input.ndim - 2)
    return torch.addcmul(bias.view(shape), input, weight.view(shape))


def _scale(weight: Tensor | None, variance: Tensor, eps: float) -> Tensor:
    # In float32 at least: the running variance of a half-precision model does not survive a rounded square root.
    wide = variance.to(torch.promote_types(variance.dtype, torch.float32))
    scale = torch.rsqrt(wide + eps)
    return (scale if weight is None else scale * weight).to(variance.dtype)


def _shift(bias: Tensor | None, mean: Tensor, scale: Tensor) -> Tensor:
    return -mean * scale if bias is None else bias - mean * scale


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
    return dimensions == 2 if layer.kind is Kind.LINEAR else dimensions == len(layer.arguments["weight"].info.shape)


def _takes(layer: Layer, ref: Ref) -> bool:
    """Whether the layer is linear in this tensor, along dimension 1, and its bias can take up the shift."""
    if layer.kind not in _LINEAR or layer.inputs != (ref,):
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
