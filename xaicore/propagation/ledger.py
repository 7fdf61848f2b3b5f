"""The ledger: for each layer, the relevance that came in, went out, and was absorbed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from xaicore.graph import Layer


@dataclass
class Entry:
    """One layer's account, each amount summed over the batch."""

    relevance_in: float | Tensor = 0.0
    relevance_out: float | Tensor = 0.0  # to inputs on the path
    elsewhere: float | Tensor = 0.0  # to inputs that lead to nothing that is explained
    bias: float | Tensor = 0.0
    stabilizer: float | Tensor = 0.0


class Ledger:
    """Accounts of one walk, by layer.

    Over the whole path, the relevance of the output is the sum of the relevance of the inputs and of all that was
    absorbed (bias and stabilizer) or went elsewhere; what is left over is called unaccounted and should be rounding.
    """

    def __init__(self) -> None:
        self.entries: dict[Layer, Entry] = {}

    def open(self, layer: Layer, arrived: Iterable[Tensor | None]) -> None:
        """Start the account of a layer with what arrived at its outputs."""
        entry = self.entries.setdefault(layer, Entry())
        entry.relevance_in = entry.relevance_in + _total(arrived)

    def close(self, layer: Layer, sent: Iterable[Tensor | None], elsewhere: Iterable[Tensor | None]) -> None:
        """Note what the layer's mapping sent to its inputs."""
        entry = self.entries[layer]
        entry.relevance_out = entry.relevance_out + _total(sent)
        entry.elsewhere = entry.elsewhere + _total(elsewhere)

    def absorb(self, layer: Layer, bias: Tensor | None, stabilizer: Tensor | None) -> None:
        """Note what the layer's mapping kept."""
        entry = self.entries[layer]
        entry.bias = entry.bias + _total([bias])
        entry.stabilizer = entry.stabilizer + _total([stabilizer])

    def rows(self) -> list[dict[str, str | float]]:
        """One row a layer, from the output to the input, as plain data."""
        return [_row(layer, entry) for layer, entry in self.entries.items()]


def _total(tensors: Iterable[Tensor | None]) -> float | Tensor:
    """The sum of all elements, in float64; it stays on the device so that a walk need not wait for it."""
    parts = [tensor.detach().sum(dtype=torch.float64) for tensor in tensors if tensor is not None]
    return sum(parts[1:], parts[0]) if parts else 0.0


def _row(layer: Layer, entry: Entry) -> dict[str, str | float]:
    amounts = {name: float(value) for name, value in vars(entry).items()}
    gone = amounts["relevance_out"] + amounts["elsewhere"] + amounts["bias"] + amounts["stabilizer"]
    return {
        "layer": layer.name,
        "kind": layer.kind.value,
        "module_path": layer.module_path,
        **amounts,
        "unaccounted": amounts["relevance_in"] - gone,
    }
