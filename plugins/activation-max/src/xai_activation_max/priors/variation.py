"""Total variation."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_activation_max.parameters import check_number
from xaicore.errors import ParameterError

_SMALLEST = 1e-12  # added to squared differences, where a root would have no derivative


class TotalVariation:
    """``-strength * sum (sum over dimensions of squared differences)^(power / 2)`` (Mahendran & Vedaldi 2015, eq. 5).

    The sum runs over channels and positions; differences are those to the next position in each dimension behind the
    channels, so that images, series and volumes can be smooth.

    Parameters
    ----------
    strength : float
    power : float
        1 keeps edges sharp; 2 makes everything smooth, and leaves no single pixels.
    """

    def __init__(self, strength: float = 0.01, power: float = 1.0) -> None:
        check_number("strength", strength)
        check_number("power", power, open_=True)
        self.strength, self.power = strength, power

    def log_prior(self, x: Tensor) -> Tensor:
        squares = torch.zeros_like(x)
        for dim in range(2, x.ndim):
            if x.shape[dim] > 1:
                steps = x.diff(dim=dim).square()
                # The last position has no next one.
                padding = [0, 0] * (x.ndim - 1 - dim) + [0, 1]
                squares = squares + torch.nn.functional.pad(steps, padding)
        if self.power != 2:
            squares = (squares + _SMALLEST).pow(self.power / 2) - _SMALLEST ** (self.power / 2)
        return -self.strength * squares.flatten(1).sum(1)

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) < 2:
            raise ParameterError(
                f"total variation compares neighbours, and inputs with samples of shape {shape} have none: it is for "
                "images (C, H, W), series (C, T) and volumes. Leave total_variation= out"
            )

    def __repr__(self) -> str:
        return f"TotalVariation(strength={self.strength!r}, power={self.power!r})"
