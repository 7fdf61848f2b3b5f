"""Methods whose numbers are wrong, one thing each, and three that are right, for the tests of the kit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from wrong_rules import ForgetsTheBias, SaysAnotherForm
from wrong_rules import Right as RightRule

from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer, PropagationAnalyzer
from xaicore.engine import Block, Engine
from xaicore.graph import Kind, kind
from xaicore.propagation import Composite


class RightGradient(PropagationAnalyzer):
    """Gradient times input."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * value


class DetachesValues(RightGradient):
    """Gradient times input, the input without its own derivative."""

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * value.detach()


class CountsModules(RightGradient):
    """The more modules, the more relevance."""

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * value * len(list(self.model.modules()))


class OwnRule(RightRule):
    """A rule of the same package as the methods."""


class OwnRuleOfAnotherForm(SaysAnotherForm):
    """The same, with another equation in its `jacobian_form` than in what it does."""


class RightRelevance(PropagationAnalyzer):
    """LRP-epsilon."""

    family = "relevance"
    rule: Any = OwnRule()

    def build_composite(self) -> Composite:
        return Composite([(kind(Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM), self.rule)])


class UsesARuleOfAnotherForm(RightRelevance):
    """LRP-epsilon, by a rule that says another equation."""

    rule = OwnRuleOfAnotherForm()


class StartsFromTwice(RightRelevance):
    """Relevance starts from twice the explained value."""

    def seed(self, output: Tensor, gradient: Tensor) -> Tensor:
        return 2 * output * gradient


class LosesAtTheInput(RightRelevance):
    """A tenth of the relevance is lost where it arrives."""

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return 0.9 * relevance


class ForgetsWhatItAbsorbs(RightRelevance):
    """A rule of another package, which does not say what it keeps."""

    rule = ForgetsTheBias()


class RightCompleteness(ExpansionAnalyzer):
    """The difference to the baseline, shared in proportion to the values.

    Parameters
    ----------
    baseline : float
        Stands for nothing.
    """

    family = "perturbation"

    def __init__(self, model: nn.Module, *, baseline: float = 0.0) -> None:
        super().__init__(model)
        self.baseline = baseline

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        reference = self.reference(evaluation)
        found = self.shared(evaluation.varied, evaluation.values.double() - reference)
        return Attribution(found, reference=reference, conserving=True)

    def reference(self, evaluation: Evaluation) -> Tensor:
        nothing = {name: torch.full_like(x, self.baseline) for name, x in evaluation.varied.items()}
        return evaluation.scores(nothing, Block(0, evaluation.batch, 0, 1)).double()

    def shared(self, varied: Any, difference: Tensor) -> dict[str, Tensor]:
        sums: Sequence[Tensor] = [x.double().flatten(1).sum(1) for x in varied.values()]
        whole = torch.stack(list(sums)).sum(0)
        return {name: torch.einsum("b,b...->b...", difference / whole, x.double()) for name, x in varied.items()}


class LosesATenth(RightCompleteness):
    """Completeness is claimed, and a tenth of the difference is missing."""

    def shared(self, varied: Any, difference: Tensor) -> dict[str, Tensor]:
        return super().shared(varied, 0.9 * difference)


class LosesAHundredth(RightCompleteness):
    """Completeness is claimed, and a hundredth is missing, although nothing is drawn or stepped through."""

    def shared(self, varied: Any, difference: Tensor) -> dict[str, Tensor]:
        return super().shared(varied, 0.99 * difference)


class TellsAnotherReference(RightCompleteness):
    """Relevance sums to the difference to another baseline than the one that it was given."""

    def reference(self, evaluation: Evaluation) -> Tensor:
        nothing = {name: torch.zeros_like(x) + torch.ones_like(x) // 1 for name, x in evaluation.varied.items()}
        return evaluation.scores(nothing, Block(0, evaluation.batch, 0, 1)).double()


class LiesAboutTheGap(LosesATenth):
    """The diagnostics say that nothing is missing."""

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
        explanation = super().analyze(inputs, target, **options)
        gap = explanation.diagnostics.conservation_gap
        explanation.diagnostics.conservation_gap = None if gap is None else torch.zeros_like(gap)
        return explanation
