"""Deep Taylor decomposition for xaicore: domains, root points and methods.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "domains": ("Box", "Domain", "NonNegative", "Real"),
    "methods": ("BoundedInput", "DeepTaylor", "NonNegativeInput", "UnboundedInput"),
    "roots": ("RootPoint", "root_point"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BoundedInput",
    "Box",
    "DeepTaylor",
    "Domain",
    "NonNegative",
    "NonNegativeInput",
    "Real",
    "RootPoint",
    "UnboundedInput",
    "domains",
    "methods",
    "root_point",
    "roots",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"xai_deeptaylor.{_HOME_OF[name]}"), name)
    if name in _HOMES:
        return importlib.import_module(f"xai_deeptaylor.{name}")
    raise AttributeError(f"module 'xai_deeptaylor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
