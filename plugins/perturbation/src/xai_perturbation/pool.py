"""Samples kept from the data that a method was fitted on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaicore.analyzers import varied_inputs
from xaicore.engine import Batch, batches_of, is_stream, prepare, prepare_arrays
from xaicore.errors import InputError


def tensors_of(model: Any, data: Any) -> Iterator[dict[str, Tensor]]:
    """The inputs of each batch of data by name, as `analyze` would vary them.

    ``data`` is what ``analyze`` takes as inputs: one batch, or a DataLoader, generator or other iterable of batches.
    """
    if data is None:
        raise InputError("fit needs data: one batch of inputs, or an iterable of batches")
    for batch in batches_of(data) if is_stream(data) else [Batch(data)]:
        module = isinstance(model, nn.Module)
        inputs = prepare(batch.inputs, model) if module else prepare_arrays(batch.inputs)
        yield varied_inputs(inputs)


class Pool:
    """At most ``capacity`` samples of a stream, drawn so that each sample of it is as likely to be kept.

    Every sample gets a random key; those with the smallest keys are kept, in the order in which they came. Which they
    are depends on the seed and the order of the samples, not on their batches.

    Attributes
    ----------
    samples : dict of str to Tensor
        (size, ...) each.
    seen : int
        How many samples there were.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity, self.seen = capacity, 0
        self.samples: dict[str, Tensor] = {}
        self._random = np.random.default_rng(seed)
        self._keys = np.empty(0)

    @property
    def size(self) -> int:
        """How many samples are kept."""
        return len(self._keys)

    def add(self, tensors: Mapping[str, Tensor]) -> None:
        """Take in a batch."""
        batch = len(next(iter(tensors.values())))
        if self.samples:
            check_alike(tensors, self.samples, "a batch of the data", "the batches before")
        self.seen += batch
        keys = np.concatenate([self._keys, self._random.random(batch)])
        keep = np.sort(np.argsort(keys)[: self.capacity])
        old, new = keep[keep < self.size], keep[keep >= self.size] - self.size
        before = self.samples or {name: each[:0] for name, each in tensors.items()}
        self.samples = {
            name: torch.cat([before[name][torch.from_numpy(old)], each[torch.from_numpy(new)]])
            for name, each in tensors.items()
        }
        self._keys = keys[keep]


def check_alike(tensors: Mapping[str, Tensor], known: Mapping[str, Tensor], what: str, others: str) -> None:
    """Refuse samples that do not have the inputs and shapes of those known."""
    for name, each in tensors.items():
        if name not in known:
            raise InputError(f"{what} has an input {name!r}; {others} had {', '.join(map(repr, known))}")
        if each.shape[1:] != known[name].shape[1:]:
            raise InputError(
                f"{what} has samples of shape {tuple(each.shape[1:])} for input {name!r}; {others} had "
                f"{tuple(known[name].shape[1:])}"
            )
