"""What a report must be before a page is made of it."""

from __future__ import annotations

import math
from typing import Any

from xaicore.errors import InputError, nearest
from xaicore.reports.content import CurveView, MapView, MetricView, Report, SampleView, TableView


def check(report: Report) -> None:
    """Refuse a report that would make a wrong page.

    Raises
    ------
    InputError
        Shapes, lengths, columns or directions do not fit; the message says where.
    """
    if not isinstance(report, Report):
        raise InputError(f"write_report makes a page of a Report, not of a {type(report).__name__}.")
    if len(set(report.columns)) != len(report.columns):
        raise InputError(f"A column occurs twice: {list(report.columns)}.")
    for place, sample in enumerate(report.samples):
        _check_sample(sample, f"sample {place} ({sample.name!r})", list(report.columns))
    for metric in report.metrics:
        _check_metric(metric)
    for curve in report.curves:
        _check_curve(curve)
    for table in report.tables:
        _check_table(table)


def _check_sample(sample: SampleView, where: str, columns: list[str]) -> None:
    unknown = [name for name in sample.maps if columns and name not in columns]
    if unknown:
        raise InputError(
            f"{where}: there is a map under {unknown[0]!r}, and the report has no such column."
            f"{nearest(unknown[0], columns)}"
        )
    picture: Any = sample.picture
    if picture is not None and not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise InputError(f"{where}: a picture has shape (H, W) or (H, W, 3), not {picture.shape}.")
    if sample.confidence is not None and not 0 <= sample.confidence <= 1:
        raise InputError(f"{where}: confidence={sample.confidence}, which is no probability between 0 and 1.")
    if sample.position is not None and not all(math.isfinite(each) for each in sample.position):
        raise InputError(f"{where}: position={sample.position}; leave it out where there is none.")
    for column, view in sample.maps.items():
        _check_map(view, sample, f"{where}, column {column!r}")


def _check_map(view: MapView, sample: SampleView, where: str) -> None:
    relevance: Any = view.relevance
    if relevance is None:
        if not view.reason:
            raise InputError(f"{where}: there is no relevance; say why in reason=.")
        return
    if relevance.ndim not in (1, 2) or not relevance.size:
        raise InputError(f"{where}: relevance has shape (H, W) or (T,), not {relevance.shape}: sum over channels.")
    if view.limit is not None and not (math.isfinite(view.limit) and view.limit > 0):
        raise InputError(f"{where}: limit={view.limit}; where a scale ends is a positive number.")
    words = view.words or sample.words
    if relevance.ndim == 1 and words is not None and len(words) != len(relevance):
        raise InputError(f"{where}: {len(words)} words for relevance of {len(relevance)}: give one for each.")


def _check_metric(metric: MetricView) -> None:
    if metric.better not in ("higher", "lower", ""):
        raise InputError(f"metric {metric.metric!r}: better={metric.better!r}; one of 'higher', 'lower', ''.")


def _check_curve(curve: CurveView) -> None:
    parts = dict(curve.lines) | {f"band of {name}": edge for name, edges in curve.bands.items() for edge in edges}
    for name, line in parts.items():
        if len(line) != len(curve.x):
            raise InputError(f"curve {curve.title!r}: {name!r} has {len(line)} values for {len(curve.x)} of x.")
    if not curve.lines or len(curve.x) < 2:
        raise InputError(f"curve {curve.title!r}: a curve needs at least one line of two points.")


def _check_table(table: TableView) -> None:
    for place, row in enumerate(table.rows):
        if len(row) != len(table.columns):
            raise InputError(f"table {table.title!r}, row {place}: {len(row)} cells for {len(table.columns)} columns.")
