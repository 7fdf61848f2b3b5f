"""Parameters that several methods share, each described once, with the rules that are made of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from xai_lrp import rules
from xai_lrp.methods.base import Entry, RelevanceMethod
from xai_lrp.rules.bounds import Bound
from xai_lrp.rules.numbers import check_number
from xai_lrp.structure import pass_through
from xaicore.errors import ParameterError
from xaicore.graph import Condition, Graph, Kind, depth, first_on_path, kind, up_to

WITH_WEIGHTS = kind(Kind.CONVOLUTION, Kind.LINEAR)


class WithBias(RelevanceMethod):
    """A method that can treat biases in several ways.

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share (where contributions are split by sign, the part of its own sign); is left out of the
        denominator; its share is spread evenly over the inputs; or with it what the stabilizer keeps, so that nothing
        is absorbed (the bias factor of Arras et al. 2017).
    """

    bias: str


class WithEpsilon(WithBias):
    """A method with the epsilon rule.

    Parameters
    ----------
    epsilon : float
        Of the epsilon rule: added to the size of each output before dividing by it, in the units of that output.
    epsilon_relative : float
        This many times the root mean square of a layer's outputs (for each sample) is added to epsilon.
    """

    epsilon: float
    epsilon_relative: float

    def epsilon_rule(self) -> rules.Epsilon:
        """The epsilon rule with the parameters of the method."""
        return rules.Epsilon(self.epsilon, self.bias, self.epsilon_relative)


class WithAlphaBeta(WithBias):
    """A method with the alpha-beta rule.

    Parameters
    ----------
    alpha : float, optional
        Weight of the positive contributions, at least 1. Default: beta + 1.
    beta : float, optional
        Weight of the negative contributions, at least 0. Default: alpha - 1.
    """

    alpha: float | None
    beta: float | None
    default_alpha: float

    def alpha_beta_rule(self) -> rules.AlphaBeta:
        """The alpha-beta rule; of two parameters that differ by one, one says both."""
        alpha, beta = self.alpha, self.beta
        for name, value in (("alpha", alpha), ("beta", beta)):
            if value is not None:
                check_number(name, value)
        if alpha is None:
            alpha = self.default_alpha if beta is None else beta + 1
        return rules.AlphaBeta(alpha, alpha - 1 if beta is None else beta, self.bias)


class WithBox(RelevanceMethod):
    """A method with the z-box rule in the first layer by data flow, the only one whose inputs have known bounds.

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

    def box_in_first_layer(self) -> Entry:
        """The z-box rule, once both bounds are given; there is no range that fits all models."""
        if self.low is None or self.high is None:
            raise ParameterError(
                f"{'low' if self.low is None else 'high'} is missing: z-box must be told the range of the inputs as "
                "the model gets them, for example low=0, high=1, or tensors of shape (C, 1, 1) with one bound a "
                "channel; or the range of the pixels, with the mean and std that normalise them."
            )
        return first_on_path, rules.ZBox(self.low, self.high, mean=self.mean, std=self.std)


class WithFlat(RelevanceMethod):
    """A method that can take the flat rule in the layers near the input.

    Parameters
    ----------
    flat_until : int or str, optional
        The flat rule takes the convolution and linear layers up to here, for a coarser picture: an int counts them from
        the input (1: the first layer), a name is a layer or module, which is included with all that leads to it.
        Default: the first layer in the methods that are called flat, else none.
    """

    flat_until: int | str | None
    flat_by_default: int = 0

    def flat_layers(self) -> list[Entry]:
        """The flat rule where it was asked for; a batch norm that stands alone there hands relevance on."""
        until = self.flat_by_default if self.flat_until is None else self.flat_until
        if isinstance(until, bool) or not isinstance(until, int | str) or (isinstance(until, int) and until < 0):
            raise ParameterError(
                f"flat_until={until!r} must be a number of layers, counted from the input, or the name of a layer or "
                "module such as 'features.5'."
            )
        if until == 0:
            return []
        reach = first_layers(until) if isinstance(until, int) else up_to(until)
        return [(WITH_WEIGHTS & reach, rules.Flat()), (kind(Kind.BATCH_NORM) & reach, pass_through)]


def first_layers(count: int) -> Condition:
    """Layers with fewer than ``count`` linear layers before them; refuses a count that no way through the model has."""
    within = depth < count
    last_of_these = WITH_WEIGHTS & within & ~(depth < count - 1)

    def check(graph: Graph) -> None:
        if not graph.select(last_of_these):
            raise ParameterError(
                f"flat_until={count} counts more layers than the model has: no way from input to output passes "
                f"{count} convolutions and linear layers. Give a smaller number, or the name of a layer."
            )

    return Condition(within, str(within), check)
