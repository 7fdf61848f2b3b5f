"""Sensitivity-n: whether the relevance of n features is what the output loses without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from xai_evaluation.faithfulness.flipping import Flipping
from xai_evaluation.faithfulness.patches import check_patch
from xai_evaluation.faithfulness.replacing import resolve_fill
from xai_evaluation.faithfulness.subsets import correlation_over_subsets, notes_on, random_subsets
from xai_evaluation.parameters import check_choice, check_count, check_seed
from xaicore.errors import ParameterError
from xaicore.scoring import QUANTITIES, Case, Curve, Metric, Scores

_SIZES, _UP_TO = 5, 0.8


class SensitivityN(Metric):
    """Correlation of the relevance of n features, summed, with what the output loses when they are replaced.

    Over random subsets S of n features: corr(sum of R_i for i in S, f(x) - f(x with S replaced)), by Pearson; with
    several n the mean over them. 1 is best: for a linear model any explanation R_i = w_i (x_i - fill_i) has it, at
    every n. Where there are no more subsets of n features than asked for, each is taken once.

    Parameters
    ----------
    n : int, sequence of int, or None
        How many features are replaced: at least 1, and fewer than all. None: five sizes from 1 to 80 % of the features,
        evenly by their logarithm.
    subsets : int
        How many subsets of each size; as many forwards of each sample.
    patch, fill, draws
        As in `PixelFlipping`: features are patches.
    quantity : {"output", "probability"}
    seed : int
        Of the subsets, which all samples share.

    Notes
    -----
    NaN where relevance or outputs are not finite, or where all subsets of one of the sizes have the same relevance (of
    a constant map) or the same loss. With several n, ``details["correlation"]`` and the curve have each of them.

    References
    ----------
    Ancona et al. 2018, "Towards better understanding of gradient-based attribution methods for deep neural networks",
    sec. 4.
    """

    higher_is_better = True
    bounds = (-1.0, 1.0)

    def __init__(
        self,
        *,
        n: int | Sequence[int] | None = None,
        subsets: int = 100,
        patch: Any = None,
        fill: Any = "zero",
        draws: int = 1,
        quantity: str = "output",
        seed: int = 0,
    ) -> None:
        self.n, self.subsets, self.patch, self.fill, self.draws = n, subsets, patch, fill, draws
        self.quantity, self.seed = quantity, seed
        given = [1] if n is None else list(n) if isinstance(n, Sequence) else [n]
        if not given or isinstance(n, str):
            raise ParameterError(f"n={n!r} must be a number of features, or several")
        for each in given:
            check_count("n", each)
        check_count("subsets", subsets, least=2)
        check_patch(patch)
        resolve_fill(fill)
        check_count("draws", draws)
        check_choice("quantity", quantity, QUANTITIES)
        check_seed(seed)

    def score(self, case: Case) -> Scores:
        """Replace random subsets."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        sizes = self._sizes(flipping.patches.count)
        found = [
            correlation_over_subsets(
                flipping, random_subsets(flipping.patches.count, size, self.subsets, self.seed), self.quantity
            )
            for size in sizes
        ]
        each = torch.stack(found, 1)
        values = each.mean(1)
        notes = notes_on(flipping, values)
        if len(sizes) == 1:
            return self.scores(values, notes=notes)
        x = torch.tensor(sizes, dtype=torch.float64) / flipping.patches.count
        curve = Curve(x, each.cpu(), "share of features replaced together", "correlation")
        return self.scores(values, curve=curve, details={"correlation": each.cpu()}, notes=notes)

    def _sizes(self, count: int) -> list[int]:
        if self.n is None:
            last = torch.tensor(max(1.0, _UP_TO * count), dtype=torch.float64).log10()
            return sorted({min(count - 1, round(float(each))) for each in torch.logspace(0, float(last), _SIZES)})
        sizes = list(self.n) if isinstance(self.n, Sequence) else [self.n]
        if max(sizes) >= count:
            raise ParameterError(
                f"n={self.n!r}: there are {count} features, and the one subset of all says nothing: n must be less, or "
                "patch smaller"
            )
        return sizes
