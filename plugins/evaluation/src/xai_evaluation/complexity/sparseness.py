"""The Gini index of relevance."""

from __future__ import annotations

import torch

from xaicore.scoring import Case, Metric, Scores


class Gini(Metric):
    """Gini index of the magnitudes of relevance: 0 where all features have as much, towards 1 where few have all.

    Of all channels of a pixel the magnitude is that of their sum. NaN where all relevance is 0, or some is not finite.

    References
    ----------
    Hurley and Rickard 2009, "Comparing measures of sparsity", table I; Chalasani et al. 2020, sec. 3.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

    def score(self, case: Case) -> Scores:
        magnitudes = torch.cat([each.flatten(1).abs() for each in case.relevance.values()], 1).sort(1).values
        count = magnitudes.shape[1]
        weights = 2 * torch.arange(1, count + 1, device=magnitudes.device, dtype=magnitudes.dtype) - count - 1
        total = magnitudes.sum(1)
        return self.scores(torch.where(total > 0, (magnitudes * weights).sum(1) / (count * total), torch.nan))
