"""DeepLIFT and DeepSHAP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xai_gradients.deeplift.pairs import Pairs
from xaicore.analyzers import Attribution, ExpansionAnalyzer, GraphEvaluation
from xaicore.analyzers.baselines import Baseline, Data, resolve_baseline
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError, nearest

_RULES = ("rescale", "reveal_cancel")


class DeepLift(ExpansionAnalyzer):
    """Differences to a reference, shared layer by layer back to the inputs (DeepLIFT; Shrikumar et al. 2017).

    Multipliers take the place of gradients: the change of a layer's output over that of its input. The relevance sums
    to the difference between the explained value and that at the reference, for any layers: see ``docs/deeplift.md``.

    Parameters
    ----------
    rule : {'rescale', 'reveal_cancel'}
        How a nonlinearity is passed. ``'rescale'``: by the slope between both of its values. ``'reveal_cancel'``:
        positive and negative contributions to its input have slopes of their own, so that what cancels there is
        seen; where a convolution, linear layer or sum stands before it, elsewhere as ``'rescale'``.
    baseline : float, str, tensor, dict or Baseline
        The reference: a number, a word (``"mean"``, ``"blur"``, ...), values, or one of `xaicore.analyzers.baselines`.
        The mean over all variants of those that have several.
    """

    needs_gradient = True

    def __init__(self, model: nn.Module, *, rule: str = "rescale", baseline: Any = 0.0) -> None:
        super().__init__(model)
        self.rule = rule
        self.baseline = baseline
        _check_rule(rule)
        resolve_baseline(baseline)

    def graph_form(self, layer: str | None) -> str:
        """To RevealCancel, convolution and batch norm are one layer before a nonlinearity."""
        return "folded" if self.rule == "reveal_cancel" else "plain"

    def reference(self) -> Baseline:
        """The references."""
        return resolve_baseline(self.baseline)

    def attribute(self, evaluation: GraphEvaluation, engine: Engine) -> Attribution:
        """Walk back beside each reference, and take the mean."""
        references = self.reference()
        pairs = Pairs(evaluation, references, self.rule)
        relevance = {name: torch.zeros_like(x, dtype=_sum_type(x)) for name, x in evaluation.varied.items()}
        reference = torch.zeros_like(evaluation.values, dtype=_sum_type(evaluation.values))

        def run(block: Block) -> tuple[Mapping[str, Tensor], Tensor]:
            found, values = pairs.run(block)
            return {name: block.grid(each).sum(1) for name, each in found.items()}, block.grid(values).sum(1)

        # A row is run forward twice, and what was computed from the reference is kept beside the tape.
        sweep = engine.sweep(
            evaluation.batch, references.count, run, device=evaluation.device, footprint=2 * evaluation.footprint
        )
        for block, (found, values) in sweep:
            for name, each in found.items():
                relevance[name][block.start : block.stop] += each / references.count
            reference[block.start : block.stop] += values / references.count
        return Attribution(
            {name: each.to(evaluation.varied[name].dtype) for name, each in relevance.items()},
            reference=reference.to(evaluation.values.dtype),
            conserving=True,
            notes=pairs.notes(),
            finished=sweep.finished,
        )


class DeepShap(DeepLift):
    """DeepLIFT averaged over references drawn from data: approximate Shapley values (Lundberg and Lee 2017, sec. 4.2).

    The relevance sums to the difference between the explained value and its mean over the references.

    Parameters
    ----------
    baseline : tensor, array, dict of them, or Baseline
        Samples of a data set, (N, ...): all of them are references. To draw some, `xaicore.analyzers.baselines.Data`.
    rule : {'rescale', 'reveal_cancel'}
        As in `DeepLift`.
    """

    def __init__(self, model: nn.Module, *, baseline: Any, rule: str = "rescale") -> None:
        super().__init__(model, rule=rule, baseline=_data(baseline))
        self.baseline = baseline

    def reference(self) -> Baseline:
        """The samples of the data."""
        return _data(self.baseline)


def _data(baseline: Any) -> Baseline:
    if isinstance(baseline, Baseline):
        return baseline
    if isinstance(baseline, str | bool | int | float | list | tuple) or baseline is None:
        raise ParameterError(
            f"baseline={baseline!r}: DeepSHAP takes its references from data. Give samples, (N, ...), or use "
            "gradients.deeplift for a single reference."
        )
    return Data(baseline)


def _check_rule(rule: str) -> None:
    if rule not in _RULES:
        raise ParameterError(
            f"rule={rule!r} is not known: choose 'rescale' or 'reveal_cancel'.{nearest(str(rule), _RULES)}"
        )


def _sum_type(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
