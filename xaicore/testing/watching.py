"""Whether somebody left a model, or the process, as it was: both described as data, before and after."""

from __future__ import annotations

import logging
import os
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import matplotlib
import numpy as np
import torch
from torch import nn


def state_of(model: nn.Module) -> dict[str, Any]:
    """All of a model that its owner could see change: identities, versions, contents, modes, hooks, attributes."""
    state: dict[str, Any] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        state |= {
            f"{name}: which tensor it is": (id(tensor), tensor.data_ptr(), tensor.dtype, tensor.device, type(tensor)),
            f"{name}: its values": tensor.detach().cpu().flatten().tolist(),
            f"{name}: its version, which each write to it counts": tensor._version,
            f"{name}: requires_grad": tensor.requires_grad,
            f"{name}: its gradient": None if tensor.grad is None else (id(tensor.grad), tensor.grad.tolist()),
            f"{name}: its hooks": list(tensor._backward_hooks or ()),
        }
    for path, module in model.named_modules():
        where = f"module {path!r}" if path else "the model"
        own = {name: value for name, value in vars(module).items() if name not in _OF_ITS_OWN}
        state |= {
            f"{where}: training mode": module.training,
            f"{where}: its hooks": {key: list(value) for key, value in vars(module).items() if key.endswith("_hooks")},
            f"{where}: its modules": {name: id(child) for name, child in module.named_children()},
            f"{where}: its attributes": {name: (id(value), repr(value)) for name, value in own.items()},
        }
    return state


_OF_ITS_OWN = frozenset(vars(nn.Module()))
"""Attributes of every module, which have entries of their own."""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of what differs between two states."""
    names = [*before, *(name for name in after if name not in before)]
    return [name for name in names if name not in before or name not in after or before[name] != after[name]]


def state_of_process() -> dict[str, Any]:
    """All that a process has once and that others rely on, by name."""
    return {name: read() for name, (read, _) in _GLOBALS.items()}


@contextmanager
def process_put_back() -> Iterator[None]:
    """Put back what the block changes about the process, so that what comes after it is not disturbed."""
    before = state_of_process()
    try:
        yield
    finally:
        after = state_of_process()
        for name in changes(before, after):
            _GLOBALS[name][1](before[name])


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()
    return (name, np.asarray(keys).tobytes(), *rest)


def _put_numpy_state(state: tuple[Any, ...]) -> None:
    name, keys, *rest = state
    np.random.set_state((name, np.frombuffer(keys, dtype=np.uint32), *rest))


def _put_environment(before: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(before)


def _put_filters(before: list[Any]) -> None:
    warnings.resetwarnings()  # which tells Python's own cache of filters
    warnings.filters[:] = before  # type: ignore[index]


def _settings_of_matplotlib() -> dict[str, Any]:
    # As they are stored: asked for in the usual way, some warn, and one chooses a backend.
    return dict(dict.items(cast(dict[str, Any], matplotlib.rcParams)))


def _put_settings_of_matplotlib(before: dict[str, Any]) -> None:
    dict.update(cast(dict[str, Any], matplotlib.rcParams), before)


_GLOBALS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the random state of torch": (
        lambda: torch.random.get_rng_state().numpy().tobytes(),
        lambda state: torch.random.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
    ),
    "the random state of NumPy": (_numpy_state, _put_numpy_state),
    "the random state of Python": (random.getstate, random.setstate),
    "torch's default type": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "torch's deterministic algorithms": (
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's precision of matrix products": (
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    "cuDNN's benchmark mode": (
        lambda: torch.backends.cudnn.benchmark,
        lambda before: setattr(torch.backends.cudnn, "benchmark", before),
    ),
    "the settings of matplotlib": (_settings_of_matplotlib, _put_settings_of_matplotlib),
    "the filters of warnings": (lambda: list(warnings.filters), _put_filters),
    "the environment variables": (lambda: dict(os.environ), _put_environment),
    "the level of the root logger": (
        lambda: logging.getLogger().level,
        lambda level: logging.getLogger().setLevel(level),
    ),
    "the handlers of the root logger": (
        lambda: list(logging.getLogger().handlers),
        lambda handlers: setattr(logging.getLogger(), "handlers", handlers),
    ),
    "the working folder": (os.getcwd, os.chdir),
}
