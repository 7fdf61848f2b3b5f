"""How relevance passes local response normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from xai_lrp.structure.precision import at_least_float32

if TYPE_CHECKING:
    from xaicore.propagation import State


def local_taylor(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """By a first-order Taylor expansion (Binder et al. 2016, "... Neural Networks with Local Renormalization Layers").

    ``y_k = x_k / D_k^beta`` with ``D_k = k + (alpha / n) sum_j x_j^2``. Between the input x and the point at which only
    x_k is not zero, the gradient being that at x::

        y_k ~ x_k / (k + (alpha / n) x_k^2)^beta - sum_{j != k} (2 alpha beta / n) x_k x_j^2 / D_k^(beta + 1)

    Each term, as a part of ``y_k``, takes that part of the relevance to its x_j. What the expansion leaves over is in
    the ledger, in the column of the stabilizer.
    """
    (r,), (x,) = rs, xs
    if r is None:
        return [None]
    options = state.layer.arguments
    size, beta = options["size"], options["beta"]
    squares = options["alpha"] * at_least_float32(x).square()
    alone = options["k"] + squares / size
    denominator = options["k"] + channel_mean(squares, size)
    own = (denominator / alone) ** beta
    per_unit = 2 * beta * r / denominator
    spread = channel_mean(per_unit, size, transposed=True) - per_unit / size  # without the neuron itself
    inputs = r * own - squares * spread
    if state.ledger_open:
        state.absorb(stabilizer=r - r * own + per_unit * (denominator - alone))
    return [inputs.to(x.dtype)]


def channel_mean(values: Tensor, size: int, *, transposed: bool = False) -> Tensor:
    """The mean over ``size`` neighbouring channels, zeros beyond the ends; ``transposed``: the transposed map."""
    before, after = size // 2, (size - 1) // 2
    sides = (after, before) if transposed else (before, after)
    rows = F.pad(values.flatten(2).unsqueeze(1), (0, 0, *sides))
    return F.avg_pool2d(rows, (size, 1), stride=1).reshape(values.shape)
