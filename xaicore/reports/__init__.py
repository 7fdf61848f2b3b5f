"""Reports: one HTML file that needs no network, made of what `xaicore.reports.content` describes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaicore.reports.content import CurveView, MapView, MetricView, Report, SampleView, TableView
    from xaicore.reports.facts import facts_about
    from xaicore.reports.page import write_report
    from xaicore.reports.views import metric_views, sample_views, shrunk

_HOMES = {
    "content": ("CurveView", "MapView", "MetricView", "Report", "SampleView", "TableView"),
    "facts": ("facts_about",),
    "page": ("write_report",),
    "views": ("metric_views", "sample_views", "shrunk"),
}
_PLACES = {name: f"xaicore.reports.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "CurveView",
    "MapView",
    "MetricView",
    "Report",
    "SampleView",
    "TableView",
    "facts_about",
    "metric_views",
    "sample_views",
    "shrunk",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
