"""A layer whose computation is a custom operation, which no tool knows the inside of.

A residual shrinkage unit (Zhao et al. 2020) takes for noise what is small beside the mean size of its channel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


@torch.library.custom_op("shrinkage::soft_threshold", mutates_args=())
def soft_threshold(x: Tensor, threshold: Tensor) -> Tensor:
    """``sign(x) max(|x| - threshold, 0)``; the threshold, not negative, broadcasts against ``x``."""
    return x.sign() * (x.abs() - threshold).clamp(min=0)


@soft_threshold.register_fake
def _shape(x: Tensor, threshold: Tensor) -> Tensor:
    """What comes out, without its values: with this, the model can be captured."""
    return torch.empty_like(x)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _derivative(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """One, and minus the sign of ``x``, where something passes; with this, gradients pass too."""
    x, threshold = ctx.saved_tensors
    passing = gradient * (x.abs() > threshold)
    return passing, (-passing * x.sign()).sum_to_size(threshold.shape)


soft_threshold.register_autograd(_derivative, setup_context=_keep)


class Shrinkage(nn.Module):
    """Soft thresholds, one a channel, between zero and the mean size of the channel.

    After Zhao et al. 2020, with one dense layer for the thresholds instead of two.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Shrink ``x`` (B, C, H, W) towards zero."""
        size = x.abs().mean((2, 3))
        threshold = size * torch.sigmoid(self.scale(size))
        shrunk: Tensor = soft_threshold(x, threshold[:, :, None, None])
        return shrunk
