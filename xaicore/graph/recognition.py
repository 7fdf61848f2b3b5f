"""Layers that come in parts are put together, found by data flow.

Export takes local response norm and lp-pooling apart; of a dense layer ``x @ W + b`` the bias is an addition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref

_REARRANGES = "reshape view unsqueeze squeeze flatten unflatten".split()  # the elements keep their order
_AVERAGES = {"avg_pool1d": 1, "avg_pool2d": 2, "avg_pool3d": 3}


def with_recognized_layers(graph: Graph) -> Graph:
    """The graph in which operations that are one layer in the literature are one layer."""
    changes: dict[Ref, Ref] = {}
    absorbed: dict[Ref, list[Layer]] = {}
    for layer in graph.layers:
        found = None if layer.constant else _local_response_norm(layer) or _lp_pool(layer) or _dense(layer)
        if found is None:
            continue
        parts = _parts(graph, layer, found.arguments["input"].layer)
        if found.kind is Kind.LINEAR and not parts:
            continue  # somebody reads the product without the bias
        layer.kind, layer.op, layer.op_name = found.kind, found.op, found.op.__name__.partition(".")[0]
        layer.arguments, layer.positional = found.arguments, len(found.arguments)
        layer.refresh()
        changes |= dict.fromkeys(parts, layer.ref)
        absorbed |= {ref: [layer] for ref in parts}
    return graph.replaced(changes, absorbed=absorbed)


def local_response_norm(input: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    """``x / (k + alpha mean of x^2 over ``size`` neighbouring channels)^beta``, padded by zeros: as torch has it."""
    squares = input.square().flatten(2).unsqueeze(1)
    padded = F.pad(squares, (0, 0, size // 2, (size - 1) // 2))
    mean = F.avg_pool2d(padded, (size, 1), stride=1).reshape(input.shape)
    return input / (k + alpha * mean) ** beta


def lp_pool(input: Tensor, norm_type: float, kernel_size: list[int], stride: list[int], ceil_mode: bool) -> Tensor:
    """``(sum over the window of x^p)^(1/p)``, as torch has it."""
    average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel_size) - 1]
    mean: Tensor = average(input.pow(norm_type), tuple(kernel_size), tuple(stride), 0, ceil_mode)
    count = torch.Size(kernel_size).numel()
    return (mean.sign() * mean.abs().relu() * count).pow(1.0 / norm_type)


@dataclass(frozen=True)
class _Found:
    kind: Kind
    op: Callable[..., Tensor]
    arguments: dict[str, Any]


def _local_response_norm(last: Layer) -> _Found | None:
    """``x / (k + alpha * mean of squares)^beta``, the mean over a window of channels."""
    x, powered = _operands(last, "div")
    if not isinstance(x, Ref) or not isinstance(powered, Ref) or len(x.info.shape) < 3:
        return None
    summed, beta = _operands(powered.layer, "pow")
    scaled, k = _operands(_layer(summed), "add")
    mean, alpha = _operands(_layer(scaled), "mul")
    numbers = (alpha, beta, k)
    if not all(isinstance(number, (int, float)) for number in numbers) or not isinstance(mean, Ref):
        return None
    window = _channel_window(mean, x)
    if window is None or alpha < 0 or k <= 0:
        return None
    arguments = {"input": x, "size": window, "alpha": float(alpha), "beta": float(beta), "k": float(k)}
    return _Found(Kind.NORM, local_response_norm, arguments)


def _channel_window(mean: Ref, x: Ref) -> int | None:
    """Over how many channels of the squares of ``x`` this is the average; None where it is something else."""
    pool = _before_rearranging(mean).layer
    if pool.op_name not in _AVERAGES or mean.info.shape != x.info.shape:
        return None
    size, *others = _sizes(pool, "kernel_size", 1)
    before, after = (_sizes(pool, "padding", 0)[0],) * 2
    alone = all(value == 1 for value in [*others, *_sizes(pool, "stride", size)])
    alone &= not any(_sizes(pool, "padding", 0)[1:]) and pool.arguments.get("divisor_override") is None
    alone &= not (before and not pool.arguments.get("count_include_pad", True))
    pooled: Ref = pool.arguments["self"]
    if pooled.layer.op_name in ("pad", "constant_pad_nd"):
        sides = list(pooled.layer.arguments["pad"])
        along_channels = 2 * (len(pooled.info.shape) - 3)
        alone &= len(sides) == along_channels + 2 and not any(sides[:along_channels])
        alone &= not pooled.layer.arguments.get("value") and pooled.layer.arguments.get("mode") in (None, "constant")
        before, after = before + sides[-2], after + sides[-1]
        pooled = pooled.layer.inputs[0]
    shape = x.info.shape
    channels_third = len(pooled.info.shape) > 3 and pooled.info.shape[:3] == (shape[0], 1, shape[1])
    fits = (before, after) == (size // 2, (size - 1) // 2)
    return size if alone and fits and channels_third and _is_power(_before_rearranging(pooled), x, 2) else None


def _lp_pool(last: Layer) -> _Found | None:
    """``(sign(m) relu(|m|) n)^(1/p)`` with the mean m of x^p over windows of n elements."""
    total, root = _operands(last, "pow")
    guarded, count = _operands(_layer(total), "mul")
    sign, rectified = _operands(_layer(guarded), "mul")
    absolute = _only_input(rectified, "relu")
    pool = _layer(_only_input(absolute, "abs"))
    if pool is None or _layer(_only_input(sign, "sign")) is not pool or pool.op_name not in _AVERAGES:
        return None
    kernel = _sizes(pool, "kernel_size", 1)
    x, power = _operands(_layer(pool.arguments["self"]), "pow")
    plain = not any(_sizes(pool, "padding", 0)) and pool.arguments.get("divisor_override") is None
    plain &= count == torch.Size(kernel).numel()
    if not (plain and isinstance(x, Ref) and isinstance(power, (int, float)) and root == 1.0 / power):
        return None
    arguments = {
        "input": x,
        "norm_type": float(power),
        "kernel_size": kernel,
        "stride": _sizes(pool, "stride", 0) if pool.arguments.get("stride") else kernel,
        "ceil_mode": bool(pool.arguments.get("ceil_mode", False)),
    }
    return _Found(Kind.LP_POOL, lp_pool, arguments)


def _dense(last: Layer) -> _Found | None:
    """``x @ W`` and a vector that is added to it: a dense layer with a bias, which rules treat as one."""
    operands = _operands(last, "add")
    if not all(isinstance(operand, Ref) for operand in operands):
        return None
    product, bias = sorted(operands, key=lambda ref: ref.layer.constant)
    layer = product.layer
    if layer.kind is not Kind.LINEAR or layer.op_name != "linear" or layer.arguments.get("bias") is not None:
        return None
    if not layer.calls.items() <= last.calls.items():
        return None  # the product is the result of a module, which must not lose the output that it is chosen by
    if not bias.layer.constant or bias.info.shape != product.info.shape[-1:] or bias.info.dtype != product.info.dtype:
        return None
    arguments = {"input": layer.arguments["input"], "weight": layer.arguments["weight"], "bias": bias}
    return _Found(Kind.LINEAR, torch.ops.aten.linear.default, arguments)


def _operands(layer: Layer | None, op_name: str) -> tuple[Any, Any]:
    """The two operands of this operator, a number last where they may change places; else (None, None)."""
    if layer is None or layer.op_name != op_name or layer.arguments.get("rounding_mode"):
        return None, None
    if layer.arguments.get("alpha", 1) != 1:  # addition can scale its second operand
        return None, None
    first, second = list(layer.arguments.values())[:2]
    swapped = op_name in ("add", "mul") and not isinstance(first, Ref)
    return (second, first) if swapped else (first, second)


def _layer(value: Any) -> Layer | None:
    return value.layer if isinstance(value, Ref) and not value.layer.constant else None


def _only_input(value: Any, op_name: str) -> Any:
    layer = _layer(value)
    return layer.inputs[0] if layer is not None and layer.op_name == op_name else None


def _before_rearranging(ref: Ref) -> Ref:
    while ref.layer.op_name in _REARRANGES and len(ref.layer.inputs) == 1:
        ref = ref.layer.inputs[0]
    return ref


def _is_power(ref: Ref, x: Ref, exponent: int) -> bool:
    """Whether this is ``x`` to that power: as a product with itself, a square, or a power."""
    first, second = _operands(ref.layer, "mul")
    if exponent == 2 and ((first == x and second == x) or _only_input(ref, "square") == x):
        return True
    return _operands(ref.layer, "pow") == (x, exponent)


def _sizes(pool: Layer, name: str, default: int) -> list[int]:
    """One number for each dimension that is pooled over."""
    value = pool.arguments.get(name)
    values = list(value) if isinstance(value, (list, tuple)) else [default if value is None else value]
    values = values or [default]
    return values * _AVERAGES[pool.op_name] if len(values) == 1 else values


def _parts(graph: Graph, last: Layer, start: Layer) -> list[Ref]:
    """The tensors between the layer ``start`` and the last layer that nothing else reads."""
    members, found = {last}, []
    returned = set(graph.outputs.values())
    for layer in reversed(graph.layers):
        readers = graph.consumers.get(layer.ref, [])
        outside = layer.constant or layer is start or layer.ref in returned
        if readers and not outside and all(reader in members for reader in readers):
            members.add(layer)
            found.append(layer.ref)
    return found
