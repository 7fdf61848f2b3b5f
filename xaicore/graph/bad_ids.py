"""Indices that an embedding does not have: what PyTorch calls "index out of range in self"."""

from __future__ import annotations

import traceback
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

_OUT_OF_RANGE = "index out of range in self"


def too_large_ids(model: nn.Module, error: Exception) -> str:
    """What to put behind an error that an embedding raised for an index outside of its table; empty for others."""
    if not isinstance(error, IndexError) or _OUT_OF_RANGE not in str(error):
        return ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code in (functional.embedding.__code__, functional.embedding_bag.__code__):
            return _told(model, frame.f_locals)
    return "\n  An index is outside of the table that it is looked up in."


def _told(model: nn.Module, arguments: dict[str, Any]) -> str:
    ids, table = arguments["input"], arguments["weight"]
    if not isinstance(ids, Tensor) or not isinstance(table, Tensor):
        return ""
    name = next((name for name, each in model.named_modules() if getattr(each, "weight", None) is table), "")
    called = f"The embedding {name!r}" if name else "The embedding"
    low, high = int(ids.min()), int(ids.max())
    wrong = f"the smallest is {low}" if low < 0 else f"the largest is {high}"
    return f"\n  {called} has a table of {len(table)} ids, 0 to {len(table) - 1}; of those given {wrong}."
