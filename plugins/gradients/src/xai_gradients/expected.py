"""Expected gradients: integrated gradients with baselines and points of the paths drawn at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from xai_gradients.paths import Paths, add_to, along, between, start_of, wide
from xaicore.analyzers import Attribution, ExpansionAnalyzer, GraphEvaluation
from xaicore.analyzers.baselines import Baseline, Data, resolve_baseline
from xaicore.engine import Block, Engine, generator
from xaicore.errors import ParameterError


class Draw(NamedTuple):
    """One draw: a variant of the baseline, and a point on the path from it, 0 to 1."""

    number: int
    position: float


class Expected(ExpansionAnalyzer):
    """Expected gradients (Erion et al. 2021, equation 2), and GradientSHAP, which adds noise to the input.

    For each draw a sample of the data and a point on the straight path from it to the input are chosen at random, both
    uniformly. Relevance is the mean over the draws of the gradient at that point times the difference of input and
    baseline: it estimates integrated gradients averaged over the data. All samples and batches see the same draws.

    Relevance sums to the difference of the explained value at the input and its mean over the drawn baselines on
    average over draws only, so that no conservation is promised. ``explanation.recorded["standard_error"]`` (B,) is
    the standard error of that sum, estimated from the draws; it falls with the square root of their number.

    Beside one gradient a draw, this takes one run of the model for each of the drawn baselines, for
    ``explanation.diagnostics.reference``.

    Parameters
    ----------
    baseline : Tensor, array, mapping of input names to these, or Baseline
        The data, (N, ...); or a baseline, from whose variants is drawn (``xaicore.baselines.Data``, ``UniformNoise``).
    samples : int
        How many draws.
    noise : float
        Standard deviation of Gaussian noise that is added to the input, new in each draw, in the units of the input.
        The path leads to the noisy input, and the difference is that of the noisy input.
    seed : int
        The same seed gives the same draws.

    References
    ----------
    Erion, Janizek, Sturmfels, Lundberg and Lee 2021, "Improving performance of deep learning models with axiomatic
    attribution priors and expected gradients". GradientSHAP: Lundberg and Lee 2017, and their package shap.
    """

    family = "gradient"
    needs_gradient = True

    def __init__(
        self, model: nn.Module, *, baseline: Any, samples: int = 100, noise: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__(model)
        self.baseline, self.samples, self.noise, self.seed = baseline, samples, noise, seed
        _resolved(baseline)
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
            raise ParameterError(f"samples={samples!r} must be a positive integer: the number of draws")
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < float("inf"):
            raise ParameterError(f"noise={noise!r} must be a standard deviation, 0 or more, in the units of the input")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ParameterError(f"seed={seed!r} must be an integer, 0 or more")

    def attribute(self, evaluation: GraphEvaluation, engine: Engine) -> Attribution:
        """Average over the draws."""
        paths = Paths(evaluation, _resolved(self.baseline))
        draws = self._draws(paths.count)
        times = Counter(draw.number for draw in draws)
        first = {draw.number: step for step, draw in reversed(list(enumerate(draws)))}
        totals = {name: torch.zeros_like(x, dtype=wide(x)) for name, x in evaluation.varied.items()}
        sums, squares, reference = torch.zeros(3, evaluation.batch, dtype=torch.float64, device=evaluation.device)

        def run(block: Block) -> tuple[dict[str, Tensor], Tensor, Tensor]:
            here = [draws[step] for step in block.steps]
            starts = {name: _starts(paths, name, here, block) for name in evaluation.varied}
            stops = {name: self._noisy(key, x, block) for key, (name, x) in enumerate(evaluation.varied.items())}
            at = [draw.position for draw in here]
            points = {
                name: between(start, stops[name], along(at, start, dim=1)).flatten(0, 1)
                for name, start in starts.items()
            }
            _, gradients = evaluation.gradients(points, block)
            found, each = {}, torch.zeros(block.samples, len(here), dtype=torch.float64, device=evaluation.device)
            for name, gradient in gradients.items():
                contributions = (stops[name] - starts[name]) * block.grid(gradient)
                found[name] = contributions.sum(1)
                each += contributions.reshape(*each.shape, -1).sum(2, dtype=torch.float64)
            new = [draws[step].number for step in block.steps if first[draws[step].number] == step]
            return found, each, _weighted_scores(paths, block, new, times)

        sweep = engine.sweep(
            evaluation.batch, self.samples, run, device=evaluation.device, footprint=evaluation.footprint
        )
        for block, (found, each, scores) in sweep:
            add_to(totals, block, found)
            block.of(sums).add_(each.sum(1))
            block.of(squares).add_(each.square().sum(1))
            block.of(reference).add_(scores)
        return Attribution(
            relevance={
                name: (total / self.samples).to(evaluation.varied[name].dtype) for name, total in totals.items()
            },
            reference=(reference / self.samples).to(wide(evaluation.values)),
            recorded={"standard_error": _standard_error(sums, squares, self.samples).to(wide(evaluation.values))},
            notes=[
                "relevance sums to the difference to the baselines only on average over draws: "
                "recorded['standard_error'] tells how far the sum may be off"
            ],
            finished=sweep.finished,
        )

    def _draws(self, count: int) -> list[Draw]:
        draws = []
        for step in range(self.samples):
            random = generator(self.seed, step)
            number = int(torch.randint(count, (), generator=random))
            draws.append(Draw(number, float(torch.rand((), generator=random, dtype=torch.float64))))
        return draws

    def _noisy(self, key: int, x: Tensor, block: Block) -> Tensor:
        """The ends of the paths, (samples, steps or 1, ...); the key keeps the noise of several inputs apart."""
        stop = block.cross(x).to(wide(x))
        if not self.noise:
            return stop
        generators = [generator(self.seed, step, 1 + key, device=x.device) for step in block.steps]
        noise = [torch.randn(x.shape[1:], generator=each, device=x.device, dtype=stop.dtype) for each in generators]
        return stop + self.noise * torch.stack(noise)


def _resolved(baseline: Any) -> Baseline:
    """A tensor, array or mapping of these is data to draw from; all else is as in `resolve_baseline`."""
    if isinstance(baseline, Tensor | Mapping) or hasattr(baseline, "__array__"):
        return Data(baseline)
    return resolve_baseline(baseline)


def _starts(paths: Paths, name: str, draws: Sequence[Draw], block: Block) -> Tensor:
    """The drawn baselines: (samples or 1, steps, ...), in at least 32 bits."""
    found = torch.stack([start_of(paths.start(draw.number)[name], block) for draw in draws], 1)
    return found.to(wide(found))


def _weighted_scores(paths: Paths, block: Block, numbers: Sequence[int], times: Mapping[int, int]) -> Tensor:
    """The explained value at some of the baselines, each as often as it is drawn, summed: (samples,)."""
    total = torch.zeros(block.samples, dtype=torch.float64, device=paths.evaluation.device)
    for number in numbers:
        single = Block(block.start, block.stop, number, number + 1)
        total += times[number] * paths.evaluation.scores(paths.starts(single), single).double()
    return total


def _standard_error(sums: Tensor, squares: Tensor, draws: int) -> Tensor:
    """Of the mean of so many numbers, from their sum and the sum of their squares; NaN for a single one."""
    if draws == 1:
        return torch.full_like(sums, torch.nan)
    return ((squares - sums.square() / draws).clamp(min=0) / (draws - 1) / draws).sqrt()
