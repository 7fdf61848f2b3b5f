"""What tests compare with: the model as torch itself runs it, and counts of the operators that really ran."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 and evaluation mode, each weight, bias and statistic a random number, variances positive."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_(0.5 * torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
        for name, tensor in model.named_buffers():
            if name.endswith("running_mean"):
                tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
            elif name.endswith("running_var"):
                tensor.copy_(0.2 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype))
    return model


def noise(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """Normal random numbers of this shape; the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def eager(model: nn.Module, *inputs: Any, **keywords: Any) -> Any:
    """What the model returns in evaluation mode, from a copy, so that it cannot change the model that is tested."""
    with torch.no_grad():
        return copy.deepcopy(model).eval()(*copy.deepcopy(inputs), **copy.deepcopy(keywords))


def input_gradient(model: nn.Module, x: Tensor, target: int) -> Tensor:
    """The gradient of the output's element ``target`` with respect to the input, by autograd."""
    model = copy.deepcopy(model).eval()
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x * 1.0)[:, target].sum(), x)  # times 1: a model may write to its input
    return gradient


def assert_same(actual: Any, expected: Tensor, tolerance: float = 1e-10) -> None:
    """Equal up to rounding in float64, in shape and type too."""
    assert isinstance(actual, Tensor)
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


class OperatorCounter(TorchDispatchMode):
    """Counts the operators that run below autograd, by name: ``counter.counts["convolution"]``."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        return func(*args, **(kwargs or {}))

    def of(self, names: Iterable[str]) -> list[int]:
        """The counts of these operators."""
        return [self.counts.get(name, 0) for name in names]
