"""The forms of batch norm in a graph: as it is, folded into linear layers, one linear layer, or a scale and a shift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import ParameterError, nearest
from xaicore.graph.facts import with_facts
from xaicore.graph.folding import consumers_that_take, fold_into_consumer, fold_into_producer, producer_that_takes
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref, TensorInfo

FORMS = ("plain", "folded", "one", "two")


def check_form(batch_norm: str) -> None:
    """Refuse a form that does not exist."""
    if batch_norm not in FORMS:
        raise ParameterError(
            f"batch_norm={batch_norm!r} is no form of batch norm: choose 'plain' (as the model has it), 'folded' (part "
            "of the linear layers beside it), 'one' (a linear layer of its own) or 'two' (a scale, then a shift)."
            f"{nearest(str(batch_norm), FORMS)}"
        )


def with_batch_norm(graph: Graph, form: str) -> Graph:
    """A copy of the plain graph with each batch norm, ``y = scale * x + shift``, in another form.

    Here ``scale = weight / sqrt(var + eps)`` and ``shift = bias - mean * scale``.

    * ``folded``: part of the convolution or dense layer that feeds it, where nothing else reads that layer; else of
      all the layers it feeds, where those are linear; else as in ``one``.
    * ``one``: a layer ``scale_shift`` of kind ``BATCH_NORM``.
    * ``two``: a layer ``scale`` of kind ``SCALE``, and a layer ``shift`` of kind ``ADD``.
    """
    check_form(form)
    if graph.batch_norm != "plain":
        raise ParameterError(
            f"batch norm has the form '{graph.batch_norm}' in this graph already: ask the graph that `trace` returned "
            f"for the form '{form}'."
        )
    rewriting = _Rewriting(graph.copy())
    rewrite = {"folded": rewriting.fold, "one": rewriting.make_one, "two": rewriting.make_two}[form]
    for layer in list(rewriting.graph.layers):
        if layer.kind is Kind.BATCH_NORM and not layer.constant:
            rewrite(layer, *rewriting.scale_and_shift(layer))
    result = with_facts(rewriting.finished())
    result.batch_norm = form
    return result


class _Rewriting:
    """Rewrites a graph of its own, one batch norm at a time."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.changes: dict[Ref, Ref] = {}
        self.absorbed: dict[Ref, list[Layer]] = {}  # the layers that have taken up what no tensor holds any more
        self.constants: list[Layer] = []
        self.before: dict[Layer, Layer] = {}  # new layers, by the layer that they come before

    def fold(self, norm: Layer, scale: Ref, shift: Ref) -> None:
        if producer := producer_that_takes(self.graph, norm):
            fold_into_producer(producer, scale, shift, self.constant)
            self.changes[norm.ref] = norm.inputs[0]
        elif consumers := consumers_that_take(self.graph, norm):
            for layer in consumers:
                fold_into_consumer(layer, scale, shift, self.constant)
            self.changes[norm.ref] = norm.inputs[0]
            self.absorbed[norm.ref] = consumers
        else:
            self.make_one(norm, scale, shift)

    def make_one(self, norm: Layer, scale: Ref, shift: Ref) -> None:
        norm.op, norm.op_name, norm.positional = scale_shift, "scale_shift", 3
        norm.arguments = {"input": norm.inputs[0], "weight": scale, "bias": shift}
        norm.refresh()

    def make_two(self, norm: Layer, scale: Ref, shift: Ref) -> None:
        """The norm itself becomes the shift, so that its name still names what leaves it."""
        weight, bias = (
            self.constant(f"{ref.layer.name}_map", _AlongChannels(len(norm.outputs[0].shape)), ref.info, values=ref)
            for ref in (scale, shift)
        )
        x = norm.inputs[0]
        scaled = Layer(
            name=f"{norm.name}.scaled",
            kind=Kind.SCALE,
            op=torch.mul,
            op_name="scale",
            arguments={"input": x, "weight": weight},
            outputs=norm.outputs,
            module_path=norm.module_path,
            module_type=norm.module_type,
            calls=norm.calls,
            source=norm.source,
        )
        self.before[norm] = scaled
        norm.kind, norm.op, norm.op_name, norm.positional = Kind.ADD, torch.add, "shift", 2
        norm.arguments = {"input": scaled.ref, "bias": bias}
        norm.refresh()

    def scale_and_shift(self, norm: Layer) -> tuple[Ref, Ref]:
        arguments = norm.arguments
        mean = arguments["running_mean"]
        scale = self.constant(
            f"{norm.name}.scale", _scale, mean.info,
            weight=arguments.get("weight"), variance=arguments["running_var"], eps=arguments["eps"],
        )  # fmt: skip
        shift = self.constant(
            f"{norm.name}.shift", _shift, mean.info, bias=arguments.get("bias"), mean=mean, scale=scale
        )
        return scale, shift

    def constant(self, name: str, op: Callable[..., Tensor], like: TensorInfo, **arguments: Any) -> Ref:
        layer = Layer(name, Kind.CONSTANT, op, name.rsplit(".", 1)[-1], arguments, (like,), constant=True)
        self.constants.append(layer)
        return layer.ref

    def finished(self) -> Graph:
        known = [layer for layer in self.graph.layers if layer.constant]
        computed: list[Layer] = []
        for layer in self.graph.layers:
            if not layer.constant:
                computed += [self.before[layer], layer] if layer in self.before else [layer]
        self.graph.layers = (*known, *self.constants, *computed)
        return self.graph.replaced(self.changes, absorbed=self.absorbed)


def scale_shift(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``weight * input + bias`` for each channel (dimension 1)."""
    shape = (1, -1) + (1,) * (input.ndim - 2)
    return torch.addcmul(bias.view(shape), input, weight.view(shape))


def _scale(weight: Tensor | None, variance: Tensor, eps: float) -> Tensor:
    # In float32 at least: the running variance of a half-precision model does not survive a rounded square root.
    wide = variance.to(torch.promote_types(variance.dtype, torch.float32))
    scale = torch.rsqrt(wide + eps)
    return (scale if weight is None else scale * weight).to(variance.dtype)


def _shift(bias: Tensor | None, mean: Tensor, scale: Tensor) -> Tensor:
    return -mean * scale if bias is None else bias - mean * scale


@dataclass(frozen=True)
class _AlongChannels:
    """Shapes one value a channel so that it broadcasts along dimension 1."""

    dimensions: int

    def __call__(self, values: Tensor) -> Tensor:
        return values.view(-1, *[1] * (self.dimensions - 2))
