"""Completeness: where a method claims that relevance sums to the explained value, or to a difference of two."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xaicore.explanation import Explanation
from xaicore.testing.checks import Skip, require, science
from xaicore.testing.examples import Example
from xaicore.testing.methods.subject import MethodSubject
from xaicore.testing.methods.values import explained_values, require_true_gap, scores

COMPLETE = 0.05
"""What may be missing where the method names no tolerance, but a number of steps or samples: it takes few here."""
ROUNDED = 1e-6
"""What may be missing where it names neither, so that there is nothing to be inexact by."""

_NAMES = ("baseline", "fill", "reference")
_NO_COUNT = (*_NAMES, "seed")


@science
def completeness(subject: MethodSubject) -> str:
    """What the diagnostics say of sum, baseline and gap is true, and the gap as small as the method promises."""
    if subject.family == "relevance":
        raise Skip("relevance methods account for what they absorb: see conservation")
    claims, gaps, believed = 0, list[float](), False
    for example in subject.examples:
        explanation = subject.explain(example)
        if not isinstance(explanation, Explanation):
            raise Skip("it returns no explanation of inputs")
        told = explanation.diagnostics
        gap = require_true_gap(example, explanation)
        if gap is None and told.reference is None:
            continue
        claims += 1
        explained = explained_values(example, explanation)
        require(
            _near(told.explained, explained),
            f"{example.name}: diagnostics.explained is {_told(told.explained)}, and the model says {_told(explained)}",
        )
        baseline = _constant_baseline(subject)
        comparable = baseline is not None and not example.tokens
        believed |= gap is not None and told.reference is not None and not comparable
        if gap is not None and told.reference is not None and baseline is not None and comparable:
            own = _at(example, baseline, explanation.prediction.argmax(1))
            require(
                _near(told.reference, own),
                f"{example.name}: diagnostics.reference is {_told(told.reference)}, and at a baseline of {baseline:g} "
                f"the model says {_told(own)}",
            )
        if gap is not None:
            allowed = _tolerance(subject, example)
            gaps.append(float(gap.max()))
            require(
                float(gap.max()) <= allowed,
                f"{example.name}: it claims completeness, and {float(gap.max()):.3g} of the difference is missing, "
                f"more than {allowed:g}. A method that comes close only says how close by a parameter `tolerance`; one "
                "that does not promise it leaves the gap out (conserving=False)",
            )
    if not claims:
        raise Skip("it claims no completeness (no conservation_gap and no reference in its diagnostics)")
    note = "; references of tokens, and of baselines that are no number, were not compared" if believed else ""
    return f"{max(gaps):.1g} missing at most{note}" if gaps else "no gap is claimed; what is explained is true"


def _constant_baseline(subject: MethodSubject) -> float | None:
    """The number that stands for nothing everywhere, where the method has such a parameter."""
    given = subject.analyzer(subject.example).get_params()
    for name in _NAMES:
        value = given.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _tolerance(subject: MethodSubject, example: Example) -> float:
    given: dict[str, Any] = subject.analyzer(example).get_params(deep=False)
    value = given.pop("tolerance", None)
    if isinstance(value, int | float):
        return float(value)
    counts = (
        isinstance(value, int) and not isinstance(value, bool) for name, value in given.items() if name not in _NO_COUNT
    )
    return COMPLETE if any(counts) else ROUNDED


def _at(example: Example, baseline: float, classes: Tensor) -> Tensor:
    """The scores of these classes where all inputs are at the baseline."""
    inputs = example.inputs(len(classes))
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    found = scores(example, tuple(torch.full_like(each, baseline) for each in inputs))
    return found.gather(1, classes[:, None])[:, 0]


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one.double(), other.double(), rtol=1e-6, atol=1e-9)


def _told(values: Tensor) -> str:
    return ", ".join(f"{float(value):.6g}" for value in values)
