"""The objective of a search: the value of the model, the priors, and what keeps prototypes apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from xai_activation_max.explained import ModelValue
from xai_activation_max.parametrizations import Parametrization
from xai_activation_max.priors import Prior
from xai_activation_max.rows import Rows
from xai_activation_max.transforms import Transforms
from xaicore.errors import ParameterError


class Evaluated(NamedTuple):
    """The objective of each row, (N,), the part of it that is the model's value, and the gradients of the leaves."""

    objective: Tensor
    scores: Tensor
    gradients: list[Tensor]


class Objective:
    """What is maximised, one number a row; rows do not influence each other, but for ``diversity``.

    Parameters
    ----------
    value : ModelValue
    parametrization : Parametrization
    priors : sequence of Prior
    transforms : Transforms
        Changes before which the model's value is taken; the priors are those of the input itself.
    rows : Rows
    diversity : float
        What it costs, in nats, that prototypes of one sample look alike: the mean of their cosine similarities, as
        seen from ``centre``.
    centre : Tensor (rows, *shape)

    Attributes
    ----------
    flat : Tensor (rows,) or None
        Where the model's value had no gradient at the first step: a unit behind a ReLU that is not active there.
    """

    def __init__(
        self,
        value: ModelValue,
        parametrization: Parametrization,
        priors: Sequence[Prior],
        transforms: Transforms,
        rows: Rows,
        diversity: float,
        centre: Tensor,
    ) -> None:
        self.value, self.parametrization, self.priors, self.transforms = value, parametrization, priors, transforms
        self.rows, self.diversity, self.centre = rows, diversity, centre
        self._samples = rows.of_samples(centre.device)
        self._running = torch.arange(rows.total, device=centre.device)
        self.flat: Tensor | None = None

    def narrow(self, active: Tensor) -> None:
        """Run the model for the active rows only, from where they are at most half of those that it runs for.

        Not for each row that comes to rest: a model may have to be captured anew for each size of the batch.
        """
        if 2 * int(active.sum()) <= len(self._running):
            self._running = active.nonzero()[:, 0]

    def evaluate(self, leaves: list[Tensor], step: int) -> Evaluated:
        """The objective at these leaves, under the random change of this step, with its gradients.

        Of rows that the model no longer runs for, the value counts as zero.
        """
        with torch.enable_grad():
            x = self._inputs(leaves)
            moved = self.transforms.at(x, step) if self.transforms else x
            scores, gradient = self._run(moved.detach())
            if self.flat is None:
                self.flat = ~gradient.flatten(1).any(1)
            preference = self.preference(x, leaves)
            outputs, seeds = [moved], [gradient]
            if preference.requires_grad:
                outputs, seeds = [moved, preference.sum()], [gradient, torch.ones_like(preference.sum())]
            found = torch.autograd.grad(outputs, leaves, seeds, allow_unused=True)
        gradients = [torch.zeros_like(leaf) if each is None else each for leaf, each in zip(leaves, found, strict=True)]
        self._check(scores, preference, step)
        return Evaluated(scores + preference.detach(), scores, gradients)

    def measure(self, leaves: list[Tensor]) -> Tensor:
        """The objective at these leaves without random changes, (N,)."""
        with torch.no_grad():
            x = self._inputs(leaves)
            return self.value.measured(x, self._samples).scores + self.preference(x, leaves)

    def preference(self, x: Tensor, leaves: list[Tensor]) -> Tensor:
        """All of the objective but the model's value, (N,)."""
        total = self.prior(x, leaves)
        return total - self.diversity * self._likeness(x) if self.diversity else total

    def prior(self, x: Tensor, leaves: list[Tensor]) -> Tensor:
        """The sum of all priors of each row, (N,)."""
        total = self.parametrization.log_prior(leaves).to(x.dtype)
        for prior in self.priors:
            found = prior.log_prior(x)
            if bool(found.detach().isnan().any()):
                row = int(found.detach().isnan().nonzero()[0, 0])
                raise ParameterError(
                    f"the prior {prior!r} is NaN for prototype {row}, whose values lie between "
                    f"{float(x[row].min().detach()):.4g} and {float(x[row].max().detach()):.4g}: check it there, keep "
                    "the search within bounds=, or lower learning_rate="
                )
            total = total + found
        return total

    def _run(self, x: Tensor) -> tuple[Tensor, Tensor]:
        running = self._running
        if len(running) == len(x):
            return self.value.gradients(x, self._samples)
        scores, gradient = torch.zeros(len(x), dtype=self.value.dtype, device=x.device), torch.zeros_like(x)
        scores[running], gradient[running] = self.value.gradients(x[running], self._samples[running])
        return scores, gradient

    def _inputs(self, leaves: list[Tensor]) -> Tensor:
        x = self.parametrization.inputs(leaves)
        shape = tuple(self.centre.shape)
        if tuple(x.shape) != shape:
            raise ParameterError(
                f"{self.parametrization!r} makes inputs of shape {tuple(x.shape)}; the model takes {shape} for "
                f"{shape[0]} prototypes. Give one that makes samples of shape {shape[1:]}"
            )
        return x

    def _likeness(self, x: Tensor) -> Tensor:
        """The mean cosine similarity of each prototype with the others of its sample and restart, (N,)."""
        grouped = self.rows.groups((x - self.centre).flatten(1))
        unit = torch.nn.functional.normalize(grouped, dim=-1)
        alike = (unit @ unit.transpose(-1, -2)).sum(-1) - 1
        return self.rows.ungroup(alike / (self.rows.count - 1))

    def _check(self, scores: Tensor, preference: Tensor, step: int) -> None:
        bad = (~torch.isfinite(scores + preference.detach())).nonzero()
        if len(bad):
            row = int(bad[0, 0])
            word = self.value.words[int(self._samples[row])]
            raise ParameterError(
                f"the objective of a prototype of {word} is no longer finite at step {step}: {self.value.quantity} "
                f"{float(scores[row]):.4g}, priors {float(preference.detach()[row]):.4g}. Lower learning_rate=, give "
                "bounds= or a stronger prior; at step 0, look at the model and the starts"
            )
