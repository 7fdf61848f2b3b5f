"""Random subsets of features, and whether their relevance tells what the output loses without them."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from xai_evaluation.faithfulness.flipping import Flipping
from xaicore.engine import generator

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

    NaN where relevance or outputs are not finite, and where one of the two is the same for all subsets, up to rounding.

    Parameters
    ----------
    subsets : Tensor, boolean (n, count)
    quantity : {"output", "probability"}
    """
    start = flipping.case.values(quantity).to(flipping.sums.device)[:, None]
    losses = start - flipping.without(subsets, quantity)
    relevance = flipping.sums @ subsets.to(flipping.sums.device).double().T
    dtype = flipping.case.evaluation.prediction.dtype
    precision = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
    sizes = (start.abs() + losses.abs()).amax(1)
    return pearson(relevance, losses, _EXACT * flipping.sums.abs().sum(1), 4 * precision * sizes)


def notes_on(flipping: Flipping, values: Tensor) -> list[str]:
    """Why some of these correlations, (B,), are not defined."""
    constant = values.isnan() & ~flipping.undefined & ~flipping.broken
    return [*flipping.notes(), CONSTANT] if bool(constant.any()) else flipping.notes()


def pearson(a: Tensor, b: Tensor, least_a: Tensor, least_b: Tensor) -> Tensor:
    """Return the correlation of two (B, n), row by row; NaN where the range of one is no larger than its ``least``."""
    varies = ((a.amax(1) - a.amin(1)) > least_a) & ((b.amax(1) - b.amin(1)) > least_b)
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    # Lengths first: the product of two small variances would vanish.
    correlation = (a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1)
    return torch.where(varies, correlation.clamp(-1, 1), torch.nan)
