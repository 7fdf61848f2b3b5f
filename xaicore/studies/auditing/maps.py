"""Relevance as maps: one a sample, down-sized so that thousands of them fit into memory, and normalised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from xaicore.errors import InputError, ParameterError, nearest
from xaicore.explanation import Explanation

Array = NDArray[Any]


def relevance_of_input(explanation: Explanation, name: str | None) -> Tensor:
    """The relevance of the one input that is looked at, (B, ...), without a graph behind it.

    Raises
    ------
    ParameterError
        Where the model has several inputs and none is named, or there is none of that name.
    """
    relevance = explanation.relevance
    if isinstance(relevance, Tensor):
        return relevance.detach()
    if name is None and len(relevance) == 1:
        return next(iter(relevance.values())).detach()
    if name not in relevance:
        raise ParameterError(
            f"the model has the inputs {', '.join(relevance)}: choose one with input_name="
            f"{nearest(str(name), list(relevance))}"
        )
    return relevance[name].detach()


def pixel_maps(relevance: Tensor) -> Tensor:
    """Relevance with its channels summed, in float64: (B, H, W) of images, (B, T) of series and features."""
    if relevance.ndim not in (2, 3, 4):
        raise InputError(
            f"an audit looks at images (B, C, H, W), series (B, C, T) and features (B, F); the relevance has shape "
            f"{tuple(relevance.shape)}"
        )
    values = relevance.double().cpu()
    return values if values.ndim == 2 else values.sum(1)


def resized(values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Maps (B, H, W) or (B, T) as means over areas, (B, *shape); where something is no number, its area is none."""
    if tuple(values.shape[1:]) == shape:
        return values
    average: Callable[..., Tensor] = F.adaptive_avg_pool2d if len(shape) == 2 else F.adaptive_avg_pool1d
    return average(values.unsqueeze(1), shape).squeeze(1)


def small_shape(shape: tuple[int, ...], resolution: int) -> tuple[int, ...]:
    """Shape of down-sized maps: at most `resolution` a side, and as many numbers for a series."""
    if len(shape) == 1:
        return (min(shape[0], resolution * resolution),)
    return tuple(min(side, resolution) for side in shape)


def normalised(maps: Array) -> Array:
    """Maps (N, ...) as rows (N, D) whose magnitudes sum to 1, so that where relevance is counts, and not how much."""
    rows = maps.reshape(len(maps), -1).astype(np.float64)
    shares: Array = rows / np.abs(rows).sum(1, keepdims=True)
    return shares


def positive_shares(maps: Array) -> Array:
    """Which share of its positive relevance each map (N, ...) has in each place, (N, D); 0 where there is none."""
    rows = np.maximum(maps.reshape(len(maps), -1).astype(np.float64), 0)
    totals = rows.sum(1, keepdims=True)
    shares: Array = np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0)
    return shares


def is_usable(maps: Array) -> NDArray[np.bool_]:
    """Which maps (N, ...) are finite and not zero everywhere."""
    rows = maps.reshape(len(maps), -1)
    usable: NDArray[np.bool_] = np.isfinite(rows).all(1) & (rows != 0).any(1)
    return usable
