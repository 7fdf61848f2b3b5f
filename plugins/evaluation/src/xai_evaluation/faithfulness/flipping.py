"""What a model says as patches are replaced, one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from xai_evaluation.faithfulness.patches import Patches
from xai_evaluation.faithfulness.ranking import ranks_of, recomputed_ranks
from xai_evaluation.faithfulness.replacing import Replacement, resolve_fill
from xaicore.engine import Block
from xaicore.errors import ParameterError
from xaicore.scoring import Case

NON_FINITE = "undefined where relevance is not finite"
NON_FINITE_OUTPUT = "undefined where the model's output is not finite"


class Flipping:
    """The samples of a case, parted into patches that are replaced in the order of their relevance.

    Parameters
    ----------
    case : Case
    patch
        As `Patches.of` takes it.
    fill
        As `resolve_fill` takes it.
    draws : int
        Most variants of the fill that are used.

    Attributes
    ----------
    patches : Patches
    undefined : Tensor (B,)
        Samples with relevance that is not finite, which have no order.
    broken : Tensor (B,)
        Samples with outputs that are not finite.
    """

    def __init__(self, case: Case, patch: Any, fill: Any, draws: int = 1) -> None:
        self.case, self.patches = case, Patches.of(case, patch)
        if self.patches.count < 2:
            raise ParameterError(
                f"patch={patch!r} makes one patch of all inputs, so that none comes before another: give a smaller size"
            )
        chosen = resolve_fill(fill)
        self.replacements = [Replacement(case, chosen, draw) for draw in range(min(draws, chosen.count))]
        self.sums = self.patches.sums(case.relevance)
        finite = [each.flatten(1).isfinite().all(1) for each in case.relevance.values()]
        self.undefined = ~torch.stack(finite).all(0).to(self.sums.device)
        self.broken = torch.zeros_like(self.undefined)

    def counts(self, steps: int | None, until: float = 1.0) -> list[int]:
        """How many patches are gone at each point of a curve: from none to a share of all, in even steps."""
        last = max(1, round(until * self.patches.count))
        points = torch.linspace(0, last, 1 + min(steps or last, last), dtype=torch.float64).round()
        return [int(each) for each in points]

    def curve(self, order: str, counts: Sequence[int], quantity: str, *, recompute: bool = False) -> Tensor:
        """The value with so many patches gone, (B, K): the mean over the draws of the fill.

        NaN where relevance is not finite, that of a new heatmap included, or the output is not.
        """
        ranks = ranks_of(self.sums, order)
        found = []
        for replacement in self.replacements:
            if recompute:
                ranks, undefined = recomputed_ranks(self.case, self.patches, replacement, counts, order)
                self.undefined |= undefined
            found.append(self._replaced(ranks, counts, quantity, replacement))
        return self._defined(torch.stack(found).mean(0))

    def insertion(self, counts: Sequence[int], quantity: str) -> Tensor:
        """The value with only so many of the most relevant patches there, (B, K)."""
        ranks = ranks_of(self.sums)
        found = [self._replaced(ranks, counts, quantity, each, inserted=True) for each in self.replacements]
        return self._defined(torch.stack(found).mean(0))

    def without(self, subsets: Tensor, quantity: str) -> Tensor:
        """The value with each of these subsets of patches gone: boolean (n, count) -> (B, n)."""
        chosen = subsets.to(self.sums.device)

        def rows(replacement: Replacement, block: Block) -> dict[str, Tensor]:
            return replacement.rows(self.patches.entries(chosen[block.first : block.last]), block)

        found = [self._run(len(chosen), functools.partial(rows, each), quantity) for each in self.replacements]
        return self._defined(torch.stack(found).mean(0))

    def notes(self) -> list[str]:
        """Why some samples have no value, after all values were asked for."""
        said = {NON_FINITE: self.undefined, NON_FINITE_OUTPUT: self.broken & ~self.undefined}
        return [note for note, samples in said.items() if bool(samples.any())]

    def _replaced(
        self, ranks: Tensor, counts: Sequence[int], quantity: str, replacement: Replacement, *, inserted: bool = False
    ) -> Tensor:
        """The value with so many patches of lowest rank gone, or only these there, (B, K)."""
        whole = self.patches.count if inserted else 0
        asked = [place for place, count in enumerate(counts) if count != whole]
        limits = torch.tensor(counts, device=ranks.device)[asked]
        # The blocks of some samples follow each other.
        entries = functools.lru_cache(1)(lambda start, stop: self.patches.entries(ranks[start:stop]))

        def rows(block: Block) -> dict[str, Tensor]:
            gone = {}
            for name, ranked in entries(block.start, block.stop).items():
                most = limits[block.first : block.last].view(-1, *[1] * (ranked.ndim - 1))
                own = ranked.unsqueeze(1)
                gone[name] = ((own >= most) if inserted else (own < most)).flatten(0, 1)
            return replacement.rows(gone, block)

        found = self._run(len(asked), rows, quantity)
        # With nothing replaced the value is known.
        values = self.case.values(quantity).to(ranks.device)[:, None].repeat(1, len(counts))
        values[:, asked] = found
        return values

    def _run(self, steps: int, rows: Callable[[Block], dict[str, Tensor]], quantity: str) -> Tensor:
        """The value of each step of each sample, (B, steps)."""
        values = torch.empty(len(self.case), steps, dtype=torch.float64, device=self.sums.device)
        sweep = self.case.sweep(steps, lambda block: block.grid(self.case.scores(rows(block), block, quantity)))
        for block, scores in sweep:
            values[block.start : block.stop, block.first : block.last] = scores
        return values

    def _defined(self, values: Tensor) -> Tensor:
        finite = values.isfinite()
        self.broken |= ~finite.all(1)
        return values.masked_fill(self.undefined[:, None] | ~finite, torch.nan)


def area(x: Tensor, y: Tensor) -> Tensor:
    """The area under curves y (B, K) by the trapezoid rule, divided by the range of x: the mean height, (B,).

    >>> area(torch.tensor([0.0, 0.5]), torch.tensor([[4.0, 2.0]]))
    tensor([3.])
    """
    return torch.trapezoid(y, x.to(y.device), dim=1) / (x[-1] - x[0])
