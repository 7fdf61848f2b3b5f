"""Targets: which quantity of the model's output is explained, as a user writes it.

`resolve_target` turns what is given as `target=` into a Target, which knows its value and its gradient.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

from xaicore.analyzers.quantities import (
    Difference,
    Element,
    ElementPerSample,
    Function,
    Index,
    Picked,
    Predicted,
    Target,
)
from xaicore.errors import TargetError

__all__ = ["Contrast", "Target", "resolve_target"]

_CONTRAST = re.compile(r"\s*(-?\d+)\s+vs\s+(-?\d+)\s*")
"""A contrast as the command line writes it."""


@dataclass(frozen=True)
class Contrast:
    """Explain why `a` rather than `b`: the difference of two elements of the output.

    Each side is what a target may be: a class, one class a sample, a tuple of integers for an output of several
    dimensions, or None for the predicted class.

    >>> Contrast(3, 8)
    Contrast(a=3, b=8)
    """

    a: Any
    b: Any

    def __post_init__(self) -> None:
        for side in (self.a, self.b):
            if not isinstance(resolve_target(side), Picked):
                raise TargetError(f"A contrast is between two classes or indices; {_shown(side)} is neither.")


def resolve_target(target: Any = None, output: str | int | None = None) -> Target:
    """Turn what a user writes as `target=` into a Target.

    Parameters
    ----------
    target
        None: the predicted class of each sample (of an output with one value a sample: that value).
        An integer: a class. A list, array or tensor of integers: one class a sample.
        A tuple of integers: an element of an output with several dimensions after the batch;
        a list of such tuples: one element a sample. Negative integers count from the end.
        `Contrast(a, b)`: the difference of two of these.
        A callable: receives the chosen output, shape (B, ...), and returns one value a sample, shape (B,).
    output
        Which output of the model, by name ("0", "1", ... where it returns a tuple).

    Raises
    ------
    TargetError
        Where `target` is none of these. Whether it exists in the output is checked when the output is known.
    """
    if output is not None and not isinstance(output, str):
        output = str(_integer(output, "The name of an output"))
    if isinstance(target, Target):
        return target if output is None or target.output is not None else target.of(output)
    if isinstance(target, Contrast):
        return Difference(resolve_target(target.a, output), resolve_target(target.b, output), output)
    if target is None:
        return Predicted(output)
    plain = target.tolist() if hasattr(target, "tolist") else target
    if isinstance(plain, tuple):
        return Element(_index(plain), output)
    if isinstance(plain, Sequence) and not isinstance(plain, str | bytes):
        return ElementPerSample(_indices(plain), output)
    if callable(plain):
        return Function(plain, output)
    return Element((_integer(plain, "A target"),), output)


def _indices(targets: Sequence[Any]) -> list[Index]:
    if not targets:
        raise TargetError("The list of targets is empty: give one target a sample, or None for the predicted class.")
    plain = [each.tolist() if hasattr(each, "tolist") else each for each in targets]
    return [_index(each) if isinstance(each, tuple | list) else (_integer(each, "A target"),) for each in plain]


def _index(values: Iterable[Any]) -> Index:
    index = tuple(_integer(value, "An index into the output") for value in values)
    if not index:
        raise TargetError("An empty tuple is not an index into the output; use target=None for the predicted class.")
    return index


def _integer(value: Any, what: str) -> int:
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, SupportsIndex) and not isinstance(plain, bool):
        return operator.index(plain)
    contrast = _CONTRAST.fullmatch(plain) if isinstance(plain, str) else None
    advice = " The model knows its classes by number, not by name." if isinstance(plain, str) else ""
    if contrast:
        advice = f" For the difference of two classes give xaicore.Contrast({contrast[1]}, {contrast[2]})."
    raise TargetError(
        f"{what} must be an integer, not {_shown(value)}.{advice} A target is None (the predicted class), an integer, "
        "a list of one integer a sample, a tuple of integers, a Contrast, or a function of the output."
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]}..."
