"""Conservation: no relevance is created or lost without a word, layer by layer and over the whole model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xaicore.testing.checks import Skip, require, science
from xaicore.testing.examples import Example
from xaicore.testing.methods.subject import MethodSubject
from xaicore.testing.methods.values import explained_values, goal_and_sum, require_true_gap

BALANCED = 1e-7
"""What may be unaccounted for in float64, as a part of the largest amount in the ledger."""

_GONE = ("bias", "stabilizer", "elsewhere")


@science
def conservation(subject: MethodSubject) -> str:
    """The explained value is the sum of the relevance and of what the ledger says was absorbed; each layer balances."""
    subject.needs_family("relevance")
    if "ledger" not in inspect.signature(subject.cls.analyze).parameters:
        raise Skip("its analyze keeps no ledger")
    worst = max((_checked(subject, example) for example in subject.examples), default=None)
    if worst is None:
        raise Skip("it takes none of the models of the kit, and another check says why")
    return f"{worst:.1g} unaccounted for at most"


def _checked(subject: MethodSubject, example: Example) -> float:
    explanation = subject.explain(example, ledger=True)
    rows = explanation.diagnostics.ledger
    require(bool(rows), f"{example.name}: asked for the ledger, it returned none")
    assert rows is not None
    scale = max(abs(float(row[name])) for row in rows for name in ("relevance_in", "relevance_out", *_GONE))
    for row in rows:
        off = abs(_left_over(row))
        require(
            off <= BALANCED * scale,
            f"{example.name}: at layer {row['layer']} ({row['kind']}) {row['relevance_in']:.6g} comes in, and "
            f"{row['relevance_out']:.6g} goes out, with {_amounts(row)} absorbed: {off:.2g} is not accounted for. "
            "What a mapping does not hand on it says with state.absorb",
        )
    explained = explained_values(example, explanation)
    goal, found = goal_and_sum(explanation)
    require(
        bool(torch.isfinite(found).all()) and _close(goal, explained, scale),
        f"{example.name}: the diagnostics say that {_listed(goal)} is explained, and the model "
        f"says {_listed(explained)}",
    )
    absorbed = sum(float(row[name]) for row in rows for name in _GONE)
    missing = abs(float(explained.sum()) - float(found.sum()) - absorbed)
    require(
        missing <= BALANCED * scale,
        f"{example.name}: the explained values sum to {float(explained.sum()):.6g}, and relevance to "
        f"{float(found.sum()):.6g} with {absorbed:.6g} absorbed: {missing:.2g} is missing. Relevance starts from the "
        "explained value, and what was not absorbed arrives at the inputs",
    )
    require_true_gap(example, explanation)
    return max(missing, *(abs(_left_over(row)) for row in rows)) / scale


def _left_over(row: Mapping[str, Any]) -> float:
    """Taken anew from the amounts, whatever the row itself says."""
    gone = float(row["relevance_out"]) + sum(float(row[name]) for name in _GONE)
    return float(row["relevance_in"]) - gone


def _amounts(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {float(row[name]):.6g}" for name in _GONE)


def _close(one: Tensor, other: Tensor, scale: float) -> bool:
    return bool(((one - other).abs() <= BALANCED * scale).all())


def _listed(values: Tensor) -> str:
    return ", ".join(f"{float(value):.6g}" for value in values)
