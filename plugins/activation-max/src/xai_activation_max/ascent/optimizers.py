"""How leaves are changed, step by step; every row on its own."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from xai_activation_max.ascent.lbfgs import RowwiseLBFGS
from xai_activation_max.ascent.objective import Evaluated
from xaicore.errors import ParameterError

OPTIMIZERS = ("adam", "sgd", "lbfgs")
LEARNING_RATES = {"adam": 0.05, "sgd": 0.1, "lbfgs": 1.0}

Evaluate = Callable[[list[Tensor]], Evaluated]


class Stepper(Protocol):
    """Something that changes leaves in place."""

    def step(self, found: Evaluated, evaluate: Evaluate) -> Tensor | None:
        """Make one step uphill from where ``found`` was evaluated; returns the rows that can rise no more, (N,)."""
        ...


def stepper_for(optimizer: Any, leaves: list[Tensor], learning_rate: float | None, steps: int) -> Stepper:
    """The optimizer that is called so, or that a function makes of the leaves."""
    if optimizer == "lbfgs":
        return RowwiseLBFGS(leaves, 1.0 if learning_rate is None else learning_rate)
    if callable(optimizer):
        made = optimizer(leaves)
        if not isinstance(made, torch.optim.Optimizer):
            raise ParameterError(
                f"optimizer= made a {type(made).__name__}; it must be a function of a list of tensors that returns a "
                "torch.optim.Optimizer, such as functools.partial(torch.optim.RMSprop, lr=0.01)"
            )
        return _Torch(made, leaves, None, steps)
    rate = LEARNING_RATES[optimizer] if learning_rate is None else learning_rate
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return _Torch(kinds[optimizer](leaves, lr=rate), leaves, rate, steps)


class _Torch:
    """An optimizer of PyTorch; a ``rate`` falls along half a cosine, so that the search comes to rest."""

    def __init__(self, optimizer: torch.optim.Optimizer, leaves: list[Tensor], rate: float | None, steps: int) -> None:
        self._optimizer, self._leaves, self._rate, self._steps = optimizer, leaves, rate, steps
        self._number = 0
        # One that looks around for itself, such as torch.optim.LBFGS, must be given the objective; for others it would
        # only be computed twice.
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        self._asks = closure is not None and closure.default is inspect.Parameter.empty

    def step(self, found: Evaluated, evaluate: Evaluate) -> Tensor | None:
        if self._rate is not None:
            share = 0.5 * (1 + math.cos(math.pi * self._number / self._steps))
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * share
        for leaf, gradient in zip(self._leaves, found.gradients, strict=True):
            leaf.grad = -gradient
        if self._asks:
            self._optimizer.step(lambda: self._again(evaluate))
        else:
            self._optimizer.step()
        self._number += 1
        return None

    def _again(self, evaluate: Evaluate) -> float:
        found = evaluate(self._leaves)
        for leaf, gradient in zip(self._leaves, found.gradients, strict=True):
            leaf.grad = -gradient
        return -float(found.objective.sum())
