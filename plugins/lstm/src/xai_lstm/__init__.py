"""Relevance through recurrent layers for xaicore: LSTM, GRU and plain recurrent networks.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "methods": ("LrpAll", "LrpHalf", "LrpProp"),
    "rule": ("RecurrentRule", "recurrent"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["LrpAll", "LrpHalf", "LrpProp", "RecurrentRule", "methods", "recurrent"]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(f"xai_lstm.{_HOME_OF[name]}"), name)
    if name == "methods":
        return importlib.import_module("xai_lstm.methods")
    raise AttributeError(f"module 'xai_lstm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
