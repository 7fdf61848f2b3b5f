"""Random changes that a prototype is to survive: shifts, scales, rotations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from xaicore.engine import generator
from xaicore.errors import ParameterError

_PURPOSE = 1  # beside the seed: other random numbers of a search are drawn for purpose 0


class Transforms:
    """At each step one change is drawn and made to all inputs: what is maximised is the expectation over them.

    Parameters
    ----------
    jitter : int
        Inputs are moved by up to as many positions in each dimension; what leaves at one side enters at the other
        (Mordvintsev et al. 2015).
    scale : float
        They are enlarged or made smaller by a factor between ``1 - scale`` and ``1 + scale``.
    rotation : float
        They are turned by up to as many degrees.
    seed : int
    """

    def __init__(self, jitter: int, scale: float, rotation: float, seed: int) -> None:
        self.jitter, self.scale, self.rotation, self.seed = jitter, scale, rotation, seed

    def __bool__(self) -> bool:
        return bool(self.jitter or self.scale or self.rotation)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples of a shape that cannot be moved so.

        Raises
        ------
        ParameterError
        """
        lengths = shape[1:]
        asked = [name for name in ("jitter", "scale", "rotation") if getattr(self, name)]
        if asked and not lengths:
            raise ParameterError(
                f"{', '.join(asked)}: samples of shape {shape} have no positions behind the channels that they could "
                "be moved along, as images (C, H, W) and series (C, T) have. Leave it out"
            )
        if self.scale and len(lengths) > 3:
            raise ParameterError(f"scale= is for one to three dimensions behind the channels; samples have {shape}")
        if self.rotation and len(lengths) != 2:
            raise ParameterError(f"rotation= is for images (C, H, W); samples have shape {shape}. Leave it out")
        if self.jitter and self.jitter >= min(lengths):
            raise ParameterError(
                f"jitter={self.jitter} moves inputs by more than their own length: samples have shape {shape}"
            )

    def at(self, x: Tensor, step: int) -> Tensor:
        """The inputs (N, C, ...) as they are changed at this step, differentiable."""
        random = generator(self.seed, _PURPOSE, step)
        lengths = x.shape[2:]
        shifts = torch.randint(-self.jitter, self.jitter + 1, (len(lengths),), generator=random).tolist()
        share, turn = (2 * torch.rand(2, generator=random, dtype=torch.float64) - 1).tolist()
        if any(shifts):
            x = x.roll(shifts, tuple(range(2, x.ndim)))
        if self.scale or self.rotation:
            x = _resampled(x, 1 + self.scale * share, math.radians(self.rotation * turn))
        return x


def _resampled(x: Tensor, factor: float, angle: float) -> Tensor:
    """The inputs enlarged around their middle and turned; what is drawn in from outside continues the border."""
    lengths: Sequence[int] = x.shape[2:]
    flat = len(lengths) == 1
    if flat:
        x, lengths = x.unsqueeze(2), (1, *lengths)
    matrix = torch.eye(len(lengths), dtype=torch.float64) / factor
    if angle:
        # In the coordinates of the grid both sides have length 2, whatever the image's own are.
        height, width = lengths
        cosine, sine = math.cos(angle) / factor, math.sin(angle) / factor
        matrix = torch.tensor([[cosine, -sine * height / width], [sine * width / height, cosine]], dtype=torch.float64)
    theta = torch.cat([matrix, torch.zeros(len(lengths), 1, dtype=torch.float64)], 1).to(x.device, x.dtype)
    grid = F.affine_grid(theta.expand(len(x), -1, -1), list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.squeeze(2) if flat else moved
