"""Models that take back a shift of their inputs: f2(x + s) = f1(x)."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.engine import Inputs
from xaicore.errors import InputError
from xaicore.graph import Graph, Kind, Layer, trace

_MOVES = ("flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "to")


class Shifted(nn.Module):
    """A model of shifted inputs, which subtracts the shift before it calls the model it is made from.

    Parameters
    ----------
    model : torch.nn.Module
        Is called as it is.
    shifts : sequence of Tensor or None
        What was added to each tensor among the arguments, in order; None: nothing.
    """

    def __init__(self, model: nn.Module, shifts: Sequence[Tensor | None]) -> None:
        super().__init__()
        self.model = model
        for number, shift in enumerate(shifts):
            self.register_buffer(f"shift_{number}", shift)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The output of the model for the arguments less the shifts."""
        number = -1

        def back(leaf: Any) -> Any:
            nonlocal number
            if not isinstance(leaf, Tensor):
                return leaf
            number += 1
            shift = getattr(self, f"shift_{number}")
            return leaf if shift is None else leaf - shift

        given = Inputs(args, kwargs, ()).map(back)
        return self.model(*given.args, **given.kwargs)


def with_other_bias(model: nn.Module, prepared: Inputs, shift: float) -> nn.Module:
    """A copy of a model whose first linear layers have a bias that takes the shift of all inputs back.

    Parameters
    ----------
    model : torch.nn.Module
    prepared : Inputs
        What it is given.
    shift : float
        Added to every entry of the inputs.

    Raises
    ------
    InputError
        Where something else than linear layers and convolutions without a padding of zeros reads the inputs, or one of
        these is used elsewhere too.
    """
    graph = trace(model, *prepared.args, **prepared.kwargs)
    uses = Counter(layer.module_path for layer in graph.layers if layer.kind in (Kind.LINEAR, Kind.CONVOLUTION))
    changed = copy.deepcopy(model)
    for layer in _readers(graph):
        module = changed.get_submodule(layer.module_path)
        if uses[layer.module_path] != 1 or not _compensates(layer, module):
            raise InputError(
                f"compensation='bias': {layer.where()} reads the inputs, and no bias of it takes a shift back exactly: "
                "that is so for linear layers, and for convolutions without a padding of zeros, which are used once. "
                "Use compensation='layer'"
            )
        assert isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
        weight, bias = module.weight.detach(), module.bias
        moved = shift * weight.double().flatten(1).sum(1)
        own = torch.zeros_like(moved) if bias is None else bias.detach().double()
        module.bias = nn.Parameter((own - moved).to(weight.dtype))
    return changed


def _readers(graph: Graph) -> list[Layer]:
    """The layers that first compute with the inputs; those before them move values only."""
    waiting = [ref for refs in graph.sources.values() for ref in refs]
    found: dict[Layer, None] = {}
    while waiting:
        for layer in graph.consumers.get(waiting.pop(), []):
            repeats = layer.op_name == "pad" and layer.arguments.get("mode", "constant") != "constant"
            if layer.op_name in _MOVES or repeats:
                waiting.append(layer.ref)
            else:
                found[layer] = None
    return list(found)


def _compensates(layer: Layer, module: nn.Module) -> bool:
    if layer.kind is Kind.LINEAR:
        return isinstance(module, nn.Linear)
    if layer.kind is not Kind.CONVOLUTION or not isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return False
    padding = module.padding
    padded = padding == "same" if isinstance(padding, str) else any(padding)
    return module.padding_mode != "zeros" or not padded
