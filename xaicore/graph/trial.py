"""The user's model, run as it is: what it refuses is an error of the inputs, in the model's own words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from xaicore.errors import InputError
from xaicore.graph.bad_ids import too_large_ids
from xaicore.graph.capture import evaluation_mode, where_raised
from xaicore.graph.untouched import untouched


def run_model(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the model returns for copies of the inputs, in evaluation mode and without gradients.

    Raises
    ------
    InputError
        The model itself does not take them.
    """
    with torch.no_grad(), evaluation_mode(model), untouched(model), torch.random.fork_rng():
        args, keywords = copies_of((inputs, kwargs))
        try:
            return model(*args, **keywords)
        except Exception as error:
            raise refused_by(model, inputs, kwargs, error) from error


def refused_by(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> InputError:
    """The error that says what the model's own forward raised, where, and what it was given."""
    reason = f"{type(error).__name__}: {error}{where_raised(error)}{too_large_ids(model, error)}"
    return InputError(
        f"{type(model).__name__} itself does not take these inputs: {reason}\n{_given(model, inputs, kwargs)}"
    )


def copies_of(arguments: Any) -> Any:
    """The same arguments, with tensors of their own."""
    return pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.detach().clone(), arguments)


def _given(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """What the model was given, and where its type is the likely reason, what to do."""
    tensors = [leaf for leaf in pytree.tree_leaves((inputs, kwargs)) if isinstance(leaf, torch.Tensor)]
    shown = ", ".join(f"{tuple(tensor.shape)} of {tensor.dtype}" for tensor in tensors)
    own = next((each.dtype for each in model.parameters() if each.is_floating_point()), None)
    looks_up = any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules())
    integers = own is not None and not looks_up and not any(tensor.is_floating_point() for tensor in tensors)
    hint = f" The model computes in {own}: if it takes numbers, not indices, give x.float()." if integers else ""
    return f"It was given {shown}; the first dimension is the batch.{hint}"
