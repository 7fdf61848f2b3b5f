"""`trace`: the graph of a model, captured once for each shape of inputs."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from xaicore.errors import CaptureError, InputError
from xaicore.graph.build import build_graph
from xaicore.graph.capture import batch_size_of, capture, evaluation_mode, quiet, untouched
from xaicore.graph.facts import with_facts
from xaicore.graph.graph import Graph
from xaicore.graph.normalize import with_linear_forms, without_no_ops, without_softmax_head
from xaicore.graph.returned import returned_tensors
from xaicore.graph.rewrite import plain_program


@dataclass
class _Traced:
    whole: Graph  # computes exactly what the model does
    graph: Graph  # without its softmax head
    verified: set[int | None] = field(default_factory=set)  # the batch sizes for which it was compared with the model


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
    with torch.inference_mode(False):
        return _trace(model, inputs, dict(sorted(kwargs.items())))


def _trace(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Graph:
    fingerprint = _fingerprint(model)
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
        captured = capture(model, inputs, kwargs)
        traced, dynamic = _traced(captured.program), captured.dynamic
    difference = _difference(model, traced.whole, inputs, kwargs)
    if difference and dynamic:  # the model treats this batch size in a way of its own
        traced, dynamic = _traced(capture(model, inputs, kwargs, dynamic=False).program), False
        difference = _difference(model, traced.whole, inputs, kwargs)
    if difference:
        raise CaptureError(
            f"the captured graph of {type(model).__name__} does not compute what the model does ({difference}), so an "
            "explanation of it would be wrong. A forward that draws random numbers in eval(), or that depends on "
            "state kept between calls, cannot be captured. Model-agnostic methods (the perturbation family) still work."
        )
    traced.verified.add(batch)
    cache.keep(free_key if dynamic else fixed_key, traced)
    return traced.graph


def _traced(program: torch.export.ExportedProgram) -> _Traced:
    with quiet():
        graph = build_graph(plain_program(program))
    whole = with_facts(with_linear_forms(without_no_ops(graph)))
    return _Traced(whole, with_facts(without_softmax_head(whole.copy())))


def _difference(model: nn.Module, graph: Graph, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """How the graph's outputs differ from the model's own; empty where they agree."""
    copies = pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.detach().clone(), (inputs, kwargs))
    with torch.no_grad(), evaluation_mode(model), untouched(model), torch.random.fork_rng():
        expected = returned_tensors(model(*copies[0], **copies[1]))
        try:
            found = graph.run(graph.flatten(inputs, kwargs))
        except (RuntimeError, InputError) as error:
            return f"it fails: {error}"
    for name, value in found.items():
        value, other = value.detach(), expected[name].detach()
        if value.shape != other.shape:
            return f"output '{name}' has shape {tuple(value.shape)} in place of {tuple(other.shape)}"
        wide = torch.float64 if value.dtype == torch.float64 else torch.float32
        agree = (value == other) | (value.isnan() & other.isnan())
        gap = (value.to(wide) - other.to(wide)).abs().masked_fill(agree, 0.0)
        scale = other.to(wide).abs().nan_to_num(0.0, posinf=0.0)
        tolerance = 50 * max(torch.finfo(value.dtype).eps, 1e-7) ** 0.75 if value.is_floating_point() else 0.0
        if gap.numel() and not float(gap.max()) <= tolerance * max(float(scale.max()), 1e-30):  # so that NaN differs
            return f"output '{name}' differs by up to {float(gap.max()):.3g}"
    return ""


def _leaf_key(leaf: Any, batch: int | None) -> Hashable:
    if not isinstance(leaf, torch.Tensor):
        return leaf if isinstance(leaf, Hashable) else repr(leaf)
    shape = tuple(leaf.shape)
    if batch is not None and shape and shape[0] == batch:
        shape = (-1, *shape[1:])
    return (shape, leaf.dtype, leaf.device)


_PLAIN = (bool, int, float, str, type(None))
_NOT_ATTRIBUTES = frozenset(vars(nn.Module()))  # modules, parameters, buffers, hooks: looked at on their own; the mode


def _fingerprint(model: nn.Module) -> Hashable:
    """Changes when a module, a parameter object or a plain attribute is replaced; not when weights are updated."""
    parts: list[Hashable] = []
    for path, module in model.named_modules():
        own = [(key, _frozen(value)) for key, value in vars(module).items() if key not in _NOT_ATTRIBUTES]
        tensors = [(key, id(value), str(value.device), value.dtype) for key, value in _own_tensors(module)]
        hooks = tuple(map(id, module._forward_hooks.values())) + tuple(map(id, module._forward_pre_hooks.values()))
        parts.append((path, id(module), type(module), tuple(own), tuple(tensors), hooks))
    return tuple(parts)


def _own_tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    stores = (module._parameters.items(), module._buffers.items())
    return [(key, value) for store in stores for key, value in store if value is not None]


def _frozen(value: Any) -> Hashable:
    """An attribute in a form that can be compared; tensors and functions count by identity, other objects by type."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return tuple((_frozen(key), _frozen(item)) for key, item in value.items())
    return id(value) if isinstance(value, torch.Tensor) or callable(value) else str(type(value))
