"""Recurrent modules stay one operator each while a model is captured.

`torch.export` keeps `aten.lstm` and its kin whole, but runs them step by step to find the shapes, which takes minutes
for sequences of some hundred steps. So meanwhile the modules call operators of ours that know their shapes, and the
graph calls torch's again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xaicore.graph.layer import Layer

CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Torch's operators on whole sequences."""


def kept_whole(cell: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """What stands in for torch's operator during a capture."""

    def run(x: Any, hx: Any, *settings: Any) -> Any:
        if not isinstance(settings[1], bool):  # packed sequences, which have their batch sizes in second place
            return original(x, hx, *settings)
        params, *rest = settings
        return tuple(_OPERATORS[cell](x, [hx] if isinstance(hx, Tensor) else list(hx), list(params), *rest))

    return run


def with_torchs_own(layer: Layer) -> None:
    """Make a layer that calls an operator of ours call torch's."""
    if getattr(layer.op, "namespace", "") != "xaicore" or layer.op_name not in CELLS:
        return
    states = layer.arguments["hx"]
    layer.op = getattr(torch.ops.aten, layer.op_name).input
    layer.arguments = layer.arguments | {"hx": states if layer.op_name == "lstm" else states[0]}


def _define(cell: str) -> Callable[..., Any]:
    def run(
        input: Tensor,
        hx: list[Tensor],
        params: list[Tensor],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> list[Tensor]:
        settings = (params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
        return list(getattr(torch.ops.aten, cell).input(input, hx if cell == "lstm" else hx[0], *settings))

    def fake(input: Tensor, hx: list[Tensor], *settings: Any) -> list[Tensor]:
        *_, bidirectional, _ = settings
        width = hx[0].shape[-1] * (2 if bidirectional else 1)
        return [input.new_empty(*input.shape[:2], width), *(torch.empty_like(state) for state in hx)]

    operator = torch.library.custom_op(f"xaicore::{cell}", run, mutates_args=())
    operator.register_fake(fake)
    return operator


_OPERATORS = {cell: _define(cell) for cell in CELLS}
