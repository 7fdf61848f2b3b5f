"""Gradient methods for xaicore: gradients, their integrals and averages, Grad-CAM, DeepLIFT.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_METHODS = {
    "methods": ("Deconvnet", "GuidedBackprop", "InputXGradient", "Saliency", "Sensitivity"),
    "integrated": ("Integrated",),
    "expected": ("Expected",),
    "taylor": ("Taylor",),
    "smooth": ("Smooth", "Variance"),
    "cam": ("GradCam", "GradCamPlusPlus", "GuidedGradCam"),
    "deeplift": ("DeepLift", "DeepShap"),
}
_MODULE_OF = {name: module for module, names in _METHODS.items() for name in names}
_MODULES = ("mappings", *_METHODS)

__all__ = [*_MODULE_OF, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"xai_gradients.{_MODULE_OF[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"xai_gradients.{name}")
    raise AttributeError(f"module 'xai_gradients' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
