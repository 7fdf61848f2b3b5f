"""Experts: densities learnt from data, as priors of a prototype. Importing this package imports no torch."""

from __future__ import annotations

import importlib
from typing import Any

_MODULE_OF = {"Expert": "base", "GaussianRBM": "gaussian_rbm", "GaussianMixture": "gaussian_mixture"}

__all__ = ["Expert", "GaussianMixture", "GaussianRBM"]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"xai_activation_max.experts.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'xai_activation_max.experts' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
