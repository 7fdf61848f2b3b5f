"""The order in which patches are replaced."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_evaluation.faithfulness.patches import Patches
from xai_evaluation.faithfulness.replacing import Replacement
from xaicore.engine import Block
from xaicore.scoring import Case

ORDERS = ("most", "least")


def ranks_of(sums: Tensor, order: str = "most") -> Tensor:
    """Return the place of each patch in the order of its relevance, (B, count): 0 for the first to be replaced.

    Patches of equal relevance come in the order of their positions, whichever way it goes.

    >>> ranks_of(torch.tensor([[1.0, 3.0, 1.0]])), ranks_of(torch.tensor([[1.0, 3.0, 1.0]]), "least")
    (tensor([[1, 0, 2]]), tensor([[0, 2, 1]]))
    """
    places = sums.argsort(dim=1, descending=order == "most", stable=True)
    numbers = torch.arange(sums.shape[1], device=sums.device).expand_as(places)
    return torch.empty_like(places).scatter_(1, places, numbers)


def recomputed_ranks(
    case: Case, patches: Patches, replacement: Replacement, counts: Sequence[int], order: str
) -> tuple[Tensor, Tensor]:
    """Return the order in which patches go where each step is followed by a new explanation, and what is undefined.

    Parameters
    ----------
    counts : sequence of int
        How many patches are gone after each step, from 0 on.

    Returns
    -------
    Tensor (B, count), Tensor (B,)
        Ranks, with ``counts[-1]`` for all patches that stay; whether some relevance on the way was not finite.
    """
    last = counts[-1]
    ranks = torch.full((len(case), patches.count), last, device=case.evaluation.device)
    undefined = torch.zeros(len(case), dtype=torch.bool, device=case.evaluation.device)

    def run(block: Block) -> None:
        own = slice(block.start, block.stop)
        for step in block.steps:
            gone, after = counts[step], counts[step + 1]
            # What a run of this step that ended half-way may have written is forgotten.
            found = torch.where(ranks[own] < gone, ranks[own], last)
            part = Block(block.start, block.stop, step, step + 1)
            if step:
                rows = replacement.rows(patches.entries(found < gone), part)
                relevance = case.relevance_of(rows, part)
            else:
                relevance = {name: block.of(each) for name, each in case.relevance.items()}
            sums = patches.sums(relevance)
            undefined[own] |= ~sums.isfinite().all(1)
            behind = -torch.inf if order == "most" else torch.inf
            following = ranks_of(sums.masked_fill(found < gone, behind), order)
            chosen = (following < after - gone) & (found >= gone)
            ranks[own] = torch.where(chosen, following + gone, found)

    for _ in case.sweep(len(counts) - 1, run, explains=True):
        pass
    return ranks, undefined
