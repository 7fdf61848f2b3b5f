"""One rule in every linear layer."""

from __future__ import annotations

from torch import nn

from xai_lrp import rules
from xai_lrp.methods.assembly import uniform
from xai_lrp.structure import pass_through
from xaicore.analyzers import PropagationAnalyzer
from xaicore.propagation import Composite


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
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer."""
        rule = rules.Zero(bias=self.bias)
        return uniform("lrp.zero", rule, norm=rule)


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
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer."""
        rule = rules.Epsilon(self.epsilon, self.bias, self.epsilon_relative)
        return uniform("lrp.epsilon", rule, norm=rule)


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

    def __init__(self, model: nn.Module, *, gamma: float = 0.25, epsilon: float = 1e-6, bias: str = "absorb") -> None:
        super().__init__(model)
        self.gamma = gamma
        self.epsilon = epsilon
        self.bias = bias
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return uniform("lrp.gamma", rules.Gamma(self.gamma, self.epsilon, self.bias))


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
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return uniform("lrp.alpha_beta", rules.AlphaBeta(self.alpha, self.beta, self.bias))


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
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return uniform("lrp.alpha_1_beta_0", rules.AlphaBeta(1.0, 0.0, self.bias))


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
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return uniform("lrp.alpha_2_beta_1", rules.AlphaBeta(2.0, 1.0, self.bias))


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
        self.build_composite()  # refuses what the rules refuse

    def build_composite(self) -> Composite:
        """One rule for every linear layer; the epsilon rule in batch norms that stand alone."""
        return uniform("lrp.z_plus", rules.ZPlus(self.bias))


class Flat(PropagationAnalyzer):
    """LRP-flat in every linear layer: equal parts to all connected inputs (Lapuschkin et al. 2019)."""

    family = "relevance"

    def build_composite(self) -> Composite:
        """One rule for every linear layer; batch norms that stand alone hand relevance on."""
        return uniform("lrp.flat", rules.Flat(), norm=pass_through)


class WSquare(PropagationAnalyzer):
    """LRP-w-square in every linear layer: in proportion to squared weights (Montavon et al. 2017, eq. 12)."""

    family = "relevance"

    def build_composite(self) -> Composite:
        """One rule for every linear layer; batch norms that stand alone hand relevance on."""
        return uniform("lrp.w_square", rules.WSquare(), norm=pass_through)
