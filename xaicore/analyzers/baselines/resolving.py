"""What a user writes as a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from xaicore.analyzers.baselines.base import Baseline
from xaicore.analyzers.baselines.of_the_sample import Blurred, Mean, RangeEnd, UniformNoise
from xaicore.analyzers.baselines.values import Constant, Given
from xaicore.errors import ParameterError, nearest

_WORDS = ("zero", "mean", "low", "high", "blur", "uniform")


def resolve_baseline(baseline: Any, *, what: str = "baseline") -> Baseline:
    """Turn what a user writes as a baseline into a `Baseline`.

    Parameters
    ----------
    baseline
        A number: everywhere the same. A list of numbers: one a channel. A word: ``"zero"``; ``"mean"`` of each
        channel; ``"low"``, ``"high"`` (ends of the sample's range); ``"blur"``; ``"uniform"`` noise. A tensor or array
        (of two dimensions or more), or a dict of them by input: the values. A `Baseline`: itself.
    what : str
        The name of the parameter, for messages.

    Raises
    ------
    ParameterError
        For anything else.
    """
    if isinstance(baseline, Baseline):
        return baseline
    if isinstance(baseline, str):
        if baseline not in _WORDS:
            raise ParameterError(
                f"{what}={baseline!r} is not known: choose a number, one of {', '.join(_WORDS)}, a tensor, or one of "
                f"xaicore.baselines.{nearest(baseline, _WORDS)}"
            )
        words: dict[str, Baseline] = {
            "zero": Constant(0.0),
            "mean": Mean(),
            "low": RangeEnd(high=False),
            "high": RangeEnd(high=True),
            "blur": Blurred(),
            "uniform": UniformNoise(),
        }
        return words[baseline]
    if isinstance(baseline, bool) or baseline is None:
        raise ParameterError(f"{what}={baseline!r} is not a baseline: give a number, a word, a tensor or a Baseline")
    if isinstance(baseline, int | float):
        return Constant(float(baseline))
    if isinstance(baseline, list | tuple) and all(isinstance(each, int | float) for each in baseline):
        return Constant([float(each) for each in baseline])
    if isinstance(baseline, Mapping | Tensor) or hasattr(baseline, "__array__"):
        return Given(baseline)
    raise ParameterError(f"{what}={baseline!r} is not a baseline: give a number, a word, a tensor or a Baseline")
