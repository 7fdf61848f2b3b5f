"""Patterns as files: tensors and a JSON header in the safetensors format, which cannot run code on loading."""

from __future__ import annotations

import json
import os
import uuid
from os import PathLike
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from xai_patternnet.patterns import LayerPatterns, Patterns
from xaicore.errors import FileError

FORMAT_VERSION = 1
_KEY = "xai_patternnet"


def save_patterns(patterns: Patterns, path: str | PathLike[str]) -> Path:
    """See `Patterns.save`."""
    goal = Path(os.path.realpath(path))  # through a link, so that the link stays
    if goal.is_dir() or not goal.parent.is_dir():
        reason = "it is a folder" if goal.is_dir() else f"the folder {goal.parent} does not exist"
        raise FileError(f"Cannot save patterns to {goal}: {reason}. Give the name of a file in a folder that exists.")
    header = {
        "format": FORMAT_VERSION,
        "samples": patterns.samples,
        "weights": patterns.weights,
        "layers": {
            name: {"module": each.module, "units": each.units, "dead": dict(each.dead), "growth": dict(each.growth)}
            for name, each in patterns.layers.items()
        },
    }
    tensors = {
        f"{name}/{estimator}": pattern.cpu().contiguous()
        for name, each in patterns.layers.items()
        for estimator, pattern in each.by_estimator.items()
    }
    part = goal.with_name(f".{goal.name}.{uuid.uuid4().hex}.part")
    try:
        part.touch()  # with the rights that new files have here; safetensors would give them to the owner alone
        rights = part.stat().st_mode
        save_file(tensors, part, metadata={_KEY: json.dumps(header)})
        part.chmod(rights)
        os.replace(part, goal)
    except (OSError, SafetensorError) as error:
        raise FileError(f"Cannot save patterns to {goal}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return goal


def load_patterns(path: str | PathLike[str]) -> Patterns:
    """See `Patterns.load`."""
    path = Path(path)
    if not path.is_file():
        raise FileError(f"Cannot load {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = _header(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, PermissionError) as error:
        raise FileError(f"Cannot load {path}: it is no safetensors file, or damaged ({error}).") from error
    try:
        layers = {
            name: LayerPatterns(
                module=each["module"],
                units=int(each["units"]),
                by_estimator={estimator: tensors[f"{name}/{estimator}"] for estimator in each["dead"]},
                dead={estimator: int(count) for estimator, count in each["dead"].items()},
                growth={estimator: float(each["growth"][estimator]) for estimator in each["dead"]},
            )
            for name, each in header["layers"].items()
        }
        return Patterns(layers, int(header["samples"]), str(header["weights"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"Cannot load {path}: its contents are damaged or incomplete ({error!r}).") from error


def _header(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    if _KEY not in metadata:
        raise FileError(
            f"Cannot load {path}: it is a safetensors file, but holds no patterns. Write one with "
            "analyzer.fit(data).patterns_.save(path)."
        )
    try:
        header = json.loads(metadata[_KEY])
        version = header["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"Cannot load {path}: its header is damaged ({error!r}).") from error
    if version != FORMAT_VERSION:
        raise FileError(
            f"Cannot load {path}: it has format {version}, this xai-patternnet reads format {FORMAT_VERSION}. "
            "Update xai-patternnet, or call fit(data) and save the patterns again."
        )
    return dict(header)
