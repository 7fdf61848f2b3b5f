"""Settings as keys of a dictionary: equal where the settings are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


class _Itself:
    """An object that cannot be compared: equal to itself alone, and kept alive so that its id stays its own."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def key_of(value: Any) -> Hashable:
    """A key that equals that of another value only where both have the same type and content."""
    if isinstance(value, np.ndarray):
        return (np.ndarray, key_of(torch.from_numpy(value.copy())))
    if isinstance(value, Tensor):
        return (Tensor, value.dtype, tuple(value.shape), tuple(value.detach().flatten().tolist()))
    if isinstance(value, Mapping):
        return (Mapping, tuple((key_of(name), key_of(each)) for name, each in value.items()))
    if isinstance(value, list | tuple):
        return (type(value), tuple(key_of(each) for each in value))
    if isinstance(value, Hashable):
        return (type(value), value)
    return _Itself(value)
