"""The local Lipschitz estimate of an explanation."""

from __future__ import annotations

import torch

from xai_evaluation.parameters import check_count, check_flag, check_seed, check_size
from xai_evaluation.robustness.changes import changes
from xai_evaluation.robustness.neighbours import Noisy
from xaicore.scoring import Case, Metric, Scores


class LocalLipschitz(Metric):
    """The largest ratio of change of relevance to change of the input nearby: ``max |R(x) - R(x')|_2 / |x - x'|_2``.

    The maximum is over ``samples`` points x' drawn uniformly from the ball of ``radius`` around x in the maximum norm,
    the same displacements for every sample; it is a lower bound of the maximum over the whole ball. The explained class
    is that of x for all of them.

    A point that equals the sample (where the radius is below the resolution of the type) is left out, and a note says
    so. NaN where no other is left, and where relevance is not finite. ``details["ratios"]`` (B, samples) has all.

    Parameters
    ----------
    radius : float
        Of the ball.
    samples : int
        How many points.
    relative : bool
        The radius is a share of the range of each sample (largest minus smallest value). Default: in units of the
        input.
    seed : int

    References
    ----------
    Alvarez-Melis and Jaakkola 2018, "On the robustness of interpretability methods", where the continuous maximum is
    searched for by Bayesian optimisation.
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(self, *, radius: float = 0.1, samples: int = 20, relative: bool = False, seed: int = 0) -> None:
        check_size("radius", radius, "that of the ball around the input")
        check_count("samples", samples)
        check_flag("relative", relative)
        check_seed(seed)
        self.radius, self.samples, self.relative, self.seed = radius, samples, relative, seed

    def score(self, case: Case) -> Scores:
        points = Noisy(case.varied, size=self.radius, relative=self.relative, samples=self.samples, seed=self.seed)
        found = changes(case, points, 2.0)
        undefined, why = found.undefined(False)
        values, notes = found.largest_ratio()
        values = values.masked_fill(undefined, torch.nan)
        return self.scores(values, details={"ratios": found.ratios()}, notes=[*notes, *why])
