"""Random orders in which the features of a sample appear."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xaicore.engine import Block, generator


class Orders:
    """Orders of the features of each sample; samples with as many features have the same ones.

    Parameters
    ----------
    counts : sequence of int
        How many features each of B samples has.
    number : int
        How many orders.
    seed : int
    antithetic : bool
        Whether every second order is the reverse of the one before.
    device : torch.device

    Attributes
    ----------
    nobody : int
        G, the most features that a sample has: it stands where no feature is.
    """

    def __init__(
        self, counts: Sequence[int], number: int, seed: int, antithetic: bool, device: torch.device | str = "cpu"
    ) -> None:
        self.number, self.antithetic = number, antithetic
        self.nobody = max(counts)
        kinds = list(dict.fromkeys(counts))
        self._kinds = torch.tensor([kinds.index(count) for count in counts])
        self._counts = torch.tensor(counts)
        # One place more than there are features, where nobody appears.
        self._features = torch.full((len(kinds), number, self.nobody + 1), self.nobody)
        ranks = torch.full((len(kinds), number, self.nobody), self.nobody)
        for kind, count in enumerate(kinds):
            for order in range(number):
                drawn = _drawn(count, seed, order, antithetic)
                self._features[kind, order, :count] = drawn
                ranks[kind, order, drawn] = torch.arange(count)
        self._ranks = ranks.to(device)

    def variants(self, count: int) -> list[int]:
        """Which of ``count`` variants of the fill each order has: one after the other, the same for an order and its
        reverse."""
        return [(order // 2 if self.antithetic else order) % count for order in range(self.number)]

    def present(self, orders: Tensor, appeared: Tensor, block: Block) -> Tensor:
        """Which features are there when so many have appeared, (steps, G); (rows, G) where samples differ.

        ``orders`` and ``appeared``: (steps,) each.
        """
        device = self._ranks.device
        there = self._ranks[:, orders.to(device)] < appeared.to(device)[:, None]
        return there[0] if len(there) == 1 else there[block.of(self._kinds).to(device)].flatten(0, 1)

    def at(self, orders: Tensor, places: Tensor, block: Block) -> Tensor:
        """The features that appear at these places of these orders, (samples, steps); `nobody` behind the last one."""
        return self._features[:, orders, places][block.of(self._kinds)]

    def first(self) -> Tensor:
        """The first feature of each order, (B, orders)."""
        return self._features[self._kinds, :, 0]

    def last(self) -> Tensor:
        """The last feature of each order, (B, orders)."""
        places = (self._counts - 1)[:, None, None].expand(-1, self.number, 1)
        return self._features[self._kinds].gather(2, places)[:, :, 0]


def _drawn(count: int, seed: int, number: int, antithetic: bool) -> Tensor:
    if not antithetic:
        return torch.randperm(count, generator=generator(seed, count, number))
    order = torch.randperm(count, generator=generator(seed, count, number // 2))
    return order.flip(0) if number % 2 else order
