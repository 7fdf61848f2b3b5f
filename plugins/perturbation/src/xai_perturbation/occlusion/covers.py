"""What is covered, one part at a time: groups of entries, or sliding windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from xai_perturbation.features import Features
from xai_perturbation.windows import Windows
from xaicore.engine import Block

Varied = Mapping[str, Tensor]


class Covers(Protocol):
    """Parts of the inputs, numbered through."""

    count: int

    def covered(self, varied: Varied, fills: Varied, numbers: Tensor, block: Block) -> dict[str, Tensor]:
        """The rows of a block, whose steps cover the parts with these numbers, (rows, ...) each."""
        ...

    def spread(self, values: Tensor) -> dict[str, Tensor]:
        """The values of the parts, (B, count), as values of the entries: the mean where parts overlap."""
        ...


class GroupCovers:
    """Each group of entries is covered once."""

    def __init__(self, features: Features) -> None:
        self.features, self.count = features, features.count

    def covered(self, varied: Varied, fills: Varied, numbers: Tensor, block: Block) -> dict[str, Tensor]:
        return self.features.masked(varied, fills, ~self.features.only(numbers), block)

    def spread(self, values: Tensor) -> dict[str, Tensor]:
        return self.features.spread(values, how="each")


class WindowCovers:
    """Windows slide over one input after the other; the others stay."""

    def __init__(self, windows: Mapping[str, Windows], varied: Varied) -> None:
        self.windows = windows
        self.count = sum(each.count for each in windows.values())
        self._shapes = {name: x.shape for name, x in varied.items()}

    def covered(self, varied: Varied, fills: Varied, numbers: Tensor, block: Block) -> dict[str, Tensor]:
        rows = {}
        first = 0
        for name, x in varied.items():
            if name not in self.windows:
                rows[name] = block.repeat(x)
                continue
            windows = self.windows[name]
            own = (numbers >= first) & (numbers < first + windows.count)
            masks = windows.masks((numbers - first).clamp(0, windows.count - 1))
            masks = masks & own.view(-1, *[1] * (masks.ndim - 1))
            fill = fills[name]
            fill = block.cross(fill) if len(fill) == len(x) else fill.unsqueeze(1)
            rows[name] = torch.where(masks, fill, block.cross(x)).flatten(0, 1)
            first += windows.count
        return rows

    def spread(self, values: Tensor) -> dict[str, Tensor]:
        found = {name: values.new_zeros(shape) for name, shape in self._shapes.items()}
        parts = values.split([each.count for each in self.windows.values()], dim=1)
        for (name, windows), own in zip(self.windows.items(), parts, strict=True):
            found[name] = windows.mean(own)
        return found
