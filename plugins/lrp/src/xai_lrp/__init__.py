"""Layer-wise relevance propagation for xaicore: rules, structure mappings and methods.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_RULES = (
    "AlphaBeta", "Epsilon", "ExcitationBackprop", "Flat", "Gamma", "GeneralizedGamma", "LinearRule", "Norm", "Pass",
    "ProportionalRule",
    "WSquare", "ZBox", "ZPlus", "Zero",
)  # fmt: skip
_MODULES = ("advice", "methods", "rules", "structure")

__all__ = [*_RULES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _RULES:
        return getattr(importlib.import_module("xai_lrp.rules"), name)
    if name in _MODULES:
        return importlib.import_module(f"xai_lrp.{name}")
    raise AttributeError(f"module 'xai_lrp' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
