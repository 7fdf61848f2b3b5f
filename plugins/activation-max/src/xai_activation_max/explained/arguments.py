"""The arguments of the model, and the one among them that moves."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from xaicore.engine import Inputs
from xaicore.errors import InputError


def moved_input(prepared: Inputs, moved: str | int | None) -> str:
    """The name of the input that moves."""
    tensors = prepared.tensors()
    able = [name for name, each in tensors.items() if each.is_floating_point() and each.shape[:1] == (prepared.batch,)]
    if isinstance(moved, int) and not isinstance(moved, bool) and 0 <= moved < len(tensors):
        moved = list(tensors)[moved]
    if moved is not None:
        if moved not in tensors:
            raise InputError(f"input={moved!r}: the model has no such input; it has {', '.join(map(repr, tensors))}")
        if moved not in able:
            raise InputError(f"input={moved!r} {_unfit(tensors[str(moved)])}")
        return str(moved)
    if not able:
        name, first = next(iter(tensors.items()))
        raise InputError(f"input {name!r} {_unfit(first)}")
    if len(able) > 1:
        raise InputError(
            f"the model has several inputs that could move: {', '.join(map(repr, able))}. Say which with input=; the "
            "others stay as they are in the example"
        )
    return able[0]


def _unfit(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return f"has shape {tuple(tensor.shape)}, which does not begin with the batch: it cannot be searched row by row"
    return (
        f"holds {str(tensor.dtype).removeprefix('torch.')} values, such as tokens, between which there is no way to "
        "climb. Search among embeddings: give a model that begins behind the embedding layer (of transformers: "
        "inputs_embeds=)"
    )


def repeated(prepared: Inputs, targets: int | None) -> Inputs:
    """The arguments; a single sample as often as there are targets."""
    if prepared.batch != 1 or targets is None or targets == 1:
        return prepared

    def grown(leaf: Any) -> Any:
        per_sample = isinstance(leaf, Tensor) and leaf.shape[:1] == (1,)
        return leaf.expand(targets, *leaf.shape[1:]).clone() if per_sample else leaf

    return prepared.map(grown)
