"""Operators that are several layers in one become those layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from xaicore.graph.kinds import Kind, kind_of
from xaicore.graph.layer import Layer, Ref, TensorInfo
from xaicore.graph.rewrite import operator_name
from xaicore.graph.sizes import Size

aten = torch.ops.aten


def parts_of(layer: Layer) -> list[Layer]:
    """The layers that this one consists of, itself the last of them and changed; most consist of themselves.

    A gated linear unit is ``a * sigmoid(b)`` for the two halves of its input; ``addcmul`` and ``addcdiv`` are a sum
    with a product or quotient; ``lerp`` by a weight that depends on the input mixes two tensors, as a GRU does.
    """
    match layer.op_name:
        case "glu" if not layer.constant:
            return [*_glu(layer), layer]
        case "addcmul" if not layer.constant:
            return [_product(aten.mul.Tensor, layer), layer]
        case "addcdiv" if not layer.constant:
            return [_product(aten.div.Tensor, layer), layer]
        case "lerp" if isinstance(layer.arguments["weight"], Ref) and not layer.arguments["weight"].layer.constant:
            return [*_mixed(layer), layer]
    return [layer]


def _mixed(layer: Layer) -> list[Layer]:
    start, end, weight = (layer.arguments[name] for name in ("self", "end", "weight"))
    dtype = layer.outputs[0].dtype
    rest = _part(layer, "rest", aten.rsub.Scalar, (weight.info,), self=weight, other=1)
    kept, added = (
        _part(
            layer, name, aten.mul.Tensor,
            (TensorInfo(_broadcast(share.info.shape, value.info.shape), dtype),), self=share, other=value,
        )
        for name, share, value in (("kept", rest.ref, start), ("added", weight, end))
    )  # fmt: skip
    _become(layer, aten.add.Tensor, self=kept.ref, other=added.ref)
    return [rest, kept, added]


def _glu(layer: Layer) -> list[Layer]:
    x, half = layer.arguments["self"], layer.outputs[0]
    halves = _part(
        layer, "halves", aten.chunk.default, (half, half), input=x, chunks=2, dim=layer.arguments.get("dim", -1)
    )
    gate = _part(layer, "gate", aten.sigmoid.default, (half,), self=Ref(halves, 1))
    _become(layer, aten.mul.Tensor, self=Ref(halves, 0), other=gate.ref)
    return [halves, gate]


def _product(op: Callable[..., Any], layer: Layer) -> Layer:
    summand, first, second = list(layer.arguments.values())[:3]
    shape = _broadcast(first.info.shape, second.info.shape)
    factor = _part(layer, "product", op, (TensorInfo(shape, layer.outputs[0].dtype),), self=first, other=second)
    _become(layer, aten.add.Tensor, self=summand, other=factor.ref, alpha=layer.arguments.get("value", 1))
    layer.positional = 2
    return factor


def _part(layer: Layer, name: str, op: Callable[..., Any], outputs: tuple[TensorInfo, ...], **arguments: Any) -> Layer:
    """A new layer that belongs to the same call of the user's."""
    part = Layer(
        name=f"{layer.name}.{name}",
        kind=kind_of(operator_name(op)),
        op=op,
        op_name=operator_name(op),
        arguments=arguments,
        outputs=outputs,
        module_path=layer.module_path,
        module_type=layer.module_type,
        calls=layer.calls,
        source=layer.source,
    )
    part.constant = not part.inputs
    if part.constant:
        part.kind = Kind.CONSTANT
    return part


def _become(layer: Layer, op: Callable[..., Any], **arguments: Any) -> None:
    layer.op, layer.op_name, layer.kind = op, operator_name(op), kind_of(operator_name(op))
    layer.arguments = arguments
    layer.positional = len(arguments)
    layer.refresh()


def _broadcast(first: tuple[Size, ...], second: tuple[Size, ...]) -> tuple[Size, ...]:
    rank = max(len(first), len(second))
    padded = [(*[1] * (rank - len(shape)), *shape) for shape in (first, second)]
    return tuple(b if a == 1 else a for a, b in zip(*padded, strict=True))
