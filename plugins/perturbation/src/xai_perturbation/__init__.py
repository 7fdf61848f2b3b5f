"""Perturbation methods for xaicore: what becomes of the output when parts of the input are changed.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_METHODS = {
    "occlusion": ("Occlusion",),
    "lime": ("Lime",),
    "kernel_shap": ("KernelShap",),
    "shapley_sampling": ("ShapleySampling",),
    "permutation": ("Permutation",),
    "prediction_difference": ("PredictionDifference",),
    "rise": ("Rise",),
    "learned_mask": ("LearnedMask",),
}
_MODULE_OF = {name: module for module, names in _METHODS.items() for name in names}
_MODULES = ("features", "segmentation", *_METHODS)

__all__ = [*_MODULE_OF, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"xai_perturbation.{_MODULE_OF[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"xai_perturbation.{name}")
    raise AttributeError(f"module 'xai_perturbation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
