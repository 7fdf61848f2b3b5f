"""Which operands of a product only scale the others: gates, statistics, masks, attention weights."""

from __future__ import annotations

from collections.abc import Collection

from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref

# Bounded and never negative, whatever comes in.
_SQUASHING = "sigmoid hardsigmoid softmax _softmax _safe_softmax".split()
# Also activations in their own right; what they clip must have been shifted by a number, not a bias: relu6(x + 3) / 6.
_CLIPPING = "relu6 hardtanh clamp".split()
# Between -1 and 1: gates where they cannot be negative, as 1 + tanh(x) and tanh(softplus(x)).
_ODD = "tanh erf softsign".split()
_POWERS = "sqrt rsqrt reciprocal pow".split()
_CARRIES = (Kind.RESHAPE, Kind.SELECT, Kind.INTERPOLATE, Kind.CAST, Kind.SCALE, Kind.CONCAT, Kind.PAD)


def gates_of(layer: Layer, differentiable: Collection[Layer]) -> tuple[int, ...]:
    """Which inputs of a product (also a matrix product, or attention) only scale what the others bring.

    A denominator; a mask that no derivative passes; a sigmoid, a softmax and what is written like one, also scaled or
    shifted; a power of a statistic. Queries and keys decide where attention looks, values what it sees. Nothing is a
    gate where all operands would be.

    Parameters
    ----------
    layer : Layer
        Those before it have their gates already.
    differentiable : collection of Layer
        The layers that a derivative from what is explained can reach.
    """
    if layer.kind is Kind.ATTENTION:
        return tuple(number for number, name in enumerate(layer.input_names) if name != "value")
    factors = layer.factors
    if len(factors) < 2:
        return ()
    if layer.kind is Kind.PRODUCT and layer.op_name == "div":
        return factors[1:]
    masks = tuple(number for number in factors if layer.inputs[number].layer not in differentiable)
    others = [number for number in factors if number not in masks]
    gates = tuple(number for number in others if _is_gate(layer.inputs[number]))
    found = masks + gates if len(gates) < len(others) else masks
    return tuple(sorted(found)) if len(found) < len(factors) else ()


def _is_gate(ref: Ref) -> bool:
    """Whether the tensor is a gate, or made of gates by what keeps it one: reshapes, constant shifts, scaling."""
    layer = ref.layer
    if not layer.inputs:
        return False
    name, inner = layer.op_name, layer.inputs[0]
    if name in _SQUASHING:
        return True
    if name in _CLIPPING:
        bounded = name != "clamp" or layer.arguments.get("max") is not None
        shifted = _is_shift(inner.layer) and not inner.layer.parameters
        return bounded and layer.outputs[0].nonnegative and shifted
    if name in _ODD:
        return inner.info.nonnegative
    if name in _POWERS or (layer.kind is Kind.PRODUCT and len(layer.inputs) == 1):  # c / x
        return _is_statistic(inner)
    if _is_shift(layer):
        return inner.layer.op_name in _ODD or _is_gate(inner)
    if layer.kind is Kind.PRODUCT:
        signals = [layer.inputs[number] for number in layer.factors if number not in layer.gates]
        return _divides_by_own_sum(layer) or all(_is_gate(signal) for signal in signals)
    values = [value for value in layer.inputs if value.info.differentiable]
    return layer.kind in _CARRIES and bool(values) and all(_is_gate(value) for value in values)


def _is_shift(layer: Layer) -> bool:
    return layer.kind is Kind.ADD and len(layer.inputs) == 1


def _is_statistic(ref: Ref) -> bool:
    """Whether the tensor is a mean, sum, variance or norm, or made of one number by number: ``var + eps``."""
    layer = ref.layer
    while layer.kind is not Kind.REDUCTION:
        elementwise = layer.op_name in _POWERS or layer.kind in (*_CARRIES, Kind.ACTIVATION) or _is_shift(layer)
        if not elementwise or len(layer.inputs) != 1:
            return False
        layer = layer.inputs[0].layer
    return True


def _divides_by_own_sum(layer: Layer) -> bool:
    """A softmax by hand: numbers that are never negative, over their sum."""
    if layer.op_name != "div" or len(layer.inputs) != 2 or not layer.inputs[0].info.nonnegative:
        return False
    below = layer.inputs[1].layer
    while len(below.inputs) == 1 and (below.kind in _CARRIES or _is_shift(below)):
        below = below.inputs[0].layer
    return below.op_name == "sum" and below.inputs[0] == layer.inputs[0]
