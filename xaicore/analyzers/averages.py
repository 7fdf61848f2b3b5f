"""Means and variances of relevance that comes block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xaicore.engine import Block
from xaicore.errors import LayerError

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda relevance: relevance,
    "abs": torch.abs,
    "square": torch.square,
    "variance": lambda relevance: relevance,
}


@dataclass(frozen=True)
class Moments:
    """Mean over the steps of a block, and where it is asked for the variance around it.

    Of shape (samples, ...); where ``whole``, (1, ...) for all samples together.
    """

    mean: Tensor
    variance: Tensor | None
    whole: bool
    dtype: torch.dtype


def moments_of(relevance: Tensor, block: Block, reduce: str, what: str, batch: int) -> Moments:
    """The moments of one block's relevance, (rows, ...), summed in single precision or better.

    Relevance without the batch in front is that of all samples together; then a block is one step of all of them.
    """
    whole = relevance.shape[:1] != (block.rows,)
    if not whole:
        grid = block.grid(relevance)
    elif block.samples == batch and len(block.steps) == 1:
        grid = relevance[None, None]
    else:
        raise LayerError(
            f"the relevance of '{what}' has shape {tuple(relevance.shape)} for {block.rows} noisy copies, without the "
            f"batch in front: it can be averaged over whole batches only. Give batch_size={batch}"
        )
    grid = REDUCTIONS[reduce](grid.detach().to(torch.promote_types(relevance.dtype, torch.float32)))
    mean = grid.mean(1)
    # Not torch.var: over this dimension it is a hundred times slower than the mean.
    variance = (grid - mean.unsqueeze(1)).square_().mean(1) if reduce == "variance" else None
    return Moments(mean, variance, whole, relevance.dtype)


class Averages:
    """Running means over the steps of each sample, tensor by tensor.

    Each block updates the mean of what came before it (Chan, Golub and LeVeque 1979, equation 2.1), so that after any
    number of steps this is their mean, and small variances around large means are not lost.

    Parameters
    ----------
    batch : int
        How many samples there are.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._mean: dict[str, Tensor] = {}
        self._variance: dict[str, Tensor] = {}
        self._dtype: dict[str, torch.dtype] = {}
        self._whole: dict[str, bool] = {}

    def add(self, block: Block, found: dict[str, Moments]) -> None:
        """Take in the steps of a block; the steps before them must have come for each of its samples."""
        share = len(block.steps) / block.last
        for name, new in found.items():
            if name not in self._mean:
                shape = (1 if new.whole else self._batch, *new.mean.shape[1:])
                self._mean[name], self._dtype[name] = new.mean.new_zeros(shape), new.dtype
                self._whole[name] = new.whole
                if new.variance is not None:
                    self._variance[name] = new.mean.new_zeros(shape)
            mine = slice(None) if new.whole else slice(block.start, block.stop)
            mean = self._mean[name][mine]
            change = new.mean - mean
            mean += share * change
            if new.variance is not None:
                variance = self._variance[name][mine]
                variance += share * (new.variance - variance) + share * (1 - share) * change.square()

    def results(self, reduce: str) -> dict[str, Tensor]:
        """The means, or variances, by name; in the type that the relevance had."""
        found = self._variance if reduce == "variance" else self._mean
        return {name: (each[0] if self._whole[name] else each).to(self._dtype[name]) for name, each in found.items()}
