"""Models as they are named on the command line."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from xaicore.cli.weights import load_weights
from xaicore.errors import FileError, XaicoreError, nearest

MODEL_HELP = """
MODEL is torchvision:NAME, transformers:FOLDER, the file of an exported program (.pt2), or package.module:factory,
a function without arguments that returns a torch.nn.Module (the current folder is searched first).
"""
_SEED = 0


@dataclass(frozen=True)
class LoadedModel:
    """A model, and what to tell about it.

    Attributes
    ----------
    example
        Inputs of the right shapes where they are known without being told; None where they are not.
    warning
        What the user must know before trusting a result, such as random weights.
    """

    model: nn.Module
    example: Any = None
    warning: str | None = None


def load_model(spec: str, weights: Path | None = None) -> LoadedModel:
    """Load the model that MODEL on the command line names, with weights from a file where one is given.

    Weights that come from nowhere are random, the same in every run.

    Raises
    ------
    click.BadParameter
        Where `spec` names no model; the message says why, and what to install.
    FileError
        Where a file cannot be read or does not fit the model.
    """
    source, _, name = spec.partition(":")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        if source in _SOURCES and name:
            loaded = _SOURCES[source](name, weights is not None)
        elif Path(spec).suffix == ".pt2":
            loaded = _exported_program(Path(spec))
        elif source and name:
            loaded = LoadedModel(_from_factory(source, name))
        else:
            raise _bad(f"{spec!r} names no model.{MODEL_HELP.rstrip()}")
    if weights is not None:
        load_weights(loaded.model, weights)
    return loaded


def _torchvision(name: str, has_weights: bool) -> LoadedModel:
    try:
        models = importlib.import_module("torchvision.models")
    except ImportError as error:
        raise _bad(f"torchvision is not installed ({error}). Install it with: pip install torchvision") from error
    except RuntimeError as error:
        raise _bad(
            f"torchvision does not work with torch {torch.__version__} ({error}). Install the release that belongs to "
            "it: pip install --upgrade torch torchvision"
        ) from error
    known = models.list_models(module=models)
    if name not in known:
        raise _bad(f"torchvision has no classification model {name!r}.{nearest(name, known)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # on how GoogLeNet and Inception will be initialised one day
        model = models.get_model(name, weights=None)
    pixels = 299 if name.startswith("inception") else 224
    warning = None if has_weights else _random(f"torchvision:{name}")
    return LoadedModel(model, torch.zeros(1, 3, pixels, pixels), warning)


def _transformers(folder: str, has_weights: bool) -> LoadedModel:
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise _bad(f"transformers is not installed ({error}). Install it with: pip install transformers") from error
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise FileError(f"{folder!r} is no folder of a transformers model: it has no config.json.")
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    architectures = getattr(config, "architectures", None) or ["AutoModel"]
    cls = getattr(transformers, architectures[0], None)
    if cls is None:
        raise _bad(f"The installed transformers {transformers.__version__} has no architecture {architectures[0]!r}.")
    example = _transformers_example(config, getattr(cls, "main_input_name", "input_ids"))
    if any(path.glob("*.safetensors")) and not has_weights:
        return LoadedModel(cls.from_pretrained(folder, local_files_only=True, use_safetensors=True), example)
    if any(path.glob("*.bin")) and not has_weights:
        raise FileError(
            f"The weights in {folder!r} are pickled (.bin), which can run code when loaded. Convert them to "
            "safetensors: model.save_pretrained(folder, safe_serialization=True)"
        )
    model = cls.from_config(config) if architectures[0] == "AutoModel" else cls(config)
    return LoadedModel(model, example, None if has_weights else _random(f"transformers:{folder}"))


def _transformers_example(config: Any, main_input: str) -> dict[str, torch.Tensor] | None:
    if main_input == "input_ids":
        return {"input_ids": torch.ones(1, 8, dtype=torch.long)}
    size = getattr(config, "image_size", None)
    if main_input == "pixel_values" and isinstance(size, int):
        return {"pixel_values": torch.zeros(1, getattr(config, "num_channels", 3), size, size)}
    return None


def _exported_program(path: Path) -> LoadedModel:
    if not path.is_file():
        raise FileError(f"There is no file {str(path)!r}.")
    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever a damaged archive makes of the reader
        raise FileError(f"{str(path)!r} cannot be read as a program of torch.export.save: {error}") from error
    args, kwargs = program.example_inputs or ((), {})
    return LoadedModel(program.module(), kwargs or tuple(args) or None)


def _from_factory(module_name: str, attribute: str) -> nn.Module:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # stays: the model may import more when it runs
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise XaicoreError(f"Importing {module_name!r} failed: {error}.") from error
        raise _bad(f"There is no module {error.name!r}, neither here ({os.getcwd()}) nor installed.") from error
    except Exception as error:
        raise XaicoreError(f"Importing {module_name!r} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise _bad(f"The module {module_name!r} has no {attribute!r}.{nearest(attribute, dir(module))}")
    made = getattr(module, attribute)
    if not isinstance(made, nn.Module):
        made = _called(made, f"{module_name}:{attribute}")
    if not isinstance(made, nn.Module):
        raise _bad(f"{module_name}:{attribute} gives a {type(made).__name__}, not a torch.nn.Module.")
    return made


def _called(factory: Any, name: str) -> Any:
    if not callable(factory):
        raise _bad(f"{name} is a {type(factory).__name__}, neither a torch.nn.Module nor a function that returns one.")
    torch.manual_seed(_SEED)  # again: the import may have drawn from it
    try:
        return factory()
    except Exception as error:
        raise XaicoreError(f"Calling {name}() failed: {type(error).__name__}: {error}") from error


def _random(name: str) -> str:
    return f"{name} has random weights: its explanations mean nothing. Give trained ones with --weights FILE."


_SOURCES: dict[str, Callable[[str, bool], LoadedModel]] = {"torchvision": _torchvision, "transformers": _transformers}


def _bad(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="MODEL")
