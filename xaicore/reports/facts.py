"""What a report says of where it comes from: model, weights, data, versions, parameters."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

import xaicore
from xaicore.plugins import Status, plugin_registry


def facts_about(
    model: Any,
    *,
    weights: Any = None,
    data: Any = None,
    seed: int | None = None,
    methods: Iterable[Any] = (),
) -> list[tuple[str, str]]:
    """Return what is needed to tell one run from another, as pairs of a name and a text.

    Parameters
    ----------
    model : nn.Module or callable
    weights : str or path, optional
        Where the weights come from.
    data : str or path, optional
        Where the samples come from, and which they are.
    seed : int, optional
    methods : iterable of Explanation, Analyzer or str
        Each is named with its parameters, once.
    """
    facts = [("model", _type_name(model))]
    if isinstance(model, nn.Module):
        count = sum(each.numel() for each in model.parameters())
        facts += [("parameters of the model", f"{count:,}"), ("weights (SHA-256)", weights_hash(model))]
    optional = {"weights from": weights, "data": data, "seed": seed}
    facts += [(name, str(value)) for name, value in optional.items() if value is not None]
    facts += [("method", text) for text in dict.fromkeys(map(_method, methods))]
    plugins = [info.label for info in plugin_registry().plugins() if info.status is Status.OK]
    versions = [f"xaicore {xaicore.__version__}", *plugins]
    facts.append(("packages", ", ".join(dict.fromkeys(versions))))
    facts.append(("platform", f"Python {platform.python_version()}, torch {torch.__version__}, {platform.system()}"))
    return facts


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 of a model's weights, the same on every device and in every process.

    Over the entries of ``state_dict`` in the order of their names: name, dtype, shape, and the bytes in row-major
    order. What is no tensor (the extra state of a module) counts by its repr.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not isinstance(value, Tensor):
            digest.update(f"{name}\0{value!r}\0".encode())
            continue
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\0".encode())
        digest.update(_bytes_of(value.detach()))
    return digest.hexdigest()


def _bytes_of(tensor: Tensor) -> bytes:
    dense = tensor.to_dense() if tensor.layout is not torch.strided else tensor
    if dense.is_quantized:
        dense = dense.int_repr()
    flat = dense.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _type_name(model: Any) -> str:
    if isinstance(model, nn.Module):
        return f"{type(model).__module__}.{type(model).__qualname__}"
    name = getattr(model, "__qualname__", type(model).__qualname__)
    return f"{getattr(model, '__module__', type(model).__module__)}.{name}"


def _method(method: Any) -> str:
    """The canonical name with its parameters, of an explanation, an analyzer, or a text as it is."""
    if isinstance(method, str):
        return method
    parameters: Mapping[str, Any] = (
        method.get_params(deep=False) if hasattr(method, "get_params") else getattr(method, "parameters", {})
    )
    written = ", ".join(f"{name}={_brief(value)}" for name, value in parameters.items() if name != "model")
    return f"{method.method}({written})"


def _brief(value: Any, longest: int = 60) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
