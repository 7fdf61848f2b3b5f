"""Different rules in different layers."""

from __future__ import annotations

from torch import Tensor, nn

from xai_lrp import rules
from xai_lrp.methods.assembly import by_kind, z_box
from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import ParameterError
from xaicore.graph import first_on_path
from xaicore.propagation import Composite


class ZBox(PropagationAnalyzer):
    """LRP-z-box in the first linear layer by data flow, z-plus in the others (Montavon et al. 2017, eq. 17).

    Only the inputs of the model have known bounds, which is why the rule stands in the first layer alone.

    Parameters
    ----------
    low : float or Tensor
        Lower bound of the inputs as the model gets them, after normalization; shape (C, 1, 1) for one a channel.
    high : float or Tensor
        Upper bound, likewise.
    """

    family = "relevance"

    def __init__(
        self, model: nn.Module, *, low: float | Tensor | None = None, high: float | Tensor | None = None
    ) -> None:
        super().__init__(model)
        self.low = low
        self.high = high
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """Z-box first, z-plus after; the epsilon rule in batch norms that stand alone."""
        return by_kind("lrp.z_box", rules.ZPlus(), rules.ZPlus(), (first_on_path, z_box(self.low, self.high)))


class EpsilonPlus(PropagationAnalyzer):
    """Z-plus in convolutions, epsilon in linear layers (Montavon et al. 2019, section 10.3).

    Parameters
    ----------
    epsilon : float
        Of the epsilon rule: added to the size of each output before dividing by it.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, epsilon: float = 1e-6) -> None:
        super().__init__(model)
        self.epsilon = epsilon
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """Z-plus and epsilon; the epsilon rule in batch norms that stand alone."""
        return by_kind("lrp.epsilon_plus", rules.ZPlus(), rules.Epsilon(self.epsilon))


class EpsilonGammaBox(PropagationAnalyzer):
    """Z-box in the first layer, gamma in convolutions, epsilon in linear layers (Montavon et al. 2019).

    Parameters
    ----------
    low : float or Tensor
        Lower bound of the inputs as the model gets them, after normalization; shape (C, 1, 1) for one a channel.
    high : float or Tensor
        Upper bound, likewise.
    epsilon : float
        Of the epsilon rule: added to the size of each output before dividing by it.
    gamma : float
        Of the gamma rule: how much more positive contributions count.
    """

    family = "relevance"

    def __init__(
        self,
        model: nn.Module,
        *,
        low: float | Tensor | None = None,
        high: float | Tensor | None = None,
        epsilon: float = 1e-6,
        gamma: float = 0.25,
    ) -> None:
        super().__init__(model)
        self.low = low
        self.high = high
        self.epsilon = epsilon
        self.gamma = gamma
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """Z-box, gamma and epsilon; the epsilon rule in batch norms that stand alone."""
        first = (first_on_path, z_box(self.low, self.high))
        return by_kind("lrp.epsilon_gamma_box", rules.Gamma(self.gamma), rules.Epsilon(self.epsilon), first)


class EpsilonAlpha2Beta1(PropagationAnalyzer):
    """Alpha2-beta1 in convolutions, epsilon in linear layers (Lapuschkin et al. 2017).

    Parameters
    ----------
    epsilon : float
        Of the epsilon rule: added to the size of each output before dividing by it.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, epsilon: float = 1e-6) -> None:
        super().__init__(model)
        self.epsilon = epsilon
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """Alpha2-beta1 and epsilon; the epsilon rule in batch norms that stand alone."""
        return by_kind("lrp.epsilon_alpha2_beta1", rules.AlphaBeta(2.0, 1.0), rules.Epsilon(self.epsilon))


class UserComposite(PropagationAnalyzer):
    """Relevance propagation with a composite of your own.

    Parameters
    ----------
    composite : Composite
        Conditions and rules in order; layers that it does not name get the mappings of the installed plugins.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, composite: Composite) -> None:
        super().__init__(model)
        if not isinstance(composite, Composite) or composite.family != "relevance":
            raise ParameterError(
                f"composite is {composite!r}; it must be an xaicore.Composite of the relevance family, such as "
                "Composite([(kind(Kind.CONVOLUTION), Gamma(0.25)), (kind(Kind.LINEAR), Epsilon(0.25))])."
            )
        self.composite = composite

    def build_composite(self) -> Composite:
        """The composite that was given."""
        return self.composite
