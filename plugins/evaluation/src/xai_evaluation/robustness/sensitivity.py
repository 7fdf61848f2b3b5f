"""How sensitive an explanation is to small changes of the input."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from xai_evaluation.parameters import check_count, check_flag, check_seed, check_size
from xai_evaluation.robustness.changes import changes
from xai_evaluation.robustness.neighbours import Noisy
from xaicore.scoring import Case, Metric, Scores


class _Sensitivity(Metric):
    higher_is_better = False
    bounds = (0.0, None)

    def __init__(
        self,
        *,
        radius: float = 0.02,
        samples: int = 10,
        normalize: bool = True,
        relative: bool = False,
        seed: int = 0,
    ) -> None:
        check_size("radius", radius, "that of the ball around the input")
        check_count("samples", samples)
        check_flag("normalize", normalize)
        check_flag("relative", relative)
        check_seed(seed)
        self.radius, self.samples, self.normalize = radius, samples, normalize
        self.relative, self.seed = relative, seed

    @abstractmethod
    def reduce(self, distances: Tensor) -> Tensor:
        """What is made of the changes of relevance, (B, samples) -> (B,)."""

    def score(self, case: Case) -> Scores:
        points = Noisy(case.varied, size=self.radius, relative=self.relative, samples=self.samples, seed=self.seed)
        found = changes(case, points, 2.0)
        undefined, notes = found.undefined(self.normalize)
        distances = found.normalised().relevance if self.normalize else found.relevance
        values = self.reduce(distances).masked_fill(undefined, torch.nan)
        # A ball without any other point in it says nothing of how robust the explanation is.
        unmoved, why = found.unmoved()
        return self.scores(values.masked_fill(unmoved, torch.nan), details={"changes": distances}, notes=[*notes, *why])


class MaxSensitivity(_Sensitivity):
    """The largest relative change of relevance near the input: ``max |R(x') - R(x)|_2 / |R(x)|_2``.

    The maximum is over points x' drawn uniformly from the ball of ``radius`` around x in the maximum norm, the same
    displacements for every sample; it is a lower bound of that over the whole ball. The explained class is that of x.
    The definition has no denominator (``normalize=False``): with it, methods on different scales can be compared.

    NaN where all relevance of x is 0 (with ``normalize``), where relevance is not finite, and where all points equal x
    (the radius is below the resolution of the type, or 0 for a constant sample with ``relative``).
    ``details["changes"]`` (B, samples) has the change at each point.

    Parameters
    ----------
    radius : float
        Of the ball.
    samples : int
        How many points.
    normalize : bool
        Divide by the norm of the relevance of x.
    relative : bool
        The radius is a share of the range of each sample (largest minus smallest value). Default: in units of the
        input.
    seed : int

    References
    ----------
    Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", sec. 3.
    """

    def reduce(self, distances: Tensor) -> Tensor:
        """The largest; NaN where one is."""
        return distances.max(1).values


class AverageSensitivity(_Sensitivity):
    """The mean relative change of relevance near the input: the mean of ``|R(x') - R(x)|_2 / |R(x)|_2``.

    As `MaxSensitivity`, with the mean over the points in place of the largest, which depends less on their number.

    Parameters
    ----------
    radius : float
        Of the ball.
    samples : int
        How many points.
    normalize : bool
        Divide by the norm of the relevance of x.
    relative : bool
        The radius is a share of the range of each sample (largest minus smallest value). Default: in units of the
        input.
    seed : int

    References
    ----------
    Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", whose maximum it takes the mean for.
    """

    def reduce(self, distances: Tensor) -> Tensor:
        """The mean."""
        return distances.mean(1)
