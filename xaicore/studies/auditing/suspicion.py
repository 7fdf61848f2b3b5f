"""Which clusters look as if the model relied on an artefact, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from xaicore.studies.auditing.grouping import Grouping
from xaicore.studies.auditing.maps import normalised, positive_shares
from xaicore.studies.auditing.records import ClusterRecord, mean_of
from xaicore.studies.auditing.samples import NO_CLUSTER, Samples, class_name, focus_of

Floats = NDArray[np.float64]

WEIGHTS = {"elsewhere": 6.0, "outside": 4.0, "apart": 2.0, "answers": 1.0, "rare": 1.0}
"""How much each part counts towards the suspicion; what is not known (``outside`` without masks) does not."""
_FEWEST = 5
"""Smaller clusters are outliers: too few to speak of a strategy."""


def suspicion_of(parts: Mapping[str, float]) -> float:
    """Return the weighted mean of the parts that are known, each between 0 and 1.

    ``elsewhere``
        The share of the cluster's positive relevance that lies where no other class has that much: mean over the
        cluster minus, place by place, the largest mean of any other class. An artefact is a place that matters for one
        class alone.
    ``outside``
        How little of its relevance lies inside the masks, 1 - focus; 1 where it lies as by chance.
    ``apart``
        How clearly the maps of the class fall into clusters: the relative eigengap.
    ``answers``
        How much accuracy or confidence, whichever differs more, differ from the rest of the class.
    ``rare``
        Most samples of the class are elsewhere: 1 - share.
    """
    known = {name: value for name, value in parts.items() if not math.isnan(value)}
    weight = sum(WEIGHTS[name] for name in known)
    return sum(WEIGHTS[name] * value for name, value in known.items()) / weight if weight else 0.0


def cluster_records(
    samples: Samples, groupings: Mapping[int, Grouping], labels: list[str] | None
) -> list[ClusterRecord]:
    """The clusters of all classes, the most suspicious first."""
    means = {
        label: _mean_shares(samples, np.flatnonzero((samples.explained == label) & (samples.cluster != NO_CLUSTER)))
        for label, grouping in groupings.items()
        if len(grouping.cluster)
    }
    found = [
        _record(samples, label, number, grouping.gap, means, labels)
        for label, grouping in groupings.items()
        for number in range(1, int(grouping.cluster.max(initial=0)) + 1)
    ]
    return sorted(found, key=lambda each: (-each.suspicion, each.label, each.number))


def _record(
    samples: Samples,
    label: int,
    number: int,
    gap: float,
    means: Mapping[int, Floats],
    labels: list[str] | None,
) -> ClusterRecord:
    members = samples.of_class(label, number)
    others = np.setdiff1d(samples.of_class(label), members)
    share = len(members) / (len(members) + len(others))
    elsewhere = _elsewhere(_mean_shares(samples, members), [mean for other, mean in means.items() if other != label])
    inside, chance = _inside(samples, members)
    accuracy, confidence = float(samples.right[members].mean()), mean_of(samples.confidence[members])
    rest = (float(samples.right[others].mean()), mean_of(samples.confidence[others])) if len(others) else None
    parts = {
        "elsewhere": elsewhere,
        "outside": float(np.clip(1 - mean_of(samples.focus[members]), 0, 1)),
        "apart": gap if len(others) else 0.0,
        "answers": _largest(abs(accuracy - rest[0]), abs(confidence - rest[1])) if rest else 0.0,
        "rare": 1 - share,
    }
    tiny = len(members) < _FEWEST
    return ClusterRecord(
        label=label,
        name=class_name(label, labels),
        number=number,
        size=len(members),
        share=share,
        suspicion=0.0 if tiny else suspicion_of(parts),
        parts=parts,
        why=_too_few(len(members)) if tiny else _why(parts, inside, chance, accuracy, confidence, rest, share),
        inside=inside,
        chance=chance,
        accuracy=accuracy,
        confidence=confidence,
        elsewhere=elsewhere,
        mean_map=normalised(samples.maps[members]).mean(0).reshape(samples.maps.shape[1:]),
    )


def _mean_shares(samples: Samples, members: NDArray[np.int64]) -> Floats:
    """In which place the positive relevance of these samples lies, as a share, on average."""
    mean: Floats = positive_shares(samples.maps[members]).mean(0)
    return mean


def _elsewhere(mean: Floats, others: list[Floats]) -> float:
    if not others:
        return math.nan
    return float(np.maximum(mean - np.max(others, axis=0), 0).sum())


def _inside(samples: Samples, members: NDArray[np.int64]) -> tuple[float, float]:
    """Mean share inside and mean area, over the samples whose masks tell something."""
    told = members[~np.isnan(focus_of(samples.inside[members], samples.chance[members]))]
    return mean_of(samples.inside[told]), mean_of(samples.chance[told])


def _largest(*values: float) -> float:
    known = [value for value in values if not math.isnan(value)]
    return max(known, default=math.nan)


def _too_few(size: int) -> tuple[str, ...]:
    return (f"{size} samples are too few to speak of a strategy: look at them as outliers",)


def _why(
    parts: Mapping[str, float],
    inside: float,
    chance: float,
    accuracy: float,
    confidence: float,
    rest: tuple[float, float] | None,
    share: float,
) -> tuple[str, ...]:
    found = []
    if not math.isnan(parts["elsewhere"]):
        found.append(f"{parts['elsewhere']:.0%} of its relevance lies where no other class has that much")
    if not math.isnan(inside):
        found.append(f"{inside:.0%} of it lies inside the object, {chance:.0%} would by chance")
    if rest is None:
        found.append("it is the whole class: compare it with other classes")
        return tuple(found)
    found.append(f"{share:.0%} of the class, apart from the rest with a relative eigengap of {parts['apart']:.2f}")
    found.append(
        f"{accuracy:.0%} right, mean confidence {confidence:.2f}; the rest of the class {rest[0]:.0%} and {rest[1]:.2f}"
    )
    return tuple(found)
