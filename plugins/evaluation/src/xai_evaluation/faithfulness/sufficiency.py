"""Sufficiency: whether what is relevant is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from xai_evaluation.faithfulness.flipping import Flipping
from xai_evaluation.faithfulness.patches import check_patch
from xai_evaluation.faithfulness.replacing import resolve_fill
from xai_evaluation.parameters import check_choice, check_count, check_share
from xaicore.errors import ParameterError
from xaicore.scoring import QUANTITIES, Case, Curve, Metric, Scores


class Sufficiency(Metric):
    """What the output loses when only the most relevant features are left: f(x) - f(x with all others replaced).

    With several shares the mean over them. Less is better; negative where the output is higher without the others.
    Features are patches, ranked as in `PixelFlipping`; of a share s of F features, round(s F) are kept, at least one.

    Parameters
    ----------
    shares : float or sequence of float
        How much of the features is kept, each above 0 and at most 1. Default: those of the paper.
    patch, fill, draws
        As in `PixelFlipping`. The paper deletes tokens; here they are replaced, with a fill such as the index of the
        padding or mask token.
    quantity : {"probability", "output"}

    Notes
    -----
    NaN where relevance or outputs are not finite.

    References
    ----------
    DeYoung et al. 2020, "ERASER: a benchmark to evaluate rationalized NLP models", sec. 4.
    """

    higher_is_better = False

    def __init__(
        self,
        *,
        shares: float | Sequence[float] = (0.01, 0.05, 0.1, 0.2, 0.5),
        patch: Any = None,
        fill: Any = "zero",
        draws: int = 1,
        quantity: str = "probability",
    ) -> None:
        self.shares, self.patch, self.fill, self.draws, self.quantity = shares, patch, fill, draws, quantity
        given = list(shares) if isinstance(shares, Sequence) else [shares]
        if not given or isinstance(shares, str):
            raise ParameterError(f"shares={shares!r} must be a share of the features, or several")
        for each in given:
            check_share("shares", each, "a share of the features")
        check_patch(patch)
        resolve_fill(fill)
        check_count("draws", draws)
        check_choice("quantity", quantity, QUANTITIES)

    @property
    def bounds(self) -> tuple[float | None, float | None]:  # type: ignore[override]
        """-1 to 1 for probabilities."""
        return (-1.0, 1.0) if self.quantity == "probability" else (None, None)

    def score(self, case: Case) -> Scores:
        """Keep what is most relevant."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        shares = sorted(self.shares) if isinstance(self.shares, Sequence) else [self.shares]
        counts = [max(1, round(share * flipping.patches.count)) for share in shares]
        distinct = sorted(set(counts))
        kept = flipping.insertion(distinct, self.quantity)[:, [distinct.index(count) for count in counts]]
        losses = case.values(self.quantity).to(kept.device)[:, None] - kept
        values = losses.mean(1)
        label = f"loss of {self.quantity}"
        curve = Curve(torch.tensor(shares, dtype=torch.float64), losses.cpu(), "share of features kept", label)
        return self.scores(values, curve=curve if len(shares) > 1 else None, notes=flipping.notes())
