"""One rule in every convolution and linear layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from xai_lrp import rules
from xai_lrp.methods.base import Entry, RelevanceMethod
from xai_lrp.methods.parameters import WITH_WEIGHTS, WithAlphaBeta, WithBias, WithEpsilon
from xai_lrp.structure import pass_through
from xaicore.graph import Kind, kind

# A batch norm that stands alone has one input a unit. A rule that keeps contributions of one sign would stop half of
# these units, so that only the rules that share in proportion take it; the others leave it to `xai_lrp.structure`.
LINEAR_IN_INPUT = WITH_WEIGHTS | kind(Kind.BATCH_NORM)


class Zero(WithBias):
    """LRP-0 in every linear layer: relevance in proportion to the contributions (Bach et al. 2015)."""

    def __init__(self, model: nn.Module, *, bias: str = "absorb", structure: Mapping[str, str] | None = None) -> None:
        super().__init__(model, structure=structure, bias=bias)

    def rules(self) -> Sequence[Entry]:
        """LRP-0, also in batch norms that stand alone."""
        return [(LINEAR_IN_INPUT, rules.Zero(self.bias))]


class Epsilon(WithEpsilon):
    """LRP-epsilon in every linear layer: small outputs are damped (Bach et al. 2015)."""

    def __init__(
        self,
        model: nn.Module,
        *,
        epsilon: float = 1e-6,
        bias: str = "absorb",
        epsilon_relative: float = 0.0,
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, epsilon=epsilon, bias=bias, epsilon_relative=epsilon_relative)

    def rules(self) -> Sequence[Entry]:
        """LRP-epsilon, also in batch norms that stand alone."""
        return [(LINEAR_IN_INPUT, self.epsilon_rule())]


class Gamma(WithBias):
    """LRP-gamma in every linear layer: positive contributions count more (Montavon et al. 2019).

    Parameters
    ----------
    gamma : float
        How much more positive contributions count: 0 is LRP-epsilon, infinity is z-plus.
    epsilon : float
        Stabilizer, added to the size of each denominator.
    """

    gamma: float
    epsilon: float

    def __init__(
        self,
        model: nn.Module,
        *,
        gamma: float = 0.25,
        epsilon: float = 1e-6,
        bias: str = "absorb",
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, gamma=gamma, epsilon=epsilon, bias=bias)

    def rules(self) -> Sequence[Entry]:
        """LRP-gamma where there are weights."""
        return [(WITH_WEIGHTS, rules.Gamma(self.gamma, self.epsilon, self.bias))]


class GeneralizedGamma(Gamma):
    """Generalised LRP-gamma in every linear layer, for inputs and outputs of either sign (Andeol et al. 2021).

    Parameters
    ----------
    gamma : float
        How much more those contributions count that have the sign of the output: 0 is LRP-epsilon.
    """

    def rules(self) -> Sequence[Entry]:
        """Generalised LRP-gamma where there are weights."""
        return [(WITH_WEIGHTS, rules.GeneralizedGamma(self.gamma, self.epsilon, self.bias))]


class AlphaBeta(WithAlphaBeta):
    """LRP-alpha-beta in every linear layer: positive and negative contributions apart (Bach et al. 2015).

    One of alpha and beta says both, since alpha - beta is 1; without either it is alpha 2, beta 1.
    """

    default_alpha = 2.0

    def __init__(
        self,
        model: nn.Module,
        *,
        alpha: float | None = None,
        beta: float | None = None,
        bias: str = "absorb",
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, alpha=alpha, beta=beta, bias=bias)

    def rules(self) -> Sequence[Entry]:
        """LRP-alpha-beta where there are weights."""
        return [(WITH_WEIGHTS, self.alpha_beta_rule())]


class ZPlus(WithBias):
    """LRP-z-plus in every linear layer: positive contributions alone (Montavon et al. 2017)."""

    def __init__(self, model: nn.Module, *, bias: str = "absorb", structure: Mapping[str, str] | None = None) -> None:
        super().__init__(model, structure=structure, bias=bias)

    def rules(self) -> Sequence[Entry]:
        """Z-plus where there are weights."""
        return [(WITH_WEIGHTS, rules.ZPlus(self.bias))]


class Alpha1Beta0(ZPlus):
    """LRP-alpha1-beta0 in every linear layer: positive contributions alone; the same as z-plus (Bach et al. 2015)."""

    def rules(self) -> Sequence[Entry]:
        """Alpha1-beta0 where there are weights."""
        return [(WITH_WEIGHTS, rules.AlphaBeta(1.0, 0.0, self.bias))]


class Alpha2Beta1(ZPlus):
    """LRP-alpha2-beta1 in every linear layer: twice the positive contributions less the negative (Bach et al. 2015)."""

    def rules(self) -> Sequence[Entry]:
        """Alpha2-beta1 where there are weights."""
        return [(WITH_WEIGHTS, rules.AlphaBeta(2.0, 1.0, self.bias))]


class ExcitationBackprop(RelevanceMethod):
    """Excitation backprop: along positive weights, from inputs that are active (Zhang et al. 2016).

    It starts from the explained value, as all relevance methods do; the original starts from a probability of one.
    """

    def rules(self) -> Sequence[Entry]:
        """Excitation backprop where there are weights."""
        return [(WITH_WEIGHTS, rules.ExcitationBackprop())]


class Flat(RelevanceMethod):
    """LRP-flat in every linear layer: equal parts to all connected inputs (Lapuschkin et al. 2019)."""

    def rules(self) -> Sequence[Entry]:
        """Flat where there are weights; batch norms that stand alone hand relevance on."""
        return [(WITH_WEIGHTS, rules.Flat()), (kind(Kind.BATCH_NORM), pass_through)]


class WSquare(RelevanceMethod):
    """LRP-w-square in every linear layer: in proportion to squared weights (Montavon et al. 2017)."""

    def rules(self) -> Sequence[Entry]:
        """W-square where there are weights; batch norms that stand alone hand relevance on."""
        return [(WITH_WEIGHTS, rules.WSquare()), (kind(Kind.BATCH_NORM), pass_through)]
