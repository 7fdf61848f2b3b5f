"""Parameters with which the conformance kit tries the search: a short one, from noise."""

from __future__ import annotations

from typing import Any


def short_search() -> dict[str, Any]:
    """A few steps; from noise, since the kit's data holds no sample of some classes to begin at."""
    return {"steps": 3, "start": "noise"}
