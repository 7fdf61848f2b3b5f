"""Simple Taylor decomposition: the first-order terms of the expansion at a root near the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xai_gradients.lines import Lines, in_groups
from xai_gradients.paths import Paths, add_to, along, start_of, wide
from xai_gradients.roots import nearest_roots
from xaicore.analyzers import Attribution, ExpansionAnalyzer, GraphEvaluation
from xaicore.analyzers.baselines import Baseline, resolve_baseline
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError, nearest

_SEARCHES = ("segment", "line_search")
_REMAINDER = (
    "relevance is the linear part of an expansion at a root: explained - reference - relevance_sum is what the terms "
    "of higher order take"
)
_NO_ROOT = (
    "no root was found for some samples: they are expanded at the point searched where the explained value is nearest "
    "to zero, as diagnostics.reference shows"
)


class Taylor(ExpansionAnalyzer):
    """Simple Taylor decomposition (Bach et al. 2015, section 2.3; Montavon et al. 2018, section 4.1).

    The explained value is expanded to first order at a root point, where it is zero: relevance is the gradient at the
    root times the difference of input and root. It sums to the explained value up to the terms of higher order, which
    can be large: no conservation is promised. ``explanation.diagnostics.reference`` is the explained value at the
    root, of about zero where one was found.

    Parameters
    ----------
    root : {'segment', 'line_search'}, number, list, word, Tensor, array, mapping, or Baseline
        Where to expand. ``'segment'``: the root nearest to the input on the straight line from there to ``baseline``.
        ``'line_search'``: the nearest one in the direction in which the gradient at the input says that the value
        goes to zero. Anything else is the point itself, given as a baseline (``"zero"``, a number, a tensor, ...);
        nobody makes it a root.
    baseline : number, list, word, Tensor, array, mapping, or Baseline
        The other end of the segment.
    reach : float
        How far a line search goes, as a multiple of the way to where a linear model would be zero.
    points : int
        At how many points of the line to look for a change of sign; a root between two of them is then found by
        bisection. A change of sign and back between two points is not seen.
    tolerance : float
        A point is a root where the explained value is below this part of that at the input. The root is approached
        from the side of the input, so that the expansion is that of the part of a piecewise linear model next to it.

    Notes
    -----
    A sample without a root on its line is expanded at the point of the line, other than the input, where the explained
    value is nearest to zero, and a note says so. Where the gradient at the input is zero, a line search goes nowhere,
    and relevance is zero.
    """

    family = "gradient"
    needs_gradient = True

    def __init__(
        self,
        model: nn.Module,
        *,
        root: Any = "segment",
        baseline: Any = 0.0,
        reach: float = 10.0,
        points: int = 20,
        tolerance: float = 0.001,
    ) -> None:
        super().__init__(model)
        self.root, self.baseline, self.reach, self.points, self.tolerance = root, baseline, reach, points, tolerance
        variants = resolve_baseline(baseline).count
        if not _is_search(root):
            _resolve_root(root)
        elif root == "segment" and variants > 1:
            raise ParameterError(f"baseline={baseline!r} has {variants} variants; the end of a segment is one")
        if isinstance(points, bool) or not isinstance(points, int) or points < 1:
            raise ParameterError(f"points={points!r} must be a positive integer: the points of a line to look at")
        for name, value in (("reach", reach), ("tolerance", tolerance)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ParameterError(f"{name}={value!r} must be a positive number")

    def attribute(self, evaluation: GraphEvaluation, engine: Engine) -> Attribution:
        """Find the roots and expand there."""
        paths = Paths(evaluation, resolve_baseline(self.baseline if _is_search(self.root) else self.root))
        totals = {name: torch.zeros_like(x, dtype=wide(x)) for name, x in evaluation.varied.items()}
        reference = torch.zeros_like(evaluation.values, dtype=torch.float64)
        found = torch.ones(evaluation.batch, dtype=torch.bool)

        def run(block: Block, inner: Engine) -> _Expansion:
            if not _is_search(self.root):
                return _expand_at_starts(paths, inner, block)
            return self._expand_at_roots(self._line(paths, inner, block))

        sweep = in_groups(evaluation, engine, self.points if _is_search(self.root) else 1, run)
        for block, expansion in sweep:
            add_to(totals, block, expansion.totals)
            block.of(reference).copy_(expansion.reference)
            block.of(found).copy_(expansion.found)
        return Attribution(
            relevance={name: total.to(evaluation.varied[name].dtype) for name, total in totals.items()},
            reference=reference.to(wide(evaluation.values)),
            notes=[_REMAINDER] if bool(found.all()) else [_REMAINDER, _NO_ROOT],
            finished=sweep.finished,
        )

    def _line(self, paths: Paths, engine: Engine, block: Block) -> Lines:
        """From the samples to where the search ends."""
        evaluation = paths.evaluation
        start = {name: block.of(x) for name, x in evaluation.varied.items()}
        if self.root == "segment":
            stop = {name: start_of(each, block) for name, each in paths.start(0).items()}
            return Lines(evaluation, engine, block, start, stop)
        samples = range(block.samples)
        here = Lines(evaluation, engine, block, start, start)
        scores, _, gradients = here.gradients(samples, [0.0] * block.samples)
        squares = sum(each.reshape(len(each), -1).square().sum(1, dtype=torch.float64) for each in gradients.values())
        ways = torch.tensor(scores, dtype=torch.float64) * self.reach / torch.as_tensor(squares).cpu()
        ways = torch.where(ways.isfinite(), ways, 0.0)
        stop = {
            name: x.to(wide(x)) - gradients[name] * along(ways, gradients[name], dim=0) for name, x in start.items()
        }
        return Lines(evaluation, engine, block, start, stop)

    def _expand_at_roots(self, lines: Lines) -> _Expansion:
        at_inputs = lines.block.of(lines.evaluation.values).double().tolist()
        positions, found = nearest_roots(lines.scores, at_inputs, points=self.points, tolerance=self.tolerance)
        scores, _, gradients = lines.gradients(range(lines.block.samples), positions)
        # The line leads away from the input.
        totals = {
            name: gradient * lines.difference[name] * -along(positions, gradient, dim=0)
            for name, gradient in gradients.items()
        }
        return _Expansion(totals, torch.tensor(scores, dtype=torch.float64), torch.tensor(found))


@dataclass(frozen=True)
class _Expansion:
    """Relevance, (samples, ...) each; the explained value at the roots, and which of them are roots, (samples,)."""

    totals: dict[str, Tensor]
    reference: Tensor
    found: Tensor


def _expand_at_starts(paths: Paths, engine: Engine, block: Block) -> _Expansion:
    """Expansions at given points: the mean over the variants of a baseline."""
    evaluation = paths.evaluation
    totals = {name: torch.zeros_like(block.of(x), dtype=wide(x)) for name, x in evaluation.varied.items()}
    reference = torch.zeros(block.samples, dtype=torch.float64)
    for number in range(paths.count):
        start = {name: start_of(each, block) for name, each in paths.start(number).items()}
        stop = {name: block.of(x) for name, x in evaluation.varied.items()}
        lines = Lines(evaluation, engine, block, start, stop)
        scores, _, gradients = lines.gradients(range(block.samples), [0.0] * block.samples)
        reference += torch.tensor(scores, dtype=torch.float64) / paths.count
        for name, total in totals.items():
            total.addcmul_(gradients[name], lines.difference[name], value=1 / paths.count)
    return _Expansion(totals, reference, torch.ones(block.samples, dtype=torch.bool))


def _is_search(root: Any) -> bool:
    return isinstance(root, str) and root in _SEARCHES


def _resolve_root(root: Any) -> Baseline:
    try:
        return resolve_baseline(root, what="root")
    except ParameterError as error:
        raise ParameterError(f"{error} Or a search: {', '.join(map(repr, _SEARCHES))}.{_hint(root)}") from None


def _hint(root: Any) -> str:
    return nearest(root, _SEARCHES) if isinstance(root, str) else ""
