"""What the metrics of localisation share: which relevance counts, where the object is, what has no answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from xaicore.errors import ParameterError, nearest
from xaicore.explanation import SIGNS, counted, pixel_relevance
from xaicore.scoring import Case, Metric, Scores

EMPTY = "undefined where the mask is empty: there is no object to find"
FULL = "undefined where the mask is full: nothing is outside"
NON_FINITE = "undefined where relevance is not finite"
CERTAIN = "1 whatever the explanation says where the mask is full"


class Localization(Metric):
    """Compares relevance with a mask of the object. Channels are summed first: a pixel counts once.

    Parameters
    ----------
    of : {"positive", "absolute", "negative", "signed"}
        Which relevance counts: what speaks for the target, all magnitudes, what speaks against it, or all of it with
        its sign.
    """

    higher_is_better = True
    bounds: tuple[float | None, float | None] = (0.0, 1.0)
    needs = ("masks",)
    signs: ClassVar[tuple[str, ...]] = SIGNS

    def __init__(self, *, of: str = "positive") -> None:
        self.of = of
        if of not in self.signs:
            raise ParameterError(f"of={of!r} must be one of {', '.join(self.signs)}.{nearest(str(of), self.signs)}")

    def pixels(self, case: Case) -> Tensor:
        """The relevance of each pixel that counts, (B, P)."""
        return counted(pixel_relevance(case.relevance[case.located]), self.of).flatten(1)

    def judged(self, case: Case, values: Tensor, *, needs_outside: bool, notes: Sequence[str] = ()) -> Scores:
        """The scores, undefined where relevance is not finite, or where there is no object, or nothing beside it."""
        inside = case.masks.flatten(1)
        empty, full = ~inside.any(1), inside.all(1)
        broken = ~torch.isfinite(case.relevance[case.located]).flatten(1).all(1)
        undefined = empty | broken | (full if needs_outside else torch.zeros_like(full))
        said = {NON_FINITE: broken, EMPTY: empty, FULL if needs_outside else CERTAIN: full}
        found = [note for note, samples in said.items() if bool(samples.any())]
        return self.scores(torch.where(undefined, torch.nan, values), notes=[*found, *notes])
