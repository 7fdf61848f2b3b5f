"""One forward and the backward walks over it, from tensors to tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xaicore.analyzers.targets import Target
from xaicore.graph import Graph, Layer, Ref
from xaicore.graph.autocast import autocast_state
from xaicore.graph.constants import Constants
from xaicore.propagation import Ledger, Matching, Notes, Tape, walk
from xaicore.propagation.overwriting import relus_in_place

if TYPE_CHECKING:
    from xaicore.analyzers.propagation import PropagationAnalyzer

Filter = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Plan:
    """One job on this batch: which output it explains, and who handles which layer on the way to it."""

    analyzer: PropagationAnalyzer
    target: Target
    output: str
    matching: Matching


@dataclass(frozen=True)
class Walked:
    """What one walk found."""

    output: Tensor
    scores: Tensor
    found: dict[Ref, Tensor]  # what arrived at the starts and at the recorded tensors
    values: dict[Ref, Tensor]  # the forward values there
    notes: Notes
    ledger: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Parting:
    """A tensor whose relevance is split; each mask broadcasts to it and is true at the neurons of one part."""

    ref: Ref
    masks: Sequence[Tensor]

    def rest(self) -> Tensor:
        """True at the neurons of no part."""
        return ~functools.reduce(torch.logical_or, self.masks)


@dataclass(frozen=True)
class Passes:
    """A forward and one walk a plan, ready to run on inputs of one shape.

    ``recorded`` are the tensors beside the starts at which to keep what arrives. With a ``parting`` there are several
    walks a plan: one from each part of a tensor, and one for all that flows through none of them.
    """

    graph: Graph
    plans: Sequence[Plan]
    starts: Sequence[Ref]
    recorded: Sequence[Ref]
    filters: Mapping[Ref, Filter]
    ledger: bool = False
    create_graph: bool = False
    parting: Parting | None = None

    def run(self, tensors: Sequence[Tensor], constants: Constants | None = None) -> list[Walked]:
        """Run them on one tensor for each input of the graph."""
        tape = Tape(
            self.graph,
            tensors,
            create_graph=self.create_graph,
            starts=self.starts,
            needs=self._needs,
            differentiates=self._differentiates,
            in_place=self._in_place(),
            constants=constants,
        )
        return [walked for plan in self.plans for walked in self._walks(plan, tape, last=plan is self.plans[-1])]

    def _is_factored(self, plan: Plan) -> bool:
        """Whether relevance is propagated in two factors; books are kept of relevance itself, and so are halves."""
        exact = plan.analyzer.family == "relevance" and not self.ledger and not self.create_graph
        return exact and self._is_wide

    @functools.cached_property
    def _is_wide(self) -> bool:
        """Whether all numbers have 32 bits or more: in fewer, rules choose their types themselves."""
        types = {info.dtype for layer in self.graph.layers for info in layer.outputs if info.differentiable}
        return not autocast_state() and all(dtype.itemsize >= 4 for dtype in types)

    def _needs(self, layer: Layer) -> set[str]:
        needed = {value for plan in self.plans for value in plan.matching.needs(layer)}
        outputs = any(ref.layer is layer for ref in self.recorded) or any(map(self._is_factored, self.plans))
        return needed | ({"ys"} if outputs else set())

    def _differentiates(self, layer: Layer) -> bool:
        return any(plan.matching.differentiates(layer) for plan in self.plans)

    def _in_place(self) -> Collection[Layer]:
        if self.create_graph:
            return ()
        named = [*self.recorded, *self.filters] + ([] if self.parting is None else [self.parting.ref])
        return relus_in_place(self.graph, [(plan.matching, self._is_factored(plan)) for plan in self.plans], named)

    def _walks(self, plan: Plan, tape: Tape, *, last: bool) -> list[Walked]:
        output = tape.outputs[plan.output]
        with torch.set_grad_enabled(self.create_graph):
            scores, gradient = plan.target.gradient(output, create_graph=self.create_graph)
            seed = plan.analyzer.seed(output, gradient)
        values = {ref: tape.value(ref) for ref in self.starts}
        values |= {ref: self._value(tape, ref) for ref in self.recorded}

        def go(seeds: Mapping[Ref, Tensor], filters: Mapping[Ref, Filter], free: bool) -> Walked:
            ledger, notes = Ledger() if self.ledger else None, Notes()
            found = walk(
                tape,
                seeds,
                plan.matching,
                wanted=self.recorded,
                filters=filters,
                ledger=ledger,
                notes=notes,
                free=free and not self.create_graph,
                factored=self._is_factored(plan),
            )
            return Walked(output, scores, found, values, notes, None if ledger is None else ledger.rows())

        seeds = {self.graph.outputs[plan.output]: seed}
        if self.parting is None:
            return [go(seeds, self.filters, last)]
        return self._parted(self.parting, seeds, go)

    def _parted(
        self,
        parting: Parting,
        seeds: Mapping[Ref, Tensor],
        go: Callable[[Mapping[Ref, Tensor], Mapping[Ref, Filter], bool], Walked],
    ) -> list[Walked]:
        """One walk past all parts, which tells what arrives there; then one from each part on."""
        at_parts: dict[Ref, Tensor] = {}

        def stop(arrived: Tensor) -> Tensor:
            at_parts[parting.ref] = arrived
            return arrived * parting.rest().to(arrived.device)

        beside = go(seeds, {**self.filters, parting.ref: stop}, False)
        through = [
            go({ref: arrived * mask.to(arrived.device) for ref, arrived in at_parts.items()}, self.filters, False)
            for mask in parting.masks
        ]
        return [*through, beside]

    def _value(self, tape: Tape, ref: Ref) -> Tensor:
        """The forward value at an inner layer: an output of its record."""
        record = tape.records.get(ref.layer)
        value: Tensor = record.ys[ref.index] if record is not None else tape.value(ref)
        return value if self.create_graph else value.detach()
