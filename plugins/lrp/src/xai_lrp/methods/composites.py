"""Different rules in different layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from xai_lrp import rules
from xai_lrp.methods.base import Entry, RelevanceMethod
from xai_lrp.methods.parameters import WITH_WEIGHTS, WithAlphaBeta, WithBias, WithBox, WithEpsilon, WithFlat
from xai_lrp.rules.bounds import Bound
from xai_lrp.structure import check_structure, structure_entries
from xaicore.errors import ParameterError
from xaicore.graph import Kind, kind
from xaicore.propagation import Composite

CONVOLUTION = kind(Kind.CONVOLUTION)
LINEAR = kind(Kind.LINEAR)


class ZBox(WithBox, WithBias):
    """LRP-z-box in the first linear layer by data flow, z-plus in the others (Montavon et al. 2017)."""

    def __init__(
        self,
        model: nn.Module,
        *,
        low: Bound | None = None,
        high: Bound | None = None,
        mean: Sequence[float] | Tensor | None = None,
        std: Sequence[float] | Tensor | None = None,
        bias: str = "absorb",
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model, structure=structure, low=low, high=high, mean=mean, std=std, bias=bias)

    def rules(self) -> Sequence[Entry]:
        """Z-box first, z-plus after."""
        return [self.box_in_first_layer(), (WITH_WEIGHTS, rules.ZPlus(self.bias))]


class EpsilonGammaBox(WithBox, WithEpsilon):
    """Z-box in the first layer, gamma in convolutions, epsilon in linear layers (Montavon et al. 2019).

    Parameters
    ----------
    gamma : float
        Of the gamma rule: how much more positive contributions count.
    generalized : bool
        Take the generalised gamma rule, which favours the contributions that have the sign of the output.
    """

    gamma: float
    generalized: bool

    def __init__(
        self,
        model: nn.Module,
        *,
        low: Bound | None = None,
        high: Bound | None = None,
        mean: Sequence[float] | Tensor | None = None,
        std: Sequence[float] | Tensor | None = None,
        epsilon: float = 1e-6,
        gamma: float = 0.25,
        generalized: bool = False,
        bias: str = "absorb",
        epsilon_relative: float = 0.0,
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            model,
            structure=structure,
            low=low,
            high=high,
            mean=mean,
            std=std,
            epsilon=epsilon,
            gamma=gamma,
            generalized=generalized,
            bias=bias,
            epsilon_relative=epsilon_relative,
        )

    def rules(self) -> Sequence[Entry]:
        """Z-box, gamma and epsilon."""
        gamma = rules.GeneralizedGamma if self.generalized else rules.Gamma
        return [
            self.box_in_first_layer(),
            (CONVOLUTION, gamma(self.gamma, bias=self.bias)),
            (LINEAR, self.epsilon_rule()),
        ]


class ByKind(WithFlat, WithEpsilon):
    """One rule in convolutions, epsilon in linear layers; flat near the input if asked for."""

    def __init__(
        self,
        model: nn.Module,
        *,
        epsilon: float = 1e-6,
        bias: str = "absorb",
        epsilon_relative: float = 0.0,
        flat_until: int | str | None = None,
        structure: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            model,
            structure=structure,
            epsilon=epsilon,
            bias=bias,
            epsilon_relative=epsilon_relative,
            flat_until=flat_until,
        )

    @abstractmethod
    def convolution_rule(self) -> rules.LinearRule:
        """The rule of the convolutions."""

    def rules(self) -> Sequence[Entry]:
        """Flat as far as asked for, then one rule for convolutions and epsilon for linear layers."""
        return [*self.flat_layers(), (CONVOLUTION, self.convolution_rule()), (LINEAR, self.epsilon_rule())]


class EpsilonPlus(ByKind):
    """Z-plus in convolutions, epsilon in linear layers (Montavon et al. 2019, section 10.3)."""

    def convolution_rule(self) -> rules.LinearRule:
        """Z-plus."""
        return rules.ZPlus(self.bias)


class EpsilonAlpha2Beta1(ByKind):
    """Alpha2-beta1 in convolutions, epsilon in linear layers (Lapuschkin et al. 2017)."""

    def convolution_rule(self) -> rules.LinearRule:
        """Alpha2-beta1."""
        return rules.AlphaBeta(2.0, 1.0, self.bias)


class Cmp(WithAlphaBeta, ByKind):
    """LRP-CMP: alpha-beta in convolutions, epsilon in linear layers (Kohlbrenner et al. 2020).

    One of alpha and beta says both, since alpha - beta is 1; without either it is alpha 1, beta 0.
    """

    default_alpha = 1.0

    def __init__(
        self,
        model: nn.Module,
        *,
        epsilon: float = 1e-6,
        alpha: float | None = None,
        beta: float | None = None,
        bias: str = "absorb",
        epsilon_relative: float = 0.0,
        flat_until: int | str | None = None,
        structure: Mapping[str, str] | None = None,
    ) -> None:
        RelevanceMethod.__init__(
            self,
            model,
            structure=structure,
            epsilon=epsilon,
            alpha=alpha,
            beta=beta,
            bias=bias,
            epsilon_relative=epsilon_relative,
            flat_until=flat_until,
        )

    def convolution_rule(self) -> rules.LinearRule:
        """Alpha-beta."""
        return self.alpha_beta_rule()


class UserComposite(RelevanceMethod):
    """Relevance propagation with a composite of your own.

    Parameters
    ----------
    composite : Composite
        Conditions and rules in order; layers that it does not name get the treatments chosen in structure, then the
        mappings of the installed plugins.
    """

    composite: Composite

    def __init__(self, model: nn.Module, *, composite: Composite, structure: Mapping[str, str] | None = None) -> None:
        if not isinstance(composite, Composite) or composite.family != "relevance":
            raise ParameterError(
                f"composite is {composite!r}; it must be an xaicore.Composite of the relevance family, such as "
                "Composite([(kind(Kind.CONVOLUTION), Gamma(0.25)), (kind(Kind.LINEAR), Epsilon(0.25))])."
            )
        super().__init__(model, structure=structure, composite=composite)

    def rules(self) -> Sequence[Entry]:
        """The entries of the composite that was given."""
        return self.composite.entries

    def build_composite(self) -> Composite:
        """The composite that was given, with the treatments chosen in ``structure`` behind its entries."""
        given, chosen = self.composite, check_structure(self.structure)
        if not chosen:
            return given
        return Composite(
            [*given.entries, *structure_entries(chosen)],
            family=given.family,
            fallback=given.fallback,
            name=given.name,
            batch_norm=chosen.get("batch_norm", given.batch_norm),
        )
