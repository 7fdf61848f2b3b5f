"""Sums for the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def total(relevance: Sequence[Tensor | None]) -> Tensor:
    """All of it, as one number in float64."""
    return sum((r.sum(dtype=torch.float64) for r in relevance if r is not None), torch.zeros(()))
