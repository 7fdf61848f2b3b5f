"""Integrated gradients: the gradient along the path from a baseline to the input, times the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from xai_gradients.adaptive import integrate_within
from xai_gradients.paths import Paths, add_to, along, between, start_of, weighted_sum, wide
from xai_gradients.quadrature import Quadrature, check_rule, piece_rule, quadrature
from xaicore.analyzers import Attribution, ExpansionAnalyzer, GraphEvaluation
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError

_LEAST_MAX_STEPS = 16


class Integrated(ExpansionAnalyzer):
    """Integrated gradients (Sundararajan, Taly and Yan 2017, equations 1 and 3).

    The gradient is integrated along the straight line from a baseline to the input, and multiplied by the difference
    of the two. Relevance sums to the difference of the explained value at the input and at the baseline
    (completeness); what is missing is the error of the integral, ``explanation.diagnostics.conservation_gap``.

    Parameters
    ----------
    steps : int
        How many gradients a path. Not used with a tolerance.
    baseline : number, list, word, Tensor, array, mapping, or Baseline
        Where paths start, in the space of the inputs: a number; one a channel; ``"mean"``, ``"low"``, ``"high"``,
        ``"blur"`` or ``"uniform"``; a tensor; or one of ``xaicore.baselines``. Relevance is the mean over the variants
        of a baseline that has several (noise, samples of data), each with a path of its own.
    rule : {'gauss_legendre', 'trapezoid', 'midpoint', 'simpson'}, optional
        How gradients are taken along a path. Default: ``'gauss_legendre'``, and with a tolerance ``'simpson'``, which
        reuses all its gradients when the path is divided further.
    tolerance : float, optional
        Take as many gradients as each sample needs, instead of the same number for all: pieces of the path are halved
        where the integral is wrong, until the errors of all pieces together, and so the completeness gap, are below
        this part of the difference of the explained values at the input and the baseline. Where that difference is less
        than a hundredth of the range of values met on the path, errors are measured against this hundredth. No integral
        is made finer than the model's own rounding. It bounds the error of the sum; that of single values may be
        larger. ``explanation.recorded["steps"]`` tells the number of gradients taken, (B,).
    max_steps : int
        With a tolerance: the most gradients a path. A note says where they were too few.

    References
    ----------
    Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks". Averages over several baselines:
    Sturmfels, Lundberg and Lee 2020, "Visualizing the impact of feature attribution baselines".
    """

    family = "gradient"
    needs_gradient = True

    def __init__(
        self,
        model: nn.Module,
        *,
        steps: int = 50,
        baseline: Any = 0.0,
        rule: str | None = None,
        tolerance: float | None = None,
        max_steps: int = 500,
    ) -> None:
        super().__init__(model)
        self.steps, self.baseline, self.rule = steps, baseline, rule
        self.tolerance, self.max_steps = tolerance, max_steps
        resolve_baseline(baseline)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ParameterError(f"steps={steps!r} must be a positive integer: the number of gradients a path")
        if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < _LEAST_MAX_STEPS:
            raise ParameterError(f"max_steps={max_steps!r} must be an integer of at least {_LEAST_MAX_STEPS}")
        if tolerance is None:
            quadrature(rule or "gauss_legendre", steps)
        elif isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
            raise ParameterError(
                f"tolerance={tolerance!r} must lie between 0 and 1: 0.01 lets 1 % of the difference be missing"
            )
        if rule is not None:
            check_rule(rule)

    def attribute(self, evaluation: GraphEvaluation, engine: Engine) -> Attribution:
        """Integrate along the paths of each sample."""
        paths = Paths(evaluation, resolve_baseline(self.baseline))
        if self.tolerance is not None:
            rule = piece_rule(self.rule or "simpson")
            return integrate_within(paths, engine, rule, tolerance=self.tolerance, most=self.max_steps)
        return _integrate(paths, engine, quadrature(self.rule or "gauss_legendre", self.steps))


def _integrate(paths: Paths, engine: Engine, rule: Quadrature) -> Attribution:
    """The same nodes for all samples: the steps of the sweep are the nodes of all variants of the baseline."""
    evaluation, nodes = paths.evaluation, len(rule.nodes)
    totals = {name: torch.zeros_like(x, dtype=wide(x)) for name, x in evaluation.varied.items()}
    reference = torch.zeros_like(evaluation.values, dtype=torch.float64)

    def run(block: Block) -> tuple[dict[str, Tensor], Tensor]:
        parts = list(_parts(block, nodes))
        rows = {name: _points(paths, name, block, parts, rule) for name in evaluation.varied}
        _, gradients = evaluation.gradients(rows, block)
        found = {name: torch.zeros_like(block.of(total)) for name, total in totals.items()}
        for number, steps, at in parts:
            weights = torch.tensor(rule.weights[at], dtype=torch.float64)
            for name, gradient in gradients.items():
                integral = weighted_sum(weights, block.grid(gradient)[:, steps])
                found[name].addcmul_(integral, paths.difference(name, number, block))
        return found, _at_starts(paths, block, [number for number, _, at in parts if at.start == 0])

    sweep = engine.sweep(
        evaluation.batch, nodes * paths.count, run, device=evaluation.device, footprint=evaluation.footprint
    )
    for block, (found, scores) in sweep:
        add_to(totals, block, found)
        block.of(reference).add_(scores)
    return Attribution(
        relevance={name: (total / paths.count).to(evaluation.varied[name].dtype) for name, total in totals.items()},
        reference=(reference / paths.count).to(wide(evaluation.values)),
        conserving=True,
        finished=sweep.finished,
    )


def _parts(block: Block, nodes: int) -> Iterator[tuple[int, slice, slice]]:
    """The variants in a block: their numbers, their steps counted in the block, and the nodes these are."""
    for number in range(block.first // nodes, -(-block.last // nodes)):
        first, last = max(block.first, number * nodes), min(block.last, (number + 1) * nodes)
        yield (
            number,
            slice(first - block.first, last - block.first),
            slice(first - number * nodes, last - number * nodes),
        )


def _points(paths: Paths, name: str, block: Block, parts: list[tuple[int, slice, slice]], rule: Quadrature) -> Tensor:
    """The points of the paths that are in a block, as rows."""
    stop = block.cross(paths.evaluation.varied[name])
    grids = []
    for number, _, at in parts:
        start = start_of(paths.start(number)[name], block).unsqueeze(1)
        grids.append(between(start, stop, along(rule.nodes[at], stop, dim=1)))
    return (grids[0] if len(grids) == 1 else torch.cat(grids, 1)).flatten(0, 1)


def _at_starts(paths: Paths, block: Block, numbers: list[int]) -> Tensor:
    """The sum of the explained values at these variants of the baseline, which follow each other: (samples,)."""
    if not numbers:
        return torch.zeros(block.samples, dtype=torch.float64, device=paths.evaluation.device)
    ends = Block(block.start, block.stop, numbers[0], numbers[-1] + 1)
    scores = paths.evaluation.scores(paths.starts(ends), ends)
    return ends.grid(scores).sum(1, dtype=torch.float64)
