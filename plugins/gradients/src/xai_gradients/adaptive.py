"""Integrating along paths with as many gradients as each sample needs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xai_gradients.lines import Lines, in_groups
from xai_gradients.paths import Paths, add_to, along, start_of, wide
from xai_gradients.quadrature import Quadrature
from xai_gradients.refinement import Refinement
from xaicore.analyzers import Attribution
from xaicore.engine import Block, Engine

_ROWS_A_ROUND = 9


@dataclass
class _Found:
    """The results of a group of samples: sums over the variants of the baseline, in the order of the samples."""

    totals: dict[str, Tensor]
    reference: Tensor
    steps: Tensor
    missed: Tensor

    @classmethod
    def nothing(cls, paths: Paths, block: Block) -> _Found:
        varied, device = paths.evaluation.varied, paths.evaluation.device
        return cls(
            totals={name: torch.zeros_like(block.of(x), dtype=wide(x)) for name, x in varied.items()},
            reference=torch.zeros(block.samples, dtype=torch.float64, device=device),
            steps=torch.zeros(block.samples, dtype=torch.long, device=device),
            missed=torch.zeros(block.samples, dtype=torch.bool, device=device),
        )

    def put(self, block: Block, found: _Found) -> None:
        """Take what was found for the samples of a block."""
        add_to(self.totals, block, found.totals)
        for name in ("reference", "steps", "missed"):
            block.of(getattr(self, name)).copy_(getattr(found, name))


def integrate_within(paths: Paths, engine: Engine, rule: Quadrature, *, tolerance: float, most: int) -> Attribution:
    """The integrals of the gradient times the differences, each path as fine as it must be.

    Samples go in groups, and a group goes through rounds: each round takes the gradients that are wanted on any path
    of the group, in one sweep. The gradients of a group are kept until it is done, since what each counts for may
    change with every round.

    Parameters
    ----------
    paths : Paths
    rule : Quadrature
        For one piece of a path.
    tolerance : float
        Largest completeness gap of a sample.
    most : int
        Most gradients a path.
    """
    evaluation = paths.evaluation
    whole = _Found.nothing(paths, Block(0, evaluation.batch, 0, 1))

    def run(block: Block, inner: Engine) -> _Found:
        return _integrate_group(paths, inner, block, rule, tolerance, most)

    sweep = in_groups(evaluation, engine, _ROWS_A_ROUND, run)
    for block, found in sweep:
        whole.put(block, found)
    note = (
        f"the tolerance {tolerance:g} was not reached by some samples within max_steps={most} gradients a path, as "
        "diagnostics.conservation_gap shows: raise one of the two"
    )
    return Attribution(
        relevance={
            name: (total / paths.count).to(evaluation.varied[name].dtype) for name, total in whole.totals.items()
        },
        reference=whole.reference.to(wide(evaluation.values)),
        conserving=True,
        recorded={"steps": whole.steps},
        notes=[note] if bool(whole.missed.any()) else [],
        finished=sweep.finished,
    )


def _integrate_group(
    paths: Paths, engine: Engine, block: Block, rule: Quadrature, tolerance: float, most: int
) -> _Found:
    evaluation = paths.evaluation
    found = _Found.nothing(paths, block)
    at_starts = _at_starts(paths, engine, block)
    stops = block.of(evaluation.values).double().cpu()
    differences = stops - at_starts.mean(1)
    found.reference.copy_(at_starts.mean(1))
    for number in range(paths.count):
        refinements = [
            Refinement(
                rule,
                start,
                stop,
                tolerance=tolerance,
                difference=difference,
                resolution=torch.finfo(evaluation.values.dtype).eps,
                most=most,
            )
            for start, stop, difference in zip(
                at_starts[:, number].tolist(), stops.tolist(), differences.tolist(), strict=True
            )
        ]
        start = {name: start_of(each, block) for name, each in paths.start(number).items()}
        stop_at = {name: block.of(x) for name, x in evaluation.varied.items()}
        _refine(Lines(evaluation, engine, block, start, stop_at), refinements, found)
    return found


def _at_starts(paths: Paths, engine: Engine, block: Block) -> Tensor:
    """The explained values at the variants of the baseline: (samples, variants), on the CPU."""
    evaluation = paths.evaluation
    values = torch.zeros(block.samples, paths.count, dtype=torch.float64)

    def run(part: Block) -> Tensor:
        shifted = Block(block.start + part.start, block.start + part.stop, part.first, part.last)
        return part.grid(evaluation.scores(paths.starts(shifted), shifted))

    sweep = engine.sweep(block.samples, paths.count, run, device=evaluation.device, footprint=evaluation.footprint)
    for part, scores in sweep:
        values[part.start : part.stop, part.first : part.last] = scores.double().cpu()
    return values


def _refine(lines: Lines, refinements: list[Refinement], found: _Found) -> None:
    """Take gradients on the lines until nothing is wanted, and add the integrals to what was found."""
    taken: list[tuple[list[int], list[float], dict[str, Tensor]]] = []
    while wanted := [(sample, at) for sample, each in enumerate(refinements) for at in each.wanted()]:
        samples, positions = [sample for sample, _ in wanted], [at for _, at in wanted]
        scores, slopes, gradients = lines.gradients(samples, positions)
        taken.append((samples, positions, gradients))
        learnt: dict[int, dict[float, tuple[float, float]]] = {}
        for sample, at, score, slope in zip(samples, positions, scores, slopes, strict=True):
            learnt.setdefault(sample, {})[at] = (score, slope)
        for sample, here in learnt.items():
            refinements[sample].learn(here)
    weights = [each.weights() for each in refinements]
    integrals = {name: torch.zeros_like(total) for name, total in found.totals.items()}
    for samples, positions, gradients in taken:
        index = torch.tensor(samples, device=found.steps.device)
        found.steps.index_add_(0, index, torch.ones_like(index))
        counts = [weights[sample].get(at, 0.0) for sample, at in zip(samples, positions, strict=True)]
        for name, gradient in gradients.items():
            integrals[name].index_add_(0, index, gradient.mul_(along(counts, gradient, dim=0)))
    for name, total in found.totals.items():
        total.addcmul_(integrals[name], lines.difference[name])
    found.missed |= torch.tensor([not each.met for each in refinements], device=found.missed.device)
