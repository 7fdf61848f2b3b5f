"""What is kept of every sample: a few numbers and a down-sized map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NO_CLUSTER = 0
"""The cluster of samples whose maps cannot be clustered: not finite, or zero everywhere."""


@dataclass(eq=False)
class Samples:
    """N samples as arrays, in the order in which they came.

    Attributes
    ----------
    names : list of str
        File names, or numbers.
    true, predicted, explained : array (N,)
        Classes. ``explained`` is the one whose relevance was looked at: the true or the predicted class.
    confidence : array (N,)
        Softmax of the predicted class; NaN where the outputs are not finite.
    value : array (N,)
        The explained output.
    inside, chance : array (N,)
        Share of the positive relevance inside the mask, and share of the area that the mask takes; NaN without a mask,
        and ``inside`` where there is no positive relevance or it is not finite.
    gap : array (N,)
        Conservation gap; NaN where the method promises none.
    non_finite : array (N,)
        How many relevance values are NaN or infinite.
    maps : array (N, h, w) or (N, t), float32
        Down-sized relevance.
    cluster : array (N,)
        1 for the largest cluster of the explained class, and so on; 0 for samples that could not be clustered.
    position : array (N, 2)
        In the embedding of the explained class; NaN for samples that could not be clustered.
    """

    names: list[str]
    true: Ints
    predicted: Ints
    explained: Ints
    confidence: Floats
    value: Floats
    inside: Floats
    chance: Floats
    gap: Floats
    non_finite: Ints
    maps: NDArray[np.float32]
    cluster: Ints
    position: Floats

    def __len__(self) -> int:
        """Number of samples, N."""
        return len(self.names)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which samples are classified correctly, (N,)."""
        return np.equal(self.true, self.predicted)

    @property
    def focus(self) -> Floats:
        """How much more than by chance the model looks at the object, (N,); see `focus_of`."""
        return focus_of(self.inside, self.chance)

    def of_class(self, label: int, cluster: int | None = None) -> Ints:
        """Places of the samples that are explained for a class, or of those in one of its clusters."""
        chosen = self.explained == label
        return np.flatnonzero(chosen if cluster is None else chosen & (self.cluster == cluster))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All but the names, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "names"}


def focus_of(inside: Floats, chance: Floats) -> Floats:
    """Return (inside - chance) / (1 - chance): 1 where all relevance is inside, 0 where it lies as by chance.

    Below 0 the object is avoided. NaN where the mask is empty, or takes everything.
    """
    decided = (chance > 0) & (chance < 1)
    return np.divide(inside - chance, 1 - chance, out=np.full_like(inside, np.nan), where=decided)


def class_name(label: int, labels: Sequence[str] | None) -> str:
    """The name of a class, or its number."""
    return labels[label] if labels is not None and 0 <= label < len(labels) else str(label)
