"""Sums of branches: the z-plus rule for the additions of residual networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from xaicore.propagation import State


def positive_shares(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Relevance of a sum or difference by the positive parts of its two terms; all of it to the only one.

    The sum is a neuron with the two terms for contributions, for which this is z-plus (Montavon et al. 2017).
    A constant term is a bias and has no share.
    """
    (r,), y = rs, ys[0]
    if r is None:
        return [None] * len(xs)
    if len(xs) == 1:
        return [r.sum_to_size(xs[0].shape)]
    first = xs[0].clamp(min=0)
    second = (y - xs[0]).clamp(min=0)
    total = first + second
    per_unit = r / torch.where(total > torch.finfo(total.dtype).tiny, total, torch.inf)
    if state.ledger_open:
        state.absorb(stabilizer=r - per_unit * total)
    return [(per_unit * part).sum_to_size(x.shape) for x, part in zip(xs, (first, second), strict=True)]
