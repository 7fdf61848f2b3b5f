"""Pooling of relevance: over channels, square regions, segments, time and words.

Every pooling is the same operation: the pooled dimensions are laid out as one line of members, each member
belongs to a group, and the members of a group are reduced to one value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError, nearest
from xaicore.graph.part_words import named_parts

Over = str | int | Sequence[str | int]
HOW = ("sum", "abs", "norm", "max", "mean", "max_abs")
_NAMES = ("channels", "space", "time", "words")


def pool(values: Tensor, over: Over, how: str = "sum", regions: Any = None) -> Tensor:
    """Pool relevance `values` (B, ...) over dimensions, or over groups of positions in them.

    See `xaicore.Explanation.pool` for the parameters.
    """
    if how not in HOW:
        raise ParameterError(f"pool(how={how!r}): there is no such way of pooling.{nearest(how, HOW)} One of {HOW}.")
    dims = _dimensions(values, over)
    if over == "words" and regions is None:
        raise ParameterError("pool(over='words') needs regions=: the word number of each token, None for no word.")
    if regions is None:
        return _reduce(values, dims, how)
    channels_too = len(dims) > 1 and "channels" in _parts(over)  # then regions lie in the other dimensions
    if isinstance(regions, bool):
        raise ParameterError(f"pool(regions={regions}): expected a side length or a map of labels.")
    if isinstance(regions, int):
        return _pool_squares(values, dims, how, regions, channels_too)
    labels = _labels(regions, values, dims, channels_too)
    return _pool_groups(values, dims, how, labels, int(labels.max()) + 1 if labels.numel() else 0)


def _parts(over: Over) -> list[str | int]:
    return [over] if isinstance(over, (str, int)) else list(over)


def _dimensions(values: Tensor, over: Over) -> tuple[int, ...]:
    dims = sorted({dim for part in _parts(over) for dim in _named_dimensions(values, part)})
    if not dims or 0 in dims:
        raise ParameterError(f"pool(over={over!r}): name at least one dimension, and not the batch (0).")
    return tuple(dims)


def _named_dimensions(values: Tensor, part: str | int) -> list[int]:
    rank, shape = values.ndim, tuple(values.shape)
    if isinstance(part, int):
        if not -rank <= part < rank:
            raise InputError(f"pool(over={part}): relevance of shape {shape} has no dimension {part}.")
        return [part % rank]
    if part not in _NAMES:
        raise ParameterError(
            f"pool(over={part!r}): unknown.{nearest(part, _NAMES)} One of {_NAMES}, or numbers of dimensions."
        )
    lowest = {"channels": 3, "space": 3, "time": 2, "words": 2}[part]
    if rank < lowest:
        raise InputError(
            f"pool(over={part!r}): relevance of shape {shape} has no such dimension; it takes {lowest} or more."
        )
    return {"channels": [1], "space": list(range(2, rank)), "time": [rank - 1], "words": [1]}[part]


def _accumulator(values: Tensor) -> Tensor:
    """Half precision sums lose small relevance: add in single precision."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _reduce(values: Tensor, dims: tuple[int, ...], how: str) -> Tensor:
    wide = _accumulator(values)
    if how == "sum":
        pooled = wide.sum(dims)
    elif how == "abs":
        pooled = wide.abs().sum(dims)
    elif how == "norm":
        pooled = torch.linalg.vector_norm(wide, dim=dims)
    elif how == "mean":
        pooled = wide.mean(dims)
    elif how == "max":
        pooled = wide.amax(dims)
    else:
        pooled = _larger_magnitude(wide.amax(dims), wide.amin(dims))
    return pooled.to(values.dtype)


def _larger_magnitude(high: Tensor, low: Tensor) -> Tensor:
    """The value of greatest magnitude is the maximum or the minimum; NaN is in both."""
    return torch.where(high.abs() >= low.abs(), high, low)


def _pool_squares(values: Tensor, dims: tuple[int, ...], how: str, side: int, channels_too: bool) -> Tensor:
    """Regions of `side` positions along each dimension, the last ones smaller where `side` does not divide it."""
    if side < 1:
        raise ParameterError(f"pool(regions={side}): the side of a region is at least 1.")
    labels = torch.zeros((), dtype=torch.long, device=values.device)
    counts = []
    for dim in dims:
        steps = torch.arange(values.shape[dim], device=values.device)
        if channels_too and dim == 1:
            labels = labels[..., None] + torch.zeros_like(steps)
            continue
        counts.append(math.ceil(values.shape[dim] / side))
        labels = labels[..., None] * counts[-1] + steps // side
    pooled = _pool_groups(values, dims, how, labels.reshape(1, -1), math.prod(counts))
    return pooled.reshape(*pooled.shape[:-1], *counts)


def _labels(regions: Any, values: Tensor, dims: tuple[int, ...], channels_too: bool) -> Tensor:
    """Return the label of each pooled position as (1 or B, positions), -1 for none."""
    sizes = [values.shape[dim] for dim in (dims[1:] if channels_too else dims)]
    labels = _as_labels(regions, width=sizes[-1])
    batched = labels.ndim == len(sizes) + 1
    if list(labels.shape[int(batched) :]) != sizes or (batched and len(labels) not in (1, len(values))):
        raise InputError(
            f"pool(regions=): labels of shape {tuple(labels.shape)} do not fit relevance of shape "
            f"{tuple(values.shape)}; expected {tuple(sizes)} or {(len(values), *sizes)}."
        )
    if labels.numel() and int(labels.min()) < -1:
        raise InputError("pool(regions=): labels count from 0; -1 (or None) leaves a position out.")
    labels = labels.reshape(len(labels) if batched else 1, 1, -1)
    repeats = values.shape[1] if channels_too else 1  # the same map for each channel
    return labels.expand(-1, repeats, -1).reshape(len(labels), -1).to(values.device)


def _as_labels(regions: Any, width: int) -> Tensor:
    if isinstance(regions, (list, tuple)):
        regions = _padded(regions, width)
    labels = torch.as_tensor(regions)
    if labels.is_floating_point() or labels.is_complex():
        raise InputError(f"pool(regions=): labels are integers, these are {labels.dtype}.")
    return labels.long()


def _padded(regions: Any, width: int) -> Any:
    """Nested lists as tokenizers give them: None is no word, short rows are filled with no word."""
    if regions and all(entry is None or isinstance(entry, int) for entry in regions):
        return [-1 if entry is None else entry for entry in regions] + [-1] * (width - len(regions))
    return [_padded(entry, width) if isinstance(entry, (list, tuple)) else entry for entry in regions]


def _pool_groups(values: Tensor, dims: tuple[int, ...], how: str, labels: Tensor, groups: int) -> Tensor:
    """Reduce the members of each group: (B, ..., members) to (B, ..., groups)."""
    kept = [dim for dim in range(values.ndim) if dim not in dims]
    lines = _accumulator(values).permute(*kept, *dims).flatten(len(kept))
    labels = torch.where(labels < 0, groups, labels)  # what belongs to no group is pooled beside, and cut off
    index = labels.reshape(len(labels), *[1] * (len(kept) - 1), -1).expand_as(lines)
    blank = lines.new_zeros(*lines.shape[:-1], groups + 1)

    def scatter(members: Tensor, operation: str) -> Tensor:
        if operation == "sum":
            return blank.scatter_add(-1, index, members)
        start = torch.full_like(blank, math.nan)  # stays where a group has no member
        return start.scatter_reduce(-1, index, members, operation, include_self=False)

    if how == "norm":
        pooled = scatter(lines.square(), "sum").sqrt()
    elif how == "max_abs":
        pooled = _larger_magnitude(scatter(lines, "amax"), scatter(lines, "amin"))
    elif how == "max":
        pooled = scatter(lines, "amax")
    elif how == "mean":
        pooled = scatter(lines, "sum") / scatter(torch.ones_like(lines), "sum")
    else:
        pooled = scatter(lines.abs() if how == "abs" else lines, "sum")
    return pooled[..., :groups].to(values.dtype)


def pool_parts(values: Tensor, parts: Mapping[str, Any] | Sequence[Any], layer: str) -> dict[str, Tensor]:
    """Sum relevance `values` (B, ...) of a layer within each part; see `xaicore.Explanation.relevance_by_part`."""
    wide, shape = _accumulator(values), tuple(values.shape)
    masks = {name: part.mask(shape, layer).to(values.device) for name, part in named_parts(parts).items()}
    return {name: (wide * mask).flatten(1).sum(1).to(values.dtype) for name, mask in masks.items()}
