"""Which samples a report shows: some of each cluster, from the most typical to the least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaicore.studies.auditing.maps import normalised
from xaicore.studies.auditing.records import ClusterRecord
from xaicore.studies.auditing.samples import Samples
from xaicore.studies.auditing.spool import Spool, Thumbnail

MOST_EXAMPLES = 300
_FEWEST_OF_A_CLUSTER = 4


@dataclass(frozen=True)
class Example:
    """A sample that is shown: its place among all, and what is seen."""

    place: int
    thumbnail: Thumbnail


def chosen_examples(
    samples: Samples, clusters: Sequence[ClusterRecord], spool: Spool, most: int = MOST_EXAMPLES
) -> list[Example]:
    """Choose at most `most` samples, the same number of each cluster, of the most suspicious clusters first."""
    if not clusters or most < 1:
        return []
    each = max(_FEWEST_OF_A_CLUSTER, most // len(clusters))
    places: list[int] = []
    for record in clusters:
        wanted = min(each, most - len(places))
        places += _spread(samples, samples.of_class(record.label, record.number), wanted)
    return [Example(place, spool[place]) for place in places]


def _spread(samples: Samples, members: NDArray[np.int64], wanted: int) -> list[int]:
    """Members at even steps in the order of how far they are from the mean of the cluster."""
    if wanted < 1:
        return []
    rows = normalised(samples.maps[members])
    order = np.argsort(((rows - rows.mean(0)) ** 2).sum(1), kind="stable")
    steps = np.unique(np.linspace(0, len(members) - 1, min(wanted, len(members))).round().astype(int))
    found: Any = members[order[steps]].tolist()
    return list(found)
