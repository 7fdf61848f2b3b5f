"""The conformance kit: whether what a plugin brings is what it says, and right.

    from xaicore.testing import check_plugin

    card = check_plugin("mine")          # raises ConformanceError, which shows the card, where something is wrong

Each thing that a plugin brings (a method, a rule, a mapping, a metric, a renderer, the plugin itself) is tried by
checks of two tiers: *interface*, whether it behaves as users of any such thing expect, and *science*, whether its
numbers are what the literature promises of it. The kit brings all models and data that it uses.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaicore.testing.affine import Affine
    from xaicore.testing.card import Card, ConformanceError, Outcome, Verdict
    from xaicore.testing.mappings import check_mapping
    from xaicore.testing.methods import check_method
    from xaicore.testing.metrics import check_metric
    from xaicore.testing.plugins import check_plugin
    from xaicore.testing.renderers import check_renderer
    from xaicore.testing.rules import check_rule

_HOME_OF = {
    "Affine": "affine",
    "Card": "card",
    "ConformanceError": "card",
    "Outcome": "card",
    "Verdict": "card",
    "check_mapping": "mappings",
    "check_method": "methods",
    "check_metric": "metrics",
    "check_plugin": "plugins",
    "check_renderer": "renderers",
    "check_rule": "rules",
}

__all__ = [
    "Affine",
    "Card",
    "ConformanceError",
    "Outcome",
    "Verdict",
    "check_mapping",
    "check_method",
    "check_metric",
    "check_plugin",
    "check_renderer",
    "check_rule",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'xaicore.testing' has no attribute {name!r}")
    return getattr(import_module(f"xaicore.testing.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
