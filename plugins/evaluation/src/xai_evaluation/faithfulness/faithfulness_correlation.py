"""Faithfulness correlation: sensitivity-n at one size of subsets."""

from __future__ import annotations

from typing import Any

from xai_evaluation.faithfulness.flipping import Flipping
from xai_evaluation.faithfulness.patches import check_patch
from xai_evaluation.faithfulness.replacing import resolve_fill
from xai_evaluation.faithfulness.subsets import (
    correlation_over_subsets,
    notes_on,
    random_subsets,
)
from xai_evaluation.parameters import check_choice, check_count, check_seed, check_share
from xaicore.errors import ParameterError
from xaicore.scoring import QUANTITIES, Case, Metric, Scores


class FaithfulnessCorrelation(Metric):
    """Correlation of the relevance of random subsets of one size with the loss of output without them.

    mu = corr(sum of R_i for i in S, f(x) - f(x with S replaced)) over random subsets S of ``size`` features, by
    Pearson. 1 is best. It is `SensitivityN` for one n, given as a share.

    Parameters
    ----------
    size : float
        Share of the features in a subset, above 0 and below 1; at least one feature and not all.
    subsets, patch, fill, draws, quantity, seed
        As in `SensitivityN`.

    Notes
    -----
    NaN where relevance or outputs are not finite, or where all subsets have the same relevance (of a constant map) or
    the same loss.

    References
    ----------
    Bhatt et al. 2020, "Evaluating and aggregating feature-based model explanations".
    """

    higher_is_better = True
    bounds = (-1.0, 1.0)

    def __init__(
        self,
        *,
        size: float = 0.2,
        subsets: int = 100,
        patch: Any = None,
        fill: Any = "zero",
        draws: int = 1,
        quantity: str = "output",
        seed: int = 0,
    ) -> None:
        self.size, self.subsets, self.patch, self.fill, self.draws = size, subsets, patch, fill, draws
        self.quantity, self.seed = quantity, seed
        check_share("size", size, "a share of the features")
        if size == 1:
            raise ParameterError("size=1 must be below 1: there is one subset of all features, and no correlation")
        check_count("subsets", subsets, least=2)
        check_patch(patch)
        resolve_fill(fill)
        check_count("draws", draws)
        check_choice("quantity", quantity, QUANTITIES)
        check_seed(seed)

    def score(self, case: Case) -> Scores:
        """Replace random subsets."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        count = flipping.patches.count
        size = min(count - 1, max(1, round(self.size * count)))
        values = correlation_over_subsets(flipping, random_subsets(count, size, self.subsets, self.seed), self.quantity)
        notes = notes_on(flipping, values)
        return self.scores(values, notes=notes)
