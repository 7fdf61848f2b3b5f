"""Several explanations of the same inputs from one forward pass: the one way propagation analyzers run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.analyzers.jobs import Job, Options
from xaicore.analyzers.originals import own_tensors
from xaicore.analyzers.run import Run
from xaicore.analyzers.targets import Target, resolve_target
from xaicore.engine import Engine, Footprint, Inputs
from xaicore.errors import CaptureError, InputError
from xaicore.explanation import Explanation
from xaicore.graph import Graph, trace
from xaicore.graph.footprint import bytes_computed
from xaicore.graph.trace import one_at_a_time
from xaicore.propagation import Composite

_ENOUGH_TO_TRACE = 32


@dataclass(frozen=True)
class _Targets:
    """The targets of all jobs, split together."""

    each: tuple[Target, ...]

    def chunk(self, start: int, stop: int, total: int) -> _Targets:
        return _Targets(tuple(target.chunk(start, stop, total) for target in self.each))


def explain_jointly(
    model: nn.Module, inputs: Any, jobs: Sequence[Job], options: Options, engine: Engine
) -> list[Explanation]:
    """Run the jobs on shared tapes, batch by batch; one explanation a job, or one for each part of its split."""
    # Tensors made in inference mode leave no record; the caller's mode is not ours.
    options = replace(options, compile=options.compile or engine.compile)
    with torch.inference_mode(False), one_at_a_time:
        return _explain_jointly(model, inputs, jobs, options, engine)


def _explain_jointly(
    model: nn.Module, inputs: Any, jobs: Sequence[Job], options: Options, engine: Engine
) -> list[Explanation]:
    prepared = engine.prepare(inputs, model, tracked=options.create_graph)
    like = own_tensors(inputs, prepared)
    composites = [job.analyzer.build_composite().with_fallback(options.fallback) for job in jobs]
    targets = _Targets(tuple(resolve_target(job.target, options.output) for job in jobs))

    groups = _groups(composites, options)
    with engine.report.phase("prepare"):
        shared = _shared(model, prepared, options)
    _check_divisible(prepared.batch, shared, engine)

    def run(part: Inputs, part_targets: _Targets) -> list[Explanation]:
        found: dict[int, list[Explanation]] = {}
        for group in groups:
            one_run = Run(model, part, [composites[number] for number in group], options, like)
            made = one_run.explain([jobs[n] for n in group], [part_targets.each[n] for n in group])
            found.update(zip(group, made, strict=True))
        return [explanation for number in range(len(jobs)) for explanation in found[number]]

    with engine.report.phase("prepare"):
        footprint = footprint_of_a_sample(model, prepared, composites) if engine.batch_size == "auto" else None
    chunks = engine.run(run, prepared, targets, footprint=footprint, divisible=shared is None)
    return [Explanation.concat(parts) if len(parts) > 1 else parts[0] for parts in map(list, zip(*chunks, strict=True))]


def _groups(composites: Sequence[Composite], options: Options) -> list[list[int]]:
    """Which jobs share a forward: those that work on the same form of the graph.

    A gradient is the same in every form and joins the others, unless inner layers are named, whose values are not.
    """
    forms = [composite.batch_norm for composite in composites if composite.family == "relevance"]
    inner = options.layer is not None or options.record or options.filter or options.split
    of_gradients = "plain" if inner or not forms else forms[0]
    groups: dict[str, list[int]] = {}
    for number, composite in enumerate(composites):
        form = composite.batch_norm if composite.family == "relevance" else of_gradients
        groups.setdefault(form, []).append(number)
    return list(groups.values())


def footprint_of_a_sample(model: nn.Module, prepared: Inputs, composites: Sequence[Composite]) -> Footprint:
    """About how much memory one sample takes, from the shapes of the graph."""
    graph, some = _graph_of_some(model, prepared)
    graph = next((c.graph_of(graph) for c in composites if c.family == "relevance"), graph)
    return footprint_of(graph, graph.flatten(some.args, some.kwargs), some.batch)


def _graph_of_some(model: nn.Module, prepared: Inputs) -> tuple[Graph, Inputs]:
    """The graph, captured with some of the samples where that can be: a large batch would be run to verify it."""
    if prepared.batch > _ENOUGH_TO_TRACE:
        some = prepared.slice(0, _ENOUGH_TO_TRACE)
        with contextlib.suppress(CaptureError, InputError):  # the model may take this many samples only
            return trace(model, *some.args, **some.kwargs), some
    return trace(model, *prepared.args, **prepared.kwargs), prepared


def footprint_of(graph: Graph, tensors: Sequence[Tensor], batch: int) -> Footprint:
    """About how much memory a sample takes in a graph that is given these tensors, which hold ``batch`` of them."""
    total, largest = bytes_computed(graph, graph.sizes(tensors))
    return Footprint(-(-total // batch), -(-largest // batch))


def _check_divisible(batch: int, shared: tuple[str, Tensor] | None, engine: Engine) -> None:
    """Refuse a batch size that the inputs cannot be split into."""
    size = engine.batch_size
    if shared is None or not isinstance(size, int) or size >= batch:
        return
    name, tensor = shared
    raise InputError(
        f"input '{name}' of shape {tuple(tensor.shape)} does not have the batch of {batch} in front, so that the "
        "relevance of separate batches cannot be joined. Leave batch_size= out."
    )


def _shared(model: nn.Module, prepared: Inputs, options: Options) -> tuple[str, Tensor] | None:
    """An explained input that belongs to all samples together: the relevance of batches of it could not be joined."""
    tensors = prepared.tensors()
    if options.layer is not None or all(tensor.shape[:1] == (prepared.batch,) for tensor in tensors.values()):
        return None
    graph = trace(model, *prepared.args, **prepared.kwargs)
    given = graph.flatten(prepared.args, prepared.kwargs)
    explained = ((i.name, tensor) for i, tensor in zip(graph.inputs, given, strict=True) if i.name in graph.sources)
    return next(((name, tensor) for name, tensor in explained if tensor.shape[:1] != (prepared.batch,)), None)
