"""In which type sums over many variations are made."""

from __future__ import annotations

import functools

import torch

from xaicore.analyzers import Evaluation


def dtype_of_sums(evaluation: Evaluation) -> torch.dtype:
    """At least float32, and float64 where the inputs or the outputs are: sums in half precision would lose terms."""
    types = [each.dtype for each in (evaluation.values, *evaluation.varied.values()) if each.is_floating_point()]
    return functools.reduce(torch.promote_types, types, torch.float32)
