"""Gradient methods for xaicore: saliency, sensitivity, input times gradient, Guided Backprop, Deconvnet.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_METHODS = ("Deconvnet", "GuidedBackprop", "InputXGradient", "Saliency", "Sensitivity")
_MODULES = ("mappings", "methods")

__all__ = [*_METHODS, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _METHODS:
        return getattr(importlib.import_module("xai_gradients.methods"), name)
    if name in _MODULES:
        return importlib.import_module(f"xai_gradients.{name}")
    raise AttributeError(f"module 'xai_gradients' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
