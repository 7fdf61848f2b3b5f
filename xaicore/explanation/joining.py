"""Joining the explanations of batch chunks into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation.diagnostics import Diagnostics

if TYPE_CHECKING:
    from xaicore.explanation.result import Explanation


def concat(parts: Sequence[Explanation]) -> Explanation:
    """Join explanations along the batch; see `Explanation.concat`."""
    if not parts:
        raise InputError("Explanation.concat was given an empty list: pass one explanation a chunk.")
    first = parts[0]
    for part in parts[1:]:
        for what in ("method", "parameters", "layer"):
            mine, other = getattr(first, what), getattr(part, what)
            if mine != other:
                raise InputError(f"Only explanations of one {what} can be joined; got {mine!r} and {other!r}.")
    target = first.target | {
        "kind": first.target["kind"] if len({part.target["kind"] for part in parts}) == 1 else "mixed",
        "labels": [label for part in parts for label in part.target["labels"]],
        "index": [index for part in parts for index in part.target["index"]],
        "values": torch.cat([part.target["values"] for part in parts]),
    }
    return replace(
        first,
        relevance=_joined([part.relevance for part in parts], "relevance"),
        prediction=_cat([part.prediction for part in parts], "prediction"),
        target=target,
        diagnostics=Diagnostics.concat([part.diagnostics for part in parts]),
        inputs=_joined([part.inputs for part in parts], "inputs"),
        recorded=_joined_recorded(parts),
    )


def _joined_recorded(parts: Sequence[Explanation]) -> dict[str, Tensor]:
    for part in parts:
        for name, tensor in part.recorded.items():
            if tensor.shape[:1] != (len(part),):
                raise InputError(
                    f"The relevance recorded at layer {name!r} has shape {tuple(tensor.shape)}, without the batch "
                    f"of {len(part)} in front: chunks of it cannot be joined. Explain without batch_size=, or leave "
                    "this layer out of record=."
                )
    joined: dict[str, Tensor] = _joined([part.recorded for part in parts], "recorded relevance")
    return joined


def _joined(chunks: Sequence[Any], what: str) -> Any:
    """Join tensors, or dicts of tensors name by name; None where no chunk has any."""
    first = chunks[0]
    if any(type(chunk) is not type(first) and not _same_kind(chunk, first) for chunk in chunks):
        raise InputError(f"Some chunks have {what} and some have none, or another structure: they cannot be joined.")
    if first is None:
        return None
    if isinstance(first, Tensor):
        return _cat(list(chunks), what)
    if any(chunk.keys() != first.keys() for chunk in chunks):
        raise InputError(f"The {what} of the chunks have different names: {[list(chunk) for chunk in chunks]}.")
    return {name: _cat([chunk[name] for chunk in chunks], f"{what} {name!r}") for name in first}


def _same_kind(one: Any, other: Any) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor)


def _cat(tensors: list[Tensor], what: str) -> Tensor:
    shapes = {tuple(tensor.shape[1:]) for tensor in tensors}
    if len(shapes) > 1:
        raise InputError(f"The {what} of the chunks differ in shape behind the batch: {sorted(shapes)}.")
    return torch.cat(tensors)
