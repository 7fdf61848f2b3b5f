"""Parameters that are numbers."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from xaicore.errors import ParameterError


def check_number(name: str, value: Any, why: str = "") -> None:
    """Refuse what is no finite number from zero on; ``why`` ends the message."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise ParameterError(f"{name}={value!r} must be a number, not {type(value).__name__}.")
    if not 0 <= float(value) < math.inf:
        raise ParameterError(f"{name}={value!r} must be zero or positive, and finite{why}.")
