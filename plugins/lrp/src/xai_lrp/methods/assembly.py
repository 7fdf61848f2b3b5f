"""What the methods build their composites from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from xai_lrp import rules
from xai_lrp.structure import batch_norm
from xaicore.errors import ParameterError
from xaicore.graph import Condition, Kind, kind
from xaicore.propagation import Composite

Rule = Callable[..., Any]
Bound = float | Tensor | None


def uniform(name: str, rule: Rule, norm: Rule = batch_norm) -> Composite:
    # A batch norm of its own is one-to-one: a rule that keeps contributions of one sign would stop half of its units.
    return by_kind(name, rule, rule, norm=norm)


def by_kind(
    name: str, convolution: Rule, linear: Rule, *before: tuple[Condition, Rule], norm: Rule = batch_norm
) -> Composite:
    entries = [
        *before,
        (kind(Kind.CONVOLUTION), convolution),
        (kind(Kind.LINEAR), linear),
        (kind(Kind.BATCH_NORM), norm),
    ]
    return Composite(entries, family="relevance", name=name)


def z_box(low: Bound, high: Bound) -> rules.ZBox:
    """The z-box rule, once both bounds are given; there is no range that fits all models."""
    if low is None or high is None:
        raise ParameterError(
            f"{'low' if low is None else 'high'} is missing: z-box must be told the range of the inputs as the model "
            "gets them, for example low=0, high=1, or tensors of shape (C, 1, 1) with one bound a channel."
        )
    return rules.ZBox(low, high)
