"""Bounds of inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xaicore.errors import ParameterError

_INSIDE = 1e-3  # how far from the walls a search through a sigmoid begins, as a share of the width


class Box:
    """The lowest and the highest value of each entry of an input.

    Parameters
    ----------
    bounds : (low, high)
        Each a number, one number a channel, or a tensor of the shape of a sample.
    """

    def __init__(self, bounds: Any) -> None:
        advice = "give (low, high), each a number, one number a channel, or a tensor like a sample"
        if not isinstance(bounds, tuple | list) or len(bounds) != 2:
            raise ParameterError(f"bounds={bounds!r}: {advice}")
        try:
            low, high = (torch.as_tensor(each, dtype=torch.float64) for each in bounds)
        except (TypeError, ValueError, RuntimeError):
            raise ParameterError(f"bounds={bounds!r}: {advice}") from None
        if not (bool(torch.isfinite(low).all()) and bool(torch.isfinite(high).all())):
            raise ParameterError(f"bounds={bounds!r} must be finite; leave bounds= out where there are none")
        try:
            reversed_ = bool((low >= high).any())
        except RuntimeError:
            raise ParameterError(f"bounds={bounds!r}: low and high have shapes that do not fit; {advice}") from None
        if reversed_:
            raise ParameterError(f"bounds={bounds!r}: the lower bound must be below the upper one; turn them round")
        self.low, self.high = low, high

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples of a shape that the bounds do not fit.

        Raises
        ------
        ParameterError
        """
        for wall in (self.low, self.high):
            own = tuple(wall.shape)
            if wall.numel() == 1 or own == shape:
                continue
            if wall.ndim != 1 or own[0] != shape[0]:
                raise ParameterError(
                    f"bounds= has {own} entries; samples have shape {shape}: give one number, one for each of the "
                    f"{shape[0]} channels, or a tensor of that shape"
                )

    def walls(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Low and high, to be broadcast against inputs (N, *shape)."""
        return _shaped(self.low, like), _shaped(self.high, like)

    def middle(self, like: Tensor) -> Tensor:
        """The middle of the box, of the shape of ``like``."""
        low, high = self.walls(like)
        return ((low + high) / 2).expand(like.shape)

    def clamped(self, x: Tensor) -> Tensor:
        """The nearest inputs within the box."""
        return torch.clamp(x, *self.walls(x))

    def squashed(self, u: Tensor) -> Tensor:
        """Any numbers to inputs within the box, by a sigmoid."""
        low, high = self.walls(u)
        return low + (high - low) * torch.sigmoid(u)

    def unsquashed(self, x: Tensor) -> Tensor:
        """The numbers that `squashed` makes these inputs of; at the walls, those a little inside."""
        low, high = self.walls(x)
        return torch.logit(((x - low) / (high - low)).clamp(_INSIDE, 1 - _INSIDE))

    @property
    def width(self) -> float:
        """The mean distance of the walls."""
        return float((self.high - self.low).mean())

    def __repr__(self) -> str:
        return f"({_shown(self.low)}, {_shown(self.high)})"


def _shaped(wall: Tensor, like: Tensor) -> Tensor:
    wall = wall.to(like.device, like.dtype)
    if wall.ndim == 1 and wall.numel() > 1 and like.ndim > 2:
        return wall.view(-1, *[1] * (like.ndim - 2))
    return wall.reshape(()) if wall.numel() == 1 else wall


def _shown(wall: Tensor) -> str:
    if wall.numel() == 1:
        return f"{float(wall):g}"
    return str(wall.tolist()) if wall.numel() <= 4 else f"<tensor of shape {tuple(wall.shape)}>"


def check_keep(keep: Any, bounds: Any) -> None:
    """Refuse a way to stay within bounds that does not exist."""
    if keep not in ("clamp", "sigmoid"):
        raise ParameterError(f"keep={keep!r} is not known: choose 'clamp' or 'sigmoid'")
    if keep == "sigmoid" and bounds is None:
        raise ParameterError("keep='sigmoid' needs bounds=(low, high) that the sigmoid leads to")
