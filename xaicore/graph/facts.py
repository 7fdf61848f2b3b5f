"""Facts inferred by data flow: which tensors are never negative, which operands of a product are gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from xaicore.graph.gates import gates_of
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref

_NEVER_NEGATIVE = "relu relu6 sigmoid hardsigmoid softmax _softmax _safe_softmax exp abs square".split()
_MULTIPLYING = (Kind.PRODUCT, Kind.MATMUL, Kind.ATTENTION)
_KEEPS_SIGN = (Kind.MAX_POOL, Kind.AVERAGE_POOL, Kind.LP_POOL, Kind.CONCAT, Kind.RESHAPE, Kind.REDUCTION, Kind.CAST)
# im2col pads with zeros and bicubic interpolation overshoots; the others pick or average what is there.
_SELECTS = "slice select index index_select split split_with_sizes chunk unbind narrow gather unfold diagonal".split()
_INTERPOLATES = (
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d "
    "upsample_trilinear3d _upsample_nearest_exact2d"
).split()


def _at_least_zero(value: Any) -> bool:
    """A number that is not negative; a tensor may change and is not trusted."""
    return isinstance(value, (int, float)) and value >= 0


# Operators that are never negative for some of their arguments. What is clamped to less than its lower bound is the
# upper bound; beyond its threshold, softplus hands on what it is given.
_NEVER_NEGATIVE_IF: dict[str, Callable[[dict[str, Any]], bool]] = {
    "softplus": lambda a: a.get("beta", 1) > 0 and a.get("threshold", 20) >= 0,
    "hardtanh": lambda a: a.get("min_val", -1) >= 0 and a.get("max_val", 1) >= 0,
    "clamp": lambda a: _at_least_zero(a.get("min")) and (a.get("max") is None or _at_least_zero(a["max"])),
    "clamp_min": lambda a: _at_least_zero(a["min"]),
    "threshold": lambda a: bool(a["threshold"] >= 0 and a["value"] >= 0),
}


def with_facts(graph: Graph) -> Graph:
    """The graph with the facts of every layer filled in."""
    differentiable = graph.after(ref for refs in graph.sources.values() for ref in refs)
    for layer in graph.layers:
        if not layer.constant and layer.kind is not Kind.INPUT:
            sign = _never_negative(layer)
            # Integers overflow into negative numbers, and complex ones have no sign.
            layer.outputs = tuple(
                replace(info, nonnegative=sign and info.dtype.is_floating_point) for info in layer.outputs
            )
            if layer.kind in _MULTIPLYING:
                layer.gates = gates_of(layer, differentiable)
    return graph


def _never_negative(layer: Layer) -> bool:
    arguments, name = layer.arguments, layer.op_name
    if name in _NEVER_NEGATIVE:
        return True
    if name in _NEVER_NEGATIVE_IF:
        return _NEVER_NEGATIVE_IF[name](arguments)
    if layer.kind in (Kind.ADD, Kind.SCALE, Kind.PRODUCT):
        return name in ("add", "mul", "div") and _all_operands_nonnegative(arguments)
    if layer.kind is Kind.PAD:
        return _inputs_nonnegative(layer) and (arguments.get("value") or 0) >= 0
    if layer.kind is Kind.AVERAGE_POOL and (arguments.get("divisor_override") or 1) < 0:
        return False
    if layer.kind is Kind.RESHAPE and any(ref.info.dtype != layer.outputs[0].dtype for ref in layer.inputs):
        return False  # a view of the same bits as another type
    if layer.kind in _KEEPS_SIGN or name in _SELECTS or name in _INTERPOLATES or name == "local_response_norm":
        return _inputs_nonnegative(layer)
    return False


def _inputs_nonnegative(layer: Layer) -> bool:
    """Indices and masks do not count, but a cast of integers has nothing else."""
    values = [ref for ref in layer.refs() if ref.info.dtype.is_floating_point]
    return bool(values) and all(ref.info.nonnegative for ref in values)


def _all_operands_nonnegative(arguments: dict[str, Any]) -> bool:
    """Numbers count by their sign; constant tensors may change and count as signed."""
    values = [value for value in arguments.values() if isinstance(value, (Ref, int, float))]
    return all(value.info.nonnegative if isinstance(value, Ref) else value >= 0 for value in values)
