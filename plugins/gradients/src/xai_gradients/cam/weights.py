"""How much each map counts."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_gradient(activations: Tensor, gradients: Tensor) -> Tensor:
    """The mean of the gradient over positions (Selvaraju et al. 2017, equation 1).

    Parameters
    ----------
    activations, gradients : Tensor (B, C, ...)

    Returns
    -------
    Tensor (B, C)
    """
    return gradients.flatten(2).mean(2)


def positive_gradient(activations: Tensor, gradients: Tensor) -> Tensor:
    """A weighted sum of the positive gradients (Chattopadhay et al. 2018, equations 10 and 19).

    The weight of a position is alpha = g^2 / (2 g^2 + sum(A) g^3), with the sum over the positions of a map; of an
    explained value that goes through an exponential, its higher derivatives come down to these powers of the gradient.
    Where the denominator is zero alpha is zero.

    Parameters
    ----------
    activations, gradients : Tensor (B, C, ...)

    Returns
    -------
    Tensor (B, C)
    """
    g = gradients.flatten(2)
    total = activations.flatten(2).sum(2, keepdim=True)
    # g^2 cancels: so that small gradients do not vanish when they are squared.
    denominator = 2 + total * g
    defined = (denominator != 0) & (g != 0)
    alpha = torch.where(defined, 1 / torch.where(defined, denominator, torch.ones_like(g)), torch.zeros_like(g))
    return (alpha * g.clamp(min=0)).sum(2)
