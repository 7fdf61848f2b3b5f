"""How metrics check their parameters."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from xaicore.errors import ParameterError, nearest


def check_choice(name: str, value: Any, known: Collection[str]) -> None:
    """Refuse a word that is not known."""
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"{name}={value!r}: choose one of {', '.join(known)}.{nearest(str(value), list(known))}")


def check_count(name: str, value: Any, *, least: int = 1) -> None:
    """Refuse what is no number of things."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ParameterError(f"{name}={value!r} must be an integer of at least {least}")


def check_seed(value: Any) -> None:
    """Refuse what is no seed."""
    check_count("seed", value, least=0)


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise ParameterError(f"{name}={value!r} must be True or False")


def check_size(name: str, value: Any, what: str) -> None:
    """Refuse what is no positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ParameterError(f"{name}={value!r} must be a positive number: {what}")


def check_share(name: str, value: Any, what: str) -> None:
    """Refuse what is no number above 0 and at most 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ParameterError(f"{name}={value!r} must be above 0 and at most 1: {what}")


def check_number(name: str, value: Any, what: str) -> None:
    """Refuse what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ParameterError(f"{name}={value!r} must be a number: {what}")
