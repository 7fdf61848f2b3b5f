"""PatternNet and PatternAttribution for xaicore: explanations by what layers of a model respond to in data.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULE_OF = {
    "PatternAttribution": "methods",
    "PatternNet": "methods",
    "LayerPatterns": "patterns",
    "Patterns": "patterns",
    "learn_patterns": "learning",
}

__all__ = [*_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"xai_patternnet.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'xai_patternnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
