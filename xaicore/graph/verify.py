"""Does the graph compute what the model does? Asked once for each capture and batch size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from xaicore.graph.capture import evaluation_mode
from xaicore.graph.graph import Graph
from xaicore.graph.returned import returned_tensors
from xaicore.graph.trial import copies_of, run_model
from xaicore.graph.untouched import untouched
from xaicore.graph.writing import OnCopies

_LARGEST_TOLERANCE = 0.3  # of the largest value: what no rounding explains, in half precision either


def difference(model: nn.Module, graph: Graph, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """How the graph's outputs differ from the model's own; empty where they agree."""
    expected = returned_tensors(run_model(model, inputs, kwargs))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(torch.initial_seed() ^ 1)  # other numbers than the model drew, so that randomness shows
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


def difference_of_gradients(model: nn.Module, graph: Graph, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Whether autograd finds another gradient in the graph than in the model, whose code may define its own.

    One gradient, of the sum of all outputs with fixed weights; a model that cannot be differentiated is not compared.
    Nor is one with custom operations that write to their arguments: torch takes what they write for what was there.
    """
    if any(isinstance(layer.op, OnCopies) for layer in graph.layers):
        return ""
    with evaluation_mode(model), untouched(model), torch.random.fork_rng(), torch.enable_grad():
        try:
            expected = _input_gradients(lambda *args, **kw: returned_tensors(model(*args, **kw)), inputs, kwargs)
        except RuntimeError:
            return ""
        try:
            found = _input_gradients(lambda *args, **kw: graph.run(graph.flatten(args, kw)), inputs, kwargs)
        except RuntimeError as error:
            return f"its gradient fails: {error}"
    for value, other in zip(found, expected, strict=True):
        if (value is None) != (other is None):
            return "the gradient reaches an input in one of them alone"
        if value is not None and other is not None and _gap(value, other, slack=1e3):
            return f"its gradient differs by up to {_gap(value, other, slack=1e3):.3g}"
    return ""


def _input_gradients(run: Callable[..., dict[str, torch.Tensor]], inputs: Any, kwargs: Any) -> list[Any]:
    leaves, structure = pytree.tree_flatten(copies_of((inputs, kwargs)))
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
    tolerance = min(slack * tolerance, _LARGEST_TOLERANCE)
    if gap.numel() and not float(gap.max()) <= tolerance * max(float(scale.max()), 1e-30):
        return float(gap.max())
    return 0.0
