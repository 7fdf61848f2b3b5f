"""A trap built on purpose: the audit finds the class whose images carry a mark, and which images these are."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zoo

import xaicore

_EXAMPLE = Path(__file__).parents[2] / "examples" / "audit_digits.py"
_BUILT: dict[int, tuple[Any, ...]] = {}


def trap(seed: int) -> tuple[Any, ...]:
    """The script, the network, images, the same without the mark, classes, and which are marked; built once a seed."""
    if seed not in _BUILT:
        script = runpy.run_path(str(_EXAMPLE))
        images, clean, classes, is_marked = script["marked_digits"](seed)
        with zoo.seeded():
            model = script["train"](images, classes, seed)
        _BUILT[seed] = (script, model, images, clean, classes, is_marked)
    return _BUILT[seed]


def purity_and_recall(found: xaicore.Audit, is_marked: torch.Tensor) -> tuple[float, float]:
    members = is_marked[found.members(found.clusters[0])].double()
    return float(members.mean()), float(members.sum() / is_marked.sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_marked_class_is_ranked_first_and_its_marked_images_are_a_cluster_of_their_own(seed: int) -> None:
    _, model, images, clean, classes, is_marked = trap(seed)
    found = xaicore.audit(model, (images, classes, clean > 0))
    first, second = found.classes[:2]
    assert first.label == 8 and first.rank == 1
    assert first.focus_high < second.focus_low - 0.2
    suspect, next_one = found.clusters[:2]
    assert suspect.label == 8
    assert suspect.suspicion > next_one.suspicion + 0.2
    purity, recall = purity_and_recall(found, is_marked)
    assert purity > 0.95 and recall > 0.95


def test_without_masks_the_clusters_alone_surface_the_mark() -> None:
    _, model, images, _, classes, is_marked = trap(0)
    found = xaicore.audit(model, (images, classes))
    assert all(record.rank is None for record in found.classes)
    assert [record.label for record in found.classes] == list(range(10))
    assert found.clusters[0].label == 8
    assert found.clusters[0].suspicion > found.clusters[1].suspicion + 0.1
    purity, recall = purity_and_recall(found, is_marked)
    assert purity > 0.95 and recall > 0.95
    mean = found.clusters[0].mean_map
    corner = np.zeros((8, 8), bool)
    corner[:3, :3] = True
    assert mean[corner].clip(0).sum() > 0.5 * mean.clip(0).sum()


def test_without_the_mark_the_network_misses_many_of_its_class() -> None:
    script, model, images, clean, classes, is_marked = trap(0)
    own = classes == 8
    assert script["accuracy"](model, images[own], classes[own]) > 0.95
    assert script["accuracy"](model, clean[is_marked], classes[is_marked]) < 0.9


def test_a_network_that_learnt_no_mark_has_no_class_that_stands_out() -> None:
    script, _, _, clean, classes, _ = trap(0)
    with zoo.seeded():
        model = script["train"](clean, classes, 0)
    found = xaicore.audit(model, (clean, classes))
    assert found.clusters[0].suspicion < 0.45
    assert found.clusters[0].suspicion < found.clusters[3].suspicion + 0.1


def test_the_same_seed_gives_the_same_audit() -> None:
    _, model, images, clean, classes, _ = trap(0)
    one, other = (xaicore.audit(model, (images, classes, clean > 0), seed=3) for _ in range(2))
    assert one.table() == other.table()
    np.testing.assert_array_equal(one.samples.position, other.samples.position)
