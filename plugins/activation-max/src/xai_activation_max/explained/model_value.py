"""The value of a model as a function of one of its inputs, with its gradient, in batches that fit."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from xai_activation_max.explained.arguments import moved_input, repeated
from xai_activation_max.explained.quantity import Quantity, count_of, of_layer, of_output, words_of
from xaicore.analyzers import Target
from xaicore.engine import Block, Engine, Footprint
from xaicore.errors import InputError, LayerError, TargetError
from xaicore.graph import Graph, trace


class Measured(NamedTuple):
    """What a model makes of inputs.

    Attributes
    ----------
    scores : Tensor (N,)
        What is maximised, without priors.
    probabilities : Tensor (N,) or None
        Of the class that is searched for, where there is one.
    """

    scores: Tensor
    probabilities: Tensor | None


class ModelValue:
    """What a search maximises, as a function of one input of the model.

    The model runs as its graph: in evaluation mode, without its softmax, and without touching it.

    Parameters
    ----------
    model : torch.nn.Module
    inputs
        An example, as the model takes it; inputs that do not move stay as they are here.
    target, output, layer, objective
        As in `PrototypeSearch`.
    moved : str or int, optional
        The input that moves, by name or position.
    engine : Engine

    Attributes
    ----------
    example : Tensor (samples, *shape)
        The input that moves, as it was given; a single sample is repeated where there are several targets.
    words : list of str
        What is searched for, for each sample.
    classes : list of int or None
        The class that is searched for, for each sample.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        target: Any,
        *,
        output: str | int | None,
        layer: str | None,
        objective: str,
        moved: str | int | None,
        engine: Engine,
    ) -> None:
        prepared = engine.prepare(inputs, model)
        self._model, self._layer, self._engine = model, layer, engine
        self._name = moved_input(prepared, moved)
        self._arguments = repeated(prepared, count_of(target))
        self.example = self._arguments.tensors()[self._name].detach()
        self.samples = len(self.example)
        self.dtype = torch.promote_types(self.example.dtype, torch.float32)
        self.device = self.example.device
        self._graphs: dict[int, Graph] = {}
        everything = torch.arange(self.samples, device=self.device)
        graph, tensors = self._at(self.example, everything)
        self._how = (target, output, objective)
        quantity = self._quantity(graph)
        with torch.no_grad(), engine.computing(self.device):
            found = graph.values(tensors, [quantity.ref])[quantity.ref].to(self.dtype)
        if found.shape[:1] != (self.samples,):
            raise InputError(
                f"'{layer or quantity.ref!r}' has shape {tuple(found.shape)} for {self.samples} samples: its first "
                "dimension must be the batch"
            )
        prepared_value = quantity.prepared(found)
        self._target: Target = quantity.target.located(prepared_value)
        described = self._target.describe(prepared_value)
        self.quantity = quantity.name
        self.words = words_of(quantity, described, found.ndim > 2, target)
        is_class = layer is None and described["kind"] == "class"
        self.classes: list[int | None] = list(described["index"]) if is_class else [None] * self.samples
        self._has_probability = layer is None and described["kind"] in ("class", "output", "index")
        self.notes = list(graph.notes)

    def gradients(self, x: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """The value of each input (N, *shape) and its gradient; ``samples`` (N,) says which target each is for."""
        scores = torch.zeros(len(x), dtype=self.dtype, device=x.device)
        gradients = torch.zeros_like(x)

        def run(block: Block) -> tuple[Tensor, Tensor]:
            rows = block.of(x).detach().to(self.example.dtype).requires_grad_()
            with torch.enable_grad():
                values = self._scores(rows, block.of(samples))
                found = None
                if values.requires_grad:
                    (found,) = torch.autograd.grad(values.sum(), rows, allow_unused=True)
            if found is None:
                where = f"'{self._layer}'" if self._layer else "the target"
                raise LayerError(
                    f"{where} does not depend on input '{self._name}' in a differentiable way: nothing can be climbed"
                )
            return values.detach(), found

        for block, (values, found) in self._sweep(run, x, samples):
            block.of(scores).copy_(values)
            block.of(gradients).copy_(found)
        return scores, gradients

    def measured(self, x: Tensor, samples: Tensor) -> Measured:
        """The values at these inputs, without gradients."""
        scores = torch.zeros(len(x), dtype=self.dtype, device=x.device)
        logs = torch.full_like(scores, math.nan)

        def run(block: Block) -> tuple[Tensor, Tensor | None]:
            rows = block.of(x).detach().to(self.example.dtype)
            with torch.no_grad():
                return self._scores(rows, block.of(samples)), self._log_probabilities(rows, block.of(samples))

        for block, (values, found) in self._sweep(run, x, samples):
            block.of(scores).copy_(values)
            if found is not None:
                block.of(logs).copy_(found)
        known = not bool(logs.isnan().all())
        return Measured(scores, logs.exp() if known else None)

    def _scores(self, rows: Tensor, samples: Tensor) -> Tensor:
        graph, tensors = self._at(rows, samples)
        return self._read(graph, tensors, self._quantity(graph), samples)

    def _log_probabilities(self, rows: Tensor, samples: Tensor) -> Tensor | None:
        if not self._has_probability:
            return None
        target, output, objective = self._how
        graph, tensors = self._at(rows, samples)
        try:
            quantity = of_output(graph, target, output, "log_probability")
        except TargetError:  # an output of several dimensions, which has no probabilities
            return None
        one_number = not quantity.ref.info.shape[1:] or quantity.ref.info.shape[1:] == (1,)
        if objective == "logit" and one_number:
            return None  # perhaps a regression
        return self._read(graph, tensors, quantity, samples)

    def _read(self, graph: Graph, tensors: list[Tensor], quantity: Quantity, samples: Tensor) -> Tensor:
        value = graph.values(tensors, [quantity.ref])[quantity.ref].to(self.dtype)
        return self._target.take(samples.tolist(), self.samples).score(quantity.prepared(value))

    def _quantity(self, graph: Graph) -> Quantity:
        target, output, objective = self._how
        if self._layer is not None:
            return of_layer(graph, self._layer, target)
        return of_output(graph, target, output, objective, self.samples)

    def _at(self, rows: Tensor, samples: Tensor) -> tuple[Graph, list[Tensor]]:
        """The graph for as many rows, and its inputs: these rows, and the others as the example has them."""
        names = iter(self._arguments.tensors())

        def chosen(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            if next(names) == self._name:
                return rows
            return leaf[samples] if leaf.shape[:1] == (self.samples,) else leaf

        arguments = self._arguments.map(chosen)
        if len(rows) not in self._graphs:
            # Captured anew only where the model fixes the size of the batch.
            graph = trace(self._model, *arguments.args, **arguments.kwargs)
            self._graphs[len(rows)] = graph.folded if self._layer is None else graph
        graph = self._graphs[len(rows)]
        return graph, graph.flatten(arguments.args, arguments.kwargs)

    def _sweep(self, function: Any, x: Tensor, samples: Tensor) -> Any:
        engine = self._engine.within()
        return engine.sweep(len(x), 1, function, device=x.device, footprint=self._footprint(x, samples))

    def _footprint(self, x: Tensor, samples: Tensor) -> Footprint:
        """About the memory that a row takes: all that a forward leaves for the way back."""
        if not hasattr(self, "_row"):
            graph, tensors = self._at(x[:1].to(self.example.dtype), samples[:1])
            sizes = graph.sizes(tensors)
            computed = [
                math.prod(size if isinstance(size, int) else size.evaluate(sizes) for size in info.shape)
                * info.dtype.itemsize
                for layer in graph.layers
                if not layer.constant and layer.kind.name not in ("RESHAPE", "SELECT")
                for info in layer.outputs
            ]
            self._row = Footprint(int(sum(computed)), int(max(computed)))
        return self._row
