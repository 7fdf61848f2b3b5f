"""Coalitions: which features of a sample are present, and which are replaced by the fill."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xaicore.engine import generator

_MOST_ENUMERABLE = 30
"""More features than this have more coalitions than anyone runs."""


@dataclass(frozen=True)
class Coalitions:
    """Coalitions and how much each counts in a regression.

    Attributes
    ----------
    present : Tensor (n, G) of bool
        Whether a feature is present.
    weights : Tensor (n,) of float64
        Of all of them the sum is 1.
    complete : bool
        Whether these are all coalitions but the empty and the full one.
    """

    present: Tensor
    weights: Tensor
    complete: bool


def random_coalitions(features: int, number: int, seed: int) -> Tensor:
    """Coalitions in which each feature is present with probability one half, independently: (number, G) of bool.

    The numbers of a feature depend on the seed and that feature alone, not on how many features there are.
    """
    present = torch.empty(number, features, dtype=torch.bool)
    for feature in range(features):
        present[:, feature] = torch.rand(number, generator=generator(seed, feature)) < 0.5
    return present


def kernel_coalitions(features: int, budget: int, seed: int) -> Coalitions:
    """Coalitions for Kernel SHAP, at most ``budget`` of them, none of them empty or full.

    The kernel gives all coalitions of one size s together the mass 1 / (s (G - s)) (Lundberg and Lee 2017, theorem 2).
    From the smallest and largest sizes inwards, all coalitions of a size are taken where the budget, shared out by
    mass, has room for them. The rest are drawn: a size by its mass, a coalition of that size, and with each its
    complement, which cancels much of the error of the draw (Covert and Lee 2021). One that is drawn again
    is not run again: it counts more.
    """
    sizes = np.arange(1, features // 2 + 1)
    # A size and that of the complements go together; half of an even number is its own.
    masses = np.where(2 * sizes == features, 1.0, 2.0) / (sizes * (features - sizes))
    masses = masses / masses.sum()
    everything = features <= _MOST_ENUMERABLE and 2**features - 2 <= budget
    room, taken = budget, 0
    present: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for size, mass in zip(sizes.tolist(), masses.tolist(), strict=True):
        number = math.comb(features, size) * (1 if 2 * size == features else 2)
        if not everything and number > room * mass / masses[taken:].sum():
            break
        present.append(_all_of_size(features, size))
        weights.append(np.full(number, mass / number))
        room, taken = room - number, taken + 1
    if taken < len(sizes) and room >= 2:
        pairs, counts = _drawn_pairs(features, sizes[taken:], masses[taken:], room // 2, seed)
        present += [pairs, ~pairs]
        share = counts / (2 * counts.sum()) * masses[taken:].sum()
        weights += [share, share]
    rows = np.concatenate(present) if present else np.zeros((0, features), dtype=bool)
    masses_of_rows = np.concatenate(weights) if weights else np.zeros(0)
    return Coalitions(
        torch.from_numpy(rows), torch.from_numpy(masses_of_rows / (masses_of_rows.sum() or 1.0)), taken == len(sizes)
    )


def _all_of_size(features: int, size: int) -> np.ndarray:
    """All coalitions of this size, then, where that is another size, their complements: (number, G)."""
    members = np.array(list(itertools.combinations(range(features), size)))
    found = np.zeros((len(members), features), dtype=bool)
    np.put_along_axis(found, members, True, axis=1)
    return found if 2 * size == features else np.concatenate([found, ~found])


def _drawn_pairs(
    features: int, sizes: np.ndarray, masses: np.ndarray, wanted: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Different coalitions, (wanted, G), drawn by the masses of their sizes, and how often each was drawn.

    Each stands for itself and its complement. Ends early where most draws are repetitions.
    """
    probabilities = torch.from_numpy(masses / masses.sum())
    counts: dict[bytes, int] = {}
    rows: list[np.ndarray] = []
    for attempt in range(8):
        random = generator(seed, features, attempt)
        size = torch.from_numpy(sizes)[torch.multinomial(probabilities, wanted, True, generator=random)]
        ranks = torch.rand(wanted, features, generator=random).argsort(1).argsort(1)
        drawn = (ranks < size.unsqueeze(1)).numpy()
        drawn ^= drawn[:, :1]  # of the two, the one without the first feature
        for row in drawn:
            key = row.tobytes()
            if key not in counts:
                counts[key] = 0
                rows.append(row)
            counts[key] += 1
            if len(rows) == wanted:
                return np.stack(rows), np.array(list(counts.values()), dtype=np.float64)
    return np.stack(rows), np.array(list(counts.values()), dtype=np.float64)
