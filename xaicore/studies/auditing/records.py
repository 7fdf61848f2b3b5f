"""What an audit says of a class, and of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ClassRecord:
    """One class.

    Attributes
    ----------
    label : int
    name : str
    rank : int or None
        1 for the class whose object the model looks at least; None where there are no masks.
    samples, masked : int
        How many samples are explained for this class, and of how many the mask is known and tells something.
    accuracy : float
        Share of them that is classified correctly. With ``target="predicted"`` these are the samples that the model
        takes for this class: its precision.
    confidence : float
        Mean softmax of the predicted class.
    inside, inside_low, inside_high : float
        Mean share of the positive relevance inside the mask, with the bootstrap interval of 95 %; NaN without masks.
    chance : float
        Mean share of the area that masks take: where relevance lay anywhere, this much of it would be inside.
    focus, focus_low, focus_high : float
        Mean of (inside - chance) / (1 - chance), which classes are ranked by: 1 where the model looks at the object
        alone, 0 where it looks anywhere.
    gap : float
        Median conservation gap; NaN where the method promises none.
    non_finite : int
        Samples with relevance that is NaN or infinite.
    clusters : int
    eigenvalues : tuple of float
        The smallest of the Laplacian.
    clustering : str
        Why there are so many clusters.
    """

    label: int
    name: str
    rank: int | None
    samples: int
    masked: int
    accuracy: float
    confidence: float
    inside: float
    inside_low: float
    inside_high: float
    chance: float
    focus: float
    focus_low: float
    focus_high: float
    gap: float
    non_finite: int
    clusters: int
    eigenvalues: tuple[float, ...]
    clustering: str


@dataclass(frozen=True, kw_only=True)
class ClusterRecord:
    """One cluster of heatmaps.

    Attributes
    ----------
    label, name
        Of the class.
    number : int
        1 for the largest of the class.
    size : int
    share : float
        Of the samples of the class.
    suspicion : float
        0 to 1; see `suspicion_of`.
    parts : dict of str to float
        What the suspicion is made of.
    why : tuple of str
        The same in words.
    inside, chance, accuracy, confidence : float
        As for a class.
    elsewhere : float
        Share of the mean positive relevance that lies where no other class has that much.
    mean_map : array (h, w) or (t,)
        Mean of the normalised maps.
    """

    label: int
    name: str
    number: int
    size: int
    share: float
    suspicion: float
    parts: dict[str, float]
    why: tuple[str, ...]
    inside: float
    chance: float
    accuracy: float
    confidence: float
    elsewhere: float
    mean_map: NDArray[Any]

    @property
    def title(self) -> str:
        """Class and number, as reports call it: "8 / cluster 1"."""
        return f"{self.name} / cluster {self.number}"


def mean_of(values: NDArray[np.float64]) -> float:
    """The mean of what is not NaN; NaN where nothing is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
