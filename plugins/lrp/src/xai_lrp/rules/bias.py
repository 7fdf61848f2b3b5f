"""What becomes of the share of a bias, and the account of what does not reach the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.ratio import masked_ratio
from xaicore.errors import ParameterError, nearest

if TYPE_CHECKING:
    from xaicore.propagation import State

MODES = ("absorb", "ignore", "distribute", "conserve")
SPREADING = ("distribute", "conserve")


def check_mode(bias: str) -> None:
    """Refuse a bias mode that does not exist."""
    if bias not in MODES:
        hint = nearest(str(bias), MODES)
        raise ParameterError(
            f"bias={bias!r} is not known: choose 'absorb' (the bias keeps its share), 'ignore' (it is "
            f"left out of the denominator), 'distribute' (its share is spread over the inputs) or 'conserve' (its "
            f"share and what the stabilizer keeps are spread, so that nothing is absorbed).{hint}"
        )


@dataclass(frozen=True)
class Portion:
    """A part of the relevance of a layer's outputs, and how it was shared.

    ``relevance`` was divided by a stabilized ``denominator``, which gave ``ratio``; ``bias`` is the term of
    the bias in that denominator; all of it counts ``weight`` times.
    """

    relevance: Tensor
    ratio: Tensor
    denominator: Tensor
    bias: Tensor | None
    weight: float = 1.0


def settle(inputs: Tensor, x: Tensor, state: State, mode: str, *portions: Portion) -> Tensor:
    """Add what is spread over the inputs to the relevance of ``inputs``, and report what was absorbed."""
    if mode not in SPREADING and not state.ledger_open:
        return inputs
    bias = _total([p.weight * p.ratio * p.bias for p in portions if p.bias is not None])
    if bias is not None and mode in SPREADING:
        spread, bias = spread_evenly(bias, x, state)
        inputs = inputs + spread
    if not state.ledger_open and mode != "conserve":
        return inputs
    # Counted from the denominators alone, not as what is left over: so that the books are a check.
    kept = _total([p.weight * (p.relevance - p.ratio * p.denominator) for p in portions])
    if kept is not None and mode == "conserve":
        spread, kept = spread_evenly(kept, x, state)
        inputs = inputs + spread
    if state.ledger_open:
        state.absorb(bias=bias, stabilizer=kept)
    return inputs


def _total(shares: list[Tensor]) -> Tensor | None:
    return torch.stack(shares).sum(0) if shares else None


def spread_evenly(share: Tensor, x: Tensor, state: State) -> tuple[Tensor, Tensor]:
    """Spread what each output holds over the inputs it is connected to.

    Returns the inputs' part, and what no input could take: a transposed convolution has outputs that no
    input reaches.
    """
    count = connections(x, state)
    alone = count < 0.5
    linear = linear_of(state)
    ones = torch.ones_like(linear.weight)
    return linear.pull(masked_ratio(share, count, alone), ones), share * alone


def connections(x: Tensor, state: State) -> Tensor:
    """How many inputs each output is connected to, fewer at padded borders; counted for one sample."""
    linear = linear_of(state)
    ones = linear.ones()
    return state.cached(("connections", *ones.shape), lambda: linear.apply(ones, torch.ones_like(linear.weight)))
