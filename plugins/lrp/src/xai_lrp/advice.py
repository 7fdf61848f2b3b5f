"""What makes a model easier to explain by relevance propagation (Montavon et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from xai_lrp.structure import route
from xaicore.analyzers import Advice
from xaicore.graph import Kind, Layer
from xaicore.propagation import Match, Matching

__all__ = ["activations", "dense_layers", "max_pooling", "positive_biases", "relevance_advice"]

_ENOUGH_DENSE_LAYERS = 2
# f(0) is not zero: these make something of nothing.
_NOT_ZERO_AT_ZERO = ("sigmoid", "hardsigmoid", "softplus", "log_sigmoid")


def relevance_advice(matching: Matching) -> list[Advice]:
    """What the tutorial says of a network whose relevance is to be propagated."""
    matches = list(matching.matches.values())
    absorbing = [match for match in matches if getattr(match.mapping, "bias", None) == "absorb"]
    biases = positive_biases(
        matching, absorbing, "a positive bias is a contribution like any other and keeps its share of the relevance"
    )
    return [*biases, *max_pooling(matches), *activations(matches), *dense_layers(matches)]


def positive_biases(matching: Matching, matches: Sequence[Match], reason: str) -> Iterator[Advice]:
    """Layers with weights some of whose biases are positive, with how many."""
    found: dict[Layer, str] = {}
    matching.graph.constants.refresh()
    for layer in (match.layer for match in matches if match.layer.kind in (Kind.CONVOLUTION, Kind.LINEAR)):
        ref = layer.parameters.get("bias")
        if ref is None:
            continue
        bias = matching.graph.constants.value(ref, {})
        if positive := int((bias > 0).sum()):
            found[layer] = f"{positive} of {bias.numel()} units"
    if found:
        yield Advice.on(
            found,
            details=found,
            about="positive biases",
            reason=reason,
            fix="train with biases that are never positive (clamp them after each step), or with bias=False",
        )


def max_pooling(matches: Sequence[Match]) -> Iterator[Advice]:
    """Max pooling whose relevance goes to the winner."""
    found = [match.layer for match in matches if match.layer.kind is Kind.MAX_POOL and match.mapping is route]
    if found:
        yield Advice.on(
            found,
            about="max pooling",
            reason="all relevance goes to the largest value of each window, which changes abruptly from one to another",
            fix="build the model with average or sum pooling, or share in proportion: structure={'max_pool': "
            "'proportional'}",
        )


def activations(matches: Sequence[Match]) -> Iterator[Advice]:
    """Activations that are not zero at zero."""
    found = [match.layer for match in matches if match.layer.op_name in _NOT_ZERO_AT_ZERO]
    if found:
        names = ", ".join(sorted({layer.op_name for layer in found}))
        yield Advice.on(
            found,
            about="activations",
            reason=f"{names} is not zero at zero: relevance passes, but is not all made by the inputs of these layers",
            fix="use ReLU",
        )


def dense_layers(matches: Sequence[Match]) -> Iterator[Advice]:
    """More dense layers than a classifier needs; those on the tokens of a text or picture do not count."""
    dense = [match.layer for match in matches if match.layer.kind is Kind.LINEAR and _is_flat(match.layer)]
    if len(dense) > _ENOUGH_DENSE_LAYERS:
        yield Advice.on(
            dense,
            about="dense layers",
            reason=f"each of {len(dense)} dense layers mixes all that the one before has told apart",
            fix="take as few dense layers as the task needs, and train them with dropout",
        )


def _is_flat(layer: Layer) -> bool:
    return all(len(ref.info.shape) == 2 for ref in layer.inputs)
