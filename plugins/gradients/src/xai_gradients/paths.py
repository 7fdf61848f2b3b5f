"""Straight lines from a baseline to the samples, at the inputs or wherever an evaluation varies things."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers import GraphEvaluation
from xaicore.analyzers.baselines import Baseline
from xaicore.engine import Block

_KEPT = 8
"""How many variants of a baseline are kept; at an inner layer, making one takes a run of the layers before it."""


class Paths:
    """The paths from each variant of a baseline to each sample.

    Parameters
    ----------
    evaluation : GraphEvaluation
    baseline : Baseline
    """

    def __init__(self, evaluation: GraphEvaluation, baseline: Baseline) -> None:
        self.evaluation = evaluation
        self.count = baseline.count

        @lru_cache(_KEPT)
        def start(number: int) -> dict[str, Tensor]:
            return {name: each.detach() for name, each in evaluation.baseline(baseline, number).items()}

        self.start = start

    def starts(self, block: Block) -> dict[str, Tensor]:
        """The baselines themselves as rows: the steps of the block are the numbers of variants."""
        found = {}
        for name, x in self.evaluation.varied.items():
            starts = [start_of(self.start(number)[name], block) for number in block.steps]
            rows = [start.expand(block.samples, *x.shape[1:]) for start in starts]
            found[name] = torch.stack(rows, 1).flatten(0, 1)
        return found

    def difference(self, name: str, number: int, block: Block) -> Tensor:
        """From a variant of the baseline to the samples of a block: (samples, ...), in at least 32 bits."""
        x = block.of(self.evaluation.varied[name])
        return x.to(wide(x)) - start_of(self.start(number)[name], block).to(wide(x))


def start_of(start: Tensor, block: Block) -> Tensor:
    """The entries of a baseline, (B, ...) or (1, ...) for all, for the samples of a block."""
    return start if len(start) == 1 else block.of(start)


def between(start: Tensor, stop: Tensor, at: Tensor) -> Tensor:
    """Points on the lines from ``start`` to ``stop``, which broadcast, at the shares ``at``; in at least 32 bits."""
    return torch.lerp(start.to(wide(stop)), stop.to(wide(stop)), at.to(stop.device, wide(stop)))


def along(values: Sequence[float] | Tensor, like: Tensor, dim: int) -> Tensor:
    """One number for each entry of a dimension, shaped to broadcast over a tensor of the rank of ``like``."""
    found = torch.as_tensor(values, device=like.device, dtype=wide(like))
    return found.view(-1, *[1] * (like.ndim - dim - 1))


def weighted_sum(weights: Tensor, grid: Tensor) -> Tensor:
    """Sum over the steps of a grid, (samples, steps, ...) -> (samples, ...), in at least 32 bits.

    A matrix product, which makes no copy of the grid; autocast would do it in half precision.
    """
    with torch.autocast(grid.device.type, enabled=False):
        flat = grid.reshape(*grid.shape[:2], -1).to(wide(grid))
        return (weights.to(flat) @ flat).view(len(grid), *grid.shape[2:])


def wide(tensor: Tensor) -> torch.dtype:
    """The type to compute in: that of the tensor, but no less than 32 bits."""
    return torch.promote_types(tensor.dtype, torch.float32)


def add_to(totals: Mapping[str, Tensor], block: Block, found: Mapping[str, Any]) -> None:
    """Add what was found for the samples of a block to the totals of all samples."""
    for name, total in totals.items():
        block.of(total).add_(found[name])
