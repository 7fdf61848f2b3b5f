"""What tells whether a model is still the one that was captured."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Any

import torch
from torch import nn

_PLAIN = (bool, int, float, str, type(None))
_NOT_ATTRIBUTES = frozenset(vars(nn.Module()))  # modules, parameters, buffers, hooks: looked at on their own; the mode


def fingerprint_of(model: nn.Module) -> Hashable:
    """Changes when a module, a parameter object or a plain attribute is replaced; not when weights are updated."""
    parts: list[Hashable] = []
    for path, module in model.named_modules():
        own = [(key, _frozen(value)) for key, value in vars(module).items() if key not in _NOT_ATTRIBUTES]
        tensors = [(key, id(value), str(value.device), value.dtype) for key, value in _own_tensors(module)]
        hooks = (*module._forward_hooks, *module._forward_pre_hooks)  # their keys are given once in a process
        parts.append((path, id(module), type(module), tuple(own), tuple(tensors), hooks))
    everywhere = (*nn.modules.module._global_forward_hooks, *nn.modules.module._global_forward_pre_hooks)
    return (*parts, everywhere)


def _own_tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    stores = (module._parameters.items(), module._buffers.items())
    return [(key, value) for store in stores for key, value in store if value is not None]


def _frozen(value: Any, *, deep: bool = True) -> Hashable:
    """An attribute in a form that can be compared: tensors and functions by identity, other objects by their parts."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, weakref.ref):  # a recurrent layer makes new ones whenever it is moved, also to where it is
        value = value()
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return tuple((_frozen(key), _frozen(item)) for key, item in value.items())
    if isinstance(value, torch.Tensor) or callable(value):
        return id(value)
    own = vars(value) if deep and hasattr(value, "__dict__") else {}  # a configuration: its own plain attributes count
    return (str(type(value)), *((key, _frozen(item, deep=False)) for key, item in own.items()))
