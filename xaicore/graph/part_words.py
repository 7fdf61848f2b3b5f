"""The words for parts of a layer: channels, region, heads, neurons."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xaicore.errors import InputError, ParameterError
from xaicore.graph.parts import Bounds, Channels, Heads, Neurons, Part, Region


class _RegionWord:
    """What `region` is: ``region[10:20, 5:9]``, or the same as a call, ``region(slice(10, 20), slice(5, 9))``.

    The slices count along the dimensions behind the channels; the dimensions that are not named are taken whole.
    ``region(slice(1, 5), dim=1)`` begins at another dimension: these are the tokens 1 to 4 of (B, tokens, features).
    """

    def __getitem__(self, slices: slice | int | tuple[slice | int, ...]) -> Part:
        return self(*slices) if isinstance(slices, tuple) else self(slices)

    def __call__(self, *slices: slice | int, dim: int = 2) -> Part:
        if not slices or operator.index(dim) < 1:
            raise ParameterError("a region takes at least one slice, and dim= counts from 1: the batch is not chosen")
        return Region(tuple(_bounds(each) for each in slices), operator.index(dim))

    def __repr__(self) -> str:
        return "region"


region = _RegionWord()


def channels(*numbers: int, dim: int = 1) -> Part:
    """Channels by number, in dimension 1 or another: ``channels(3, 5)``; negative numbers count from the end."""
    return Channels(_integers("channels", numbers), operator.index(dim))


def heads(*numbers: int, count: int | None = None, dim: int | None = None) -> Part:
    """Attention heads by number.

    Parameters
    ----------
    *numbers : int
        Negative numbers count from the end.
    count : int, optional
        How many heads share the features of (B, tokens, heads * width), one behind the other. Without it the layer has
        a dimension of heads, (B, heads, tokens, width).
    dim : int, optional
        The dimension; by default the last with ``count``, and 1 without.
    """
    if count is not None and operator.index(count) < 1:
        raise ParameterError(f"heads(count={count}): there is at least one head")
    where = (1 if count is None else -1) if dim is None else operator.index(dim)
    return Heads(_integers("heads", numbers), count, where)


def neurons(*indices: int | tuple[int, ...]) -> Part:
    """Single neurons, each by its index behind the batch: ``neurons((channel, row, column), ...)``."""
    if not indices:
        raise ParameterError("neurons() names none: give at least one index, as in neurons((3, 0, 1))")
    tuples = [index if isinstance(index, tuple) else (index,) for index in indices]
    return Neurons(tuple(_integers("neurons", index) for index in tuples))


def named_parts(parts: Mapping[str, Any] | Sequence[Any]) -> dict[str, Part]:
    """Parts by name, where only parts are given by how they are written; an int or a sequence of ints is channels."""
    if isinstance(parts, Mapping):
        return {str(name): _part_of(part) for name, part in parts.items()}
    if isinstance(parts, (str, Part)) or not isinstance(parts, Iterable):
        raise InputError(f"parts= is {parts!r}; give a list of parts, or a dict of them by name")
    made = [_part_of(part) for part in parts]
    return {repr(part): part for part in made}


def _part_of(chosen: Any) -> Part:
    if isinstance(chosen, Part):
        return chosen
    if isinstance(chosen, Sequence) and not isinstance(chosen, str):
        return channels(*chosen)
    if hasattr(chosen, "__index__"):
        return channels(chosen)
    raise InputError(
        f"{chosen!r} is no part of a layer: give channels(3, 5), region[2:4, :], heads(0) or neurons((0, 1))"
    )


def _integers(word: str, numbers: Iterable[Any]) -> tuple[int, ...]:
    numbers = tuple(numbers)
    if not numbers:
        raise ParameterError(f"{word}() names none: give at least one number")
    try:
        return tuple(operator.index(number) for number in numbers)
    except TypeError:
        raise ParameterError(f"{word}{numbers}: give integers") from None


def _bounds(each: slice | int) -> Bounds:
    try:
        if not isinstance(each, slice):
            start = operator.index(each)
            return start, start + 1 or None, None
        given = (each.start, each.stop, each.step)
        first, stop, step = (None if bound is None else operator.index(bound) for bound in given)
    except TypeError:
        raise ParameterError(f"region: {each!r} is neither a slice of integers nor an integer") from None
    if step is not None and step < 1:
        raise ParameterError(f"region: the step of a slice is at least 1, not {step}")
    return first, stop, step
