"""Weights from a file into a model, all of them or none."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xaicore.errors import FileError

_SHOWN = 5


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file or a state dict into `model`, strictly; nothing in the file is ever executed.

    Raises
    ------
    FileError
        Where the file cannot be read, or its names and shapes are not those of the model.
    """
    given = read_state_dict(path)
    own = model.state_dict()
    # A tensor that the model holds under two names is saved under one of them only.
    given_storages = {_storage(tensor) for name, tensor in own.items() if name in given}
    missing = [name for name, tensor in own.items() if name not in given and _storage(tensor) not in given_storages]
    unexpected = [name for name in given if name not in own]
    misshapen = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    found = [f"{len(names)} {what} ({_some(names)})" for what, names in problems.items() if names]
    if found:
        raise FileError(f"The weights in {str(path)!r} do not fit {type(model).__name__}: {'; '.join(found)}.")
    model.load_state_dict(given, strict=False)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a safetensors file or in a file of `torch.save(model.state_dict(), ...)`, by name."""
    if not path.is_file():
        raise FileError(f"There is no file of weights {str(path)!r}.")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise FileError(f"{str(path)!r} is no safetensors file: {error}") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{str(path)!r} holds more than tensors and is not loaded, since it could run code. Save the weights "
            "alone: torch.save(model.state_dict(), path)"
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise FileError(f"{str(path)!r} cannot be read as weights: {error}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(each, Tensor) for each in content.values()):
        raise FileError(f"{str(path)!r} holds no state dict: a mapping from names to tensors.")
    return {str(name): tensor for name, tensor in content.items()}


def _storage(tensor: Tensor) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride()


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    more = f", and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more
