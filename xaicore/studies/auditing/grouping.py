"""Spectral clustering of the heatmaps of one class: the analysis of SpRAy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaicore.studies.auditing.affinity import (
    FEWEST,
    MOST_CLUSTERS,
    Spectrum,
    affinity,
    neighbours,
    relative_gaps,
    spectrum,
)

Floats = NDArray[np.float64]

CLEAR_GAP = 0.5
"""Maps fall into clusters where a relative eigengap reaches this; for maps without any structure it stays below."""
_MOST_STARTS = 10


@dataclass(frozen=True)
class Grouping:
    """The clusters of N maps.

    Attributes
    ----------
    cluster : array (N,)
        1 for the largest cluster, then 2, ...
    eigenvalues : array (K,)
        The smallest of the normalised Laplacian; empty where there were too few maps.
    gap : float
        The relative eigengap behind the number of clusters that was chosen; 0 for one cluster.
    reason : str
        Why there are so many clusters.
    """

    cluster: NDArray[np.int64]
    eigenvalues: Floats
    gap: float
    reason: str


def grouped(rows: Floats, clusters: int | str = "auto", seed: int = 0) -> Grouping:
    """Cluster normalised maps (N, D).

    Parameters
    ----------
    rows : array (N, D)
    clusters : int or "auto"
        How many; "auto": as many as the largest relative eigengap says, up to 8, and one where no gap is clear.
    seed : int
        Of k-means.

    References
    ----------
    Lapuschkin et al. 2019, "Unmasking Clever Hans predictors and assessing what machines really learn" (spectral
    relevance analysis); Ng, Jordan and Weiss 2001, "On spectral clustering".
    """
    different, place = np.unique(rows, axis=0, return_inverse=True)
    place = place.reshape(-1)  # identical maps are one point: their neighbours would be each other and nothing else
    if len(different) < FEWEST:
        reason = f"one cluster: {len(different)} different maps are too few to tell clusters apart"
        return Grouping(np.ones(len(rows), np.int64), np.zeros(0), 0.0, reason)
    found = spectrum(affinity(different))
    count, gap, reason = _how_many(found.values, clusters, len(different))
    labels = _labels(found, count, seed)[place] if count > 1 else np.zeros(len(rows), np.int64)
    return Grouping(_by_size(labels), found.values, gap, reason)


def _how_many(values: Floats, clusters: int | str, maps: int) -> tuple[int, float, str]:
    gaps = relative_gaps(values)
    if clusters != "auto":
        count = min(int(clusters), len(values) - 1)
        gap = float(gaps[count - 2]) if count > 1 else 0.0
        return count, gap, f"{_counted(count)}, as asked for (relative eigengap {gap:.2f})"
    parts = int((values == 0).sum())
    if parts > len(values) - 1:
        count = MOST_CLUSTERS
        return count, 0.0, f"{count} clusters, the most that are looked for: the graph falls into more parts"
    best = int(gaps.argmax())
    count, gap = best + 2, float(gaps[best])
    if gap < CLEAR_GAP:
        return 1, 0.0, f"one cluster: no relative eigengap reaches {CLEAR_GAP} (the largest is {gap:.2f})"
    joined = f"; {parts} parts of the graph are not joined" if parts > 1 else ""
    return count, gap, f"{_counted(count)}: relative eigengap {gap:.2f}, {neighbours(maps)} neighbours{joined}"


def _labels(found: Spectrum, count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    vectors = found.vectors[:, :count]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    points = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    labels: NDArray[np.int64] = KMeans(count, n_init=_MOST_STARTS, random_state=seed).fit_predict(points)
    return labels


def _by_size(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number clusters from 1 on, the largest first; of equal ones the one whose first member comes first."""
    found, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    numbers = np.empty(len(found), np.int64)
    numbers[order] = np.arange(1, len(found) + 1)
    return numbers[np.searchsorted(found, labels)]


def _counted(count: int) -> str:
    return "one cluster" if count == 1 else f"{count} clusters"


def embedded(rows: Floats, how: str = "pca", seed: int = 0) -> Floats:
    """Return maps (N, D) as points in the plane, (N, 2).

    "pca" takes the two directions in which maps vary most: it is quick, and the same every time. "tsne" shows who is
    next to whom, and takes about a second for 200 maps.
    """
    centred = rows - rows.mean(0)
    if how == "tsne" and len(rows) >= FEWEST:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(rows) - 1) / 3)
        found: Floats = TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(
            (centred / max(float(np.abs(centred).max()), 1e-300)).astype(np.float32)
        )
        return found.astype(np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    chosen = directions[:, ::-1][:, :2]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])  # a sign is arbitrary
    points = centred @ chosen
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
