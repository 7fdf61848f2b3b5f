"""Metrics with one thing wrong each, by the name of the check that must find it, and two with nothing wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xaicore.engine import Block, generator
from xaicore.errors import ParameterError
from xaicore.scoring import Case, Metric, Scores


class Sparse(Metric):
    """The share of the magnitude that the largest entries hold.

    Parameters
    ----------
    share : float
        How many of the entries are looked at.
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

    def __init__(self, *, share: float = 0.1) -> None:
        self.share = share
        if not 0 < share <= 1:
            raise ParameterError(f"share={share!r} must be above 0 and at most 1.")

    def score(self, case: Case) -> Scores:
        return self.finished(self.values(case), case)

    def values(self, case: Case) -> Tensor:
        sizes = self.sizes(case)
        largest = sizes.topk(max(1, round(self.share * sizes.shape[1])), dim=1).values
        return largest.sum(1) / sizes.sum(1)

    def sizes(self, case: Case) -> Tensor:
        return torch.cat([each.flatten(1) for each in case.relevance.values()], 1).abs()

    def finished(self, values: Tensor, case: Case) -> Scores:
        notes = ["undefined where all relevance is zero or some of it is no number"] if values.isnan().any() else []
        return self.scores(values, notes=notes)


class Removal(Sparse):
    """The loss of output when a random half of the input is taken away, where relevance is positive.

    Parameters
    ----------
    seed : int
        Of the halves.
    """

    bounds = (None, None)

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def values(self, case: Case) -> Tensor:
        relevance = torch.cat([each.flatten(1) for each in case.relevance.values()], 1)
        found = torch.empty(len(case), 4, dtype=torch.float64)

        def run(block: Block) -> Tensor:
            rows: dict[str, Tensor] = {}
            for name, x in case.varied.items():
                keep = torch.stack([self.half(x[0].shape, step) for step in range(block.first, block.last)]).to(x)
                wanted = case.relevance[name][block.start : block.stop].to(x) > 0
                rows[name] = (block.cross(x) * (1 - wanted[:, None].to(x) * (1 - keep[None]))).flatten(0, 1)
            return block.grid(case.scores(rows, block))

        for block, scores in case.sweep(4, run):
            found[block.start : block.stop, block.first : block.last] = scores.cpu().double()
        loss = case.values().double().cpu() - found.mean(1)
        return torch.where(relevance.isnan().any(1), torch.nan, loss)

    def half(self, shape: Any, step: int) -> Tensor:
        return (torch.rand(shape, generator=generator(self.seed, step)) < 0.5).float()


class Positional(Sparse):
    def __init__(self, share: float = 0.1) -> None:
        super().__init__(share=share)


class Lenient(Sparse):
    def set_params(self, **params: Any) -> Lenient:
        return super().set_params(**{name: value for name, value in params.items() if name == "share"})


class Undocumented(Metric):
    """The share of the magnitude that the largest entries hold."""

    higher_is_better, bounds = True, (0.0, 1.0)

    def __init__(self, *, share: float = 0.1) -> None:
        self.share = share

    sizes, values, finished, score = Sparse.sizes, Sparse.values, Sparse.finished, Sparse.score


class NoDirection(Sparse):
    higher_is_better: bool = None  # type: ignore[assignment]

    def finished(self, values: Tensor, case: Case) -> Scores:
        return Scores(self.name, values, True, self.bounds, self.get_params(), notes=("as ever",))


class Misnamed(Sparse):
    def finished(self, values: Tensor, case: Case) -> Scores:
        return Scores("sparser", values, True, self.bounds, self.get_params(), notes=("as ever",))


class OutOfBounds(Sparse):
    bounds = (0.0, 0.2)


class Optimist(Sparse):
    def values(self, case: Case) -> Tensor:
        return super().values(case).nan_to_num(0.0)


class OfTheBatch(Sparse):
    def values(self, case: Case) -> Tensor:
        return super().values(case) * (1.0 if len(case) > 1 else 0.999)


class Moody(Sparse):
    def values(self, case: Case) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            return super().values(case) * (1 - 1e-6 * torch.rand(1).double())


class OnlyDouble(Sparse):
    def values(self, case: Case) -> Tensor:
        wide = all(x.dtype == torch.float64 for x in case.varied.values())
        return super().values(case) if wide else torch.full((len(case),), torch.inf, dtype=torch.float64)

    bounds = (0.0, None)


class Trains(Sparse):
    def score(self, case: Case) -> Scores:
        model = case.analyzer.model
        if any(module.training for module in model.modules()):
            model.eval()
        return super().score(case)


class Seeds(Sparse):
    def score(self, case: Case) -> Scores:
        torch.manual_seed(0)
        return super().score(case)


class Blind(Sparse):
    def values(self, case: Case) -> Tensor:
        return (super().values(case) * 0) + 0.5


class Reversed(Sparse):
    higher_is_better = False


WRONG: dict[str, type[Metric]] = {
    "as_described": NoDirection,
    "parameters_are_kept": Positional,
    "parameters_are_changed_by_name": Lenient,
    "parameters_are_documented": Undocumented,
    "one_number_a_sample": Misnamed,
    "within_bounds": OutOfBounds,
    "no_number_of_what_is_none": Optimist,
    "batch_invariance": OfTheBatch,
    "repeatable": Moody,
    "low_precision": OnlyDouble,
    "model_untouched": Trains,
    "no_global_state": Seeds,
    "depends_on_the_explanation": Blind,
    "prefers_the_truth": Reversed,
}
RIGHT = (Sparse, Removal)
