"""Gini index and entropy agree with Quantus, which adds small numbers for stability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn

from xai_evaluation import Entropy, Gini
from xaicore import GivenRelevance
from xaicore.scoring import Case, Metric

zoo.import_torchvision()  # Quantus imports it
quantus = pytest.importorskip("quantus")
pytestmark = pytest.mark.filterwarnings("ignore")


def maps() -> Tensor:
    return torch.randn(6, 1, 9, 8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def ours(metric: Metric, relevance: Tensor) -> np.ndarray[Any, Any]:
    given = GivenRelevance(nn.Flatten(), relevance=relevance)
    return metric.score(Case(given, torch.zeros_like(relevance), 0)).values.numpy()


def theirs(name: str, relevance: Tensor) -> np.ndarray[Any, Any]:
    metric = getattr(quantus, name)(normalise=False, abs=True, disable_warnings=True, display_progressbar=False)
    x = np.zeros(relevance.shape)
    labels = np.zeros(len(x), dtype=int)
    found = metric(model=nn.Flatten(), x_batch=x, y_batch=labels, a_batch=relevance.numpy().copy(), device="cpu")
    return np.asarray(found, dtype=float)


def test_gini_is_their_sparseness() -> None:
    # 1e-7 is added to every magnitude there.
    np.testing.assert_allclose(ours(Gini(), maps()), theirs("Sparseness", maps()), rtol=1e-6)


def test_entropy_is_their_complexity() -> None:
    np.testing.assert_allclose(ours(Entropy(), maps()), theirs("Complexity", maps()), rtol=1e-9)


def test_what_is_added_there_makes_small_relevance_dense() -> None:
    # Relevance scaled down is as sparse as before; with 1e-7 added to it, it is not.
    small = maps() * 1e-7
    np.testing.assert_allclose(ours(Gini(), small), ours(Gini(), maps()))
    assert (theirs("Sparseness", small) < 0.6 * ours(Gini(), small)).all()
