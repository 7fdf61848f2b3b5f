"""What a patch is replaced by: values of other samples, or draws given what surrounds it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from xai_perturbation.pool import Pool
from xai_perturbation.prediction_difference.gaussian import PatchMoments
from xai_perturbation.windows import Windows
from xaicore.engine import generator


class Replacement(Protocol):
    """Makes the values that take the place of a window."""

    def draws(self, x: Tensor, windows: Windows, number: int, draws: range, seed: int) -> Tensor:
        """Draws for window ``number`` of samples ``x`` (samples, ...): (samples or 1, draws, ...window)."""
        ...


class Marginal:
    """The values that samples of the data have in the window: their distribution whatever surrounds them."""

    def __init__(self, pool: Pool, name: str) -> None:
        self.pool, self.name = pool, name

    def draws(self, x: Tensor, windows: Windows, number: int, draws: range, seed: int) -> Tensor:
        order = torch.randperm(self.pool.size, generator=generator(seed, number))
        index = order[torch.tensor(draws) % self.pool.size]
        chosen = self.pool.samples[self.name][index.to(x.device)]
        return chosen[(slice(None), *windows.slices(number))].unsqueeze(0)


class GivenSurroundings:
    """Normal draws given the values around the window (Zintgraf et al. 2017, section 3.1), channel by channel.

    They are cut to the range of the data.
    """

    def __init__(self, moments: PatchMoments, context: tuple[int, ...]) -> None:
        self.moments, self.context = moments, context

    def draws(self, x: Tensor, windows: Windows, number: int, draws: range, seed: int) -> Tensor:
        channels, *inner = windows.slices(number)
        outer, offsets = [], []
        for own, context, size, length in zip(inner, self.context, self.moments.size, x.shape[2:], strict=True):
            # At the border the surroundings lie more to one side, so that the patch stays whole.
            start = min(max(own.start - context, 0), length - size)
            outer.append(slice(start, start + size))
            offsets.append((own.start - start, own.stop - start))
        conditional = self.moments.given_surroundings(tuple(offsets))
        means = conditional.means(x[(slice(None), slice(None), *outer)].flatten(2))
        noise = self._noise(conditional.mean, number, draws, seed)
        found = means.unsqueeze(1) + conditional.deviations(noise)
        found = found.clamp(self.moments.low[:, None], self.moments.high[:, None])
        sizes = [own.stop - own.start for own in inner]
        patches: Tensor = found[:, :, channels].unflatten(-1, sizes)
        return patches.to(x.dtype)

    def _noise(self, like: Tensor, number: int, draws: range, seed: int) -> Tensor:
        each = [
            torch.randn(like.shape, generator=generator(seed, number, draw, device=like.device), device=like.device)
            for draw in draws
        ]
        return torch.stack(each)
