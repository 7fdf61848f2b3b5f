"""How far relevance is from summing to what it explains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_evaluation.parameters import check_flag
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block
from xaicore.scoring import Case, Metric, Scores


class Completeness(Metric):
    """The conservation gap: ``|f(x) - f(x0) - sum R(x)| / |f(x) - f(x0)|``.

    f is the explained value in the units of the method (of a model that ends in softmax, the logit). Its part f(x0) is
    the value at a ``baseline``, where one is given; else at the baseline of the method, where it has one (integrated
    gradients, DeepLIFT); else 0: then relevance is to sum to the explained value itself, as conservation in LRP says.
    A note says which.

    NaN where relevance is not finite, and of a relative gap where there is nothing to explain: ``f(x) = f(x0)``.

    Parameters
    ----------
    baseline : number, list, word, tensor, `xaicore.baselines.Baseline`, or None
        See `xaicore.baselines.resolve_baseline`; of several variants the mean of the values counts. None: that of the
        method.
    relative : bool
        By the size of what is explained; False: in units of the output.

    References
    ----------
    Bach et al. 2015, "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation", eq. 2; Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks", prop. 1.
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(self, *, baseline: Any = None, relative: bool = True) -> None:
        if baseline is not None:
            resolve_baseline(baseline)
        check_flag("relative", relative)
        self.baseline, self.relative = baseline, relative

    def score(self, case: Case) -> Scores:
        diagnostics = case.explanation.diagnostics
        explained = diagnostics.explained.detach().cpu().double()
        reference, what = self._reference(case)
        goal = explained - reference
        gap = (goal - diagnostics.relevance_sum.detach().cpu().double()).abs()
        notes = [f"relevance is compared with {what}"]
        values = gap / goal.abs() if self.relative else gap
        nothing = (goal == 0) & torch.full_like(goal, self.relative, dtype=torch.bool)
        broken = ~torch.isfinite(gap)
        if nothing.any():
            notes.append("undefined where the value to explain is 0: relative=False does not divide by it")
        if broken.any():
            notes.append("undefined where the sum of relevance, or the value to explain, is not finite")
        return self.scores(values.masked_fill(nothing | broken, torch.nan), details={"gap": gap}, notes=notes)

    def _reference(self, case: Case) -> tuple[Tensor, str]:
        if self.baseline is not None:
            return _value_at(case, self.baseline), "the difference to the value at the given baseline"
        own = case.explanation.diagnostics.reference
        if own is not None:
            return own.detach().cpu().double(), "the difference to the value at the method's own baseline"
        return torch.zeros(len(case), dtype=torch.float64), "the explained value itself"


def _value_at(case: Case, given: Any) -> Tensor:
    """The explained value at a baseline, (B,): the mean over its variants, as the analyzer reads the output."""
    baseline = case.evaluation.own(resolve_baseline(given))

    def values(block: Block) -> Tensor:
        rows = {name: [] for name in case.varied}  # type: dict[str, list[Tensor]]
        for step in block.steps:
            for name, x in baseline.at(case.varied, step).items():
                rows[name].append(block.of(x.expand_as(case.varied[name])))
        varied = {name: torch.stack(each, 1).flatten(0, 1) for name, each in rows.items()}
        inputs = case.evaluation.as_given(case.evaluation.arguments(varied, block))
        output = case.analyzer.predict(inputs, output=case.target.output)
        found = case.evaluation.target_of(block).score(output).detach().double()
        return block.grid(found).sum(1).cpu()

    total = torch.zeros(len(case), dtype=torch.float64)
    for block, found in case.sweep(baseline.count, values, explains=True):
        total[block.start : block.stop] += found
    return total / baseline.count
