"""One sample's relevance as a line of numbers with a name each, and which of them are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaicore.errors import InputError, ParameterError
from xaicore.visualization.scales import Array, as_array


def line_of(values: Any, what: str) -> Array:
    """Return `values` as (T,), float64."""
    array = as_array(values, what)
    if array.ndim != 1 or not array.size:
        raise InputError(f"One sample's {what} is a line of numbers, (T,); got shape {array.shape}.")
    return array


def channels_of(values: Any, what: str) -> Array:
    """Return `values`, (T,) or (C, T), as (C, T), float64."""
    array = as_array(values, what)
    array = array[None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise InputError(
            f"One sample's {what} along time is (T,) or (C, T); got shape {array.shape}. "
            "Choose a sample of a batch: relevance[0]."
        )
    return array


def names_of(names: Sequence[str] | None, count: int, what: str, values: Any = None) -> list[str]:
    """Return the names, or numbers without them; with `values`, "age = 41"."""
    found = [str(place) for place in range(count)] if names is None else [str(name) for name in names]
    if len(found) != count:
        raise InputError(f"{len(found)} names for {count} {what}s: give one name a {what}.")
    if values is None:
        return found
    numbers = line_of(values, "values")
    if len(numbers) != count:
        raise InputError(f"{len(numbers)} values for {count} {what}s: give one value a {what}.")
    written = [f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in numbers]
    return [f"{name} = {value}" for name, value in zip(found, written, strict=True)]


@dataclass(frozen=True)
class Ranked:
    """Features from the largest magnitude down; beyond `top`, what the others add up to is one more."""

    lengths: Array
    labels: list[str]
    rest: int  # how many the last one stands for; 0: all are shown


def ranked(values: Array, names: Sequence[str], top: int) -> Ranked:
    """Rank a line of relevance; what is no number comes first. One more than `top` is shown rather than summed."""
    order, rest = split_at(np.abs(values), top)
    with np.errstate(invalid="ignore"):  # infinities of both signs have no sum: NaN
        lengths = [*values[order], *([values[rest].sum()] if len(rest) else [])]
    labels = [names[place] for place in order] + ([f"sum of {len(rest)} others"] if len(rest) else [])
    return Ranked(np.asarray(lengths), labels, len(rest))


def split_at(sizes: Array, top: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return which are the largest, in order, and which are the others."""
    if top < 1:
        raise ParameterError(f"top={top}: draw at least one bar.")
    order = np.argsort(-np.where(np.isfinite(sizes), sizes, np.inf), kind="stable")
    return (order, order[:0]) if len(order) <= top + 1 else (order[:top], order[top:])
