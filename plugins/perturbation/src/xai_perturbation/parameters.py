"""Checks of parameters that several methods share."""

from __future__ import annotations

import operator
from typing import Any

from xaicore.errors import ParameterError, nearest

_SPREADS = ("each", "share")


def check_integer(name: str, value: Any, *, least: int) -> None:
    """Refuse what is no integer of at least ``least``.

    Raises
    ------
    ParameterError
    """
    try:
        fits = not isinstance(value, bool) and operator.index(value) >= least
    except TypeError:
        fits = False
    if not fits:
        raise ParameterError(f"{name}={value!r} must be an integer of at least {least}")


def check_spread(spread: Any) -> None:
    """Refuse what does not say how the value of a feature comes to its entries.

    Raises
    ------
    ParameterError
    """
    if spread not in _SPREADS:
        raise ParameterError(
            f"spread={spread!r} is not known: choose 'each' (every entry gets the value of its feature) or 'share' "
            f"(equal shares of it).{nearest(str(spread), _SPREADS)}"
        )
