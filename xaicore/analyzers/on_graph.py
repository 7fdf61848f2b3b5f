"""Evaluating a model on its graph: values and gradients, at the inputs or at an inner layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.analyzers.baselines import Baseline
from xaicore.analyzers.evaluation import Evaluation, Varied
from xaicore.analyzers.joint import footprint_of
from xaicore.analyzers.originals import Originals, own_tensors, starts_of
from xaicore.analyzers.passes import Passes, Plan
from xaicore.analyzers.propagation import PropagationAnalyzer
from xaicore.analyzers.sources import Sources
from xaicore.analyzers.targets import Target, resolve_target
from xaicore.engine import Block, Engine
from xaicore.errors import InputError, LayerError
from xaicore.graph import Graph, Ref, trace
from xaicore.graph.sizes import SizeExpression
from xaicore.propagation import Composite


class GraphEvaluation(Evaluation):
    """The explained value on the graph, from the inputs or an inner layer on, with its gradient.

    Integer inputs are varied at their embeddings. At an inner layer its output is varied, and what reaches the target
    by other ways (a skip connection around the layer) stays as the inputs make it.

    Parameters
    ----------
    model, inputs, target, output, layer
        As in `PropagationAnalyzer.analyze`.
    engine : Engine
    form : str
        The form of the graph, see `Graph.form`.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        layer: str | None = None,
        engine: Engine,
        form: str = "plain",
    ) -> None:
        prepared = engine.prepare(inputs, model)
        with engine.report.phase("prepare"):
            graph = trace(model, *prepared.args, **prepared.kwargs).form(form)
            self._originals = Originals(graph, prepared, own_tensors(inputs, prepared))
            tensors = graph.flatten(prepared.args, prepared.kwargs)
            starts = starts_of(graph, layer)
            self.layer = layer
            self.batch = prepared.batch
            self.device = tensors[0].device
            self._sources = Sources(graph, self._originals)
            self._open(graph, tensors, starts)
        with engine.report.phase("run"), engine.computing(self.device), torch.no_grad():
            outputs = self.graph.run(self._tensors)
        chosen = resolve_target(target, output)
        self._output = chosen.select(outputs)
        self.prediction = outputs[self._output].detach()
        self._check_batch()
        self.target = chosen.located(self.prediction)
        self.values = self.target.score(self.prediction).detach()
        self.notes = [*graph.notes, *self._originals.notes(layer)]
        ends = [self.graph.outputs[self._output]]
        self._matching = Composite(family="gradient").match(self.graph, starts=list(self.refs), ends=ends)
        self._analyzer = PropagationAnalyzer(model)

    def _open(self, graph: Graph, tensors: list[Tensor], starts: dict[str, tuple[Ref, ...]]) -> None:
        """Make the graph that begins where things are varied, and the values of its inputs."""
        refs = list(dict.fromkeys(ref for each in starts.values() for ref in each))
        with torch.no_grad():
            found = graph.values(tensors, refs)
        given = {layer.name: tensor for layer, tensor in zip(graph.inputs, tensors, strict=True)}
        self.graph = graph.opened(refs)
        self._names = [layer.name for layer in self.graph.inputs[: len(refs)]]
        self._places = {start: [refs.index(ref) for ref in each] for start, each in starts.items()}
        self.refs = {layer.ref: name for layer, name in zip(self.graph.inputs, self._names, strict=False)}
        self.varied = dict(zip(self._names, (found[ref].detach() for ref in refs), strict=True))
        others = [given[layer.name] for layer in self.graph.inputs[len(refs) :]]
        self._tensors = [*self.varied.values(), *others]
        self.footprint = footprint_of(self.graph, self._tensors, self.batch)
        self._fixed_batch = not any(
            isinstance(size, SizeExpression) for layer in self.graph.inputs for size in layer.outputs[0].shape[:1]
        )
        for name, tensor in self.varied.items():
            if tensor.shape[:1] != (self.batch,):
                raise LayerError(
                    f"'{name}' has shape {tuple(tensor.shape)} for {self.batch} samples: only tensors with the batch "
                    "in front can be varied sample by sample. Explain at another layer."
                )

    def _check_batch(self) -> None:
        if self.prediction.shape[:1] != (self.batch,):
            raise InputError(
                f"output '{self._output}' has shape {tuple(self.prediction.shape)} for inputs of {self.batch} samples: "
                "its first dimension, like that of the inputs, must be the batch"
            )

    # Rows

    def outputs(self, varied: Varied, block: Block) -> Tensor:
        with torch.no_grad():
            return torch.cat([self.graph.run(t)[self._output][:rows] for t, rows in self._calls(varied, block)])

    def gradients(self, varied: Varied, block: Block) -> tuple[Tensor, dict[str, Tensor]]:
        """The explained value of each row, (rows,), and its gradient with respect to each of ``varied``."""
        scores: list[Tensor] = []
        gradients: dict[str, list[Tensor]] = {name: [] for name in self.varied}
        for tensors, target, rows in self.runs(varied, block):
            plan = Plan(self._analyzer, target, self._output, self._matching)
            (walked,) = Passes(self.graph, [plan], list(self.refs), [], {}).run(tensors)
            scores.append(walked.scores.detach()[:rows])
            for ref, name in self.refs.items():
                found = walked.found[ref] if ref in walked.found else torch.zeros_like(tensors[self._names.index(name)])
                gradients[name].append(found[:rows])
        return _joined(scores), {name: _joined(each) for name, each in gradients.items()}

    @property
    def end(self) -> Ref:
        """The explained output of ``graph``."""
        return self.graph.outputs[self._output]

    def runs(self, varied: Varied, block: Block) -> Iterator[tuple[list[Tensor], Target, int]]:
        """The runs of ``graph`` that the rows of a block take, for methods with walks of their own.

        Each is one tensor for each of its inputs, the target of these rows, and how many of the rows count.
        """
        target, start = self.target_of(block), 0
        for tensors, rows in self._calls(varied, block):
            samples = [min(row, block.rows - 1) for row in range(start, start + len(tensors[0]))]
            yield tensors, target.take(samples, block.rows), rows
            start += rows

    def _calls(self, varied: Varied, block: Block) -> list[tuple[list[Tensor], int]]:
        """The inputs of each run of the graph, and how many of their rows count.

        One run with all rows; of a graph that was captured for one batch size, runs of that size, the last filled up.
        """
        rows = [varied[name].to(self.varied[name].dtype) for name in self._names]
        rows += [self._rows_of(tensor, block) for tensor in self._tensors[len(self._names) :]]
        if not self._fixed_batch:
            return [(rows, block.rows)]
        mine = [tensor.shape[:1] == (self.batch,) for tensor in self._tensors]
        calls = []
        for start in range(0, block.rows, self.batch):
            count = min(self.batch, block.rows - start)
            index = torch.arange(start, start + self.batch, device=self.device).clamp(max=block.rows - 1)
            calls.append(([t[index] if own else t for t, own in zip(rows, mine, strict=True)], count))
        return calls

    def _rows_of(self, tensor: Tensor, block: Block) -> Tensor:
        return block.repeat(tensor) if tensor.shape[:1] == (self.batch,) else tensor

    def baseline(self, baseline: Baseline, number: int = 0) -> dict[str, Tensor]:
        """Variant ``number`` of a baseline where things are varied: like ``varied``, (B, ...) or (1, ...) each.

        It is a baseline of the inputs. An integer input takes integers, from a `Given` or `Data`; any other baseline
        stands in place of its embedding. At an inner layer it is what the layer computes from that.
        """
        at_sources = self._sources.baseline(self.own(baseline), number)
        if self.layer is None:
            return dict(zip(self._names, at_sources, strict=True))
        return {self._names[0]: self._sources.carried(at_sources, self.layer)}

    # Results

    def as_input(self, relevance: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        found = {start: [relevance[self._names[place]] for place in places] for start, places in self._places.items()}
        if self.layer is not None:
            return found[self.layer][0]
        return self._originals.like(found)

    def at_inputs(self, relevance: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """What a method made for the inputs from something else that it varied, in the form in which it is returned.

        By the names of the graph's inputs, each of its shape (an integer input: one value an entry); others get zeros.
        """
        return self._originals.filled(relevance)

    def inputs(self) -> Tensor | dict[str, Tensor]:
        return self._originals.kept()


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
