"""The data that a density or a mean is learnt from, as tensors with one row a sample."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from xaicore.engine import Batch, batches_of, is_stream, prepare_arrays
from xaicore.errors import InputError


def sample_batches(data: Any) -> Iterator[Tensor]:
    """The samples batch by batch, each (n, *shape) in double precision, on the device they were given on.

    Parameters
    ----------
    data : Tensor, array, or iterable of batches
        Of a tensor or array the first dimension counts the samples; it is yielded as one batch. Of an iterable, such
        as a DataLoader, each item is a batch; where items hold more than the samples, ``xaicore.batches`` says which.

    Raises
    ------
    InputError
        For data that is empty, holds NaN or infinity, or comes in batches of different shapes.
    """
    shape: tuple[int, ...] | None = None
    for number, batch in enumerate(batches_of(data) if is_stream(data) else [Batch(data)]):
        tensors = list(prepare_arrays(batch.inputs).tensors().values())
        if len(tensors) != 1:
            raise InputError(
                f"the data holds {len(tensors)} tensors a sample, and samples are one tensor; of a DataLoader with "
                "labels, say which entry holds them: xaicore.batches(loader, inputs=0)"
            )
        samples = tensors[0].double()
        shape = shape or tuple(samples.shape[1:])
        if tuple(samples.shape[1:]) != shape:
            raise InputError(
                f"the samples of batch {number} have shape {tuple(samples.shape[1:])}, those before {shape}; "
                "all must have the same"
            )
        yield samples
    if shape is None:
        raise InputError("there is nothing to learn from: the data yields no batch; a generator can be used only once")


def all_samples(data: Any) -> Tensor:
    """All samples in one tensor, (N, *shape); see `sample_batches`."""
    return torch.cat(list(sample_batches(data)))
