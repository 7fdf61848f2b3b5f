"""Which maps are alike: the graph of nearest neighbours, and the spectrum of its Laplacian."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 10
"""Fewer maps than this are one cluster: their neighbours are all of them."""
MOST_CLUSTERS = 8
_NEIGHBOURS = 1.5  # times log2(n); connected graphs need the order of log(n)
_DENSE = 600  # larger Laplacians are not written out
_ZERO = 1e-9
_LEAST_WEIGHT = 1e-9
_WORKING_MEMORY = 64  # MiB, for distances


class Spectrum(NamedTuple):
    """The smallest eigenvalues of a normalised Laplacian, ascending, and their eigenvectors as columns."""

    values: Floats
    vectors: Floats


def neighbours(maps: int) -> int:
    """How many nearest neighbours each of so many maps has."""
    return min(maps - 1, max(4, math.ceil(_NEIGHBOURS * math.log2(maps))))


def affinity(rows: Floats) -> Any:
    """Return the symmetric affinities of different points (N, D) as a sparse matrix (N, N).

    Each point is joined to its nearest neighbours, by exp(-d(i, j)² / (s(i) s(j))), where s is the distance to the
    last of them; a pair is joined where either is a neighbour of the other.

    References
    ----------
    Zelnik-Manor and Perona 2004, "Self-tuning spectral clustering", equation 2; von Luxburg 2007, "A tutorial on
    spectral clustering", section 2.2.
    """
    from sklearn import config_context
    from sklearn.neighbors import kneighbors_graph

    count = neighbours(len(rows))
    with config_context(working_memory=_WORKING_MEMORY):
        graph = kneighbors_graph(rows, count, mode="distance")
    distances = graph.data.reshape(len(rows), count)
    scale = distances.max(1)
    exponents = graph.data**2 / (np.repeat(scale, count) * scale[graph.indices])
    # Never quite zero: a point whose neighbours are far away is joined to them all the same.
    graph.data = np.maximum(np.exp(-exponents), _LEAST_WEIGHT)
    return graph.maximum(graph.T).tocsr()


def spectrum(weights: Any, most: int = MOST_CLUSTERS + 1) -> Spectrum:
    """Return the smallest eigenvalues of I - D^(-1/2) A D^(-1/2) with their eigenvectors, at most `most` of them.

    There are as many eigenvalues 0 as parts of the graph that are not joined to each other.
    """
    from scipy import linalg, sparse
    from scipy.sparse.linalg import eigsh

    size = weights.shape[0]
    root = sparse.diags(1 / np.sqrt(np.asarray(weights.sum(1)).ravel()))
    joined = root @ weights @ root
    wanted = min(most, size)
    if size <= _DENSE:
        values, vectors = linalg.eigh(np.eye(size) - joined.toarray(), subset_by_index=[0, wanted - 1])
    else:
        start = np.random.default_rng(0).normal(size=size)  # so that the same graph gives the same vectors
        largest, vectors = eigsh(joined, k=wanted, which="LA", v0=start, ncv=min(size, 6 * wanted))
        order = np.argsort(-largest)
        values, vectors = 1 - largest[order], vectors[:, order]
    return Spectrum(np.where(values < _ZERO, 0.0, values), vectors)


def relative_gaps(values: Floats) -> Floats:
    """How clearly each number of clusters from 2 on stands out: 1 - λ(k) / λ(k + 1), for k = 2, 3, ...

    Close to 1 where k eigenvalues are small and the next one is not, which is what k clusters look like.
    """
    here, behind = values[1:-1], values[2:]
    return np.divide(behind - here, behind, out=np.zeros_like(here), where=behind > 0)
