"""What a search learns from data: means of classes, and samples that experts and clusters are fitted to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.engine import Batch, batches_of, is_stream, prepare_arrays
from xaicore.errors import InputError


@dataclass(frozen=True, eq=False)
class Learnt:
    """What is known of the data.

    Attributes
    ----------
    seen : int
        How many samples there were.
    mean : Tensor
        Their mean, of the shape of a sample, in float64.
    spread : float
        The standard deviation of an entry around its mean, as a root of the mean square over entries.
    class_means : dict of int to Tensor
        The mean of each class; empty where classes are not known.
    samples : Tensor (n, *shape)
        Samples of the data, all of them or as many as are kept.
    labels : Tensor (n,) or None
        Their classes.
    """

    seen: int
    mean: Tensor
    spread: float
    class_means: dict[int, Tensor]
    samples: Tensor
    labels: Tensor | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample."""
        return tuple(self.mean.shape)

    def mean_of(self, number: int | None) -> Tensor:
        """The mean of a class, or of all samples where no class is meant or none is known.

        Raises
        ------
        InputError
            The data held no sample of the class.
        """
        if number is None or not self.class_means:
            return self.mean
        self._check_known(number)
        return self.class_means[number]

    def samples_of(self, number: int | None) -> Tensor:
        """The kept samples of a class, or all."""
        if number is None or self.labels is None:
            return self.samples
        self._check_known(number)
        return self.samples[self.labels == number]

    def clusters(self, number: int | None, count: int, seed: int) -> Tensor:
        """The centres of ``count`` clusters among the samples of a class, the largest first (k-means)."""
        from sklearn.cluster import KMeans

        own = self.samples_of(number)
        if len(own) < count:
            raise InputError(
                f"{count} prototypes begin at as many clusters, and the data has {len(own)} samples of class {number}: "
                "give fit more data, a smaller count=, or start='noise'"
            )
        flat = own.double().cpu().flatten(1).numpy()
        found = KMeans(count, n_init=4, random_state=seed).fit(flat)
        order = np.argsort(-np.bincount(found.labels_, minlength=count), kind="stable")
        return torch.from_numpy(found.cluster_centers_[order]).view(count, *self.shape)

    def _check_known(self, number: int) -> None:
        if number not in self.class_means:
            known = ", ".join(map(str, sorted(self.class_means)))
            raise InputError(f"the data of fit holds no sample of class {number}; it has classes {known}")


def learn(data: Any, most: int, seed: int, classify: Callable[[Tensor], Tensor | None]) -> Learnt:
    """Take in data in one pass.

    Parameters
    ----------
    data
        As `PrototypeSearch.fit` takes it.
    most : int
        How many samples are kept, each of the data as likely as any other.
    classify : callable
        The classes of samples that come without, or None where nobody can tell.
    """
    random = np.random.default_rng(seed)
    pool, seen = _Pool(most), 0
    # Sums are those of differences from the mean of the first batch: a small spread around a large mean is not lost.
    origin: Tensor | None = None
    sums = squares = torch.zeros((), dtype=torch.float64)
    totals: dict[int, Tensor] = {}
    counts: dict[int, int] = {}
    for samples, given in _batches(data):
        labels = classify(samples) if given is None else given
        wide = samples.double()
        if origin is None:
            origin = wide.mean(0)
        if wide.shape[1:] != origin.shape:
            raise InputError(
                f"the data has samples of shape {tuple(wide.shape[1:])}, those before have {tuple(origin.shape)}: all "
                "must have the same"
            )
        from_origin = wide - origin
        sums = sums + from_origin.sum(0)
        squares = squares + from_origin.square().sum(0)
        seen += len(wide)
        for number in [] if labels is None else labels.unique().tolist():
            own = wide[labels == number]
            totals[number] = totals.get(number, torch.zeros_like(origin)) + own.sum(0)
            counts[number] = counts.get(number, 0) + len(own)
        pool.add(samples, labels, random.random(len(samples)))
    if origin is None:
        raise InputError("fit needs data: the iterable holds no batch")
    drift = sums / seen
    variance = (squares / seen - drift.square()).clamp_min(0)
    kept = pool.labels
    return Learnt(
        seen,
        origin + drift,
        float(variance.mean().sqrt()),
        {number: total / counts[number] for number, total in sorted(totals.items())},
        pool.samples,
        kept,
    )


class _Pool:
    """The samples with the smallest of random keys, in the order in which they came."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.samples = torch.empty(0)
        self.labels: Tensor | None = None
        self._keys = np.empty(0)

    def add(self, samples: Tensor, labels: Tensor | None, keys: np.ndarray[Any, Any]) -> None:
        """Take in a batch."""
        first = not len(self._keys)
        if not first and (labels is None) != (self.labels is None):
            raise InputError("some batches of the data have labels and others have none: give all of them, or none")
        every = np.concatenate([self._keys, keys])
        keep = np.sort(np.argsort(every, kind="stable")[: self.most])
        index = torch.from_numpy(keep)
        self.samples = (samples if first else torch.cat([self.samples, samples]))[index]
        if labels is not None:
            self.labels = (labels if first or self.labels is None else torch.cat([self.labels, labels]))[index]
        self._keys = every[keep]


def _batches(data: Any) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Samples and their labels, batch by batch, in main memory."""
    if data is None:
        raise InputError("fit needs data: samples, a pair (samples, labels), or an iterable of such batches")
    stream = batches_of(data) if is_stream(data) else [Batch(data)]
    for batch in stream:
        samples, labels = batch.inputs, batch.target
        if isinstance(samples, tuple) and len(samples) in (1, 2):
            labels = samples[1] if len(samples) == 2 else labels
            samples = samples[0]
        (made,) = prepare_arrays((samples,)).tensors().values()
        if not made.is_floating_point():
            raise InputError(
                f"the data holds {str(made.dtype).removeprefix('torch.')} values; give floating-point samples as the "
                "model takes them, such as images divided by 255"
            )
        yield made.detach().cpu(), None if labels is None else _checked_labels(labels, len(made))


def _checked_labels(labels: Any, samples: int) -> Tensor:
    made = torch.as_tensor(labels).detach().cpu()
    if tuple(made.shape) == (samples, 1):
        made = made[:, 0]
    if tuple(made.shape) != (samples,) or made.is_floating_point() or made.dtype is torch.bool:
        raise InputError(
            f"the labels have shape {tuple(made.shape)} and type {made.dtype}; give the number of the class of each of "
            f"the {samples} samples: integers of shape ({samples},). Data is a pair (samples, labels), or samples alone"
        )
    return made.long()
