"""The methods: which rule stands in which layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from xai_absolute.rules import Absolute
from xai_lrp.methods import RelevanceMethod
from xai_lrp.rules import Epsilon
from xaicore.graph import Condition, Kind, kind

Entry = tuple[Condition, Callable[..., Any]]


class _WithEpsilon(RelevanceMethod):
    """What both methods are told.

    Parameters
    ----------
    epsilon : float
        Added to the size of each denominator, in the units of the layer's output.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator; its share is spread evenly over the inputs; or with it
        what the stabilizer keeps, so that nothing is absorbed.
    """

    epsilon: float
    bias: str

    def __init__(
        self,
        model: nn.Module,
        *,
        epsilon: float = 1e-6,
        bias: str = "absorb",
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, epsilon=epsilon, bias=bias)


class AbsoluteShares(_WithEpsilon):
    """Relevance by the size of contributions, in every convolution and dense layer."""

    def rules(self) -> Sequence[Entry]:
        """One rule wherever there are weights."""
        return [(kind(Kind.CONVOLUTION, Kind.LINEAR), Absolute(self.epsilon, self.bias))]


class EpsilonAbsolute(_WithEpsilon):
    """Relevance by the size of contributions in convolutions, LRP-epsilon in dense layers."""

    def rules(self) -> Sequence[Entry]:
        """Dense layers decide for which class evidence speaks, so that there signs count."""
        return [
            (kind(Kind.CONVOLUTION), Absolute(self.epsilon, self.bias)),
            (kind(Kind.LINEAR), Epsilon(self.epsilon, self.bias)),
        ]
