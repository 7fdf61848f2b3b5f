"""Splitting a batch, and showing progress."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
import torch
from torch import nn

from xaicore.engine import Engine, Inputs
from xaicore.errors import ParameterError


class Labels:
    """Something that accompanies the inputs."""

    def __init__(self, values: list[int]) -> None:
        self.values = values

    def chunk(self, start: int, stop: int, total: int) -> Labels:
        assert len(self.values) == total
        return Labels(self.values[start:stop])


def pair(inputs: Inputs, labels: Labels) -> list[tuple[float, int]]:
    return list(zip(inputs.args[0].squeeze(1).tolist(), labels.values, strict=True))


@pytest.mark.parametrize(("batch_size", "sizes"), [(None, [5]), (1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
def test_every_sample_is_run_once_with_its_own_target(batch_size: int | None, sizes: list[int]) -> None:
    engine = Engine(batch_size)
    inputs = engine.prepare(torch.arange(5.0)[:, None], nn.Linear(1, 1))
    results = engine.run(pair, inputs, Labels([0, 10, 20, 30, 40]))
    assert [len(result) for result in results] == sizes
    assert list(chain(*results)) == [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "4", True])
def test_a_batch_size_that_is_no_positive_integer_is_refused(batch_size: Any) -> None:
    with pytest.raises(ParameterError, match="batch_size must be a positive integer"):
        Engine(batch_size)


@pytest.mark.parametrize(
    ("batch_size", "progress", "shown"), [(2, True, True), (None, True, True), (2, False, False), (2, None, False)]
)
def test_progress_is_shown_on_request_and_otherwise_only_on_a_terminal(
    capsys: pytest.CaptureFixture[str], batch_size: int | None, progress: bool | None, shown: bool
) -> None:
    engine = Engine(batch_size, progress)
    engine.run(pair, engine.prepare(torch.ones(4, 1), nn.Linear(1, 1)), Labels([0, 1, 2, 3]))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("4/4" in captured.err) == shown
