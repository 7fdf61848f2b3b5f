"""What an explanation says of the values that it explains, against what the model itself computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xaicore.explanation import Explanation
from xaicore.testing.checks import require
from xaicore.testing.examples import Example
from xaicore.testing.methods.comparing import found_in

TRUE = 1e-9


def scores(example: Example, inputs: Any) -> Tensor:
    """What the kit's model computes for these inputs, (B, classes), without xaicore."""
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    with torch.no_grad():
        found = example.model()(*given)
    output: Tensor = next(iter(found.values())) if isinstance(found, Mapping) else found
    return output


def explained_values(example: Example, explanation: Explanation) -> Tensor:
    """The predicted score of each sample, (B,), of an explanation without a target."""
    return scores(example, example.inputs(len(explanation.diagnostics.explained))).max(1).values


def goal_and_sum(explanation: Explanation) -> tuple[Tensor, Tensor]:
    """What relevance is to sum to, by the diagnostics, and what it sums to, (B,) each."""
    told = explanation.diagnostics
    found = [tensor.detach().flatten(1).sum(1, dtype=torch.float64) for tensor in found_in(explanation).values()]
    goal = told.explained if told.reference is None else told.explained - told.reference
    return goal.double(), sum(found[1:], found[0])


def require_true_gap(example: Example, explanation: Explanation) -> Tensor | None:
    """Fail unless sum and gap of the diagnostics are those of the relevance itself; returns the gap, (B,)."""
    told = explanation.diagnostics
    goal, found = goal_and_sum(explanation)
    size = sum(float(tensor.abs().sum()) for tensor in found_in(explanation).values())
    require(
        bool(((told.relevance_sum.double() - found).abs() <= TRUE * max(size, 1.0)).all()),
        f"{example.name}: diagnostics.relevance_sum is not the sum of the relevance",
    )
    if told.conservation_gap is None:
        return None
    gap = (goal - found).abs() / goal.abs().clamp_min(torch.finfo(torch.float32).tiny)
    off = (told.conservation_gap.double() - gap).abs()
    require(
        bool((off <= TRUE * (1 + size / goal.abs().clamp_min(1e-30))).all()),
        f"{example.name}: diagnostics.conservation_gap says {told.conservation_gap.max():.3g}, and it is "
        f"{gap.max():.3g}; Diagnostics.measure takes it from the relevance itself",
    )
    return gap
