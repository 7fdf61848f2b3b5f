"""Numbers of each class, and classes ranked by how little the model looks at the object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from xaicore.scoring import bootstrap_interval
from xaicore.studies.auditing.grouping import Grouping
from xaicore.studies.auditing.records import ClassRecord, mean_of
from xaicore.studies.auditing.samples import Samples, class_name


def class_records(
    samples: Samples, groupings: Mapping[int, Grouping], labels: list[str] | None, seed: int
) -> list[ClassRecord]:
    """All classes, the one whose object is looked at least first; those without masks last, by their number."""
    records = [_record(samples, label, grouping, labels, seed) for label, grouping in groupings.items()]
    ranked = sorted((each for each in records if each.masked), key=lambda each: (each.focus, each.label))
    others = sorted((each for each in records if not each.masked), key=lambda each: each.label)
    return [replace(each, rank=place) for place, each in enumerate(ranked, start=1)] + others


def _record(samples: Samples, label: int, grouping: Grouping, labels: list[str] | None, seed: int) -> ClassRecord:
    members = samples.of_class(label)
    focus = samples.focus[members]
    told = members[~np.isnan(focus)]
    inside, focus = samples.inside[told], samples.focus[told]
    inside_low, inside_high = bootstrap_interval(torch.from_numpy(inside), seed=seed)
    focus_low, focus_high = bootstrap_interval(torch.from_numpy(focus), seed=seed)
    gaps = samples.gap[members]
    known = gaps[~np.isnan(gaps)]
    return ClassRecord(
        label=label,
        name=class_name(label, labels),
        rank=None,
        samples=len(members),
        masked=len(told),
        accuracy=float(samples.right[members].mean()),
        confidence=mean_of(samples.confidence[members]),
        inside=mean_of(inside),
        inside_low=inside_low,
        inside_high=inside_high,
        chance=mean_of(samples.chance[told]),
        focus=mean_of(focus),
        focus_low=focus_low,
        focus_high=focus_high,
        gap=float(np.median(known)) if known.size else math.nan,
        non_finite=int((samples.non_finite[members] > 0).sum()),
        clusters=int(grouping.cluster.max(initial=0)),
        eigenvalues=tuple(grouping.eigenvalues.tolist()),
        clustering=grouping.reason,
    )
