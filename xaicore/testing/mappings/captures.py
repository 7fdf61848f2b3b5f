"""Models of mappings as graphs: in the form and the type that is asked for, captured once for each."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.graph import trace
from xaicore.testing.backward.place import Captured

_known: weakref.WeakKeyDictionary[nn.Module, dict[Any, Any]] = weakref.WeakKeyDictionary()


def captured_as(model: nn.Module, inputs: tuple[Tensor, ...], form: str, dtype: torch.dtype) -> Captured | None:
    """The graph of a copy of the model; None where an operator of the model does not know this type.

    Parameters
    ----------
    model, inputs : a model and a batch for it, in any floating-point type.
    form : of batch norm, see `Graph.form`.
    dtype : of the copy, and of its floating-point inputs.
    """
    known = _known.setdefault(model, {})

    def once(key: Any, make: Callable[[], Any]) -> Any:
        if key not in known:
            known[key] = make()
        return known[key]

    tensors = once(("inputs", dtype), lambda: tuple(_as(dtype, tensor) for tensor in inputs))
    copied = once(("model", dtype), lambda: copy.deepcopy(model).to(dtype).eval())
    if dtype != torch.float64 and not once(("runs", dtype), lambda: _runs(copied, tensors)):
        return None
    found: Captured = once((form, dtype), lambda: Captured(trace(copied, *tensors).form(form), tensors))
    return found


def _as(dtype: torch.dtype, tensor: Tensor) -> Tensor:
    tensor = tensor if len(tensor) > 1 else torch.cat([tensor, tensor.flip(-1)])
    return tensor.detach().to(dtype) if tensor.is_floating_point() else tensor.detach()


def _runs(model: nn.Module, tensors: tuple[Tensor, ...]) -> bool:
    try:
        with torch.no_grad():
            model(*tensors)
    except RuntimeError:  # not implemented for this type
        return False
    return True
