"""An audit as tables: rows of texts and numbers, and as plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from xaicore.explanation.plain import plain
from xaicore.studies.auditing.records import ClassRecord, ClusterRecord
from xaicore.studies.auditing.suspicion import WEIGHTS
from xaicore.tables import aligned

if TYPE_CHECKING:
    from xaicore.studies.auditing.result import Audit

CLASS_HEADS = ("RANK", "CLASS", "SAMPLES", "ACCURACY", "INSIDE", "95 % INTERVAL", "BY CHANCE", "FOCUS", "CLUSTERS")
CLUSTER_HEADS = ("SUSPICION", "CLUSTER", "SIZE", *map(str.upper, WEIGHTS))
_SHOWN = 8
_EXPLAINED = 3


def as_text(audit: Audit) -> str:
    """Classes, the most suspicious clusters, the spectra, and what should be known."""
    parts = [
        f"{len(audit)} samples explained by {audit.method} for the {audit.target} class",
        _classes(audit),
        _clusters(audit),
        _spectra(audit),
    ]
    if audit.notes:
        parts.append("\n".join(f"note: {note}" for note in audit.notes))
    return "\n\n".join(part for part in parts if part)


def _classes(audit: Audit) -> str:
    ranked = any(record.rank for record in audit.classes)
    rows = [_class_row(record) for record in audit.classes]
    if ranked:
        return "Classes, the one whose object the model looks at least first\n\n" + aligned(CLASS_HEADS, rows)
    kept = [CLASS_HEADS.index(head) for head in ("CLASS", "SAMPLES", "ACCURACY", "CLUSTERS")]
    heading = (
        "Classes, in order: without masks or boxes it is not known where the object is, and they are not ranked\n\n"
    )
    return heading + aligned([CLASS_HEADS[place] for place in kept], [[row[place] for place in kept] for row in rows])


def _class_row(record: ClassRecord) -> list[str]:
    return [
        "-" if record.rank is None else str(record.rank),
        record.name,
        str(record.samples),
        f"{record.accuracy:.3f}",
        number(record.inside),
        interval_of(record),
        number(record.chance),
        number(record.focus),
        str(record.clusters),
    ]


def _clusters(audit: Audit) -> str:
    shown = audit.clusters[:_SHOWN]
    if not shown:
        return ""
    left = len(audit.clusters) - len(shown)
    heading = "Clusters of heatmaps, the most suspicious first" + (f" (and {left} more)" if left else "")
    reasons = "\n".join(f"{record.title}: {'; '.join(record.why)}" for record in shown[:_EXPLAINED])
    return f"{heading}\n\n{aligned(CLUSTER_HEADS, [_cluster_row(record) for record in shown])}\n\n{reasons}"


def _cluster_row(record: ClusterRecord) -> list[str]:
    parts = [number(record.parts[name]) for name in WEIGHTS]
    return [number(record.suspicion), record.title, str(record.size), *parts]


def _spectra(audit: Audit) -> str:
    rows = [
        [record.name, " ".join(f"{value:.3f}" for value in record.eigenvalues) or "-", record.clustering]
        for record in sorted(audit.classes, key=lambda each: each.label)
    ]
    heads = ("CLASS", "EIGENVALUES OF THE LAPLACIAN", "CLUSTERS")
    return "How many clusters\n\n" + aligned(heads, rows) if rows else ""


def interval_of(record: ClassRecord) -> str:
    """The interval of the share inside; "-" where there is none."""
    known = not math.isnan(record.inside_low)
    return f"{number(record.inside_low)} to {number(record.inside_high)}" if known else "-"


def number(value: float) -> str:
    """A share with two digits; "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:.2f}"


def as_data(audit: Audit) -> dict[str, Any]:
    """Everything but the maps as plain data that JSON can hold; None stands for what is not known."""
    clusters = []
    for record in audit.clusters:
        found = {name: value for name, value in asdict(record).items() if name != "mean_map"}
        clusters.append(found | {"members": [audit.samples.names[place] for place in audit.members(record)]})
    found = {
        "method": audit.method,
        "parameters": audit.parameters,
        "target": audit.target,
        "settings": audit.settings,
        "samples": len(audit),
        "classes": [asdict(record) for record in audit.classes],
        "clusters": clusters,
        "notes": audit.notes,
    }
    known: dict[str, Any] = _known(plain(found))
    return known


def sample_rows(audit: Audit) -> Iterator[dict[str, Any]]:
    """One row a sample, in the order in which they came."""
    samples = audit.samples
    columns = ("confidence", "value", "inside", "chance", "focus", "gap")
    for place, name in enumerate(samples.names):
        yield {
            "name": name,
            "true": audit.name_of(int(samples.true[place])),
            "predicted": audit.name_of(int(samples.predicted[place])),
            "explained": audit.name_of(int(samples.explained[place])),
            **{column: _known(float(getattr(samples, column)[place])) for column in columns},
            "non_finite": int(samples.non_finite[place]),
            "cluster": int(samples.cluster[place]) or None,
        }


def _known(value: Any) -> Any:
    """The same data with None for NaN and infinity."""
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
