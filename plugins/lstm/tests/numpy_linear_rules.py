"""Other rules than epsilon in the linear maps and sums of a recurrent cell, as numpy equations over contributions.

A rule takes the contributions ``z_ji = w_ji x_i`` of input i to output j, those of the biases, and the weights. It
returns which part of the relevance of output j goes to input i, and which to its bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy_recurrent import Array, Rules

Shares = tuple[Array, Array]


def quotient(numerator: Array, denominator: Array) -> Array:
    """Rows over their denominators; nothing where that is zero."""
    whole = denominator.reshape(-1, *[1] * (numerator.ndim - 1))
    return np.where(whole == 0, 0, numerator / np.where(whole == 0, 1, whole))


def gamma(z: Array, b: Array, w: Array, more: float, epsilon: float) -> Shares:
    """Montavon et al. 2019, section 10.2: positive contributions count more, that of the bias as well."""
    z, b = z + more * np.maximum(z, 0), b + more * np.maximum(b, 0)
    whole = z.sum(1) + b
    whole = whole + epsilon * np.where(whole < 0, -1, 1)
    return quotient(z, whole), quotient(b, whole)


def alpha_beta(z: Array, b: Array, w: Array, alpha: float, beta: float) -> Shares:
    """Bach et al. 2015, eq. 60: each sign by itself, with the part of the bias of that sign."""
    of_inputs, of_bias = np.zeros_like(z), np.zeros_like(b)
    for weight, part in ((alpha, np.maximum), (-beta, np.minimum)):
        whole = part(z, 0).sum(1) + part(b, 0)
        of_inputs += weight * quotient(part(z, 0), whole)
        of_bias += weight * quotient(part(b, 0), whole)
    return of_inputs, of_bias


def z_plus(z: Array, b: Array, w: Array) -> Shares:
    """Montavon et al. 2017, the positive contributions alone."""
    return alpha_beta(z, b, w, 1.0, 0.0)


def w_square(z: Array, b: Array, w: Array) -> Shares:
    """Montavon et al. 2017: by squared weights."""
    return quotient(w**2, (w**2).sum(1)), np.zeros_like(b)


def flat(z: Array, b: Array, w: Array) -> Shares:
    """Evenly."""
    return np.full_like(w, 1 / w.shape[1]), np.zeros_like(b)


class By(Rules):
    """Rules with one of these in the linear maps and in the sums, which are maps with weights of one."""

    def __init__(self, shares: Callable[..., Shares], product: str, bias: str = "absorb", **parameters: Any) -> None:
        super().__init__(product, bias=bias)
        self.shares, self.parameters = shares, parameters

    def linear(self, xs: Sequence[Array], weights: Sequence[Array], bias: Array, r: Array) -> list[Array]:
        x, w = np.concatenate(xs), np.concatenate(weights, 1)
        b = np.zeros_like(bias) if self.bias == "ignore" else bias
        of_inputs, of_bias = self.shares(w * x, b, w, **self.parameters)
        spread = self.spread(of_bias * r, (1 - of_inputs.sum(1) - of_bias) * r)
        relevance = (of_inputs * r[:, None]).sum(0) + spread.sum() / len(x)
        return np.split(relevance, np.cumsum([len(each) for each in xs])[:-1])

    def sum(self, a: Array, b: Array, r: Array) -> tuple[Array, Array]:
        pairs = [
            self.linear([np.array([first]), np.array([second])], [np.ones((1, 1))] * 2, np.zeros(1), np.array([each]))
            for first, second, each in zip(a, b, r, strict=True)
        ]
        return tuple(np.array([pair[number].item() for pair in pairs]) for number in range(2))  # type: ignore[return-value]
