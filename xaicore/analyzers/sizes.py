"""Parameters that are positions or sizes: one integer for all dimensions, or one each."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from xaicore.errors import InputError, ParameterError


def integer(name: str, value: Any, least: int) -> int:
    """Return an integer that is at least ``least``, or refuse it."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise ParameterError(f"{name}={value!r}: expected an integer of at least {least}")
    return number


def a_number_each(name: str, value: int | Sequence[int], dimensions: int | None = None, least: int = 0) -> list[int]:
    """Return one integer for each of the ``dimensions`` behind the channels, or refuse what does not fit them."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return [integer(name, value, least)] * (dimensions or 1)
    numbers = [integer(name, number, least) for number in value]
    if not numbers or dimensions not in (None, len(numbers)):
        raise InputError(
            f"{name}={tuple(value)} has {len(numbers)} entries: give one for each dimension behind the channels"
        )
    return numbers
