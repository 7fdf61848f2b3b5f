"""What a mask is to be besides effective: small, or of a given area, and smooth. One value a mask."""

from __future__ import annotations

import torch
from torch import Tensor


def size_of(changed: Tensor) -> Tensor:
    """The mean of what is changed, (B, A, ...) -> (B, A): the L1 norm of Fong and Vedaldi 2017, eq. 3, a position."""
    return changed.flatten(2).mean(2)


def off_area(changed: Tensor, areas: Tensor) -> Tensor:
    """How far masks are from being one on a share of the positions and zero elsewhere, (B, A, ...) -> (B, A).

    The sorted values are compared with as many ones as the area asks for (Fong et al. 2019, eq. 4): the mean squared
    difference. Where the share is no whole number of positions, one of them is compared with the rest.
    """
    values = changed.flatten(2).sort(2, descending=True).values
    places = torch.arange(values.shape[2], device=values.device)
    wanted = (areas[:, None] * values.shape[2] - places).clamp(0, 1).to(values.dtype)
    return (values - wanted).square().mean(2)


def roughness(changed: Tensor, beta: float) -> Tensor:
    """Total variation, (B, A, ...) -> (B, A): the sum over dimensions of the mean of ``|difference| ** beta``.

    Fong and Vedaldi 2017, eq. 4, a position.
    """
    total = changed.new_zeros(changed.shape[:2])
    for dim in range(2, changed.ndim):
        if changed.shape[dim] > 1:
            total = total + changed.diff(dim=dim).abs().pow(beta).flatten(2).mean(2)
    return total
