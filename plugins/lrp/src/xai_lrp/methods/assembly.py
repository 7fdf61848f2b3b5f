"""Composites of one rule for convolutions and one for linear layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xai_lrp.structure import batch_norm
from xaicore.graph import Condition, Kind, kind
from xaicore.propagation import Composite

Rule = Callable[..., Any]


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
