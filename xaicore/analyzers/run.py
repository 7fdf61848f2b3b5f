"""One batch of inputs: one forward run, and one backward walk for each explanation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xaicore.analyzers.filters import make_filter
from xaicore.analyzers.jobs import Job, Options, Split
from xaicore.analyzers.originals import Originals, starts_of
from xaicore.analyzers.passes import Parting, Passes, Plan, Walked
from xaicore.analyzers.quantities import Function
from xaicore.analyzers.targets import Target
from xaicore.engine import Inputs
from xaicore.errors import InputError, LayerError
from xaicore.explanation import Diagnostics, Explanation
from xaicore.graph import Graph, Ref, trace
from xaicore.propagation import Composite

if TYPE_CHECKING:
    from xaicore.analyzers.propagation import PropagationAnalyzer


class Run:
    """One batch: one forward, one backward walk a job. Everything is matched before anything runs.

    ``like`` has the user's own tensors, whose type the results take.
    """

    def __init__(
        self,
        model: nn.Module,
        part: Inputs,
        composites: Sequence[Composite],
        options: Options,
        like: Mapping[str, Tensor],
    ) -> None:
        self.options = options
        self.composites = composites
        plain = trace(model, *part.args, **part.kwargs)
        # All jobs walk the form that the relevance among them asks for; the gradient alone keeps the plain one.
        self.graph = next((c.graph_of(plain) for c in composites if c.family == "relevance"), plain)
        self.tensors = self.graph.flatten(part.args, part.kwargs)
        self.sizes = self.graph.sizes(self.tensors)
        self.batch = part.batch
        self.originals = Originals(self.graph, part, like)
        self.starts = starts_of(self.graph, options.layer)
        self.recorded = self._in_order({name: self.graph.find_ref(name) for name in options.record})
        self.filters = self._filters(options.filter or {})
        self.parting = None if options.split is None else self._parting(options.split)

    def explain(self, jobs: Sequence[Job], targets: Sequence[Target]) -> list[list[Explanation]]:
        """Make the explanations of each job."""
        plans = [
            self._plan(job.analyzer, composite, target)
            for job, composite, target in zip(jobs, self.composites, targets, strict=True)
        ]
        passes = Passes(
            self.graph,
            plans,
            self._flat_starts(),
            list(self.recorded.values()),
            self.filters,
            self.options.ledger,
            self.options.create_graph,
            self.parting,
        )
        walks = self._compiled(passes) if self.options.compile else passes.run(self.tensors)
        flows = self._flows()
        return [
            [
                self._explanation(plan, walked, flow)
                for flow, walked in zip(flows, walks[number * len(flows) :], strict=False)
            ]
            for number, plan in enumerate(plans)
        ]

    def _compiled(self, passes: Passes) -> list[Walked]:
        from xaicore.analyzers.compiled import run_compiled  # imports much of torch that nothing else needs

        return run_compiled(passes, self.tensors, self.options)

    def _in_order(self, refs: Mapping[str, Ref]) -> dict[str, Ref]:
        """Named tensors from the inputs to the outputs: so they are read, whatever the order they were asked for."""
        place = {layer: number for number, layer in enumerate(self.graph.layers)}
        return dict(sorted(refs.items(), key=lambda pair: place[pair[1].layer]))

    def _filters(self, chosen: Mapping[str, Any]) -> dict[Ref, Callable[[Tensor], Tensor]]:
        found: dict[Ref, Callable[[Tensor], Tensor]] = {}
        for name, neurons in chosen.items():
            ref = self.graph.find_ref(name)
            if ref in found:
                raise LayerError(f"filter= names the tensor {ref!r} twice, again as '{name}': give one filter")
            found[ref] = make_filter(name, neurons, self._shape(ref))
        return found

    def _parting(self, split: Split) -> Parting:
        ref = self.graph.find_ref(split.layer)
        if ref in self.filters:
            raise LayerError(f"'{split.layer}' is filtered and split: combine the parts with the filter, as in a & b")
        return Parting(ref, [part.mask(self._shape(ref), split.layer) for part in split.parts])

    def _flows(self) -> list[str]:
        """What each walk of a job follows, in words; a single one needs none."""
        if self.options.split is None:
            return [""]
        layer, names = self.options.split.layer, self.options.split.names
        through = [f"the share that flows through {name} of '{layer}'" for name in names]
        return [*through, f"the share that flows through none of these parts of '{layer}': {', '.join(names)}"]

    def _flat_starts(self) -> list[Ref]:
        return list(dict.fromkeys(ref for refs in self.starts.values() for ref in refs))

    def _shape(self, ref: Ref) -> tuple[int, ...]:
        return tuple(size if isinstance(size, int) else size.evaluate(self.sizes) for size in ref.info.shape)

    def _plan(self, analyzer: PropagationAnalyzer, composite: Composite, target: Target) -> Plan:
        shapes = {
            name: torch.empty(self._shape(ref), dtype=ref.info.dtype, device="meta")
            for name, ref in self.graph.outputs.items()
        }
        name = target.select(shapes)
        end = self.graph.outputs[name]
        matching = composite.match(self.graph, starts=self._flat_starts(), ends=[end])
        if end.layer not in matching.matches and end not in matching.starts:
            raise InputError(
                f"output '{name}' does not depend on {', '.join(self.starts)} by operations that have a derivative "
                "(it may be cut off by detach(), torch.no_grad() or a conversion to integers)"
            )
        samples = shapes[name].shape[:1]
        if samples != (self.batch,):
            raise InputError(
                f"output '{name}' has shape {tuple(shapes[name].shape)} for inputs of {self.batch} samples: its first "
                f"dimension, like that of the inputs, must be the batch. For a model that is not batch-first, wrap it "
                "in a module that transposes both."
            )
        parted = [] if self.parting is None else [self.parting.ref]
        for ref in [*self.recorded.values(), *self.filters, *parted]:
            if ref.layer not in matching.matches and ref not in matching.starts:
                raise LayerError(f"'{ref!r}' does not lie between {', '.join(self.starts)} and the target")
        return Plan(analyzer, target, name, matching)

    def _explanation(self, plan: Plan, walked: Walked, flow: str) -> Explanation:
        analyzer, target, matching = plan.analyzer, plan.target, plan.matching
        analyzer.check_output(walked.output.detach(), target)
        output, found, end = walked.output, walked.found, self.graph.outputs[plan.output]
        readout = _Readout(analyzer, found, walked.values)
        relevance = self._by_input(readout)
        diagnostics = Diagnostics.measure(
            relevance,
            walked.scores,
            conserving=analyzer.family == "relevance" and not self.filters and not flow and self._conserves(end),
            fallbacks=[f"{match.layer.where()}: {match.description}" for match in matching.fallbacks],
            notes=[*([flow] if flow else self._unreached(found)), *self._notes(target), *walked.notes.read()],
            ledger=walked.ledger,
        )
        params = {key: value for key, value in analyzer.get_params().items() if key != "model"}
        return Explanation(
            relevance=relevance,
            prediction=output.detach(),
            target=target.describe(output.detach()),
            diagnostics=diagnostics,
            method=analyzer.method,
            parameters=params,
            inputs=self.originals.kept(),
            recorded={name: readout(ref) for name, ref in self.recorded.items()},
            layer=self.options.layer,
        )

    def _by_input(self, readout: Callable[[Ref], Tensor]) -> Tensor | dict[str, Tensor]:
        if self.options.layer is not None:
            ((ref,),) = self.starts.values()
            return readout(ref)
        return self.originals.like({name: [readout(ref) for ref in refs] for name, refs in self.starts.items()})

    def _conserves(self, end: Ref) -> bool:
        """Whether all that leads to the output passes the starts: at a layer beside a skip connection it does not."""
        if self.options.layer is None:
            return True
        starts = set(self._flat_starts())
        return end in starts or end.layer not in _without(self.graph, starts)

    def _notes(self, target: Target) -> list[str]:
        notes = list(self.graph.notes)
        if isinstance(target, Function) and any("softmax" in note for note in notes):
            notes.append("the target function was given these logits, not probabilities")
        return [*notes, *self.originals.notes(self.options.layer)]

    def _unreached(self, found: Mapping[Ref, Tensor]) -> list[str]:
        names = [name for name, refs in self.starts.items() if not any(ref in found for ref in refs)]
        return [f"nothing flows back to {', '.join(names)}: the target does not depend on it"] if names else []


def _without(graph: Graph, blocked: set[Ref]) -> set[Any]:
    """The layers that an input reaches without passing the blocked tensors."""
    reached: set[Any] = set()
    for layer in graph.layers:
        if layer.constant:
            continue
        if layer in graph.inputs or any(ref.layer in reached and ref not in blocked for ref in layer.inputs):
            reached.add(layer)
    return reached


class _Readout:
    """What the method returns at a tensor, from what arrived there; zeros where nothing did."""

    def __init__(
        self, analyzer: PropagationAnalyzer, found: Mapping[Ref, Tensor], values: Mapping[Ref, Tensor]
    ) -> None:
        self.analyzer, self.found, self.values = analyzer, found, values

    def __call__(self, ref: Ref) -> Tensor:
        value = self.values[ref]
        arrived = self.found[ref] if ref in self.found else torch.zeros_like(value)
        return self.analyzer.readout(arrived, value)
