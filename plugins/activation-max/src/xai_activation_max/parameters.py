"""Checks of parameters that priors, parametrizations and the search share."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from typing import Any

from xaicore.errors import ParameterError, nearest


def check_integer(name: str, value: Any, *, least: int, optional: bool = False) -> None:
    """Refuse what is no integer of at least ``least``.

    Raises
    ------
    ParameterError
    """
    if value is None and optional:
        return
    try:
        fits = not isinstance(value, bool) and operator.index(value) >= least
    except TypeError:
        fits = False
    if not fits:
        raise ParameterError(f"{name}={value!r} must be an integer of at least {least}")


def check_number(
    name: str, value: Any, *, least: float = 0.0, below: float = math.inf, open_: bool = False, optional: bool = False
) -> None:
    """Refuse what is no finite number from ``least`` (excluded where ``open_``) to less than ``below``.

    Raises
    ------
    ParameterError
    """
    if value is None and optional:
        return
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if fits and (value > least if open_ else value >= least) and value < below:
        return
    limits = f"{'more than' if open_ else 'at least'} {least:g}" + (
        f" and less than {below:g}" if below < math.inf else ""
    )
    raise ParameterError(f"{name}={value!r} must be a number of {limits}")


def check_word(name: str, value: Any, known: Collection[str], others: str = "") -> None:
    """Refuse a word that is not known, and name the nearest.

    Raises
    ------
    ParameterError
    """
    if not isinstance(value, str) or value not in known:
        listed = ", ".join(repr(word) for word in known)
        raise ParameterError(f"{name}={value!r} is not known: choose {listed}{others}.{nearest(str(value), known)}")
