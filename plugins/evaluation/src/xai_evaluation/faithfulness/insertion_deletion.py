"""Insertion and deletion: the probability of a class as its relevant pixels come, or go."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from xai_evaluation.faithfulness.flipping import Flipping, area
from xai_evaluation.faithfulness.patches import check_patch
from xai_evaluation.faithfulness.replacing import resolve_fill
from xai_evaluation.parameters import check_choice, check_count
from xaicore.scoring import QUANTITIES, Case, Curve, Metric, Scores


class _AreaUnder(Metric):
    """What insertion and deletion have in common: the area under the curve of the explained class."""

    inserted: ClassVar[bool]
    """Whether entries come into the fill, rather than going."""

    def __init__(
        self,
        *,
        patch: Any = 1,
        fill: Any = "zero",
        draws: int = 1,
        steps: int | None = 64,
        quantity: str = "probability",
    ) -> None:
        self.patch, self.fill, self.draws, self.steps, self.quantity = patch, fill, draws, steps, quantity
        check_patch(patch)
        resolve_fill(fill)
        check_count("draws", draws)
        if steps is not None:
            check_count("steps", steps)
        check_choice("quantity", quantity, QUANTITIES)

    @property
    def bounds(self) -> tuple[float | None, float | None]:  # type: ignore[override]
        """0 to 1 for probabilities."""
        return (0.0, 1.0) if self.quantity == "probability" else (None, None)

    def score(self, case: Case) -> Scores:
        """Insert or delete entries, the most relevant first."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        counts = flipping.counts(self.steps)
        if self.inserted:
            curve = flipping.insertion(counts, self.quantity)
        else:
            curve = flipping.curve("most", counts, self.quantity)
        x = torch.tensor(counts, dtype=torch.float64) / flipping.patches.count
        values = area(x, curve)
        label = f"share of patches {'inserted' if self.inserted else 'deleted'}"
        notes = flipping.notes()
        return self.scores(values, curve=Curve(x, curve.cpu(), label, self.quantity), notes=notes)


class Deletion(_AreaUnder):
    """Area under the class probability as entries are taken away, the most relevant first.

    The curve starts at the sample as it is and ends where nothing is left of it. Less is better: what the class needs
    goes first. Entries are ranked as in `PixelFlipping`, which this is with the defaults of the paper. The area is that
    of the trapezoid rule, over shares from 0 to 1.

    Parameters
    ----------
    patch : int, tuple of int, dict of these by input, or None
        As in `PixelFlipping`; 1: single positions.
    fill : float, sequence of float, str, Tensor, Baseline or LinearImputation
        As in `PixelFlipping`.
    draws : int
        Most variants of a fill that has several.
    steps : int or None
        Most points of the curve beside the first. None: one a patch.
    quantity : {"probability", "output"}

    Notes
    -----
    NaN where relevance or outputs are not finite.

    References
    ----------
    Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of black-box models".
    """

    higher_is_better = False
    inserted = False


class Insertion(_AreaUnder):
    """Area under the class probability as entries come into a blurred image, the most relevant first.

    The curve starts where nothing of the sample is there but the fill, and ends at the sample as it is. More is better:
    what makes the class comes first. Otherwise as `Deletion`.

    Parameters
    ----------
    patch, draws, steps, quantity
        As in `Deletion`.
    fill : float, sequence of float, str, Tensor, Baseline or LinearImputation
        What is there before. Only what has positions (images, series) can be blurred; give ``fill="zero"``, or another
        one, for tables and tokens.

    Notes
    -----
    NaN where relevance or outputs are not finite.

    References
    ----------
    Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of black-box models".
    """

    higher_is_better = True
    inserted = True

    def __init__(
        self,
        *,
        patch: Any = 1,
        fill: Any = "blur",
        draws: int = 1,
        steps: int | None = 64,
        quantity: str = "probability",
    ) -> None:
        super().__init__(patch=patch, fill=fill, draws=draws, steps=steps, quantity=quantity)
