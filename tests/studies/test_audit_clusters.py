"""Spectral clustering of maps: against the definition, scikit-learn, and groups that are there by construction."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from xaicore.studies.auditing import affinity, grouping
from xaicore.studies.auditing.suspicion import WEIGHTS, suspicion_of


def blobs(*sizes: int, apart: float = 8.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 6) in groups of these sizes, each around a corner of its own, and the group of each."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    centres = apart * np.eye(len(sizes), 6) if len(sizes) <= 6 else apart * random.normal(size=(len(sizes), 6))
    return random.normal(size=(sum(sizes), 6)) + centres[groups], groups


@pytest.mark.parametrize("sizes", [(80, 30), (60, 50, 40), (40, 40, 30, 15), (30, 30, 30, 30, 30, 30)])
def test_as_many_clusters_are_found_as_there_are_groups(sizes: tuple[int, ...]) -> None:
    points, groups = blobs(*sizes)
    found = grouping.grouped(points)
    assert adjusted_rand_score(groups, found.cluster) == 1
    assert np.bincount(found.cluster)[1:].tolist() == sorted(sizes, reverse=True)  # the largest is number 1
    assert found.gap > 0.9 and f"{len(sizes)} clusters" in found.reason


@pytest.mark.parametrize("seed", range(5))
def test_points_without_groups_are_one_cluster(seed: int) -> None:
    points, _ = blobs(150, seed=seed)
    found = grouping.grouped(points)
    assert set(found.cluster.tolist()) == {1} and found.gap == 0 and "one cluster" in found.reason


def test_eigenvalues_are_those_of_the_normalised_laplacian() -> None:
    points, _ = blobs(40, 30, apart=4)
    weights = affinity.affinity(points)
    dense = weights.toarray()
    degrees = dense.sum(1)
    laplacian = np.eye(len(dense)) - dense / np.sqrt(np.outer(degrees, degrees))
    expected = np.linalg.eigvalsh(laplacian)
    np.testing.assert_allclose(affinity.spectrum(weights).values, expected[:9], atol=1e-8)
    assert np.array_equal(dense, dense.T) and (np.diag(dense) == 0).all()


def test_affinities_are_those_of_self_tuning_neighbours() -> None:
    points, _ = blobs(25)
    count = affinity.neighbours(25)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    order = np.argsort(distances, axis=1)[:, 1 : count + 1]
    scale = np.take_along_axis(distances, order, 1)[:, -1]
    expected = np.zeros((25, 25))
    for i in range(25):
        for j in order[i]:
            expected[i, j] = expected[j, i] = np.exp(-(distances[i, j] ** 2) / (scale[i] * scale[j]))
    np.testing.assert_allclose(affinity.affinity(points).toarray(), expected, rtol=1e-9)


def test_labels_agree_with_scikit_learn_on_the_same_affinities() -> None:
    points, _ = blobs(50, 40, 30, apart=4, seed=2)
    other = SpectralClustering(3, affinity="precomputed", random_state=0, assign_labels="kmeans")
    expected = other.fit_predict(affinity.affinity(points).toarray())
    found = grouping.grouped(points, 3)
    assert adjusted_rand_score(expected, found.cluster) > 0.95
    assert "as asked for" in found.reason


def test_large_classes_are_clustered_without_a_dense_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    points, groups = blobs(150, 100, 60)
    dense = grouping.grouped(points)
    monkeypatch.setattr(affinity, "_DENSE", 100)
    sparse = grouping.grouped(points)
    np.testing.assert_allclose(sparse.eigenvalues, dense.eigenvalues, atol=1e-7)
    assert np.array_equal(sparse.cluster, dense.cluster)
    assert adjusted_rand_score(groups, sparse.cluster) == 1


def test_a_graph_in_more_parts_than_clusters_are_looked_for() -> None:
    points, _ = blobs(*[20] * 10, apart=40)
    found = grouping.grouped(points)
    assert found.cluster.max() == affinity.MOST_CLUSTERS and "falls into more parts" in found.reason


def test_parts_that_are_not_joined_are_counted_by_the_eigenvalue_zero() -> None:
    points, groups = blobs(30, 30, 30, apart=100)
    found = grouping.grouped(points)
    assert (found.eigenvalues[:3] == 0).all() and found.eigenvalues[3] > 0.01
    assert adjusted_rand_score(groups, found.cluster) == 1 and "3 parts" in found.reason


def test_identical_maps_are_one_point() -> None:
    same = np.tile([[0.25, 0.25, 0.5, 0, 0, 0]], (50, 1))
    found = grouping.grouped(same)
    assert set(found.cluster.tolist()) == {1} and "1 different maps are too few" in found.reason
    points, groups = blobs(30, 20)
    twice = grouping.grouped(np.concatenate([points, points, same]))
    assert np.array_equal(twice.cluster[:50], twice.cluster[50:100])
    assert len(set(twice.cluster[100:].tolist())) == 1
    assert adjusted_rand_score(groups, twice.cluster[:50]) == 1


@pytest.mark.parametrize("maps", [1, 2, 9])
def test_few_maps_are_one_cluster(maps: int) -> None:
    points, _ = blobs(maps)
    found = grouping.grouped(points)
    assert found.cluster.tolist() == [1] * maps and not found.eigenvalues.size


def test_a_relative_gap_is_near_one_where_small_eigenvalues_end() -> None:
    np.testing.assert_allclose(affinity.relative_gaps(np.array([0, 0.01, 0.5, 1.0])), [0.98, 0.5])
    np.testing.assert_allclose(affinity.relative_gaps(np.zeros(4)), [0, 0])


def test_the_embedding_is_that_of_principal_components() -> None:
    points, _ = blobs(40, 20)
    expected = PCA(2).fit_transform(points)
    found = grouping.embedded(points)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-9)
    assert grouping.embedded(points[:1]).tolist() == [[0, 0]]
    assert grouping.embedded(points[:5, :1]).shape == (5, 2)


def test_tsne_puts_groups_apart() -> None:
    points, groups = blobs(30, 30, apart=20)
    found = grouping.embedded(points, "tsne", 0)
    centres = [found[groups == group].mean(0) for group in (0, 1)]
    spread = max(np.linalg.norm(found[groups == group] - centres[group], axis=1).mean() for group in (0, 1))
    assert np.linalg.norm(centres[0] - centres[1]) > 2 * spread


def test_suspicion_is_the_weighted_mean_of_what_is_known() -> None:
    parts = {"elsewhere": 0.5, "outside": 1.0, "apart": 0.9, "answers": 0.2, "rare": 0.1}
    expected = (6 * 0.5 + 4 * 1.0 + 2 * 0.9 + 0.2 + 0.1) / 14
    assert suspicion_of(parts) == pytest.approx(expected)
    assert suspicion_of(parts | {"outside": float("nan")}) == pytest.approx((6 * 0.5 + 2 * 0.9 + 0.2 + 0.1) / 10)
    assert suspicion_of(dict.fromkeys(WEIGHTS, 1.0)) == 1 and suspicion_of(dict.fromkeys(WEIGHTS, 0.0)) == 0
