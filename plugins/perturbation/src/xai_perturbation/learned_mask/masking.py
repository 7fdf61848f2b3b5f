"""From coarse masks to what the model is given, in a way that gradients find back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from xai_perturbation.positions import stretched
from xaicore.engine import Block, generator


def enlarged(coarse: Tensor, lengths: Sequence[int]) -> Tensor:
    """Masks on the positions of an input, by linear interpolation: (n, ...) coarse to (n, *lengths)."""
    for dim, length in enumerate(lengths, start=1):
        size = coarse.shape[dim]
        at = torch.linspace(0, size - 1, length, device=coarse.device, dtype=coarse.dtype)
        coarse = stretched(coarse, dim, at[None]) if size != length else coarse
    return coarse


def rows_of(
    varied: Mapping[str, Tensor],
    fills: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    shifts: Sequence[int],
    block: Block,
) -> dict[str, Tensor]:
    """The rows of a block: what a mask keeps of the input, the fill elsewhere; moved by a few positions.

    Parameters
    ----------
    varied : mapping of str to Tensor
        (B, C, ...); those without a mask stay.
    fills : mapping of str to Tensor
        Of those with a mask, (B, C, ...) or (1, C, ...).
    masks : mapping of str to Tensor
        (rows, ...): 1 where the input is kept.
    shifts : sequence of int
        By how much to move each dimension behind the channels; the border is continued.
    """
    rows = {}
    for name, x in varied.items():
        if name not in masks:
            rows[name] = block.repeat(x)
            continue
        fill = fills[name] if len(fills[name]) == 1 else block.repeat(fills[name])
        mask = masks[name].unsqueeze(1).to(x.dtype)
        rows[name] = _moved(fill + (block.repeat(x) - fill) * mask, shifts)
    return rows


def shifts_at(step: int, jitter: int, dimensions: int, seed: int) -> list[int]:
    """How far the input is moved at this step, at most ``jitter`` in each dimension: the same for all samples."""
    if not jitter:
        return [0] * dimensions
    drawn: list[int] = torch.randint(-jitter, jitter + 1, (dimensions,), generator=generator(seed, step)).tolist()
    return drawn


def _moved(x: Tensor, shifts: Sequence[int]) -> Tensor:
    for dim, shift in enumerate(shifts[: x.ndim - 2], start=2):
        if shift:
            source = (torch.arange(x.shape[dim], device=x.device) - shift).clamp(0, x.shape[dim] - 1)
            x = x.index_select(dim, source)
    return x
