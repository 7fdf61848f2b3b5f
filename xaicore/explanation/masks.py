"""Where in an image something is: masks and boxes, and how much relevance lies inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError

SIGNS = ("positive", "absolute", "negative", "signed")
"""Which relevance counts: what speaks for the target, all magnitudes, what speaks against it, or all with its sign."""


def counted(relevance: Tensor, of: str = "positive") -> Tensor:
    """Return what counts of the relevance of each entry, in float64: all of it at least 0, but for ``"signed"``.

    Raises
    ------
    ParameterError
        For an unknown ``of``.
    """
    values = relevance.detach().double()
    if of == "positive":
        return values.clamp_min(0)
    if of == "absolute":
        return values.abs()
    if of == "negative":
        return (-values).clamp_min(0)
    if of == "signed":
        return values
    raise ParameterError(f"of={of!r} must be one of {', '.join(SIGNS)}")


def pixel_relevance(relevance: Tensor) -> Tensor:
    """Return relevance summed over channels, in float64: (B, C, ...) -> (B, 1, ...); (B, F) as it is.

    A pixel speaks for the target as a whole: what one of its channels says another may take back.
    """
    values = relevance.detach().double()
    return values.sum(1, keepdim=True) if values.ndim > 2 else values


def relevance_inside(relevance: Tensor, mask: Tensor, of: str = "positive") -> Tensor:
    """Return the share of each sample's relevance that lies inside a mask, (B,), in float64.

    Parameters
    ----------
    relevance : Tensor (B, ...)
        Channels are summed before anything is counted: a pixel speaks for the target as a whole.
    mask : Tensor, boolean
        As `as_masks` returns it.
    of : {"positive", "absolute", "negative", "signed"}
        Which relevance counts.

    Returns
    -------
    Tensor (B,)
        NaN where no relevance counts, or one is not finite. 0 for an empty mask.
    """
    pixels = pixel_relevance(relevance)
    values = counted(pixels, of).flatten(1)
    inside = torch.where(mask.to(values.device).expand(pixels.shape).flatten(1), values, 0).sum(1)
    total = values.sum(1)
    # What does not count may be infinite all the same, and an infinite total would make a share of 0 of all else.
    undefined = (total == 0) | ~torch.isfinite(pixels).flatten(1).all(1)
    return torch.where(undefined, torch.nan, inside / total)


def as_masks(masks: Any, relevance: Tensor) -> Tensor:
    """Return masks as booleans that fit relevance: (B, 1, ...) for (B, C, ...), (B, F) for (B, F).

    Parameters
    ----------
    masks : Tensor or array
        What is not zero is inside. Shaped like the relevance, with its channels, with one channel or without any.
        With several channels a pixel is inside where any of them is.
    relevance : Tensor (B, ...)

    Raises
    ------
    InputError
        For masks of another shape, or that are not finite.
    """
    given = torch.as_tensor(masks)
    if given.is_floating_point() and not bool(torch.isfinite(given).all()):
        raise InputError("the masks hold values that are not finite: what is not zero is inside, all else is outside")
    inside = given != 0
    shape = tuple(relevance.shape)
    if inside.shape == shape[:1] + shape[2:] and len(shape) > 2:
        return inside.unsqueeze(1)
    if len(shape) > 2 and inside.shape in (shape, (shape[0], 1, *shape[2:])):
        return inside.any(1, keepdim=True)
    if inside.shape == shape:
        return inside
    raise InputError(
        f"masks of shape {tuple(given.shape)} do not fit relevance of shape {shape}: give {shape[:1] + shape[2:]}"
        + (f" or {shape}" if len(shape) > 2 else "")
    )


def masks_from_boxes(boxes: Any, height: int, width: int) -> Tensor:
    """Return masks of images, boolean (B, 1, height, width), that are True inside boxes.

    Parameters
    ----------
    boxes : tensor (B, 4), or a list with, for each sample, a box, several, or none
        A box is (x1, y1, x2, y2) in pixels, as torchvision writes them; the right and lower ends are outside. Fractions
        are rounded.
    height, width : int
        Of the images.

    Raises
    ------
    InputError
        For a box that is no such thing, or lies outside the image altogether.
    """
    masks = torch.zeros(len(boxes), 1, height, width, dtype=torch.bool)
    for sample, given in enumerate(boxes):
        for box in _boxes_of(given, sample):
            left, top, right, bottom = (math.floor(end + 0.5) for end in box)  # to the nearest border of pixels
            rows, columns = slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
            if not masks[sample, 0, rows, columns].numel():
                raise InputError(
                    f"boxes: {tuple(box)} of sample {sample} holds no pixel of an image of {width} x {height}; a box "
                    "is (x1, y1, x2, y2) in pixels, with x1 < x2 and y1 < y2"
                )
            masks[sample, 0, rows, columns] = True
    return masks


def _boxes_of(given: Any, sample: int) -> Sequence[Sequence[float]]:
    try:
        numbers = torch.as_tensor(given, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"boxes: sample {sample} has {given!r:.80}, which is no box (x1, y1, x2, y2)") from error
    if not numbers.numel():
        return []
    if numbers.shape[-1:] != (4,) or numbers.ndim > 2 or not bool(torch.isfinite(numbers).all()):
        raise InputError(f"boxes: sample {sample} has {given!r:.80}, which is no box (x1, y1, x2, y2)")
    found: list[list[float]] = numbers.reshape(-1, 4).tolist()
    return found
