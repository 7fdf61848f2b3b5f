"""Parameters with which the conformance kit tries the methods that need some."""

from __future__ import annotations

from typing import Any


def bounds() -> dict[str, Any]:
    """The inputs of the kit lie between 0 and 1."""
    return {"low": 0.0, "high": 1.0}
