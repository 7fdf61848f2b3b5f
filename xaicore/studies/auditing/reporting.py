"""An audit as a page."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import Any

from xaicore.reports import MapView, Report, SampleView, TableView, write_report
from xaicore.studies.auditing.examples import Example
from xaicore.studies.auditing.records import ClassRecord, ClusterRecord
from xaicore.studies.auditing.result import Audit
from xaicore.studies.auditing.suspicion import WEIGHTS
from xaicore.studies.auditing.tables import interval_of

_CLASS_COLUMNS = (
    "rank", "class", "samples", "accuracy", "confidence", "inside", "95 % interval", "by chance", "focus", "clusters",
    "why so many",
)  # fmt: skip
_CLASSES = (
    "inside: mean share of the positive relevance inside the mask, with the 95 % bootstrap interval. by chance: share "
    "of the area that masks take. focus: (inside - by chance) / (1 - by chance), 1 where the model looks at the object "
    "alone, 0 where it looks anywhere; the lowest comes first."
)
_UNRANKED = "The classes are not ranked: there are no masks or boxes that tell the object from what is around it."
_CLUSTERS = (
    "Suspicion is a weighted mean: elsewhere (relevance where no other class has that much), outside (of the object), "
    "apart (relative eigengap), answers (accuracy or confidence unlike the rest of the class), rare. It says where to "
    "look first, and proves nothing: look at the samples."
)


def write_audit(
    audit: Audit, path: str | PathLike[str], *, title: str = "", command: str = "", code: str = "", data: str = ""
) -> Path:
    """Write an audit to one HTML file; see `Audit.report`."""
    report = Report(
        title=title or "What the model looks at",
        lead=_lead(audit),
        facts=[*audit.facts, *([("data", data)] if data else []), *_settings(audit)],
        command=command,
        code=code,
        samples=[_sample(audit, example) for example in audit.examples],
        columns=[audit.method] if audit.examples else [],
        tables=[_classes(audit), _clusters(audit)],
        notes=[*audit.notes, _shown(audit)],
    )
    return write_report(report, Path(path))


def _lead(audit: Audit) -> str:
    lead = f"{len(audit)} samples of {len(audit.classes)} classes, explained for the {audit.target} class."
    first = audit.classes[0]
    if first.rank is not None:
        lead += (
            f" The model looks at the object least in class {first.name}: {first.inside:.0%} of the relevance lies "
            f"inside, {first.chance:.0%} would by chance."
        )
    if audit.clusters:
        lead += f" The most suspicious cluster is {audit.clusters[0].title}: {'; '.join(audit.clusters[0].why)}."
    return lead


def _settings(audit: Audit) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in audit.settings.items()]


def _classes(audit: Audit) -> TableView:
    ranked = any(record.rank for record in audit.classes)
    rows = [_class_row(record) for record in audit.classes]
    return TableView(title="Classes", columns=_CLASS_COLUMNS, rows=rows, caption=_CLASSES if ranked else _UNRANKED)


def _class_row(record: ClassRecord) -> list[str | float | int | None]:
    return [
        record.rank, record.name, record.samples, _known(record.accuracy), _known(record.confidence),
        _known(record.inside), interval_of(record), _known(record.chance), _known(record.focus), record.clusters,
        record.clustering,
    ]  # fmt: skip


def _clusters(audit: Audit) -> TableView:
    return TableView(
        title="Clusters of heatmaps",
        columns=("suspicion", "cluster", "size", "accuracy", *WEIGHTS, "why"),
        rows=[_cluster_row(record) for record in audit.clusters],
        caption=_CLUSTERS,
    )


def _cluster_row(record: ClusterRecord) -> list[str | float | int | None]:
    parts = [_known(record.parts[name]) for name in WEIGHTS]
    return [_known(record.suspicion), record.title, record.size, _known(record.accuracy), *parts, "; ".join(record.why)]


def _sample(audit: Audit, example: Example) -> SampleView:
    samples, place = audit.samples, example.place
    gap, confidence = float(samples.gap[place]), float(samples.confidence[place])
    x, y = samples.position[place].tolist()
    explained = audit.name_of(int(samples.explained[place]))
    facts = {"focus": float(samples.focus[place]), "inside": float(samples.inside[place])}
    view = MapView(
        relevance=example.thumbnail.map,
        explained=f"class {explained}" if audit.labels is None else explained,
        score=float(samples.value[place]),
        gap=None if math.isnan(gap) else gap,
        non_finite=int(samples.non_finite[place]),
    )
    picture: Any = example.thumbnail.picture  # bytes, as `xaicore.reports.shrunk` makes them
    return SampleView(
        name=samples.names[place],
        maps={audit.method: view},
        picture=picture,
        predicted=audit.name_of(int(samples.predicted[place])),
        true=audit.name_of(int(samples.true[place])),
        confidence=None if math.isnan(confidence) else confidence,
        facts={name: f"{value:.2f}" for name, value in facts.items() if not math.isnan(value)},
        cluster=f"{explained} / cluster {samples.cluster[place]}",
        position=(x, y),
    )


def _shown(audit: Audit) -> str:
    shown = {(audit.samples.explained[each.place], audit.samples.cluster[each.place]) for each in audit.examples}
    every = len(shown) == len(audit.clusters)
    which = f"all {len(shown)}" if every else f"the {len(shown)} most suspicious of {len(audit.clusters)}"
    return (
        f"{len(audit.examples)} of {len(audit)} samples are shown: of {which} clusters the same number each, from the "
        "most typical to the least; fewer where there are no more."
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)
