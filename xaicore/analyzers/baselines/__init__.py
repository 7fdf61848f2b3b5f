"""Baselines: what stands for "nothing is there", as the start of a path, a reference, or the fill of a mask.

`resolve_baseline` turns what a user writes as ``baseline=`` or ``fill=`` into a `Baseline`, which knows how many
variants it has and makes them one at a time.
"""

from xaicore.analyzers.baselines.base import Baseline
from xaicore.analyzers.baselines.of_the_sample import Blurred, Mean, RangeEnd, UniformNoise, blurred
from xaicore.analyzers.baselines.resolving import resolve_baseline
from xaicore.analyzers.baselines.values import Constant, Data, Given

__all__ = [
    "Baseline",
    "Blurred",
    "Constant",
    "Data",
    "Given",
    "Mean",
    "RangeEnd",
    "UniformNoise",
    "blurred",
    "resolve_baseline",
]
