"""How much relevance changes from a sample to its neighbours, and how much the input does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from xai_evaluation.robustness.neighbours import Neighbours
from xaicore.engine import Block
from xaicore.scoring import Case

Named = Mapping[str, Tensor]


@dataclass(frozen=True)
class Changes:
    """The changes of B samples to K neighbours.

    Attributes
    ----------
    relevance : Tensor (B, K)
        The norm of the difference of relevance.
    inputs : Tensor (B, K)
        The Euclidean norm of the difference of the inputs.
    origin : Tensor (B,)
        The norm of the relevance of the samples themselves.
    """

    relevance: Tensor
    inputs: Tensor
    origin: Tensor

    def undefined(self, normalised: bool) -> tuple[Tensor, list[str]]:
        """Which samples have no answer, (B,), and why: relevance that is not finite, or none to divide by."""
        broken = ~(torch.isfinite(self.relevance).all(1) & torch.isfinite(self.origin))
        zero = (self.origin == 0) & torch.full_like(broken, normalised)
        notes = []
        if broken.any():
            notes.append(
                "undefined where relevance is not finite, or the method refuses a neighbour for the sign of its score"
            )
        if zero.any():
            notes.append("undefined where all relevance of a sample is 0: normalize=False does not divide by it")
        return broken | zero, notes

    def normalised(self) -> Changes:
        """The same with changes of relevance as shares of that of the sample."""
        return replace(self, relevance=self.relevance / self.origin[:, None])

    def unmoved(self) -> tuple[Tensor, list[str]]:
        """Which samples equal all their neighbours, (B,), so that nothing was tried, and a note where there are any."""
        found = (self.inputs == 0).all(1)
        why = "undefined where all neighbours equal the sample: nothing was changed"
        return found, [why] * bool(found.any())

    def ratios(self) -> Tensor:
        """Change of relevance by change of the input, (B, K): NaN where the neighbour is the sample itself."""
        return torch.where(self.inputs > 0, self.relevance / self.inputs, torch.nan)

    def largest_ratio(self) -> tuple[Tensor, list[str]]:
        """The largest ratio of each sample, (B,), and what is to be said of it.

        Neighbours that are the sample itself are left out; NaN where all are.
        """
        equal = self.inputs == 0
        found = self.ratios().masked_fill(equal, -torch.inf).max(1).values
        none, why = self.unmoved()
        notes = ["neighbours that equal the sample were left out"] * bool(equal.any())
        return found.masked_fill(none, torch.nan), [*notes, *why]


def changes(case: Case, neighbours: Neighbours, norm: float, *, predicted: bool = False) -> Changes:
    """Explain all neighbours, and measure how far relevance is from that of the sample, or of the neighbour before.

    Parameters
    ----------
    case : Case
    neighbours : Neighbours
    norm : float
        Of relevance: 1, 2 or infinity.
    predicted : bool
        Explain of each neighbour the class that is predicted for it, and the same of the samples.
    """

    def explain(block: Block) -> tuple[Named, Named]:
        rows = neighbours.rows(block)
        return rows, case.relevance_of(rows, block, predicted=predicted)

    origin = _of_the_samples(case, predicted)
    here: tuple[Named, Named] = (case.varied, origin)
    chained = any(map(neighbours.follows, range(neighbours.steps)))
    before = tuple({name: x.clone() for name, x in each.items()} for each in here) if chained else here
    found = torch.empty(2, len(case), neighbours.steps, dtype=torch.float64)
    norms = (2.0, norm)
    for block, rows in case.sweep(neighbours.steps, explain, explains=True):
        for number, step in enumerate(block.steps):
            for kind in range(2):
                now = {name: block.grid(x)[:, number] for name, x in rows[kind].items()}
                start = before[kind] if neighbours.follows(step) else here[kind]
                last = {name: block.of(x) for name, x in start.items()}
                found[kind, block.start : block.stop, step] = distance(now, last, norms[kind])
                for name, x in now.items() if chained else ():
                    block.of(before[kind][name]).copy_(x)
    return Changes(found[1], found[0], distance(origin, {}, norm))


def distance(a: Named, b: Named, norm: float) -> Tensor:
    """The norm of a - b over all inputs together, (rows,), in float64; what is not in ``b`` is 0 there."""
    device = next(iter(a.values())).device
    differences = [
        (x.to(device).double() - (b[name].to(device).double() if name in b else 0)).flatten(1) for name, x in a.items()
    ]
    found: Tensor = torch.linalg.vector_norm(torch.cat(differences, 1), norm, dim=1)
    return found.cpu()


def _of_the_samples(case: Case, predicted: bool) -> Named:
    if not predicted:
        return case.relevance
    whole: dict[str, Tensor] = {name: torch.empty_like(x) for name, x in case.relevance.items()}

    def explain(block: Block) -> Named:
        varied = {name: block.of(x) for name, x in case.varied.items()}
        return case.relevance_of(varied, block, predicted=True)

    for block, found in case.sweep(1, explain, explains=True):
        for name, x in found.items():
            block.of(whole[name]).copy_(x)
    return whole
