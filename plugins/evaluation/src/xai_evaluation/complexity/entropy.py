"""The entropy of relevance."""

from __future__ import annotations

import torch

from xai_evaluation.complexity.features import magnitudes, undefined_notes
from xaicore.scoring import Case, Metric, Scores


class Entropy(Metric):
    """Entropy of how the magnitudes of relevance are distributed over features, in nats.

    With p_i the magnitude of feature i by the sum of all: minus the sum of p_i ln p_i. 0 where one feature has all
    relevance, ln F where all F have as much; exp of it is about how many features an explanation rests on. Of all
    channels of a pixel the magnitude is that of their sum.

    Notes
    -----
    NaN where all relevance is 0, or some is not finite. It grows with the number of features: compare explanations of
    inputs of one size.

    References
    ----------
    Bhatt, Weller and Moura 2020, "Evaluating and aggregating feature-based model explanations", complexity.
    """

    higher_is_better = False
    bounds = (0.0, None)

    def score(self, case: Case) -> Scores:
        sizes = magnitudes(case)
        total = sizes.sum(1, keepdim=True)
        shares = sizes / total
        entropy = torch.special.entr(shares).sum(1)
        defined = (total[:, 0] > 0) & torch.isfinite(total[:, 0])
        return self.scores(torch.where(defined, entropy, torch.nan), notes=undefined_notes(sizes))
