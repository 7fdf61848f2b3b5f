"""A comparison as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from xaicore.reports import (
    CurveView,
    MetricView,
    Report,
    facts_about,
    metric_views,
    sample_views,
    write_report,
)
from xaicore.scoring import Curve, Scores, bootstrap_interval
from xaicore.studies.comparison.result import Comparison

_INSTALLED = ("packages", "platform")
_OF_ONE_MODEL = ("model", "parameters of the model", "weights (SHA-256)", "weights from")


def write_comparison(
    comparison: Comparison,
    path: str | PathLike[str],
    *,
    title: str = "",
    command: str = "",
    code: str = "",
    weights: Any = None,
    data: Any = None,
    seed: int | None = None,
    **shown: Any,
) -> Path:
    """Write a comparison to one HTML file that needs no network, and return its path.

    Parameters
    ----------
    path : str or path
    title : str
        The heading.
    command, code : str
        What makes it again.
    weights, data, seed : optional
        Where weights (of several models, those of the first) and samples come from; see `xaicore.reports.facts_about`.
    **shown
        How samples are shown: ``inputs=``, ``names=``, ``true=``, ``labels=``, ``mean=``, ``std=``, ``words=``,
        ``percentile=``; see `xaicore.reports.sample_views`.
    """
    columns = {_column(group, method): each for (group, method), each in _pairs(comparison)}
    samples = sample_views(columns, **shown)
    scores = _scores_by_column(comparison)
    report = Report(
        title=title or f"{len(comparison.methods)} methods compared",
        lead=_lead(comparison),
        facts=_facts(comparison, columns, weights, data, seed),
        command=command,
        code=code,
        samples=[replace(sample, scores=_of_sample(scores, place)) for place, sample in enumerate(samples)],
        columns=list(dict.fromkeys(name for sample in samples for name in sample.maps)),
        metrics=[_brief(view) for view in metric_views(scores)],
        curves=[view for metric, own in scores.items() if (view := _curve_view(metric, own))],
    )
    return write_report(report, Path(path))


def _pairs(comparison: Comparison) -> list[tuple[tuple[str, str], Any]]:
    return [
        ((group, method), each)
        for group, methods in comparison.explanations.items()
        for method, each in methods.items()
    ]


def _column(group: str, method: str) -> str:
    return f"{group}: {method}" if group else method


def _lead(comparison: Comparison) -> str:
    counted = f"{comparison.samples} sample{'' if comparison.samples == 1 else 's'}"
    if comparison.by == "methods":
        return f"What {len(comparison.methods)} methods say of {counted}."
    names = ", ".join(comparison.groups)
    return f"What {len(comparison.methods)} methods say of {counted}, for the {comparison.by} {names}."


def _facts(comparison: Comparison, columns: Mapping[str, Any], weights: Any, data: Any, seed: int | None) -> Any:
    """What is known of each model, and once what all share; metrics with their parameters among it."""
    of_models: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for place, (name, model) in enumerate(comparison.models.items()):
        own = facts_about(model, weights=None if place else weights, data=data, seed=seed, methods=columns.values())
        shared = [fact for fact in own if fact[0] not in _OF_ONE_MODEL]
        of_models += [(f"{name}: {fact}" if name else fact, text) for fact, text in own if fact in _OF_ONE_MODEL]
    installed = [fact for fact in shared if fact[0] in _INSTALLED]
    metrics = [("metric", text) for text in _metrics(comparison)]
    return [*of_models, *(fact for fact in shared if fact not in installed), *metrics, *installed]


def _metrics(comparison: Comparison) -> Iterator[str]:
    for metric, methods in next(iter(comparison.scores.values()), {}).items():
        parameters = next(iter(methods.values())).parameters
        yield f"{metric}({', '.join(f'{name}={value!r:.60}' for name, value in parameters.items())})"


def _scores_by_column(comparison: Comparison) -> dict[str, dict[str, Scores]]:
    found: dict[str, dict[str, Scores]] = {}
    for group, metrics in comparison.scores.items():
        for metric, methods in metrics.items():
            own = found.setdefault(metric, {})
            own.update({_column(group, method): scores for method, scores in methods.items()})
    return found


def _of_sample(scores: Mapping[str, Mapping[str, Scores]], place: int) -> dict[str, dict[str, float]]:
    return {
        metric: {column: float(each.values[place]) for column, each in columns.items()}
        for metric, columns in scores.items()
    }


def _brief(view: MetricView) -> MetricView:
    """The same, under the name of the metric without its namespace."""
    return replace(view, metric=view.metric.partition(".")[2] or view.metric)


def _curve_view(metric: str, scores: Mapping[str, Scores]) -> CurveView | None:
    """The mean curves of all columns, with their intervals, where they were looked at in the same places.

    Samples for which the metric is not defined are in neither scores nor curves.
    """
    defined = {column: each.defined for column, each in scores.items()}
    curves = {column: each.curve for column, each in defined.items() if each.curve is not None and len(each)}
    if not curves:
        return None
    first = next(iter(curves.values()))
    same = {
        column: each
        for column, each in curves.items()
        if each.x.shape == first.x.shape and bool((each.x == first.x).all())
    }
    others = [column for column in curves if column not in same]
    return CurveView(
        title=metric.partition(".")[2] or metric,
        x_label=first.x_label,
        y_label=first.y_label,
        x=first.x.tolist(),
        lines={column: each.mean().tolist() for column, each in same.items()},
        bands={column: _band(each) for column, each in same.items()},
        caption="Means over the samples for which the metric is defined; the bands are 95 % bootstrap intervals of the "
        "mean." + (f" Without {', '.join(others)}: looked at in other places." if others else ""),
    )


def _band(curve: Curve) -> tuple[Sequence[float], Sequence[float]]:
    ends = [bootstrap_interval(values) for values in curve.y.T]
    return [end.low for end in ends], [end.high for end in ends]
