"""Relevance through a model of one layer, from relevance of any kind at its output."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import xaicore
from xai_lrp.structure import structure_entries
from xaicore.graph import Graph
from xaicore.propagation import Composite, Ledger, Tape, walk


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


as_module = functools.cache(Function)  # the same for the same function, so that it is captured once


@dataclass
class Passed:
    """What came through: at the input, and what the ledger says was kept."""

    graph: Graph
    y: Tensor
    relevance: Tensor
    bias: float
    stabilizer: float
    unaccounted: float


def passed(
    function: Callable[..., Tensor], x: Tensor, r: Tensor | None = None, structure: Mapping[str, str] | None = None
) -> Passed:
    """Walk from relevance ``r`` (default: random, of either sign) at the output back to ``x``."""
    model = (function if isinstance(function, nn.Module) else as_module(function)).double().eval()
    form: dict[str, Any] = {"batch_norm": structure["batch_norm"]} if structure and "batch_norm" in structure else {}
    matching = xaicore.trace(model, x).match(Composite(structure_entries(structure), **form))
    tape, ledger = Tape(matching.graph, [x]), Ledger()
    (end,) = matching.graph.outputs.values()
    y = tape.value(end)
    seed = noise(*y.shape, seed=9) if r is None else r
    found = walk(tape, {end: seed}, matching, ledger=ledger)
    (start,) = matching.starts
    rows = ledger.rows()
    kept = {name: sum(float(row[name]) for row in rows) for name in ("bias", "stabilizer")}
    gap = float(seed.sum()) - float(found[start].sum()) - sum(kept.values())
    return Passed(matching.graph, y, found[start], unaccounted=gap, **kept)


def noise(*shape: int, seed: int = 1) -> Tensor:
    """Normal random numbers in float64; the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The derivative of each output by each input, both flattened."""
    table = torch.autograd.functional.jacobian(function, x)
    return table.reshape(-1, x.numel())
