"""Inputs that come batch by batch: a DataLoader, a generator, any iterable of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from xaicore.errors import InputError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Batch:
    """Inputs of one batch, with a target of their own.

    Parameters
    ----------
    inputs
        What ``analyze`` takes as inputs: a tensor or array; a tuple by position, a dict by keyword.
    target : optional
        What ``analyze`` takes as a target; None: the predicted classes.
    """

    inputs: Any
    target: Any = None


class batches(Generic[Item]):  # noqa: N801 - reads as what it returns
    """Say what in the items of a DataLoader the inputs are, and what the targets.

    Parameters
    ----------
    data : iterable
        Yields batches: tuples, lists or dicts, as DataLoaders collate them.
    inputs : int, str, sequence of them, or callable
        The position or key of the model's input in an item; several become a tuple. A callable is given the item.
    target : int, str or callable, optional
        The same for the targets. Default: the predicted classes are explained.

    Examples
    --------
    >>> loader = [(torch.zeros(2, 3), torch.tensor([1, 0]))]
    >>> [batch.target.tolist() for batch in batches(loader, inputs=0, target=1)]
    [[1, 0]]
    """

    def __init__(self, data: Iterable[Any], inputs: Any = 0, target: Any = None) -> None:
        self.data, self.inputs, self.target = data, inputs, target

    def __iter__(self) -> Iterator[Batch]:
        for item in self.data:
            target = None if self.target is None else taken(item, self.target)
            yield Batch(taken(item, self.inputs), target)

    def __len__(self) -> int:
        return len(self.data)  # type: ignore[arg-type]


def taken(item: Any, what: Any) -> Any:
    """What an item of a stream has at a position or key, at several, or what a callable makes of it."""
    if callable(what):
        return what(item)
    if isinstance(what, tuple | list):
        return tuple(taken(item, each) for each in what)
    try:
        return item[what]
    except (KeyError, IndexError, TypeError):
        has = f" with the keys {list(item)}" if isinstance(item, Mapping) else ""
        raise InputError(f"an item of the data has no entry {what!r}: it is a {type(item).__name__}{has}") from None


def is_stream(inputs: Any) -> bool:
    """Whether inputs are batches that come one after the other, rather than one batch.

    One batch is a tensor, an array, a data frame, nested lists of numbers, or a tuple or dict of these.
    """
    if isinstance(inputs, Tensor | tuple | list | str | bytes | Mapping) or hasattr(inputs, "__array__"):
        return False
    return isinstance(inputs, Iterable)


def length_of(stream: Iterable[Any]) -> int | None:
    """How many batches a stream has; None where it does not say, as of a generator."""
    try:
        return len(stream)  # type: ignore[arg-type]
    except TypeError:  # also of what has a length by its class, such as a DataLoader of data without one
        return None


def batches_of(stream: Iterable[Any]) -> Iterator[Batch]:
    """The batches of a stream; what is no `Batch` is the inputs alone, and a list, as DataLoaders make, a tuple."""
    for item in stream:
        yield item if isinstance(item, Batch) else Batch(tuple(item) if isinstance(item, list) else item)


def ahead(items: Iterator[Item], load: Callable[[Item], Item]) -> Iterator[Item]:
    """The same items, each fetched and loaded in another thread while the one before is worked on."""
    end = object()

    def fetch() -> Any:
        item = next(items, end)
        return item if item is end else load(item)  # type: ignore[arg-type]

    with ThreadPoolExecutor(1, thread_name_prefix="xaicore-prefetch") as pool:
        waiting: Future[Any] = pool.submit(fetch)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(fetch)
            yield item


def pinned(batch: Batch) -> Batch:
    """The batch in memory from which a GPU copies while it computes."""

    def pin(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: pin(each) for key, each in value.items()}
        if isinstance(value, tuple):
            return tuple(pin(each) for each in value)
        return value.pin_memory() if isinstance(value, Tensor) and value.device.type == "cpu" else value

    return Batch(pin(batch.inputs), batch.target) if torch.cuda.is_available() else batch
