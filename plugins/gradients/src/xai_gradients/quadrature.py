"""Where to take the gradient along a path, and what each counts for: rules for integrals from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xaicore.errors import ParameterError, nearest

RULES = ("gauss_legendre", "trapezoid", "midpoint", "simpson")


@dataclass(frozen=True)
class Quadrature:
    """A rule for the integral of a function from 0 to 1: the sum of its values at ``nodes`` times ``weights``."""

    nodes: tuple[float, ...]
    weights: tuple[float, ...]


def quadrature(rule: str, steps: int) -> Quadrature:
    """A rule with this many nodes.

    Parameters
    ----------
    rule : {'gauss_legendre', 'trapezoid', 'midpoint', 'simpson'}
        Gauss-Legendre is exact for polynomials of degree ``2 * steps - 1``. The trapezoid and Simpson's rule have both
        ends among their nodes; Simpson's, on pairs of intervals, needs an odd number of nodes.
    steps : int
        How many nodes.

    Raises
    ------
    ParameterError
        For too few nodes, or an even number of them for Simpson's rule.
    """
    check_rule(rule)
    least = {"trapezoid": 2, "simpson": 3}.get(rule, 1)
    if steps < least or (rule == "simpson" and steps % 2 == 0):
        odd = "an odd number of steps, " if rule == "simpson" else ""
        raise ParameterError(f"steps={steps} does not do for rule={rule!r}: it needs {odd}{least} at least")
    if rule == "gauss_legendre":
        at, weights = np.polynomial.legendre.leggauss(steps)
        nodes, weights = (at + 1) / 2, weights / 2
    elif rule == "midpoint":
        nodes, weights = (np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)
    else:
        nodes, weights = np.linspace(0, 1, steps), np.ones(steps)
        if rule == "trapezoid":
            weights[[0, -1]] = 0.5
        else:
            weights[1::2], weights[2:-1:2] = 4, 2
        weights /= weights.sum()
    return Quadrature(tuple(nodes.tolist()), tuple(weights.tolist()))


def piece_rule(rule: str) -> Quadrature:
    """The rule for one piece of a path that is cut in halves where it must be finer.

    It has the ends or the middle of the piece among its nodes, so that the value at every cut is known, and few nodes,
    since no more than the value at its ends is needed to tell its error.
    """
    return quadrature(rule, {"gauss_legendre": 3, "trapezoid": 2, "midpoint": 1, "simpson": 3}[rule])


def check_rule(rule: Any) -> None:
    """Refuse a rule that is not known."""
    if rule not in RULES:
        raise ParameterError(
            f"rule={rule!r} is not known: choose one of {', '.join(RULES)}.{nearest(str(rule), RULES)}"
        )
