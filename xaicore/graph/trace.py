"""`trace`: the graph of a model, captured once for each shape of inputs."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from xaicore.errors import CaptureError, InputError
from xaicore.graph.build import build_graph
from xaicore.graph.capture import Capture, batch_size_of, capture, evaluation_mode, quiet, untouched
from xaicore.graph.facts import with_facts
from xaicore.graph.graph import Graph
from xaicore.graph.normalize import with_normal_forms, without_no_ops, without_softmax_head
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
_lock = threading.RLock()
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
    # Export, modes and caches are the process's own: one capture at a time.
    with torch.inference_mode(False), _lock:
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
        captured = _captured(model, inputs, kwargs)
        traced, dynamic = _traced(captured.program), captured.dynamic
    difference = _difference(model, traced.whole, inputs, kwargs)
    if difference and dynamic:  # the model treats this batch size in a way of its own
        traced, dynamic = _traced(capture(model, inputs, kwargs, dynamic=False).program), False
        difference = _difference(model, traced.whole, inputs, kwargs)
    if not difference and not traced.verified:
        difference = _difference_of_gradients(model, traced.whole, inputs, kwargs)
    if difference:
        raise CaptureError(
            f"the captured graph of {type(model).__name__} does not compute what the model does ({difference}), so an "
            "explanation of it would be wrong. A forward that draws random numbers in eval(), that depends on state "
            "kept between calls, or that defines a derivative of its own (torch.autograd.Function) cannot be captured. "
            "Model-agnostic methods (the perturbation family) still work."
        )
    traced.verified.add(batch)
    cache.keep(free_key if dynamic else fixed_key, traced)
    return traced.graph


def _captured(model: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Capture:
    """The capture; where inputs that the model itself refuses are the reason that there is none, its own words."""
    try:
        return capture(model, inputs, kwargs)
    except CaptureError:
        try:
            with torch.no_grad(), evaluation_mode(model), untouched(model), torch.random.fork_rng():
                copies = _copies((inputs, kwargs))
                model(*copies[0], **copies[1])
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise InputError(f"{type(model).__name__} itself does not take these inputs: {reason}") from error
        raise


def _copies(arguments: Any) -> Any:
    return pytree.tree_map_only(torch.Tensor, lambda leaf: leaf.detach().clone(), arguments)


def _traced(program: torch.export.ExportedProgram) -> _Traced:
    with quiet():
        graph = build_graph(plain_program(program))
    whole = with_facts(with_normal_forms(without_no_ops(graph)))
    return _Traced(whole, with_facts(without_softmax_head(whole.copy())))


def _difference(model: nn.Module, graph: Graph, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """How the graph's outputs differ from the model's own; empty where they agree."""
    with torch.no_grad(), evaluation_mode(model), untouched(model), torch.random.fork_rng():
        copies = _copies((inputs, kwargs))
        expected = returned_tensors(model(*copies[0], **copies[1]))
        try:
            found = graph.run(graph.flatten(inputs, kwargs))
        except Exception as error:  # whatever an operator raises, the graph is of no use
            return f"it fails: {error}"
    for name, value in found.items():
        value, other = value.detach(), expected[name].detach()
        if value.shape != other.shape:
            return f"output '{name}' has shape {tuple(value.shape)} in place of {tuple(other.shape)}"
        if gap := _gap(value, other):
            return f"output '{name}' differs by up to {gap:.3g}"
    return ""


def _difference_of_gradients(model: nn.Module, graph: Graph, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Whether autograd finds another gradient in the graph than in the model, whose code may define its own.

    One gradient, of the sum of all outputs with fixed weights; a model that cannot be differentiated is not compared.
    """
    with evaluation_mode(model), untouched(model), torch.random.fork_rng(), torch.enable_grad():
        try:
            expected = _input_gradients(lambda *args, **kw: returned_tensors(model(*args, **kw)), inputs, kwargs)
        except RuntimeError:
            return ""
        found = _input_gradients(lambda *args, **kw: graph.run(graph.flatten(args, kw)), inputs, kwargs)
    for value, other in zip(found, expected, strict=True):
        if (value is None) != (other is None):
            return "the gradient reaches an input in one of them alone"
        if value is not None and other is not None and _gap(value, other, slack=1e3):
            return f"its gradient differs by up to {_gap(value, other, slack=1e3):.3g}"
    return ""


def _input_gradients(run: Callable[..., dict[str, torch.Tensor]], inputs: Any, kwargs: Any) -> list[Any]:
    leaves, structure = pytree.tree_flatten(_copies((inputs, kwargs)))
    wanted = [leaf.requires_grad_() for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.is_floating_point()]
    # The model is given results of these, since it may write to its inputs.
    given = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
    args, keywords = pytree.tree_unflatten(given, structure)
    outputs = [value for value in run(*args, **keywords).values() if value.requires_grad]
    if not wanted or not outputs:
        return [None] * len(wanted)
    weights = [torch.linspace(0.5, 1.5, value.numel(), device=value.device).view(value.shape) for value in outputs]
    seeds = [weight.to(value.dtype) for weight, value in zip(weights, outputs, strict=True)]
    return list(torch.autograd.grad(outputs, wanted, seeds, allow_unused=True))


def _gap(value: torch.Tensor, other: torch.Tensor, *, slack: float = 1.0) -> float:
    """The largest difference where it is more than rounding, else 0; NaN in one alone counts."""
    wide = torch.float64 if value.dtype == torch.float64 else torch.float32
    if value.is_complex():
        value, other = torch.view_as_real(value), torch.view_as_real(other)
    agree = (value == other) | (value.isnan() & other.isnan())
    gap = (value.to(wide) - other.to(wide)).abs().masked_fill(agree, 0.0)
    scale = other.to(wide).abs().nan_to_num(0.0, posinf=0.0)
    tolerance = 50 * max(torch.finfo(value.dtype).eps, 1e-7) ** 0.75 if value.is_floating_point() else 0.0
    if gap.numel() and not float(gap.max()) <= slack * tolerance * max(float(scale.max()), 1e-30):
        return float(gap.max())
    return 0.0


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
        hooks = (*module._forward_hooks, *module._forward_pre_hooks)  # their keys are given once in a process
        parts.append((path, id(module), type(module), tuple(own), tuple(tensors), hooks))
    everywhere = (*nn.modules.module._global_forward_hooks, *nn.modules.module._global_forward_pre_hooks)
    return (*parts, everywhere)


def _own_tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    stores = (module._parameters.items(), module._buffers.items())
    return [(key, value) for store in stores for key, value in store if value is not None]


def _frozen(value: Any, *, deep: bool = True) -> Hashable:
    """An attribute in a form that can be compared: tensors and functions by identity, other objects by their parts."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return tuple((_frozen(key), _frozen(item)) for key, item in value.items())
    if isinstance(value, torch.Tensor) or callable(value):
        return id(value)
    own = vars(value) if deep and hasattr(value, "__dict__") else {}  # a configuration: its own plain attributes count
    return (str(type(value)), *((key, _frozen(item, deep=False)) for key, item in own.items()))
