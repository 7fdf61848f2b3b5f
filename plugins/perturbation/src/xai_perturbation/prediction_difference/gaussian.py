"""The normal distribution of patches, and of a part of a patch given the rest of it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

_PATCH_BYTES = 64 * 2**20
_RELATIVE_CUTOFF = 1e-10
"""Directions in which the surroundings vary less than this share of the most are taken as constant."""

Offsets = tuple[tuple[int, int], ...]


class PatchMoments:
    """Mean and covariance of the patches of images, channel by channel, wherever in the image they lie.

    Batches are taken in one after the other, in float64 (Chan, Golub and LeVeque 1983).

    Parameters
    ----------
    size : tuple of int
        Of a patch, over the dimensions behind the channels.
    stride : tuple of int
        Between patches.

    Attributes
    ----------
    count : int
        How many patches there were, of each channel.
    low, high : Tensor (C,)
        The range of the values.
    """

    def __init__(self, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.size, self.stride, self.count = size, stride, 0
        self._cache: dict[Offsets, Conditional] = {}

    def add(self, x: Tensor) -> None:
        """Take in a batch (B, C, ...)."""
        over = (0, *range(2, x.ndim))
        low, high = x.amin(over), x.amax(over)
        if not self.count:
            channels, entries = x.shape[1], math.prod(self.size)
            self.low, self.high = low, high
            self.mean = torch.zeros(channels, entries, dtype=torch.float64, device=x.device)
            self._scatter = torch.zeros(channels, entries, entries, dtype=torch.float64, device=x.device)
        self.low, self.high = torch.minimum(self.low, low), torch.maximum(self.high, high)
        self._cache.clear()
        patches = x
        for dim, (size, step) in enumerate(zip(self.size, self.stride, strict=True), start=2):
            patches = patches.unfold(dim, size, step)
        one = 8 * patches[0].numel()
        for part in patches.split(max(1, _PATCH_BYTES // one)):
            places = x.ndim - 2
            behind = part.movedim(1, 0).flatten(1, 1 + places).flatten(2)  # (C, patches, entries)
            self._merge(behind.double())

    def _merge(self, patches: Tensor) -> None:
        added = patches.shape[1]
        mean = patches.mean(1)
        centred = patches - mean.unsqueeze(1)
        delta = mean - self.mean
        total = self.count + added
        between = (self.count * added / total) * delta.unsqueeze(2) * delta.unsqueeze(1)
        self._scatter = self._scatter + centred.mT @ centred + between
        self.mean = self.mean + delta * (added / total)
        self.count = total

    def covariance(self) -> Tensor:
        """The covariance of the entries of a patch, (C, entries, entries); divided by the number of patches."""
        return self._scatter / self.count

    def given_surroundings(self, inner: Offsets) -> Conditional:
        """The distribution of a box inside the patch, given the entries around it.

        Parameters
        ----------
        inner : tuple of (int, int)
            Where the box starts and stops in each dimension of the patch.
        """
        if inner not in self._cache:
            self._cache[inner] = self._conditional(inner)
        return self._cache[inner]

    def _conditional(self, inner: Offsets) -> Conditional:
        inside = torch.zeros(self.size, dtype=torch.bool)
        inside[tuple(itertools.starmap(slice, inner))] = True
        entries = inside.flatten().to(self.mean.device)
        own, around = entries.nonzero()[:, 0], (~entries).nonzero()[:, 0]
        covariance = self.covariance()
        own_own = covariance[:, own[:, None], own]
        own_around = covariance[:, own[:, None], around]
        around_around = covariance[:, around[:, None], around]
        inverse = torch.linalg.pinv(around_around, rtol=_RELATIVE_CUTOFF, hermitian=True)
        weights = own_around @ inverse
        values, vectors = torch.linalg.eigh(own_own - weights @ own_around.mT)
        return Conditional(
            mean=self.mean[:, own],
            around_mean=self.mean[:, around],
            around=around,
            weights=weights,
            root=vectors * values.clamp(min=0).sqrt().unsqueeze(1),
        )


@dataclass(frozen=True, eq=False)
class Conditional:
    """A normal distribution of n entries given m others, of each channel.

    Attributes
    ----------
    mean, around_mean : Tensor (C, n), (C, m)
        Means without knowing anything.
    around : Tensor (m,)
        Which entries of the patch are known.
    weights : Tensor (C, n, m)
        How the mean follows what is known.
    root : Tensor (C, n, n)
        A root of the covariance: root @ root.T.
    """

    mean: Tensor
    around_mean: Tensor
    around: Tensor
    weights: Tensor
    root: Tensor

    def means(self, patches: Tensor) -> Tensor:
        """The mean in each patch, (samples, C, entries) -> (samples, C, n)."""
        known = patches[:, :, self.around].double() - self.around_mean
        return self.mean + torch.einsum("cnm,scm->scn", self.weights, known)

    def deviations(self, noise: Tensor) -> Tensor:
        """Deviations from the mean, from normal noise: (draws, C, n) -> (draws, C, n)."""
        return torch.einsum("cnm,dcm->dcn", self.root, noise.double())
