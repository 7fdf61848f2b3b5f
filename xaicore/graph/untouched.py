"""A model's forward may write to the model; here it is put back."""

from __future__ import annotations

import contextlib
import operator
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn


class Snapshot:
    """What the forward of a model may write to, as it is now.

    That is buffers, the weights of embeddings that renormalise them, attributes, the lists and dicts among these, and
    the state of the random generators of Python and NumPy.
    """

    def __init__(self, model: nn.Module) -> None:
        renormalised = [each.weight for each in model.modules() if _renormalises(each)]
        writable = [tensor for tensor in (*model.buffers(), *renormalised) if not tensor.is_inference()]
        attributes = [vars(module) for module in model.modules()]
        values = [value for own in attributes for value in own.values()]
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in writable]
        self._versions = [buffer._version for buffer in writable]
        self._statistics = [(numbers, torch.cat([writable[n] for n in numbers])) for numbers in _uncounted(writable)]
        self._stores = [(store, dict(store)) for store in (*attributes, *values) if isinstance(store, dict)]
        self._lists = [(value, list(value)) for value in values if isinstance(value, list)]
        self._random = random.getstate(), np.random.get_state()

    def restore(self) -> None:
        """Put everything back that has changed since."""
        random.setstate(self._random[0])
        np.random.set_state(self._random[1])
        for store, before in self._stores:
            if _changed(store, before):
                store.clear()
                store.update(before)
        for value, items in self._lists:
            value[:] = items
        written = {
            number for number, version in enumerate(self._versions) if self._buffers[number][0]._version != version
        }
        for numbers, content in self._statistics:
            if not torch.equal(torch.cat([self._buffers[number][0] for number in numbers]), content):
                written.update(numbers)
        for number in written:
            buffer, as_it_was = self._buffers[number]
            with torch.no_grad():
                buffer.copy_(as_it_was)
            self._versions[number] = buffer._version


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """What the model's forward writes to in the block is put back."""
    snapshot = Snapshot(model)
    try:
        yield
    finally:
        snapshot.restore()


def _uncounted(buffers: Sequence[Tensor]) -> list[list[int]]:
    """The numbers of buffers that may change without a new version, by type and device.

    Batch norm in training writes its running statistics, which are vectors, like that. Together they are compared in
    one step, which a GPU need wait for once only.
    """
    found: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for number, buffer in enumerate(buffers):
        if buffer.ndim == 1 and buffer.is_floating_point() and not buffer.is_meta:
            found.setdefault((buffer.device, buffer.dtype), []).append(number)
    return list(found.values())


def _renormalises(module: nn.Module) -> TypeGuard[nn.Embedding]:
    return isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and module.max_norm is not None


def _changed(store: Mapping[Any, Any], before: Mapping[Any, Any]) -> bool:
    same_keys = len(store) == len(before) and list(store) == list(before)
    return not same_keys or not all(map(operator.is_, store.values(), before.values()))
