"""Model -> exported program: the one place that calls ``torch.export``."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import UnsupportedOperatorException
from torch.utils import _pytree as pytree

from xaicore.errors import CaptureError
from xaicore.graph.packed import whole_sequences
from xaicore.graph.returned import Returning
from xaicore.graph.sizes import SizeExpression, size_of
from xaicore.graph.untouched import untouched

_LIBRARIES = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, Path(__file__).parent))
_SAME_OPERATIONS = (
    "write this line so that the same operations run whatever the values of the tensors are (torch.where in place of "
    "if, shapes in place of values)"
)
_REGISTER_SHAPES = (
    "tell torch the shape and type of what this custom operation returns: torch.library.register_fake with a function "
    "that makes an empty tensor like it"
)
_FRAMES_OF_PYTHON = ("contextlib.py", "<string>", "<frozen")


@dataclass(frozen=True)
class Capture:
    """An exported program and whether it serves every batch size."""

    program: torch.export.ExportedProgram
    dynamic: bool


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Every module in ``eval()`` for the time of the block, then as it was, each with its own flag.

    The flags are set directly: a model may override ``train``, and a call of it could do more than set flags.
    """
    flags = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in flags:
            module.training = False
        yield
    finally:
        for module, training in flags:
            module.training = training


def batch_size_of(leaves: list[Any]) -> int | None:
    """The batch: the first dimension of the first tensor that has one."""
    return next((leaf.shape[0] for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.ndim), None)


def capture(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, dynamic: bool = True) -> Capture:
    """Export the model in evaluation mode, with the batch dimension dynamic where it allows that.

    Raises
    ------
    CaptureError
        The model's forward cannot be captured; names the line of the user's code.
    """
    if dynamic:
        try:
            program = _export(model, args, kwargs, dynamic=True)
        except Exception:  # a model that refuses a batch of another size is captured at the size given
            program = None
        if program is not None and _batch_is_free(program):
            return Capture(program, dynamic=True)
    try:
        return Capture(_export(model, args, kwargs, dynamic=False), dynamic=False)
    except Exception as error:
        raise CaptureError(_explain(model, error)) from error


def _export(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, dynamic: bool
) -> torch.export.ExportedProgram:
    returning = Returning(model)
    leaves, spec = pytree.tree_flatten((args, kwargs))
    # Fake inputs of the same shapes: the user's tensors are never touched, whatever the model does to its input.
    leaves = [_blank(leaf) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
    shapes: Any = None
    if dynamic:
        batch = batch_size_of(leaves)
        if batch is None:
            raise ValueError("no batch dimension")
        batched = [isinstance(leaf, torch.Tensor) and leaf.ndim > 0 and leaf.shape[0] == batch for leaf in leaves]
        if batch < 2:  # a batch of one would be taken as a constant
            leaves = [
                leaf.expand(2, *leaf.shape[1:]).clone() if is_batched else leaf
                for leaf, is_batched in zip(leaves, batched, strict=True)
            ]
        collection = torch.export.ShapesCollection()
        for leaf, is_batched in zip(leaves, batched, strict=True):
            if is_batched:
                collection[leaf] = {0: torch.export.Dim.AUTO}
        args, kwargs = pytree.tree_unflatten(leaves, spec)
        shapes = collection.dynamic_shapes(returning, args, kwargs)
    else:
        args, kwargs = pytree.tree_unflatten(leaves, spec)
    with evaluation_mode(model), untouched(model), quiet(), whole_sequences():
        return torch.export.export(returning, args, kwargs, dynamic_shapes=shapes, strict=False)


def _blank(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same shape, type and device that shares nothing with the user's."""
    return torch.zeros_like(tensor, requires_grad=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Export's own chatter is about its internals; what the user needs comes as our errors and notes."""
    disabled = logging.root.manager.disable
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(disabled)


def _batch_is_free(program: torch.export.ExportedProgram) -> bool:
    """Whether the first symbolic size of the inputs survived as a symbol (a model may have fixed it)."""
    inputs = set(program.graph_signature.user_inputs)
    values = [node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder" and node.name in inputs]
    tensors = [value for value in values if isinstance(value, torch.Tensor) and value.ndim]
    return bool(tensors) and isinstance(size_of(tensors[0].shape[0]), SizeExpression)


def where_raised(error: BaseException) -> str:
    """The line of the user's code that an error comes from, to be put after a message; empty where there is none."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_LIBRARIES)]
    frames = [f for f in frames if not any(name in f.filename for name in _FRAMES_OF_PYTHON)]
    return f"\n  at {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


def _explain(model: nn.Module, error: Exception) -> str:
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    unknown_shape = isinstance(error, UnsupportedOperatorException) or "no fake impl" in reason
    return (
        f"{type(model).__name__} cannot be captured as a graph: {type(error).__name__}: {reason}{where_raised(error)}\n"
        "Propagation methods (gradients, LRP, deep Taylor, ...) need the graph. To get one, "
        f"{_REGISTER_SHAPES if unknown_shape else _SAME_OPERATIONS}. "
        "Model-agnostic methods (the perturbation family) still work: they only call the model."
    )
