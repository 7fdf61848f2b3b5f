"""The methods of this package: one for each domain of the input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from xai_deeptaylor.advice import deep_taylor_advice
from xai_deeptaylor.domains import Bound, Box, NonNegative, Real
from xai_deeptaylor.scores import check_decomposable
from xai_deeptaylor.sums import positive_shares
from xai_lrp.methods import RelevanceMethod
from xai_lrp.rules import LinearRule, ZPlus
from xai_lrp.structure import pass_through
from xaicore.analyzers import Advice, Target
from xaicore.errors import ParameterError
from xaicore.graph import Kind, first_on_path, kind, op
from xaicore.propagation import Matching


class DeepTaylor(RelevanceMethod):
    """Deep Taylor decomposition: z-plus in hidden layers, a rule for the domain of the input in the first one.

    The base of the methods; a subclass says in `first_rule` what becomes of the first linear layer by data flow.
    Biases have no share: where a unit has a positive contribution at all, its relevance is conserved.

    Raises
    ------
    TargetError
        On analysis, where an explained score is negative or a difference.
    """

    @abstractmethod
    def first_rule(self) -> LinearRule:
        """The rule of the first layer."""

    def rules(self) -> Sequence[tuple[Any, Any]]:
        """The domain's rule first, z-plus in hidden layers and in additions; a batch norm that stands alone passes."""
        entries: list[tuple[Any, Any]] = [
            (first_on_path, self.first_rule()),
            (kind(Kind.CONVOLUTION, Kind.LINEAR), ZPlus(bias="ignore")),
            (op("add", "sub"), positive_shares),
        ]
        if "batch_norm" not in (self.structure or {}):
            # It has one input a unit, which gets all: the expansion around any root point says so.
            entries.append((kind(Kind.BATCH_NORM), pass_through))
        return entries

    def check_output(self, output: Tensor, target: Target) -> None:
        """See `PropagationAnalyzer.check_output`; refuses scores that have no decomposition."""
        _, gradient = target.gradient(output)
        check_decomposable(output, gradient)

    def advise(self, matching: Matching) -> Sequence[Advice]:
        """See `PropagationAnalyzer.advise`."""
        return deep_taylor_advice(matching)


class UnboundedInput(DeepTaylor):
    """Deep Taylor decomposition of inputs that are any real numbers: w-square first (Montavon et al. 2017)."""

    def __init__(self, model: nn.Module, *, structure: Mapping[str, str] | None = None) -> None:
        super().__init__(model, structure=structure)

    def first_rule(self) -> LinearRule:
        """See `DeepTaylor.first_rule`."""
        return Real().rule()


class NonNegativeInput(DeepTaylor):
    """Deep Taylor decomposition of inputs that are never negative: z-plus first (Montavon et al. 2017)."""

    def __init__(self, model: nn.Module, *, structure: Mapping[str, str] | None = None) -> None:
        super().__init__(model, structure=structure)

    def first_rule(self) -> LinearRule:
        """See `DeepTaylor.first_rule`."""
        return NonNegative().rule()


class BoundedInput(DeepTaylor):
    """Deep Taylor decomposition of inputs between two bounds: z-box first (Montavon et al. 2017).

    Parameters
    ----------
    low, high : float, sequence of float, or Tensor
        Bounds of the inputs: one number, one a channel, or a tensor that broadcasts to the input. Of the numbers that
        the model gets; with mean and std, of the pixels before that normalisation. Both are required.
    mean, std : sequence of float, or Tensor, optional
        The normalisation (pixel - mean) / std that made the model's inputs, one number a channel.
    """

    low: Bound | None
    high: Bound | None
    mean: Sequence[float] | Tensor | None
    std: Sequence[float] | Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        low: Bound | None = None,
        high: Bound | None = None,
        mean: Sequence[float] | Tensor | None = None,
        std: Sequence[float] | Tensor | None = None,
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, low=low, high=high, mean=mean, std=std)

    def first_rule(self) -> LinearRule:
        """See `DeepTaylor.first_rule`."""
        if self.low is None or self.high is None:
            raise ParameterError(
                f"{'low' if self.low is None else 'high'} is missing: deeptaylor.bounded must be told the range of the "
                "inputs, for example low=0, high=1. For inputs without bounds take deeptaylor.unbounded, for inputs "
                "that are only known never to be negative deeptaylor.nonnegative."
            )
        return Box(self.low, self.high, self.mean, self.std).rule()
