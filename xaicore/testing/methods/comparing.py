"""What a method returned, as tensors by name, and whether two of these are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.explanation import Explanation
from xaicore.testing.checks import Failure

EXACT = 1e-9
"""By how much results may differ in float64 where the same is computed in another order, of the largest value."""


def found_in(result: Any) -> dict[str, Tensor]:
    """The relevance by the name of the input ("" where there is one); of a `Prototype` the inputs that it found.

    Raises
    ------
    Failure
        If a method returned something else.
    """
    if isinstance(result, Explanation):
        relevance = result.relevance
        return dict(relevance) if isinstance(relevance, Mapping) else {"": relevance}
    prototypes = getattr(result, "inputs", None)
    if isinstance(prototypes, Tensor):
        return {"": prototypes}
    raise Failure(f"analyze returned a {type(result).__name__}; it must return an Explanation")


def rows(found: Mapping[str, Tensor], which: Sequence[int]) -> dict[str, Tensor]:
    """What was found for some of the samples."""
    return {name: tensor[list(which)] for name, tensor in found.items()}


def joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What was found for several batches, one behind the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest difference, as a share of the largest value; infinite where shapes, names or NaN differ."""
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    largest = max((float(tensor.double().abs().nan_to_num().max()) for tensor in one.values()), default=0.0)
    shares = [float((one[name].double() - other[name].double()).abs().max()) for name in one]
    share = max(shares, default=0.0) / (largest or 1.0)
    return share if share == share else float("inf")


def require_same(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], message: str, tolerance: float = EXACT
) -> None:
    """Fail with this message, and by how much they differ, unless two results are the same."""
    share = difference(expected, found)
    if not share <= tolerance:
        differ = (
            f"values differ by up to {share:.2g} of the largest" if share < float("inf") else "shapes or NaN differ"
        )
        raise Failure(f"{message} ({differ})")
