"""Activation maximization for xaicore: prototypes of a class, unit, channel or layer, under a prior.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_activation_max.codes import CodeSpace
    from xai_activation_max.experts import Expert, GaussianMixture, GaussianRBM
    from xai_activation_max.parametrizations import Fourier, Parametrization, Pixels
    from xai_activation_max.priors import L2, Density, Locality, Lp, Prior, ToMean, TotalVariation
    from xai_activation_max.prototype import Prototype, load_prototype
    from xai_activation_max.search import PrototypeSearch

_HOMES = {
    "codes": ("CodeSpace",),
    "experts": ("Expert", "GaussianMixture", "GaussianRBM"),
    "parametrizations": ("Fourier", "Parametrization", "Pixels"),
    "priors": ("Density", "L2", "Locality", "Lp", "Prior", "ToMean", "TotalVariation"),
    "prototype": ("Prototype", "load_prototype"),
    "search": ("PrototypeSearch",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "L2",
    "CodeSpace",
    "Density",
    "Expert",
    "Fourier",
    "GaussianMixture",
    "GaussianRBM",
    "Locality",
    "Lp",
    "Parametrization",
    "Pixels",
    "Prior",
    "Prototype",
    "PrototypeSearch",
    "ToMean",
    "TotalVariation",
    "load_prototype",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"xai_activation_max.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'xai_activation_max' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
