"""The page: one HTML file with everything in it, which asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import uuid
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import xaicore
from xaicore.errors import FileError
from xaicore.explanation.diagnostics import CAUTION
from xaicore.reports import charts
from xaicore.reports.checking import check
from xaicore.reports.content import Cell, MetricView, Report
from xaicore.reports.payload import as_json, columns_of, payload, side_for
from xaicore.reports.remarks import remarks_of

_SCRIPTS = (
    "page", "state", "colours", "maps", "words", "cards", "selection", "scale", "scatter", "curves", "tables",
    "saving", "start",
)  # fmt: skip
"""In the order in which they stand in the page; they share one scope."""


def write_report(report: Report, path: str | Path) -> Path:
    """Write a report as one HTML file, all or nothing, and return its path.

    The file holds its scripts, its style and its pictures; its content security policy forbids it to load anything
    else. Whatever comes from `report` is shown as text.

    Parameters
    ----------
    report : Report
    path : str or path
        A file that is there already is replaced.

    Raises
    ------
    InputError
        Where the report's parts do not fit together; nothing is written.
    FileError
        Where the file cannot be written.
    """
    goal = Path(os.path.realpath(path))
    if goal.is_dir():
        raise FileError(f"Cannot write a report to {goal}: it is a folder. Add a file name, such as 'report.html'.")
    if not goal.parent.is_dir():
        raise FileError(f"Cannot write a report to {goal}: the folder {goal.parent} does not exist.")
    page = render(report).encode("utf-8", errors="replace")  # names of files may hold what no text can
    part = goal.with_name(f".{goal.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(page)
        os.replace(part, goal)
    except OSError as error:
        raise FileError(f"Cannot write a report to {goal}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return goal


def render(report: Report) -> str:
    """Return the page as HTML."""
    check(report)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "interval": interval}
    style = _read("page.css")
    bodies = "\n".join(_read(f"scripts/{name}.js") for name in _SCRIPTS)
    script = f'(() => {{\n"use strict";\n{bodies}\n}})();'
    side = side_for(report)
    return environment.from_string(_read("page.html.jinja")).render(
        report=report,
        columns=columns_of(report),
        metrics=_metric_rows(report.metrics),
        metric_names=list(dict.fromkeys(each.metric for each in report.metrics)),
        charts=[charts.chart_of(curve) for curve in report.curves],
        scatters=charts.scatters_of(report.samples),
        frame=charts,
        cautions=[note for note in report.notes if note.startswith(CAUTION)],
        notes=[note for note in report.notes if not note.startswith(CAUTION)],
        remarks=remarks_of(report, side),
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        payload=Markup(as_json(payload(report, side))),
        version=xaicore.__version__,
    )


def number(value: Cell) -> str:
    """Write a cell of a table: numbers briefly, with a true minus sign, and what is none as a dash."""
    if isinstance(value, bool | str):
        return str(value)
    if value is None or math.isnan(value):
        return "–"
    text = str(value) if isinstance(value, int) else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}").replace("inf", "∞")


def interval(metric: MetricView) -> str:
    """Write an interval; "" where there is none."""
    if math.isnan(metric.low) or math.isnan(metric.high):
        return ""
    return f"{number(metric.low)} to {number(metric.high)}"


def _metric_rows(metrics: Sequence[MetricView]) -> list[tuple[str, dict[str, tuple[MetricView, bool]]]]:
    """By column, by metric: the view, and whether its mean is the best of all columns."""
    best: dict[str, float] = {}
    for view in metrics:
        if view.better and not math.isnan(view.mean):
            sign = 1 if view.better == "higher" else -1
            best[view.metric] = max(best.get(view.metric, -math.inf), sign * view.mean)
    several = {view.metric for view in metrics if sum(each.metric == view.metric for each in metrics) > 1}
    rows: dict[str, dict[str, tuple[MetricView, bool]]] = {}
    for view in metrics:
        sign = 1 if view.better == "higher" else -1
        is_best = view.metric in several and view.metric in best and sign * view.mean == best[view.metric]
        rows.setdefault(view.column, {})[view.metric] = (view, is_best)
    return list(rows.items())


def _policy(style: str, script: str) -> str:
    """A content security policy: nothing is loaded, and no script or style runs but these."""
    return (
        f"default-src 'none'; img-src data: blob:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _read(name: str) -> Any:
    return files("xaicore.reports").joinpath(*name.split("/")).read_text(encoding="utf-8")
