"""Tensors and a JSON header in one file of the safetensors format, which cannot run code on loading."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from xaicore.errors import FileError

FORMAT_VERSION = 1


def write(path: str | PathLike[str], kind: str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write one file, all or nothing; ``kind`` is what `read` asks for again."""
    goal = Path(os.path.realpath(path))  # through a link, so that the link stays
    if goal.is_dir() or not goal.parent.is_dir():
        fault = "it is a folder; add a file name" if goal.is_dir() else f"the folder {goal.parent} does not exist"
        raise FileError(f"cannot save to {goal}: {fault}")
    text = json.dumps({"format": FORMAT_VERSION, **header}, allow_nan=False)
    part = goal.with_name(f".{goal.name}.{uuid.uuid4().hex}.part")
    try:
        part.touch()  # with the rights that new files have here; safetensors would give them to the owner alone
        rights = part.stat().st_mode
        stored = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(stored, part, metadata={_key(kind): text})
        part.chmod(rights)
        os.replace(part, goal)
    except (OSError, SafetensorError) as error:
        raise FileError(f"cannot save to {goal}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return goal


def read(path: str | PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors of a file that `write` made.

    Raises
    ------
    FileError
        The file is missing, damaged, of another kind, or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"cannot load {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(_key(kind))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise FileError(f"cannot load {path}: it is no safetensors file, or a damaged one ({error})") from error
    if text is None:
        raise FileError(f"cannot load {path}: it is a safetensors file, but holds no {kind}")
    try:
        header = dict(json.loads(text))
        version = int(header["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"cannot load {path}: its header is damaged ({error!r})") from error
    if version > FORMAT_VERSION:
        raise FileError(
            f"cannot load {path}: it has format {version}, and this xai-activation-max reads formats up to "
            f"{FORMAT_VERSION}. Update it"
        )
    return header, tensors


def plain(value: Any) -> Any:
    """A parameter as JSON can hold it: numbers, texts, lists; anything else as it is written."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else repr(value)
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Tensor):
        return value.tolist() if value.numel() <= 8 else f"tensor of shape {tuple(value.shape)}"
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return repr(value).partition(" at 0x")[0]


def _key(kind: str) -> str:
    return f"xaicore_{kind}"
