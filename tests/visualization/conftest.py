"""Explanations made by hand, and the promise that no drawing leaves a figure open in pyplot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from xaicore.explanation import Diagnostics, Explanation


def make_explanation(
    relevance: Any, method: str = "lrp.epsilon", index: list[int] | None = None, **fields: Any
) -> Explanation:
    """An explanation of class `index` of each sample (0, 1, ... by default), as a classifier of ten would give it."""
    samples = len(relevance if isinstance(relevance, torch.Tensor) else next(iter(relevance.values())))
    index = list(range(samples)) if index is None else index
    values = torch.ones(samples)
    target = {"kind": "class", "labels": [str(each) for each in index], "index": index, "values": values}
    parts = {
        "prediction": torch.eye(samples, 10) * 5,
        "target": target,
        "diagnostics": Diagnostics(values, values, values * 0),
        "parameters": {"epsilon": 0.25},
    }
    return Explanation(relevance, method=method, **(parts | fields))


@pytest.fixture
def make() -> Callable[..., Explanation]:
    return make_explanation


@pytest.fixture(autouse=True)
def no_figure_stays_open() -> Iterator[None]:
    yield
    import matplotlib.pyplot

    assert matplotlib.pyplot.get_fignums() == []
