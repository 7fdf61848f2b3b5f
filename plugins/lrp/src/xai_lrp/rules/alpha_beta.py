"""LRP-alpha-beta: positive and negative contributions apart."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import ProportionalRule
from xai_lrp.rules.bias import Portion, check_mode, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.numbers import check_number
from xai_lrp.rules.paired import Paired
from xai_lrp.rules.ratio import masked_ratio, ratio_to_part, share_of_part, smallest, untracked, weigh
from xaicore.errors import ParameterError
from xaicore.propagation import Coefficient

if TYPE_CHECKING:
    from xaicore.propagation import State

# A negative part found as the difference of output and positive part is noise below this many units of rounding.
_ROUNDING = 32.0
# An output this many times its positive part, and negative, has no positive part.
_NONE_POSITIVE = -1e12


@dataclass(frozen=True)
class AlphaBeta(ProportionalRule):
    """LRP-alpha-beta: ``R_i = sum_j (alpha z_ij+ / z_j+ - beta z_ij- / z_j-) R_j``.

    Bach et al. 2015, eq. 60. Contributions ``z_ij = x_i w_ij`` are split by sign, and so is the bias: its positive part
    belongs to ``z_j+``, its negative part to ``z_j-``. A unit without contributions of one sign passes nothing
    of that sign's share.

    Parameters
    ----------
    alpha, beta : float
        Weights of the positive and of the negative contributions; ``alpha - beta = 1`` and ``beta >= 0``.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator; its share is
        spread evenly over the inputs; or with it what the stabilizer keeps, so that nothing is absorbed.
    """

    alpha: float = 2.0
    beta: float = 1.0
    bias: str = "absorb"

    def __post_init__(self) -> None:
        check_mode(self.bias)
        check_number("alpha", self.alpha)
        check_number("beta", self.beta, " (and alpha at least one)")
        if not abs(self.alpha - self.beta - 1) <= 1e-6:
            raise ParameterError(
                f"alpha={self.alpha!r}, beta={self.beta!r}: alpha - beta must be 1, or relevance is created or lost. "
                f"For this alpha, beta is {self.alpha - 1:g}."
            )

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"}) if self.beta == 0 else frozenset({"xs", "ys"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        return signed_share(x, y, r, state, self.alpha, self.beta, self.bias)

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """See `ProportionalRule.coefficients`."""
        return signed_coefficients(x, y, r, state, self.alpha, self.beta, self.bias)


@dataclass(frozen=True)
class ZPlus(ProportionalRule):
    """LRP-z-plus: ``R_i = sum_j z_ij+ / z_j+ R_j``; it is alpha-beta with alpha 1 and beta 0.

    Bach et al. 2015, eq. 60; Montavon et al. 2017 (there without bias).

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The positive part of the bias keeps its share; is left out of the denominator; its share
        is spread evenly; or with it what has no contribution to go by, so that nothing is absorbed.
    """

    bias: str = "absorb"

    def __post_init__(self) -> None:
        check_mode(self.bias)

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        return signed_share(x, y, r, state, 1.0, 0.0, self.bias)

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """See `ProportionalRule.coefficients`."""
        return signed_coefficients(x, y, r, state, 1.0, 0.0, self.bias)


def signed_share(x: Tensor, y: Tensor, r: Tensor, state: State, alpha: float, beta: float, mode: str) -> Tensor:
    """Share ``alpha r`` by the positive contributions and ``-beta r`` by the negative ones."""
    parts = _SignedParts(x, state, use_bias=mode != "ignore")
    positive = parts.apply(positive=True)
    if beta != 0:
        negative, none_negative = parts.negative_part(y, positive)

    per_unit = ratio_to_part(r, positive, scratch=not (state.ledger_open or mode == "conserve"))
    pulled = parts.pull(per_unit, positive=True)
    portions = [Portion(r, per_unit, positive, parts.bias(positive=True), weight=alpha)]
    if beta != 0:
        per_unit = masked_ratio(r, negative, none_negative)
        taken = parts.pull(per_unit, positive=False)
        if untracked(pulled, taken):
            pulled.mul_(alpha).sub_(taken, alpha=beta)
        else:
            pulled = alpha * pulled - beta * taken
        portions.append(Portion(r, per_unit, negative, parts.bias(positive=False), weight=-beta))
    return settle(weigh(x, pulled), x, state, mode, *portions)


def signed_coefficients(
    x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State, alpha: float, beta: float, mode: str
) -> Tensor:
    """What each unit of the input is worth when ``alpha r`` and ``-beta r`` are shared so."""
    parts = _SignedParts(x, state, use_bias=mode != "ignore")
    positive = parts.apply(positive=True)
    if beta == 0:
        return parts.pull(share_of_part(r, y, positive), positive=True)
    if parts.difference_serves(y) and isinstance(r, Coefficient):
        both = parts.room_for_both(y)
        shares = _shares_of_both(r, y, positive, both)
        return parts.pull_both(*shares, alpha, beta) if both is None else parts.pull_joined(both, alpha, beta)
    negative, none_negative = parts.negative_part(y, positive)
    relevance = r.times(y) if isinstance(r, Coefficient) else r
    of_negative = masked_ratio(relevance, negative, none_negative).neg_()
    return parts.pull_both(share_of_part(relevance, y, positive), of_negative, alpha, beta)


def _shares_of_both(r: Coefficient, y: Tensor, positive: Tensor, both: Tensor | None) -> tuple[Tensor, Tensor]:
    """``c y / z+`` and ``c y / -z-`` from ``q = y / z+`` alone: since ``z- = y - z+``, the second is ``c q / (1 - q)``.

    They are written to ``both``, one after the other along the channels, or over ``positive``.
    """
    quotient = torch.div(y, positive.clamp_(min=smallest(y.dtype)), out=positive)
    # What is missing from one is the negative part, in units of the positive one; below rounding there is none.
    missing = torch.threshold_(1 - quotient, _ROUNDING * torch.finfo(y.dtype).eps, math.inf)
    of_negative = torch.div(quotient, missing, out=missing)
    if not r.clipped:
        torch.threshold_(quotient, _NONE_POSITIVE, 0.0)
    first, second = (quotient, of_negative) if both is None else both.chunk(2, 1)
    return torch.mul(quotient, r.tensor, out=first), torch.mul(of_negative, r.tensor, out=second)


class _SignedParts:
    """Contributions of one sign: x+ w+ and x- w- are positive, x+ w- and x- w+ negative."""

    def __init__(self, x: Tensor, state: State, use_bias: bool) -> None:
        self.x = x
        self.state = state
        self.linear = linear_of(state)
        self.one_sign = state.nonnegative[0]
        self.use_bias = use_bias
        self._pairs: dict[bool, Paired] = {}

    def weight(self, positive: bool) -> Tensor:
        """The weights of one sign, zero elsewhere."""
        weight = self.linear.weight
        if positive:
            return self.state.cached("positive weight", lambda: weight.clamp(min=0))
        return self.state.cached("negative weight", lambda: weight.clamp(max=0))

    def bias(self, positive: bool) -> Tensor | None:
        """The bias of one sign, zero elsewhere; None where it is not used."""
        if self.linear.bias is None or not self.use_bias:
            return None
        return self.linear.bias.clamp(min=0) if positive else self.linear.bias.clamp(max=0)

    def apply(self, positive: bool) -> Tensor:
        """Sum of the contributions of one sign, with the bias."""
        bias = self.bias(positive)
        if self.one_sign:
            return self.linear.apply(self.x, self.weight(positive), bias)
        return self._by_sign(positive).apply(bias)

    def difference_serves(self, y: Tensor) -> bool:
        """Whether the negative part can be found as what the output lacks of the positive part."""
        bias_left_out = self.linear.bias is not None and not self.use_bias
        return not bias_left_out and torch.finfo(y.dtype).bits >= 32

    def negative_part(self, y: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the negative contributions, and where there are none."""
        least = smallest(y.dtype)
        if not self.difference_serves(y):
            negative = self.apply(positive=False)
            return negative, negative.detach() >= -least
        # The output is the sum of both parts, so that the difference saves a forward. Near zero it is rounding noise.
        noise = torch.mul(positive.detach(), -_ROUNDING * torch.finfo(y.dtype).eps).clamp_(max=-least)
        negative = y - positive
        return negative, negative.detach() >= noise

    def room_for_both(self, y: Tensor) -> Tensor | None:
        """Room for two tensors like ``y`` in one, where one map of both is faster than two."""
        if not (self.one_sign and self.linear.joins):
            return None
        return y.new_empty(y.shape[0], 2 * y.shape[1], *y.shape[2:])

    def pull_both(self, of_positive: Tensor, of_negative: Tensor, alpha: float, beta: float) -> Tensor:
        """What each input gets: alpha times by the positive weights, and by the negative ones, which take it away."""
        if not self.one_sign:
            above = self.pull(of_positive, positive=True).mul_(alpha)
            return above.add_(self.pull(of_negative, positive=False), alpha=beta)
        weight = self.linear.weight
        raised = self.state.cached(("positive weight", alpha), lambda: weight.clamp(min=0) * alpha)
        lowered = self.state.cached(("negative weight", beta), lambda: weight.clamp(max=0) * beta)
        return self.linear.pull(of_positive, raised).add_(self.linear.pull(of_negative, lowered))

    def pull_joined(self, both: Tensor, alpha: float, beta: float) -> Tensor:
        """The same for shares that lie one after the other along the channels."""
        weight = self.linear.weight
        stacked = self.state.cached(
            ("both weights", alpha, beta),
            lambda: torch.cat([weight.clamp(min=0) * alpha, weight.clamp(max=0) * beta]),
        )
        return self.linear.pull(both, stacked)

    def pull(self, per_unit: Tensor, positive: bool) -> Tensor:
        """What each input gets for each unit of its value."""
        if self.one_sign:
            return self.linear.pull(per_unit, self.weight(positive))
        return torch.where(self.x > 0, *self._by_sign(positive).pull(per_unit))

    def _by_sign(self, positive: bool) -> Paired:
        """Of inputs of either sign: the positive ones with weights of one sign, the negative ones with the others."""
        if positive not in self._pairs:
            weights = self.weight(positive), self.weight(not positive)
            self._pairs[positive] = Paired.by_sign(self.x, weights, self.state, ("by sign", positive))
        return self._pairs[positive]
