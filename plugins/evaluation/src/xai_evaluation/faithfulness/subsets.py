"""Random subsets of features, and whether their relevance tells what the output loses without them."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from xai_evaluation.faithfulness.flipping import Flipping
from xai_evaluation.faithfulness.replacing import Replacement
from xaicore.engine import Block, generator

CONSTANT = "undefined where all subsets have the same relevance, or the output loses as much without any of them"
_EXACT = 1e-10
"""Relevance of subsets is summed in float64; what differs by less, as a part of all relevance, is the same."""


def random_subsets(count: int, size: int, number: int, seed: int) -> Tensor:
    """Return subsets of features, boolean (number or fewer, count), each of one size.

    Drawn independently of each other, the same for a seed and a size; all of them, once each, where there are no more
    than ``number``.
    """
    if math.comb(count, size) <= number:
        members = torch.tensor(list(itertools.combinations(range(count), size)))
    else:
        scores = torch.rand(number, count, generator=generator(seed, size, count), dtype=torch.float64)
        members = scores.argsort(dim=1, stable=True)[:, :size]
    return torch.zeros(len(members), count, dtype=torch.bool).scatter_(1, members, True)


def correlation_over_subsets(flipping: Flipping, subsets: Tensor, quantity: str) -> Tensor:
    """Return Pearson's correlation over subsets of their relevance and of the loss of output without them, (B,).

    NaN where relevance is not finite, and where one of the two is the same for all subsets, up to rounding.

    Parameters
    ----------
    subsets : Tensor, boolean (n, count)
    quantity : {"output", "probability"}
    """
    case = flipping.case
    chosen = subsets.to(flipping.sums.device)
    values = [_values(flipping, chosen, quantity, each) for each in flipping.replacements]
    start = case.values(quantity).to(chosen.device)[:, None]
    losses = start - torch.stack(values).mean(0)
    relevance = flipping.sums @ chosen.double().T
    dtype = case.evaluation.prediction.dtype
    precision = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
    found = pearson(
        relevance,
        losses,
        _EXACT * flipping.sums.abs().sum(1),
        4 * precision * (start.abs() + losses.abs()).amax(1),
    )
    return found.masked_fill(flipping.undefined, torch.nan)


def _values(flipping: Flipping, chosen: Tensor, quantity: str, replacement: Replacement) -> Tensor:
    """The value with each subset (n, count) replaced, (B, n)."""
    case = flipping.case
    values = torch.full((len(case), len(chosen)), torch.nan, dtype=torch.float64, device=chosen.device)

    def run(block: Block) -> Tensor:
        gone = flipping.patches.entries(chosen[block.first : block.last])
        return block.grid(case.scores(replacement.rows(gone, block), block, quantity))

    sweep = case.sweep(len(chosen), run)
    for block, scores in sweep:
        values[block.start : block.stop, block.first : block.last] = scores
    flipping.interrupted |= sweep.interrupted
    return values


def pearson(a: Tensor, b: Tensor, least_a: Tensor, least_b: Tensor) -> Tensor:
    """Return the correlation of two (B, n), row by row; NaN where the range of one is no larger than its ``least``."""
    varies = ((a.amax(1) - a.amin(1)) > least_a) & ((b.amax(1) - b.amin(1)) > least_b)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    # Lengths first: the product of two small variances would vanish.
    correlation = (a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1)
    return torch.where(varies, correlation.clamp(-1, 1), torch.nan)
