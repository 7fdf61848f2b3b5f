"""`fit`: the patterns of all layers of a model, from one pass over data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xai_patternnet.convolutions import ConvolutionLayout
from xai_patternnet.estimators import estimate_all
from xai_patternnet.labelled import without_labels
from xai_patternnet.layers import adds_tensors, channel_dimension, learning_layers, rectified
from xai_patternnet.layouts import AdditionLayout, DenseLayout, Layout, ProductLayout
from xai_patternnet.moments import Moments, measure
from xai_patternnet.observing import Seen, largest_of_a_sample, observe
from xai_patternnet.patterns import LayerPatterns, Patterns
from xai_patternnet.weights import checksum_of
from xaicore.engine import Block, Engine, Footprint, Inputs, batches_of, is_stream, prepare, progress_bar
from xaicore.errors import InputError
from xaicore.graph import Graph, Kind, Layer, trace

_COPIES = 16  # of the largest tensor: in float64, by regime, and centred
_TO_LOOK_AT = 8


def learn_patterns(model: nn.Module, data: Any) -> Patterns:
    """Learn the patterns of every convolution, linear layer and addition of tensors between inputs and outputs.

    Parameters
    ----------
    model : torch.nn.Module
    data : Tensor, array, tuple or dict of them, or iterable of batches
        Inputs as ``analyze`` takes them. One pass; nothing of a batch is kept but its moments, in float64. Of pairs
        (inputs, labels) the labels are left out, where the model has one input.

    Raises
    ------
    InputError
        There are no data, they are not finite, or values inside the model are not.
    """
    if data is None:
        raise InputError("fit needs data: one batch of inputs, or an iterable of batches, as many samples as you can")
    learner = _Learner(model)
    with torch.inference_mode(False), torch.no_grad():
        if not is_stream(data):
            learner.take(prepare(without_labels(data, model), model))
            return learner.patterns()
        with progress_bar(None, description="fit", unit="batch") as bar:
            for batch in batches_of(data):
                learner.take(prepare(without_labels(batch.inputs, model), model))
                bar.update(1)
        return learner.patterns()


@dataclass(frozen=True)
class _Learning:
    """What is known of a layer while its moments grow.

    ``fan``: how many samples and positions a unit is computed for, over the number of inputs; of a sum, None.
    """

    layer: Layer
    layout: Layout
    dtype: torch.dtype
    fan: float | None

    @classmethod
    def of(cls, seen: Seen, layout: Layout) -> _Learning:
        dtype = torch.promote_types(seen.y.dtype, torch.float32)
        if adds_tensors(seen.layer):
            return cls(seen.layer, layout, dtype, None)
        return cls(seen.layer, layout, dtype, layout.places(seen.xs[0], seen.y) / seen.xs[0].numel())

    def patterns(self, moments: Mapping[str, Moments]) -> LayerPatterns:
        """The patterns by all estimators, in the shape and type of the weight (at least float32)."""
        estimates = estimate_all(self.layout, moments)
        weight = self.layer.parameters.get("weight")
        shape = self.layout.shape if weight is None else tuple(int(str(size)) for size in weight.info.shape)
        return LayerPatterns(
            module=self.layer.module_path,
            units=next(iter(estimates.values())).units,
            by_estimator={name: each.pattern.to(self.dtype).reshape(shape) for name, each in estimates.items()},
            dead={name: each.dead for name, each in estimates.items()},
            growth={name: self._growth(each.pattern) for name, each in estimates.items()},
        )

    def _growth(self, pattern: Tensor) -> float:
        """How the transposed map changes the root mean square of what has no preferred direction."""
        if self.fan is None:
            return 1.0
        return math.sqrt(float(torch.linalg.vector_norm(pattern)) ** 2 * self.fan)


class _Learner:
    """The moments of all layers, and what is needed to make patterns of them."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.weights = checksum_of(model)
        self.samples = 0
        self.moments: dict[str, dict[str, Moments]] = {}
        self.layers: dict[str, _Learning] = {}

    def take(self, inputs: Inputs) -> None:
        """Take in one batch, in blocks that fit into memory."""
        some = inputs.slice(0, min(inputs.batch, _TO_LOOK_AT))
        graph = self._graph(some)
        self._check_same_layers(graph)
        largest = largest_of_a_sample(graph, graph.flatten(some.args, some.kwargs), some.batch)
        device = next(iter(inputs.tensors().values())).device

        def measured(block: Block) -> dict[str, dict[str, Moments]]:
            return self._measured(inputs.slice(block.start, block.stop))

        engine = Engine(progress=False).within()  # Ctrl-C is passed on: half the data would be another result
        sweep = engine.sweep(
            inputs.batch, 1, measured, device=device, footprint=Footprint(_COPIES * largest, largest), unit="sample"
        )
        for block, found in sweep:
            self.samples += block.samples
            for name, by_regime in found.items():
                known = self.moments.setdefault(name, by_regime)
                if known is not by_regime:
                    for regime, moments in by_regime.items():
                        known[regime].add(moments)

    def patterns(self) -> Patterns:
        """The patterns by all estimators."""
        if not self.samples:
            raise InputError("fit needs data: the iterable holds no batch")
        layers = {}
        for name, learning in self.layers.items():
            moments = self.moments.pop(name)
            if not all(each.finite for each in moments.values()):
                raise InputError(
                    f"fit met NaN or infinity in the layer {learning.layer.where()}: the inputs are finite, but the "
                    "model's values are not. Look for divisions by zero, or overflow in half precision."
                )
            layers[name] = learning.patterns(moments)
        return Patterns(layers, self.samples, self.weights)

    def _graph(self, inputs: Inputs) -> Graph:
        return trace(self.model, *inputs.args, **inputs.kwargs).folded

    def _check_same_layers(self, graph: Graph) -> None:
        names = {layer.name for layer in learning_layers(graph)}
        if not names:
            raise InputError(
                f"{type(self.model).__name__} has no convolution, linear layer or addition between inputs and outputs, "
                "and so nothing that has patterns"
            )
        if self.layers and names != set(self.layers):
            raise InputError("the model has other layers for this batch of the data than for those before")

    def _measured(self, inputs: Inputs) -> dict[str, dict[str, Moments]]:
        graph = self._graph(inputs)
        layers = learning_layers(graph)
        found = {}
        for seen in observe(graph, graph.flatten(inputs.args, inputs.kwargs), set(layers)):
            layer = seen.layer
            layout = _layout_of(seen)
            if layer.name not in self.layers:
                self.layers[layer.name] = _Learning.of(seen, layout)
            found[layer.name] = measure(layout, seen.xs, seen.y, _without_bias(seen), rectified(graph, layer.ref))
        return found


def _layout_of(seen: Seen) -> Layout:
    layer = seen.layer
    if adds_tensors(layer):
        return AdditionLayout(layer, seen.y, channel_dimension(layer))
    weight = seen.parameters["weight"]
    if layer.kind is Kind.CONVOLUTION:
        return ConvolutionLayout(layer, weight)
    return DenseLayout(weight) if layer.op_name == "linear" else ProductLayout(layer, weight, seen.xs[0])


def _without_bias(seen: Seen) -> Tensor:
    """``w' x``; a bias cancels in moments, but not one that differs from place to place, as folded batch norm's may."""
    y, bias = seen.y.double(), seen.parameters.get("bias")
    if bias is None or adds_tensors(seen.layer):
        return y
    if seen.layer.kind is Kind.CONVOLUTION and bias.ndim == 1:
        bias = bias.view(-1, *[1] * (seen.parameters["weight"].ndim - 2))
    return y - bias.double()
