"""Any value as plain data: what JSON can hold, without losing NaN and infinity."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

import torch

LONGEST_LISTED_TENSOR = 64  # a longer tensor parameter is described, not listed
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_FLOAT_KEY = "$float"


def plain(value: Any) -> Any:
    """Return `value` as None, bool, int, float, str, list or dict; what is none of these becomes its repr.

    Tuples and sets become lists, functions their qualified name, short tensors nested lists, long ones a description.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        return _plain_tensor(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(entry) for entry in value), key=repr)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, which this module need not import
        # Copied: tensors cannot share the memory of an array that is turned round (negative strides).
        return plain(torch.as_tensor(value.copy())) if getattr(value, "ndim", 0) else plain(value.tolist())
    if isinstance(value, (torch.dtype, torch.device)):
        return str(value)
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return _ADDRESS.sub("", repr(value))


def _plain_tensor(value: torch.Tensor) -> Any:
    if value.numel() <= LONGEST_LISTED_TENSOR:
        return value.detach().cpu().tolist()
    return f"tensor of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"


def plain_index(value: Any) -> Any:
    """Return a target's index as an int, a (nested) tuple of ints, or None."""
    if isinstance(value, torch.Tensor) or hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(plain_index(entry) for entry in value)
    return None if value is None else int(value)


def to_json(value: Any) -> Any:
    """Replace the floats that standard JSON lacks (NaN, infinity) in plain data by ``{"$float": "nan"}``."""
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT_KEY: repr(value)}
    if isinstance(value, dict):
        return {key: to_json(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(entry) for entry in value]
    return value


def from_json(value: Any) -> Any:
    """Undo `to_json`."""
    if isinstance(value, dict):
        if value.keys() == {_FLOAT_KEY}:
            return float(value[_FLOAT_KEY])
        return {key: from_json(entry) for key, entry in value.items()}
    return [from_json(entry) for entry in value] if isinstance(value, list) else value
