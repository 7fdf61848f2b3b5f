"""The layers of a model in the order in which they run, and new parameters for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from xaicore.engine import Inputs, generator
from xaicore.errors import InputError

HOW = ("reset", "permute", "normal")


@dataclass(frozen=True)
class ParameterLayer:
    """A module with parameters of its own.

    Attributes
    ----------
    path : str
        Of the module; "model" where it is the model itself.
    module : torch.nn.Module
    """

    path: str
    module: nn.Module

    def state(self) -> dict[str, Tensor]:
        """A copy of its own parameters and buffers."""
        return {name: tensor.detach().clone() for name, tensor in self._tensors().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(state[name])

    def randomise(self, how: str, seed: int, number: int) -> None:
        """Give it new parameters; see `ParameterRandomization`. The numbers depend on ``seed`` and ``number`` alone."""
        reset: Any = getattr(self.module, "reset_parameters", None)
        with torch.no_grad():
            if how == "reset" and callable(reset):
                devices = {tensor.device for tensor in self._tensors().values() if tensor.device.type == "cuda"}
                with torch.random.fork_rng(devices=list(devices)):
                    torch.manual_seed(generator(seed, number).initial_seed() % 2**63)
                    reset()
                return
            for place, parameter in enumerate(self.module.parameters(recurse=False)):
                if parameter.is_floating_point():
                    source = generator(seed, number, place)
                    parameter.copy_(_permuted(parameter, source) if how == "permute" else _alike(parameter, source))

    def _tensors(self) -> dict[str, Tensor]:
        own = dict(self.module.named_parameters(recurse=False))
        return own | dict(self.module.named_buffers(recurse=False))


def layers_in_order(model: nn.Module, arguments: Inputs) -> list[ParameterLayer]:
    """The modules with parameters of their own, in the order in which their forward is first called.

    A module whose forward is not called (a projection whose weight its owner reads) stands where the module does that
    it lies in. One that no call comes by has no influence on the output and is left out.

    Parameters
    ----------
    model : torch.nn.Module
        Is called once, with hooks: give a copy.
    arguments : Inputs
    """
    order: dict[str, int] = {}
    paths = {module: path for path, module in model.named_modules()}

    def called(module: nn.Module, _: Any) -> None:
        order.setdefault(paths[module], len(order))

    hooks = [module.register_forward_pre_hook(called) for module in paths]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(*arguments.args, **arguments.kwargs)
    finally:
        for hook in hooks:
            hook.remove()
    places = {}
    for path, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        if any(is_lazy(parameter) for parameter in own):
            raise InputError(f"module '{path}' has no parameters yet: call the model once before it is explained")
        if own and (place := _place(path, order)) is not None:
            places[path] = place
    ordered = sorted(places, key=lambda path: places[path])
    if not ordered:
        raise InputError("the model has no parameters that could be randomised")
    return [ParameterLayer(path or "model", model.get_submodule(path)) for path in ordered]


def _place(path: str, order: Mapping[str, int]) -> int | None:
    """When a module, or the innermost around it that is called, was called first."""
    while path not in order:
        if not path:
            return None
        path = path.rpartition(".")[0]
    return order[path]


def _permuted(parameter: Tensor, source: torch.Generator) -> Tensor:
    index = torch.randperm(parameter.numel(), generator=source).to(parameter.device)
    return parameter.flatten()[index].view_as(parameter)


def _alike(parameter: Tensor, source: torch.Generator) -> Tensor:
    """Normal numbers with the mean and the standard deviation of the parameter."""
    values = parameter.double()
    drawn = torch.randn(parameter.shape, generator=source, dtype=torch.float64).to(parameter.device)
    return values.mean() + drawn * values.std(correction=0)
