"""Grids: cells of one size over the dimensions of an input."""

from __future__ import annotations

import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError

_CELLS_BY_DIMENSIONS = {1: 64, 2: 8, 3: 4}
"""How many cells the default grid has along each dimension: 64 in all."""


def sizes_over(given: int | tuple[int, ...], name: str, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """Sizes for each dimension of a sample, from an int or tuple that may leave out the channels.

    Parameters
    ----------
    given : int or tuple of int
        For all dimensions behind the channels, for each of them, or for each and the channels in front. Samples of one
        dimension have no channels.
    name : str
        The input, for messages.
    shape : tuple of int
        Of one sample.
    what : str
        The parameter, for messages.

    Returns
    -------
    tuple of int
        No larger than the sample; all channels where they were left out.
    """
    if not shape:
        raise InputError(
            f"input {name!r} has one number a sample, which has no parts: name the inputs that are to be perturbed in "
            f"a dict, as in {what}={{'image': ...}}"
        )
    behind = len(shape) if len(shape) == 1 else len(shape) - 1
    sizes = (given,) * behind if isinstance(given, int) else given
    if len(sizes) == behind < len(shape):
        sizes = (shape[0], *sizes)
    if len(sizes) != len(shape):
        raise ParameterError(
            f"{what}={given!r} does not fit input {name!r}, whose samples have shape {shape}: give an int, or a tuple "
            f"of {behind}" + (f", or of {len(shape)} with the channels in front" if behind < len(shape) else "")
        )
    return tuple(min(size, length) for size, length in zip(sizes, shape, strict=True))


def default_cells(x: Tensor) -> int | tuple[int, ...]:
    """The cells of the default grid: single columns or tokens of (B, F), else at most 64 cells in all."""
    lengths = x.shape[2:]
    if not lengths:
        return 1
    cells = _CELLS_BY_DIMENSIONS.get(len(lengths), 2)
    return tuple(-(-length // cells) for length in lengths)


def grid_labels(cells: int | tuple[int, ...], name: str, x: Tensor) -> Tensor:
    """The number of the grid cell of each entry, (1, ...), with 1 for the channels where cells have them all."""
    shape = tuple(x.shape[1:])
    labels = torch.zeros([1] * x.ndim, dtype=torch.long, device=x.device)
    for dim, (size, length) in enumerate(zip(sizes_over(cells, name, shape, "features"), shape, strict=True), start=1):
        if size == length:
            continue
        along = torch.arange(length, device=x.device) // size
        view = [length if at == dim else 1 for at in range(x.ndim)]
        labels = labels * (-(-length // size)) + along.view(view)
    return labels.expand(1, 1 if len(shape) > 1 and labels.shape[1] == 1 else shape[0], *shape[1:])
