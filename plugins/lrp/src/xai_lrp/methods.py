"""The methods of this package: analyzers that build a composite of rules from their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import ParameterError
from xaicore.graph import Kind, first_on_path, kind
from xaicore.propagation import Composite

from xai_lrp import rules
from xai_lrp.structure import batch_norm, pass_through

_WEIGHTED = kind(Kind.CONVOLUTION, Kind.LINEAR)
_CONVOLUTION = kind(Kind.CONVOLUTION)
_LINEAR = kind(Kind.LINEAR)
_BATCH_NORM = kind(Kind.BATCH_NORM)


def _uniform(rule: Callable[..., Any], name: str, norm: Callable[..., Any] = batch_norm) -> Composite:
    # A batch norm of its own is one-to-one: a rule that keeps contributions of one sign would stop half of its units.
    return Composite([(_WEIGHTED, rule), (_BATCH_NORM, norm)], family="relevance", name=name)


class Zero(PropagationAnalyzer):
    """LRP-0 in every linear layer: relevance in proportion to the contributions (Bach et al. 2015, eq. 56).

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute'}
        The bias keeps its share; is left out of the denominator; or its share is spread evenly over the inputs.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, bias: str = "absorb") -> None:
        super().__init__(model)
        self.bias = bias

    def composite(self) -> Composite:
        """One rule for every linear layer."""
        rule = rules.Zero(bias=self.bias)
        return _uniform(rule, "lrp.zero", norm=rule)


class Epsilon(PropagationAnalyzer):
    """LRP-epsilon in every linear layer: small outputs are damped (Bach et al. 2015, eq. 58).

    Parameters
    ----------
    epsilon : float
        Added to the size of each output before dividing by it; in the units of that output.
    bias : {'absorb', 'ignore', 'distribute'}
        The bias keeps its share; is left out of the denominator; or its share is spread evenly over the inputs.
    epsilon_relative : float
        This many times the root mean square of a layer's outputs (for each sample) is added to epsilon.
    """

    family = "relevance"

    def __init__(
        self, model: nn.Module, *, epsilon: float = 1e-6, bias: str = "absorb", epsilon_relative: float = 0.0
    ) -> None:
        super().__init__(model)
        self.epsilon = epsilon
        self.bias = bias
        self.epsilon_relative = epsilon_relative

    def composite(self) -> Composite:
        """One rule for every linear layer."""
        rule = rules.Epsilon(self.epsilon, self.bias, self.epsilon_relative)
        return _uniform(rule, "lrp.epsilon", norm=rule)


class Gamma(PropagationAnalyzer):
    """LRP-gamma in every linear layer: positive contributions count more (Montavon et al. 2019).

    Parameters
    ----------
    gamma : float
        How much more positive contributions count: 0 is LRP-epsilon, infinity is z-plus.
    epsilon : float
        Added to the size of each denominator.
    bias : {'absorb', 'ignore', 'distribute'}
        The bias keeps its share; is left out of the denominator; or its share is spread evenly over the inputs.
    """

    family = "relevance"

    def __init__(
        self, model: nn.Module, *, gamma: float = 0.25, epsilon: float = 1e-6, bias: str = "absorb"
    ) -> None:
        super().__init__(model)
        self.gamma = gamma
        self.epsilon = epsilon
        self.bias = bias

    def composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return _uniform(rules.Gamma(self.gamma, self.epsilon, self.bias), "lrp.gamma")


class AlphaBeta(PropagationAnalyzer):
    """LRP-alpha-beta in every linear layer: positive and negative contributions apart (Bach et al. 2015, eq. 60).

    Parameters
    ----------
    alpha : float
        Weight of the positive contributions, at least 1.
    beta : float
        Weight of the negative contributions; alpha - beta must be 1.
    bias : {'absorb', 'ignore', 'distribute'}
        The bias keeps its share; is left out of the denominator; or its share is spread evenly over the inputs.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, alpha: float = 2.0, beta: float = 1.0, bias: str = "absorb") -> None:
        super().__init__(model)
        self.alpha = alpha
        self.beta = beta
        self.bias = bias

    def composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return _uniform(rules.AlphaBeta(self.alpha, self.beta, self.bias), "lrp.alpha_beta")


class Alpha1Beta0(PropagationAnalyzer):
    """LRP-alpha1-beta0 in every linear layer: positive contributions alone; the same as z-plus.

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute'}
        The positive part of the bias keeps its share; is left out; or its share is spread evenly over the inputs.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, bias: str = "absorb") -> None:
        super().__init__(model)
        self.bias = bias

    def composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return _uniform(rules.AlphaBeta(1.0, 0.0, self.bias), "lrp.alpha_1_beta_0")


class Alpha2Beta1(PropagationAnalyzer):
    """LRP-alpha2-beta1 in every linear layer: positive contributions twice, less the negative ones.

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute'}
        The bias keeps its share; is left out of the denominators; or its share is spread evenly over the inputs.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, bias: str = "absorb") -> None:
        super().__init__(model)
        self.bias = bias

    def composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return _uniform(rules.AlphaBeta(2.0, 1.0, self.bias), "lrp.alpha_2_beta_1")


class ZPlus(PropagationAnalyzer):
    """LRP-z-plus in every linear layer: positive contributions alone (Montavon et al. 2017).

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute'}
        The positive part of the bias keeps its share; is left out; or its share is spread evenly over the inputs.
    """

    family = "relevance"

    def __init__(self, model: nn.Module, *, bias: str = "absorb") -> None:
        super().__init__(model)
        self.bias = bias

    def composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return _uniform(rules.ZPlus(self.bias), "lrp.z_plus")


class Flat(PropagationAnalyzer):
    """LRP-flat in every linear layer: equal parts to all connected inputs (Lapuschkin et al. 2019)."""

    family = "relevance"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)

    def composite(self) -> Composite:
        """One rule for every linear layer; batch norms that stand alone hand relevance on."""
        return _uniform(rules.Flat(), "lrp.flat", norm=pass_through)


class WSquare(PropagationAnalyzer):
    """LRP-w-square in every linear layer: in proportion to squared weights (Montavon et al. 2017, eq. 12)."""

    family = "relevance"

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)

    def composite(self) -> Composite:
        """One rule for every linear layer; batch norms that stand alone hand relevance on."""
        return _uniform(rules.WSquare(), "lrp.w_square", norm=pass_through)


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

    def composite(self) -> Composite:
        """Z-box first, z-plus after; the epsilon rule in batch norms that stand alone."""
        return Composite(
            [
                (_WEIGHTED & first_on_path, _z_box("lrp.z_box", self.low, self.high)),
                (_WEIGHTED, rules.ZPlus()),
                (_BATCH_NORM, batch_norm),
            ],
            family="relevance",
            name="lrp.z_box",
        )


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

    def composite(self) -> Composite:
        """Z-plus and epsilon; the epsilon rule in batch norms that stand alone."""
        return _by_kind("lrp.epsilon_plus", rules.ZPlus(), rules.Epsilon(self.epsilon))


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

    def composite(self) -> Composite:
        """Z-box, gamma and epsilon; the epsilon rule in batch norms that stand alone."""
        first = (_WEIGHTED & first_on_path, _z_box("lrp.epsilon_gamma_box", self.low, self.high))
        return _by_kind("lrp.epsilon_gamma_box", rules.Gamma(self.gamma), rules.Epsilon(self.epsilon), first)


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

    def composite(self) -> Composite:
        """Alpha2-beta1 and epsilon; the epsilon rule in batch norms that stand alone."""
        return _by_kind("lrp.epsilon_alpha2_beta1", rules.AlphaBeta(2.0, 1.0), rules.Epsilon(self.epsilon))


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
        self.composite = composite
