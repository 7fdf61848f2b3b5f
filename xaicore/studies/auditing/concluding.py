"""From the samples of a data set to what they come to: clusters, records, examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xaicore.studies.auditing.examples import chosen_examples
from xaicore.studies.auditing.grouping import Grouping, embedded, grouped
from xaicore.studies.auditing.maps import is_usable, normalised
from xaicore.studies.auditing.ranking import class_records
from xaicore.studies.auditing.recording import Recording
from xaicore.studies.auditing.result import Audit
from xaicore.studies.auditing.samples import Samples
from xaicore.studies.auditing.settings import Settings
from xaicore.studies.auditing.suspicion import cluster_records


def concluded(
    recording: Recording, settings: Settings, facts: list[tuple[str, str]], notes: list[str] | None = None
) -> Audit:
    """Cluster the heatmaps of each class, rank classes and clusters, and choose examples.

    Parameters
    ----------
    recording : Recording
        All samples.
    settings : Settings
    facts : list of (str, str)
        Model, weights, versions.
    notes : list of str, optional
        What else to tell, such as files that were left out.
    """
    samples = recording.samples()
    usable = is_usable(samples.maps)
    groupings = {
        label: _cluster(samples, np.flatnonzero((samples.explained == label) & usable), settings)
        for label in np.unique(samples.explained).tolist()
    }
    clusters = cluster_records(samples, groupings, settings.names)
    return Audit(
        classes=class_records(samples, groupings, settings.names, settings.seed),
        clusters=clusters,
        samples=samples,
        examples=chosen_examples(samples, clusters, recording.spool),
        method=recording.method,
        parameters=dict(recording.parameters),
        target=settings.target,
        labels=settings.names,
        settings={
            "seed": settings.seed,
            "resolution": settings.resolution,
            "clusters": settings.clusters,
            "embedding": settings.embedding,
        },
        facts=facts,
        notes=[*recording.notes, *(notes or []), *_left_out(samples, usable)],
    )


def _cluster(samples: Samples, members: NDArray[np.int64], settings: Settings) -> Grouping:
    """Cluster these samples of one class, and write down where each belongs."""
    if not len(members):
        return Grouping(np.zeros(0, np.int64), np.zeros(0), 0.0, "no cluster: no map that is finite and not zero")
    rows = normalised(samples.maps[members])
    grouping = grouped(rows, settings.clusters, settings.seed)
    samples.cluster[members] = grouping.cluster
    samples.position[members] = embedded(rows, settings.embedding, settings.seed)
    return grouping


def _left_out(samples: Samples, usable: NDArray[np.bool_]) -> list[str]:
    """What the numbers do not cover."""
    found = []
    if not usable.all():
        found.append(f"{int((~usable).sum())} maps are not finite, or zero everywhere: they are in no cluster")
    masked = ~np.isnan(samples.chance)
    undecided = masked & np.isnan(samples.focus)
    if undecided.any():
        found.append(
            f"the share inside the object is not known for {int(undecided.sum())} of {int(masked.sum())} samples with "
            "masks: the mask is empty or covers everything, or there is no finite positive relevance"
        )
    return found
