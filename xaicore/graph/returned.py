"""What a model returns, as tensors by name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

PREFIX = "model"


class Returning(nn.Module):
    """The model with its return value as a plain dict of tensors, for capture.

    A model may return objects that hold other things beside tensors (a ``ModelOutput`` with a key-value cache); only
    tensors in tuples, lists, mappings and dataclasses can be explained, and the rest is left out.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = False

        def forward(*args: Any, **kwargs: Any) -> dict[str, Tensor]:
            return returned_tensors(model(*args, **kwargs))

        # The names of the inputs are those of the model's own forward.
        forward.__signature__ = inspect.signature(model.forward)  # type: ignore[attr-defined]
        self.forward = forward


def returned_tensors(value: Any) -> dict[str, Tensor]:
    """The tensors in what a model returned: ``output`` where that is one tensor, else by key or position."""
    return {name or "output": tensor for name, tensor in _named(value, "")}


def _named(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
        return
    if isinstance(value, Mapping):
        items = list(value.items())
    elif hasattr(value, "_asdict"):
        items = list(value._asdict().items())
    elif isinstance(value, (tuple, list)):
        items = list(enumerate(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        return
    for key, each in items:
        yield from _named(each, f"{name}.{key}" if name else str(key))


def without_prefix(path: str) -> str:
    """A module path or parameter name as the user's model has it."""
    return "" if path == PREFIX else path.removeprefix(f"{PREFIX}.")
