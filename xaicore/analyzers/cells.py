"""Grids: cells of one size over the dimensions of an input, which are covered, exchanged or replaced together."""

from __future__ import annotations

import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError

_CELLS_BY_DIMENSIONS = {1: 64, 2: 8, 3: 4}
"""How many cells the default grid has along each dimension: 64 in all."""


def cell_sizes(given: int | tuple[int, ...], name: str, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
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
            f"input {name!r} has one number a sample, which has no parts: name the inputs that have some in a dict, as "
            f"in {what}={{'image': ...}}"
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


def default_cells(shape: tuple[int, ...]) -> int | tuple[int, ...]:
    """The cells of the default grid of a sample: single columns or tokens of (F,), else at most 64 cells in all."""
    lengths = shape[1:]
    if not lengths:
        return 1
    cells = _CELLS_BY_DIMENSIONS.get(len(lengths), 2)
    return tuple(-(-length // cells) for length in lengths)


def cell_labels(cells: int | tuple[int, ...], name: str, shape: tuple[int, ...], what: str) -> Tensor:
    """The number of the cell of each entry of a sample, with 1 for the channels where cells have them all.

    Cells are numbered by position, the last dimension fastest; where sizes do not divide the sample, those at its far
    border are smaller. The parameters are those of `cell_sizes`.
    """
    sizes = cell_sizes(cells, name, shape, what)
    labels = torch.zeros([1] * len(shape), dtype=torch.long)
    for dim, (size, length) in enumerate(zip(sizes, shape, strict=True)):
        if size == length:
            continue
        along = torch.arange(length) // size
        labels = labels * (-(-length // size)) + along.view([length if at == dim else 1 for at in range(len(shape))])
    spanning = len(shape) > 1 and sizes[0] == shape[0]
    return labels.expand(1 if spanning else shape[0], *shape[1:])
