"""From what a user passes as inputs to tensors that the model takes, or an error that says why not."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from xaicore.engine.inputs import Inputs
from xaicore.engine.placement import device_and_dtype
from xaicore.errors import ArgumentsError, InputError


def prepare(inputs: Any, model: nn.Module, *, tracked: bool = False) -> Inputs:
    """Make the arguments of a call of `model` from `inputs`.

    Parameters
    ----------
    inputs
        A tensor, NumPy array, data frame or list of numbers: the only argument. A tuple of these: the positional
        arguments. A mapping: the keyword arguments. Arguments may nest tuples and dicts, and may be plain values
        (None, bool, int, float, str). All are put on the model's device, floating-point ones in the model's type;
        integers and booleans keep their type. The user's own tensors are not changed.
    tracked
        Keep the connection to inputs that require gradients, for explanations that are themselves differentiated.

    Raises
    ------
    InputError
        For inputs that are empty, hold NaN or infinity, or are not what the model's forward takes.
    """
    if isinstance(inputs, Inputs):
        return inputs
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, Mapping):
        kwargs = {str(name): value for name, value in inputs.items()}
    else:
        args = inputs if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence) else (inputs,)
    names = _argument_names(model, args, kwargs)
    device, dtype = device_and_dtype(model)
    return _checked(
        Inputs(
            args=tuple(_prepared(name, value, device, dtype, tracked) for name, value in zip(names, args, strict=True)),
            kwargs={name: _prepared(name, value, device, dtype, tracked) for name, value in kwargs.items()},
            names=names,
        )
    )


def prepare_arrays(inputs: Any) -> Inputs:
    """The arguments of a function on arrays, as tensors with the types that they were given in.

    As `prepare`, for something that is no PyTorch model: nothing is moved to another device or made another type, and
    the arguments are called by their position.
    """
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, Mapping):
        kwargs = {str(name): value for name, value in inputs.items()}
    else:
        args = inputs if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence) else (inputs,)
    names = _names_by_position(args)
    return _checked(
        Inputs(
            args=tuple(_prepared(name, value, None, None, False) for name, value in zip(names, args, strict=True)),
            kwargs={name: _prepared(name, value, None, None, False) for name, value in kwargs.items()},
            names=names,
        )
    )


def _names_by_position(args: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"input_{position}" if len(args) > 1 else "input" for position in range(len(args)))


def _checked(prepared: Inputs) -> Inputs:
    tensors = prepared.tensors()
    if not tensors:
        texts = [leaf for _, leaf in prepared.leaves() if isinstance(leaf, str)]
        if texts:
            raise InputError(
                f"{texts[0]!r} is a text, no tensor or array. Inputs and data are tensors, arrays or batches of them; "
                "if it is the name of a file, load that first, as by numpy.load or torch.load."
            )
        raise InputError("There is nothing to explain: the inputs hold no tensor or array.")
    name, first = next(iter(tensors.items()))
    if first.dim() == 0:
        raise InputError(f"Input {name!r} is a single number; the first dimension of an input is the batch.")
    return prepared


def _argument_names(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
    """Return the forward's own names of the positional arguments; refuse what it cannot be called with."""
    try:
        signature = inspect.signature(model.forward)
    except ValueError:  # of TorchScript, which has none
        return _names_by_position(args)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        advice = "Give a tuple for several positional arguments and a dict for keyword arguments"
        if kwargs:
            advice += "; where the model takes one dict as its argument, put it in a tuple: (inputs,)"
        elif len(args) > 1:
            advice += "; of a DataLoader with labels, say which entry is the input: xaicore.batches(loader, inputs=0)"
        raise ArgumentsError(
            f"{type(model).__name__}.forward{signature} cannot be called with these inputs: {error}.", f"{advice}."
        ) from None
    names: list[str] = []
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}.{position}" for position in range(len(value))]
        elif kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
            names.append(name)
    return tuple(names[: len(args)])


def _prepared(name: str, value: Any, device: torch.device | None, dtype: torch.dtype | None, tracked: bool) -> Any:
    if isinstance(value, Mapping):
        return {key: _prepared(f"{name}.{key}", each, device, dtype, tracked) for key, each in value.items()}
    if isinstance(value, PackedSequence):
        raise InputError(
            f"Input {name!r} is a PackedSequence, which has no dimension for the samples. Give padded sequences "
            "and their lengths to a model that packs them itself, by pack_padded_sequence(x, lengths, "
            "enforce_sorted=False)."
        )
    if isinstance(value, tuple):
        return tuple(_prepared(f"{name}.{i}", each, device, dtype, tracked) for i, each in enumerate(value))
    if isinstance(value, PathLike):
        value = fspath(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    tensor = value if isinstance(value, Tensor) else _from_array(name, value)
    if tensor.layout is not torch.strided:
        raise InputError(f"Input {name!r} is a {tensor.layout} tensor; only dense tensors can be explained.")
    if tensor.is_meta:
        raise InputError(f"Input {name!r} is on the device 'meta': it has a shape but no values. Give it values.")
    if tensor.numel() == 0:
        raise InputError(f"Input {name!r} is empty: its shape is {tuple(tensor.shape)}.")
    # A tensor made in inference mode can never be recorded by autograd; a copy can.
    tensor = tensor.clone() if tensor.is_inference() else tensor if tracked else tensor.detach()
    if device is not None:
        tensor = tensor.to(device, dtype) if tensor.is_floating_point() else tensor.to(device)
    _refuse_non_finite(name, tensor)
    return tensor


def _from_array(name: str, value: Any) -> Tensor:
    if isinstance(value, list) and any(isinstance(each, Tensor) for each in value):
        raise InputError(
            f"Input {name!r} is a list of tensors; join them to one batch with torch.stack or torch.cat, or give a "
            "tuple where the model takes several arguments."
        )
    try:
        array = np.asarray(value)
        # Sharing memory with an array that cannot be written to would let torch write to it.
        shared = array.flags.writeable and all(stride >= 0 for stride in array.strides)
        return torch.from_numpy(array if shared else array.copy())
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Input {name!r} of type {type(value).__name__} cannot be made a tensor ({error}). Inputs are tensors, "
            "NumPy arrays or lists of numbers, in a tuple or dict where the model takes several."
        ) from None


def _refuse_non_finite(name: str, tensor: Tensor) -> None:
    # A sum is finite only where all of it is; it takes a fraction of the time.
    if not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum())):
        return
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        raise InputError(
            f"Input {name!r} has {len(bad)} NaN or infinite values (as {tensor.dtype}), the first at index "
            f"{tuple(bad[0].tolist())}. Replace them before explaining; a mask can be boolean."
        )
