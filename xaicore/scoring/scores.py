"""What a metric says: one number a sample, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError
from xaicore.scoring.intervals import Interval, bootstrap_interval


@dataclass(frozen=True, eq=False)
class Curve:
    """How an output changes as more and more of a sample is changed; the score of a sample is its area.

    Parameters
    ----------
    x : Tensor (K,)
        Where it was looked at: the share of the input that is changed.
    y : Tensor (B, K)
    x_label, y_label : str
    """

    x: Tensor
    y: Tensor
    x_label: str
    y_label: str

    def mean(self) -> Tensor:
        """The mean curve, (K,): NaN where that of a sample is."""
        return self.y.mean(0)


@dataclass(frozen=True, eq=False)
class Scores:
    """What a metric says of the explanations of B samples.

    Parameters
    ----------
    metric : str
        Its name.
    values : Tensor (B,)
        float64. NaN where the metric is not defined for a sample; `notes` say why.
    higher_is_better : bool
        Its direction.
    bounds : (float or None, float or None)
        The lowest and the highest value that it takes.
    parameters : dict
        Of the metric.
    curve : Curve, optional
        What the values are areas of.
    details : dict of str to Tensor
        More results, (B, ...) each.
    notes : sequence of str
        What a user should know of these values.

    Examples
    --------
    >>> scores = Scores("evaluation.gini", torch.tensor([0.5, 0.7, 0.6], dtype=torch.float64), True)
    >>> round(scores.mean, 3)
    0.6
    >>> Scores("m", torch.tensor([0.5, torch.nan]), True).summary()
    'undefined for 1 of 2; 0.5 for the others (one sample: no interval)'
    """

    metric: str
    values: Tensor
    higher_is_better: bool
    bounds: tuple[float | None, float | None] = (None, None)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    curve: Curve | None = None
    details: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        values = torch.as_tensor(self.values).detach().cpu().double()
        if values.ndim != 1:
            raise InputError(
                f"{self.metric}: the values have shape {tuple(values.shape)}; they must be one number a sample"
            )
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values.tolist())

    def __getitem__(self, which: int | slice | Sequence[int] | Tensor) -> Scores:
        """The scores of the chosen samples, in the order given; of one sample, too, they are scores."""
        if isinstance(which, int) and not -len(self) <= which < len(self):
            raise IndexError(f"Sample {which} does not exist: there are scores of {len(self)} samples.")
        if isinstance(which, slice):
            which = list(range(len(self)))[which]
        which = torch.as_tensor(which).cpu()
        which = which if which.numel() else which.long()  # an empty list has no type of its own
        index = torch.arange(len(self))[which].reshape(-1)
        curve = None if self.curve is None else replace(self.curve, y=self.curve.y[index])
        details = {name: each[index] for name, each in self.details.items()}
        return replace(self, values=self.values[index], curve=curve, details=details)

    @property
    def undefined(self) -> int:
        """For how many samples the metric is not defined."""
        return int(self.values.isnan().sum())

    @property
    def mean(self) -> float:
        """The mean over all samples: NaN where one of them is undefined; `defined` leaves these out."""
        return float(self.values.mean()) if len(self) else math.nan

    @property
    def defined(self) -> Scores:
        """The scores of the samples for which the metric is defined."""
        return self[~self.values.isnan()]

    def interval(self, confidence: float = 0.95, *, seed: int = 0) -> Interval:
        """The bootstrap interval of the mean over samples; NaN where one is undefined, or there is one sample only."""
        return bootstrap_interval(self.values, confidence, seed=seed)

    def better(self, other: float, than: float) -> bool:
        """Whether one value is better than another."""
        return other > than if self.higher_is_better else other < than

    def summary(self) -> str:
        """The mean with its interval, and for how many samples there is none."""
        if not self.undefined:
            return _written(self)
        if self.undefined == len(self):
            return f"undefined for all {len(self)}"
        return f"undefined for {self.undefined} of {len(self)}; {_written(self.defined)} for the others" + (
            " (one sample: no interval)" if len(self.defined) == 1 else ""
        )

    def __repr__(self) -> str:
        direction = "higher is better" if self.higher_is_better else "lower is better"
        return f"Scores({self.metric}, {len(self)} samples: {self.summary()}; {direction})"

    @classmethod
    def concat(cls, parts: Sequence[Scores]) -> Scores:
        """Join the scores that one metric gave of batches, in order.

        Curves over different steps, and details of different shapes, are left out.
        """
        if not parts:
            raise InputError("There are no scores to join.")
        first = parts[0]
        metrics = list(dict.fromkeys(part.metric for part in parts))
        if len(metrics) > 1:
            raise InputError(f"These are scores of several metrics: {', '.join(map(repr, metrics))}.")
        return replace(
            first,
            values=torch.cat([part.values for part in parts]),
            curve=_joined([part.curve for part in parts]),
            details={
                name: torch.cat([part.details[name] for part in parts])
                for name, detail in first.details.items()
                if all(name in part.details and part.details[name].shape[1:] == detail.shape[1:] for part in parts)
            },
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        )


def _joined(curves: Sequence[Curve | None]) -> Curve | None:
    found = [curve for curve in curves if curve is not None]
    if not found or len(found) < len(curves) or not all(torch.equal(each.x, found[0].x) for each in found):
        return None
    return replace(found[0], y=torch.cat([each.y for each in found]))


def _written(scores: Scores) -> str:
    low, high = scores.interval()
    mean = f"{scores.mean:.3g}"
    return mean if math.isnan(low) else f"{mean} [{low:.3g}, {high:.3g}]"
