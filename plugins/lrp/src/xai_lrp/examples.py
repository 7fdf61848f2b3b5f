"""Parameters with which the conformance kit tries the methods that need some."""

from __future__ import annotations

from typing import Any

from xai_lrp.rules import Epsilon
from xaicore import Composite, Kind, kind


def bounds() -> dict[str, Any]:
    """For methods that must know the range of the inputs; those of the kit lie between 0 and 1."""
    return {"low": 0.0, "high": 1.0}


def composite() -> dict[str, Any]:
    """For rules of one's own choice: epsilon where there are weights."""
    return {"composite": Composite([(kind(Kind.CONVOLUTION, Kind.LINEAR), Epsilon())])}
