"""Data with labels: patterns need the inputs alone."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaicore.errors import InputError


def without_labels(data: Any, model: nn.Module) -> Any:
    """Of a pair (inputs, labels) the inputs; anything else as it is.

    Labels are the numbers of classes, one for each sample. They are taken for that only where the model cannot be
    called with two arguments.
    """
    if isinstance(data, list) and any(isinstance(each, Tensor | tuple | list) and _has_tensor(each) for each in data):
        raise InputError(
            f"fit was given a list of {len(data)}, which is neither one batch nor a stream: of a list of batches give "
            "iter(batches), of inputs and labels a tuple (inputs, labels)"
        )
    if not isinstance(data, tuple) or len(data) != 2 or not _are_labels(data[1]) or _takes(model, data):
        return data
    inputs, labels = data
    if not isinstance(inputs, Tensor | np.ndarray) or len(inputs) != len(labels):
        return data
    return inputs


def _has_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, tuple | list) and any(map(_has_tensor, value)))


def _are_labels(value: Any) -> bool:
    if not isinstance(value, Tensor | np.ndarray):
        return False
    made = torch.as_tensor(value)
    whole = not (made.is_floating_point() or made.is_complex() or made.dtype is torch.bool)
    return whole and made.ndim > 0 and tuple(made.shape) in ((len(made),), (len(made), 1))


def _takes(model: nn.Module, arguments: tuple[Any, ...]) -> bool:
    try:
        inspect.signature(model.forward).bind(*arguments)
    except TypeError:
        return False
    return True
