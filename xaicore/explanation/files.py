"""Explanations as files: tensors and a JSON header in the safetensors format, which cannot run code on loading."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from xaicore import __version__
from xaicore.errors import FileError
from xaicore.explanation.diagnostics import Diagnostics
from xaicore.explanation.plain import from_json, plain_index, to_json
from xaicore.explanation.result import Explanation

FORMAT_VERSION = 1
_HEADER_KEY = "xaicore"
_LARGEST_HEADER = 90_000_000  # safetensors reads headers up to 100 MB
_KNOWN_BEGINNINGS = {
    b"PK\x03\x04": "a zip archive (torch.save writes these: load it with torch.load(..., weights_only=True))",
    b"\x80": "a pickle",
    b"\x93NUMPY": "a NumPy array (load it with numpy.load)",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip archive",
    b"{": "JSON text",
}


def save_explanation(explanation: Explanation, path: str | PathLike[str]) -> Path:
    """Write `explanation` to one file, all or nothing; see `Explanation.save`."""
    goal = Path(os.path.realpath(path))  # through a link, so that the link stays
    if goal.is_dir():
        raise FileError(f"Cannot save to {goal}: it is a folder. Add a file name, such as 'explanation.safetensors'.")
    if not goal.parent.is_dir():
        raise FileError(f"Cannot save to {goal}: the folder {goal.parent} does not exist.")
    header = json.dumps(_header(explanation), allow_nan=False)
    if len(header) > _LARGEST_HEADER:
        raise FileError(
            f"Cannot save {len(explanation)} samples in one file: the header would have {len(header)} bytes. "
            "Save parts: explanation[:100000].save(...), ..."
        )
    part = goal.with_name(f".{goal.name}.{uuid.uuid4().hex}.part")
    try:
        part.touch()  # with the rights that new files have here; safetensors would give them to the owner alone
        rights = part.stat().st_mode
        save_file(_storable(_tensors(explanation)), part, metadata={_HEADER_KEY: header})
        part.chmod(rights)
        os.replace(part, goal)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise FileError(f"Cannot save to {goal}: {error}") from error
    finally:
        part.unlink(missing_ok=True)
    return goal


def load_explanation(path: str | PathLike[str], device: str | torch.device = "cpu") -> Explanation:
    """Read an explanation that `Explanation.save` wrote.

    Parameters
    ----------
    path : str or path
        The file.
    device : str or torch.device
        Where its tensors go.

    Raises
    ------
    FileError
        If the file is missing, is damaged, is something else (the message says what), or was written by a newer
        xaicore. Nothing in a file is ever executed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"Cannot load {path}: {'it is a folder' if path.is_dir() else 'there is no such file'}.")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = _checked_header(path, file.metadata() or {}, list(file.keys()))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, PermissionError) as error:
        raise FileError(f"Cannot load {path}: {_what_it_is(path)}. ({error})") from error
    try:
        return _assembled(header, tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(f"Cannot load {path}: its contents are damaged or incomplete ({error!r}).") from error


def _header(explanation: Explanation) -> dict[str, Any]:
    target = {key: value for key, value in explanation.target.items() if key != "values"}
    return {
        "format": FORMAT_VERSION,
        "xaicore": __version__,
        "method": explanation.method,
        "parameters": to_json(explanation.parameters),
        "layer": explanation.layer,
        "target": to_json(target),
        "diagnostics": explanation.diagnostics.texts(),
        # Names in order: a safetensors file sorts its tensors.
        "relevance": _names(explanation.relevance),
        "inputs": None if explanation.inputs is None else _names(explanation.inputs),
        "recorded": list(explanation.recorded),
    }


def _names(tensors: Tensor | Mapping[str, Tensor]) -> str | list[str]:
    return "tensor" if isinstance(tensors, Tensor) else list(tensors)


def _tensors(explanation: Explanation) -> dict[str, Tensor]:
    checks = explanation.diagnostics
    tensors = {
        "prediction": explanation.prediction,
        "target.values": explanation.target["values"],
        "diagnostics.explained": checks.explained,
        "diagnostics.relevance_sum": checks.relevance_sum,
    }
    if checks.conservation_gap is not None:
        tensors["diagnostics.conservation_gap"] = checks.conservation_gap
    if checks.reference is not None:
        tensors["diagnostics.reference"] = checks.reference
    groups = {"relevance": explanation.relevance, "inputs": explanation.inputs, "recorded": explanation.recorded}
    for group, content in groups.items():
        if isinstance(content, Tensor):
            tensors[group] = content
        else:
            tensors |= {f"{group}/{name}": tensor for name, tensor in (content or {}).items()}
    return tensors


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Dense, contiguous tensors in main memory that share no storage, as safetensors asks for."""
    seen: set[int] = set()
    stored = {}
    for name, tensor in tensors.items():
        dense = tensor.detach().to_dense() if tensor.layout is not torch.strided else tensor.detach()
        dense = dense.cpu().resolve_conj().resolve_neg().contiguous()
        storage = dense.untyped_storage().data_ptr()
        stored[name] = dense.clone() if storage in seen else dense
        seen.add(storage)
    return stored


def _checked_header(path: Path, metadata: Mapping[str, str], names: list[str]) -> dict[str, Any]:
    if _HEADER_KEY not in metadata:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise FileError(
            f"Cannot load {path}: it is a safetensors file, but no explanation that xaicore saved; "
            f"it holds {len(names)} tensors: {shown or 'none'}."
        )
    try:
        header = json.loads(metadata[_HEADER_KEY])
        version = header["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"Cannot load {path}: its xaicore header is damaged ({error!r}).") from error
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FileError(
            f"Cannot load {path}: it has format {version}, written by xaicore {header.get('xaicore', '?')}; "
            f"this xaicore ({__version__}) reads formats up to {FORMAT_VERSION}. Update xaicore."
        )
    return dict(header)


def _assembled(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Explanation:
    def group(name: str) -> Any:
        names = header[name]
        if names is None:
            return None
        return tensors[name] if names == "tensor" else {key: tensors[f"{name}/{key}"] for key in names}

    target = from_json(header["target"])
    target["index"] = [plain_index(index) for index in target["index"]]
    diagnostics = Diagnostics.from_parts(
        header["diagnostics"],
        tensors["diagnostics.explained"],
        tensors["diagnostics.relevance_sum"],
        tensors.get("diagnostics.conservation_gap"),
        tensors.get("diagnostics.reference"),
    )
    return Explanation(
        relevance=group("relevance"),
        prediction=tensors["prediction"],
        target=target | {"values": tensors["target.values"]},
        diagnostics=diagnostics,
        method=header["method"],
        parameters=from_json(header["parameters"]),
        inputs=group("inputs"),
        recorded=group("recorded"),
        layer=header["layer"],
    )


def _what_it_is(path: Path) -> str:
    try:
        with path.open("rb") as file:
            beginning = file.read(16)
    except OSError as error:
        return f"it cannot be read ({error})"
    if not beginning:
        return "it is empty"
    for mark, name in _KNOWN_BEGINNINGS.items():
        if beginning.startswith(mark):
            return f"it is no explanation but {name}"
    if beginning[8:9] == b"{":
        return "it is a safetensors file that is damaged or incomplete"
    return f"it is no explanation that xaicore saved; it begins with the bytes {beginning!r}"
