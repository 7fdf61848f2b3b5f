"""Relevance by the size of contributions, and through soft thresholds.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME_OF = {
    "Absolute": "rules",
    "AbsoluteShares": "methods",
    "EpsilonAbsolute": "methods",
    "Shrinkage": "shrinkage",
    "soft_threshold": "shrinkage",
}

__all__ = ["Absolute", "AbsoluteShares", "EpsilonAbsolute", "Shrinkage", "soft_threshold"]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"xai_absolute.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'xai_absolute' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
