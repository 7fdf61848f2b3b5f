"""Pairs of a sample and a reference: one forward of each, one walk back."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_gradients.deeplift.differences import difference, wide
from xai_gradients.deeplift.integrated import seed_between
from xai_gradients.deeplift.reference import Reference, is_shareable
from xai_gradients.deeplift.reveal_cancel import nonlinearities_by_rescale
from xai_gradients.deeplift.rules import composite_of
from xaicore.analyzers import GraphEvaluation
from xaicore.analyzers.baselines import Baseline
from xaicore.engine import Block
from xaicore.propagation import Matching, Notes, Tape, walk


class Pairs:
    """Samples and references of one evaluation.

    Parameters
    ----------
    evaluation : GraphEvaluation
    baseline : Baseline
        The references.
    rule : str
        See `DeepLift`.
    """

    def __init__(self, evaluation: GraphEvaluation, baseline: Baseline, rule: str) -> None:
        self.evaluation, self.baseline, self.rule = evaluation, baseline, rule
        self._told: list[str] = []
        graph = evaluation.graph
        self._starts = list(evaluation.refs)
        self._reference = Reference(graph, self._starts)
        self._matching = composite_of(rule, self._reference).match(graph, starts=self._starts, ends=[evaluation.end])
        others = len(graph.inputs) > len(self._starts)
        self._shareable = not others and is_shareable(graph, self._matching)

    def run(self, block: Block) -> tuple[dict[str, Tensor], Tensor]:
        """Relevance of each row of a block, (rows, ...) by name, and the explained value at its reference, (rows,)."""
        evaluation = self.evaluation
        at = {name: block.repeat(x) for name, x in evaluation.varied.items()}
        shared, references = self._references(block)
        if shared:
            runs = [(*next(iter(evaluation.runs(at, block))), [references[name] for name in evaluation.varied])]
        else:
            others = evaluation.runs(references, block)
            runs = [(*run, other[0]) for run, other in zip(evaluation.runs(at, block), others, strict=True)]
        found: dict[str, list[Tensor]] = {name: [] for name in evaluation.varied}
        values: list[Tensor] = []
        graph, end, reference = evaluation.graph, evaluation.end, self._reference
        for tensors, target, rows, beside in runs:
            y0 = reference.run(beside, self._matching, end, graph.sizes(tensors))
            if shared:
                copies = len(tensors[0]) // len(beside[0])
                reference.repeat(copies)
                y0 = y0.repeat(copies, *[1] * (y0.ndim - 1))
            tape = Tape(graph, tensors, starts=self._starts, needs=self._matching.needs)
            seed, at_reference = seed_between(target, tape.value(end).detach(), y0)
            notes = Notes()
            multipliers = walk(tape, {end: seed}, self._matching, notes=notes, free=True)
            self._told += notes.read()
            values.append(at_reference[:rows])
            for (ref, name), x, x0 in zip(evaluation.refs.items(), tensors, beside, strict=False):
                change = difference(x, x0 if len(x0) == len(x) else x0.repeat(len(x) // len(x0), *[1] * (x.ndim - 1)))
                m = multipliers.get(ref)
                found[name].append((torch.zeros_like(change) if m is None else wide(m) * change)[:rows])
        return {name: torch.cat(each) for name, each in found.items()}, torch.cat(values)

    def notes(self) -> list[str]:
        """What the user should know."""
        told = list(dict.fromkeys(self._told))
        if self.rule == "reveal_cancel":
            matching: Matching = self._matching
            by_rescale = nonlinearities_by_rescale(matching.graph, list(matching.matches), self._starts)
            if by_rescale:
                shown = ", ".join(by_rescale[:5]) + (", ..." if len(by_rescale) > 5 else "")
                told.append(
                    f"RevealCancel gave way to Rescale at {len(by_rescale)} nonlinearities that no convolution, linear "
                    f"layer or sum alone feeds: {shown}"
                )
        return told

    def _references(self, block: Block) -> tuple[bool, dict[str, Tensor]]:
        """The references of a block: one a row, or, where they can be shared by all samples, one a step."""
        evaluation = self.evaluation
        steps = [evaluation.baseline(self.baseline, step) for step in block.steps]
        each = {name: [step[name] for step in steps] for name in evaluation.varied}
        if self._shareable and block.samples > 1 and all(len(x) == 1 for xs in each.values() for x in xs):
            return True, {name: torch.cat(xs) for name, xs in each.items()}

        def rows(xs: list[Tensor]) -> Tensor:
            mine = [block.of(x) if len(x) == evaluation.batch else x.expand(block.samples, *x.shape[1:]) for x in xs]
            return torch.stack(mine, 1).flatten(0, 1)

        return False, {name: rows(xs) for name, xs in each.items()}
