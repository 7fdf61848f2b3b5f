"""The layers of a model in the order in which they run, and new parameters for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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
    number : int
        Its place in the order in which layers run.
    """

    path: str
    module: nn.Module
    number: int

    def state(self) -> dict[str, Tensor]:
        """A copy of its own parameters and buffers."""
        return {name: tensor.detach().clone() for name, tensor in self._tensors().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(state[name])

    def randomise(self, how: str, seed: int) -> None:
        """Give it new parameters; see `ParameterRandomization`. They depend on the seed and its number alone."""
        reset: Any = getattr(self.module, "reset_parameters", None)
        with torch.no_grad():
            before = self.state()
            if how == "reset" and callable(reset):
                devices = list({tensor.device for tensor in self._tensors().values() if tensor.device.type == "cuda"})
                own = generator(seed, self.number).initial_seed()
                with torch.random.fork_rng(devices=devices):
                    # Not torch.manual_seed, which also seeds devices that are not put back.
                    torch.default_generator.manual_seed(own)
                    for device in devices:
                        with torch.cuda.device(device):
                            torch.cuda.manual_seed(own)
                    reset()
            for place, (name, parameter) in enumerate(self.module.named_parameters(recurse=False)):
                # What a reset does not reach, such as the two factors of a normalised weight, has learnt too.
                if parameter.is_floating_point() and torch.equal(parameter, before[name]):
                    source = generator(seed, self.number, place)
                    parameter.copy_(_permuted(parameter, source) if how == "permute" else _alike(parameter, source))

    def _tensors(self) -> dict[str, Tensor]:
        own = dict(self.module.named_parameters(recurse=False))
        return own | dict(self.module.named_buffers(recurse=False))


def layers_in_order(model: nn.Module, arguments: Inputs) -> list[ParameterLayer]:
    """The modules with parameters of their own, in the order in which operations first read these.

    Modules whose parameters are never read (a head that serves in training only) are left out.

    Parameters
    ----------
    model : torch.nn.Module
        Is called once, as it is: give a copy.
    arguments : Inputs
    """
    reads = _Reads()
    with torch.no_grad(), torch.random.fork_rng(devices=[]), reads:
        model(*arguments.args, **arguments.kwargs)
    places: dict[str, int] = {}
    for path, module in model.named_modules():
        found = [reads.order[id(each)] for each in module.parameters(recurse=False) if id(each) in reads.order]
        if found:
            places[path] = min(found)
    if not places:
        raise InputError("the model has no parameters that could be randomised")
    ordered = sorted(places, key=lambda path: places[path])
    return [ParameterLayer(path or "model", model.get_submodule(path), number) for number, path in enumerate(ordered)]


class _Reads(TorchFunctionMode):
    """Sees which parameters operations are given, and in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.order: dict[int, int] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") != "__get__":  # looking at a shape or a type is no use
            self._see((args, tuple((kwargs or {}).values())))
        return func(*args, **(kwargs or {}))

    def _see(self, value: Any) -> None:
        if isinstance(value, nn.Parameter):
            self.order.setdefault(id(value), len(self.order))
        elif isinstance(value, tuple | list):
            for each in value:
                self._see(each)


def _permuted(parameter: Tensor, source: torch.Generator) -> Tensor:
    index = torch.randperm(parameter.numel(), generator=source).to(parameter.device)
    return parameter.flatten()[index].view_as(parameter)


def _alike(parameter: Tensor, source: torch.Generator) -> Tensor:
    """Normal numbers with the mean and the standard deviation of the parameter."""
    values = parameter.double()
    drawn = torch.randn(parameter.shape, generator=source, dtype=torch.float64).to(parameter.device)
    return values.mean() + drawn * values.std(correction=0)
