"""The arguments of one call of a model, and how they split into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """Arguments of a model's forward: tensors (in nested tuples and dicts) and plain values.

    The batch is the first dimension of the first tensor. A tensor whose first dimension has the same size is taken
    to hold one entry a sample; any other is the same for all samples.

    Attributes
    ----------
    args, kwargs
        Positional and keyword arguments: `model(*inputs.args, **inputs.kwargs)`.
    names
        Names of the positional arguments, as the model's forward calls them.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    names: tuple[str, ...]

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name, in the order of the arguments; nested ones are called "name.key"."""
        return {name: leaf for name, leaf in self.leaves() if isinstance(leaf, Tensor)}

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """The tensors and plain values with their names, in the order of the arguments."""
        for name, value in self._arguments():
            yield from _leaves(name, value)

    @property
    def batch(self) -> int:
        """Number of samples."""
        return len(next(iter(self.tensors().values())))

    def slice(self, start: int, stop: int) -> Inputs:
        """Return the samples from `start` to `stop`, as views."""
        batch = self.batch

        def part(leaf: Any) -> Any:
            per_sample = isinstance(leaf, Tensor) and leaf.dim() > 0 and len(leaf) == batch
            return leaf[start:stop] if per_sample else leaf

        return self.map(part)

    def map(self, function: Callable[[Any], Any]) -> Inputs:
        """Apply `function` to every leaf: the tensors and the plain values."""
        args = tuple(_mapped(value, function) for value in self.args)
        kwargs = {name: _mapped(value, function) for name, value in self.kwargs.items()}
        return Inputs(args, kwargs, self.names)

    def _arguments(self) -> Iterator[tuple[str, Any]]:
        yield from zip(self.names, self.args, strict=True)
        yield from self.kwargs.items()


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}", each)
    elif isinstance(value, tuple):
        for position, each in enumerate(value):
            yield from _leaves(f"{name}.{position}", each)
    else:
        yield name, value


def _mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _mapped(each, function) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_mapped(each, function) for each in value)
    return function(value)


def batch_of(inputs: Any) -> int | None:
    """The batch of inputs as a user passes them: the length of the first argument that has one."""
    for _, leaf in _leaves("", inputs):
        if (length := _length(leaf)) is not None:
            return length
    return None


def has_shared(inputs: Any) -> bool:
    """Whether a tensor or array among inputs as a user passes them is the same for all samples, by its length."""
    batch = batch_of(inputs)
    return any(_length(leaf) not in (None, batch) for _, leaf in _leaves("", inputs))


def samples_of(inputs: Any, start: int, stop: int) -> Any:
    """The samples from `start` to `stop` of inputs as a user passes them: tensors, arrays, data frames, lists."""
    batch = batch_of(inputs)

    def part(leaf: Any) -> Any:
        return leaf[start:stop] if batch is not None and _length(leaf) == batch else leaf

    return _mapped(inputs, part)


def _length(leaf: Any) -> int | None:
    sized = hasattr(leaf, "__len__") and not isinstance(leaf, str)
    return None if not sized or getattr(leaf, "ndim", 1) == 0 else len(leaf)


def taken(inputs: Any, which: Sequence[int]) -> Any:
    """These samples of inputs as a user passes them, in this order."""
    batch, places = batch_of(inputs), list(which)

    def part(leaf: Any) -> Any:
        if batch is None or _length(leaf) != batch:
            return leaf
        if hasattr(leaf, "iloc"):  # a data frame
            return leaf.iloc[places]
        return [leaf[place] for place in places] if isinstance(leaf, list) else leaf[places]

    return _mapped(inputs, part)
