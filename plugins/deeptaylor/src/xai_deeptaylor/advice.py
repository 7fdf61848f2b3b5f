"""What deep Taylor decomposition asks of a model."""

from __future__ import annotations

from collections.abc import Iterator

from xai_lrp.advice import dense_layers, max_pooling, positive_biases
from xaicore.analyzers import Advice
from xaicore.graph import Kind, first_on_path
from xaicore.propagation import Match, Matching

_RECTIFIERS = ("relu", "relu6", "clamp_min")


def deep_taylor_advice(matching: Matching) -> list[Advice]:
    """Where the model is not what deep Taylor decomposition is derived for, and how to make it so."""
    matches = list(matching.matches.values())
    biases = positive_biases(
        matching,
        matches,
        "a neuron with a positive bias may fire at every point of the domain, and then has no root point there; its "
        "relevance is shared by the rule all the same, as if the bias were zero",
    )
    return [*_activations(matches), *_signs(matching, matches), *biases, *max_pooling(matches), *dense_layers(matches)]


def _activations(matches: list[Match]) -> Iterator[Advice]:
    found = [m.layer for m in matches if m.layer.kind is Kind.ACTIVATION and m.layer.op_name not in _RECTIFIERS]
    if found:
        names = ", ".join(sorted({layer.op_name for layer in found}))
        yield Advice.on(
            found,
            about="activations",
            reason=f"root points are derived for ReLU; relevance passes {names} unchanged, which none justifies",
            fix="use ReLU",
        )


def _signs(matching: Matching, matches: list[Match]) -> Iterator[Advice]:
    found = [
        m.layer
        for m in matches
        if m.layer.kind in (Kind.CONVOLUTION, Kind.LINEAR)
        and not first_on_path(m.layer, matching.graph)
        and not all(ref.info.nonnegative for ref in m.layer.inputs)
    ]
    if found:
        yield Advice.on(
            found,
            about="signs",
            reason="hidden layers get z-plus, derived for inputs that are never negative; those of these layers may be",
            fix="put a ReLU in front of these layers",
        )
