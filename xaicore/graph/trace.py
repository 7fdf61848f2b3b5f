"""`trace`: the graph of a model, captured once for each shape of inputs."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from xaicore.errors import CaptureError, InputError
from xaicore.graph.autocast import without_autocast
from xaicore.graph.build import build_graph
from xaicore.graph.capture import Capture, batch_size_of, capture, quiet
from xaicore.graph.facts import with_facts
from xaicore.graph.fingerprint import fingerprint_of
from xaicore.graph.graph import Graph
from xaicore.graph.normalize import with_normal_forms, without_no_ops, without_softmax_head
from xaicore.graph.recognition import with_recognized_layers
from xaicore.graph.rewrite import plain_program
from xaicore.graph.trial import run_model
from xaicore.graph.verify import difference, difference_of_gradients


@dataclass
class _Traced:
    whole: Graph  # computes exactly what the model does
    graph: Graph  # without its softmax head
    verified: set[int | None] = field(default_factory=set)  # the batch sizes for which it was compared with the model

    @property
    def packs(self) -> bool:
        """Whether it keeps sequences padded that the model packs, so that the model may see less padding than it."""
        return any(layer.op_name.startswith("packed_") for layer in self.whole.layers)


@dataclass
class _Cache:
    fingerprint: Hashable
    by_shape: dict[Hashable, _Traced] = field(default_factory=dict)

    def keep(self, key: Hashable, traced: _Traced) -> None:
        """Remember a graph, and forget the oldest of many: each may hold derived weights as large as the model."""
        self.by_shape[key] = traced
        while len(self.by_shape) > _MOST_SHAPES:
            del self.by_shape[next(iter(self.by_shape))]


_MOST_SHAPES = 8
# Export patches torch for the whole process, and a model's modes are its own: nothing else of ours runs meanwhile.
one_at_a_time = threading.RLock()
_caches: weakref.WeakKeyDictionary[nn.Module, _Cache] = weakref.WeakKeyDictionary()


def trace(model: nn.Module, *inputs: Any, **kwargs: Any) -> Graph:
    """The graph of the model, as its forward computes it in evaluation mode.

    Parameters
    ----------
    model : torch.nn.Module
        Any model that `torch.export` can capture; it is left as it is, whatever mode it is in.
    *inputs, **kwargs
        What its ``forward`` takes. Tensors of the right shape are enough: their values only serve to verify that
        the graph computes what the model does, once for each batch size.

    Returns
    -------
    Graph
        Captured anew when the shapes of the inputs (beyond the batch) or the structure of the model change, else
        remembered.

    Raises
    ------
    CaptureError
        The model's forward cannot be captured; the message names the line.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"trace takes a torch.nn.Module; got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise CaptureError(
            f"{type(model).__name__} is TorchScript, which torch.export does not take: give the Python module that it "
            "was made from, or its torch.export program."
        )
    with torch.inference_mode(False), one_at_a_time, without_autocast():
        return _trace(model, inputs, dict(sorted(kwargs.items())))


def _trace(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Graph:
    fingerprint = fingerprint_of(model)
    cache = _caches.get(model)
    if cache is None or cache.fingerprint != fingerprint:
        cache = _caches[model] = _Cache(fingerprint)
    leaves, structure = pytree.tree_flatten((inputs, kwargs))
    batch = batch_size_of(leaves)
    free_key = (str(structure), tuple(_leaf_key(leaf, batch) for leaf in leaves))
    fixed_key = (str(structure), tuple(_leaf_key(leaf, None) for leaf in leaves))
    for key in (fixed_key, free_key):
        traced = cache.by_shape.get(key)
        if traced is not None and batch in traced.verified:
            # What a model does with padding depends on the values of the lengths: one comparison does not tell.
            if traced.packs:
                _refuse(model, traced, difference(model, traced.whole, inputs, kwargs))
            return traced.graph
    return _capture_and_verify(model, inputs, kwargs, cache, free_key, fixed_key, batch)


def _capture_and_verify(
    model: nn.Module,
    inputs: tuple[Any, ...],
    kwargs: dict[str, Any],
    cache: _Cache,
    free_key: Hashable,
    fixed_key: Hashable,
    batch: int | None,
) -> Graph:
    """Capture for every batch size where that is right, else for this one."""
    if free_key in cache.by_shape:
        traced, dynamic = cache.by_shape[free_key], True
    else:
        captured = _captured(model, inputs, kwargs)
        traced, dynamic = _traced(captured.program), captured.dynamic
    gap = difference(model, traced.whole, inputs, kwargs)
    if gap and dynamic:  # the model treats this batch size in a way of its own
        traced, dynamic = _traced(capture(model, inputs, kwargs, dynamic=False).program), False
        gap = difference(model, traced.whole, inputs, kwargs)
    if not gap and not traced.verified:
        gap = difference_of_gradients(model, traced.whole, inputs, kwargs)
    _refuse(model, traced, gap)
    traced.verified.add(batch)
    cache.keep(free_key if dynamic else fixed_key, traced)
    return traced.graph


def _refuse(model: nn.Module, traced: _Traced, gap: str) -> None:
    """Refuse a graph that differs from the model, if it does."""
    if not gap:
        return
    padding = (
        " Or the model depends on padding: pad_packed_sequence cuts it where the longest sequence of the batch ends, "
        "the graph does not. Give inputs that end there too, or let the model call it with total_length=x.shape[1]."
    )
    raise CaptureError(
        f"the captured graph of {type(model).__name__} does not compute what the model does ({gap}), so an "
        "explanation of it would be wrong. A forward that draws random numbers in eval(), that depends on state "
        "kept between calls, or that defines a derivative of its own (torch.autograd.Function) cannot be captured."
        f"{padding if traced.packs else ''} Model-agnostic methods (the perturbation family) still work."
    )


def _captured(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Capture:
    """The capture; where inputs that the model itself refuses are the reason that there is none, its own words."""
    try:
        return capture(model, inputs, kwargs)
    except CaptureError:
        run_model(model, inputs, kwargs)
        raise


def _traced(program: torch.export.ExportedProgram) -> _Traced:
    with quiet():
        graph = build_graph(plain_program(program))
    whole = with_facts(with_recognized_layers(with_normal_forms(without_no_ops(graph))))
    return _Traced(whole, with_facts(without_softmax_head(whole.copy())))


def _leaf_key(leaf: Any, batch: int | None) -> Hashable:
    if not isinstance(leaf, torch.Tensor):
        return leaf if isinstance(leaf, Hashable) else repr(leaf)
    shape = tuple(leaf.shape)
    if batch is not None and shape and shape[0] == batch:
        shape = (-1, *shape[1:])
    return (shape, leaf.dtype, leaf.device)
