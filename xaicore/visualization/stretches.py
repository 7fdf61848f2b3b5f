"""Long series as stretches of steps, as many as can be told apart in a picture, without losing a peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaicore.errors import ParameterError
from xaicore.visualization.scales import Array


@dataclass(frozen=True)
class Stretches:
    """Neighbouring steps that are drawn as one.

    Parameters
    ----------
    starts : array of int, (n,)
        The first step of each.
    steps : int
        How many steps there are in all.
    """

    starts: NDArray[np.intp]
    steps: int

    @property
    def whole(self) -> bool:
        """Whether each step is drawn by itself."""
        return len(self.starts) == self.steps

    @property
    def note(self) -> str:
        """What must be said of it below a picture."""
        if self.whole:
            return ""
        return f"{self.steps} steps in {len(self.starts)} stretches, each with its largest |R|"

    def peaks(self, values: Array) -> Array:
        """Return the value of largest magnitude in each stretch, with its sign: (..., T) to (..., n).

        What is no number wins, so that it cannot hide.
        """
        highest = np.maximum.reduceat(values, self.starts, axis=-1)
        lowest = np.minimum.reduceat(values, self.starts, axis=-1)
        return np.where(highest >= -lowest, highest, lowest)

    def outline(self, values: Array) -> tuple[Array, Array]:
        """Return the steps and values of a line that reaches all extremes of `values` (T,), in their order."""
        if self.whole:
            return np.arange(self.steps, dtype=np.float64), values
        ends = [*self.starts[1:].tolist(), self.steps]
        places = [_extremes(values[start:end], start) for start, end in zip(self.starts.tolist(), ends, strict=True)]
        kept = np.concatenate(places)
        return kept.astype(np.float64), values[kept]


def stretches(steps: int, resolution: int) -> Stretches:
    """Cut `steps` into at most `resolution` stretches of nearly one length."""
    if resolution < 2:
        raise ParameterError(f"resolution={resolution}: a series is drawn as at least two stretches.")
    count = min(steps, resolution)
    return Stretches(np.arange(count) * steps // count, steps)


def _extremes(values: Array, start: int) -> NDArray[np.intp]:
    """Where the lowest and the highest value are; a gap stays a gap only where there is no number at all."""
    if not np.isfinite(values).any():
        return np.array([start])
    finite = np.where(np.isfinite(values), values, np.nan)
    return start + np.unique([np.nanargmin(finite), np.nanargmax(finite)])
