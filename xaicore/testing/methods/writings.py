"""The same function, written in several ways: what a method must explain alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaicore.testing.affine import Affine
from xaicore.testing.examples import CLASSES, seeded, shake

_SIZE = 6
ModelT = TypeVar("ModelT", bound=nn.Module)


class Modules(nn.Module):
    """Convolution, batch norm, ReLU, a residual addition, max pooling, a dense layer: each a module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.inner, self.pool = nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(2)
        self.head = nn.Linear(4 * (_SIZE // 2) ** 2, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(image)))
        x = self.act(x + self.inner(x))
        found: Tensor = self.head(self.pool(x).flatten(1))
        return found


class Functions(Modules):
    """Functions instead of modules, a matrix product and a sum for the dense layer, the addition turned round."""

    def forward(self, image: Tensor) -> Tensor:
        norm = self.norm
        x = F.conv2d(image, self.stem.weight, self.stem.bias, padding=1)
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        x = torch.relu(x)
        x = (self.inner(x) + x).clamp(min=0)
        x = F.max_pool2d(x, 2)
        return x.reshape(len(x), -1) @ self.head.weight.T + self.head.bias


class Folded(Modules):
    """Batch norm folded by hand; reshapes that change nothing, dropout, and a branch that nobody reads."""

    def fold(self) -> None:
        norm = self.norm
        assert isinstance(norm.running_mean, Tensor) and isinstance(norm.running_var, Tensor)
        with torch.no_grad():
            factor = norm.weight / (norm.running_var + norm.eps).sqrt()
            assert self.stem.bias is not None
            self.stem.bias.copy_(self.stem.bias * factor + norm.bias - factor * norm.running_mean)
            self.stem.weight.mul_(factor[:, None, None, None])

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.stem(image.reshape(image.shape)))
        x = F.dropout(x, 0.5, self.training)
        nobody = self.inner(x).sum()  # noqa: F841  (it is there to be ignored)
        x = torch.relu(x + self.inner(x)).unsqueeze(0).squeeze(0)
        found: Tensor = self.head(self.pool(x).flatten(1))
        return found


class Unrolled(nn.Module):
    """Convolutions as dense layers with their matrices."""

    def __init__(self, of: Folded) -> None:
        super().__init__()
        self.stem = _dense(Affine.of(of.stem, (3, _SIZE, _SIZE)))
        self.inner = _dense(Affine.of(of.inner, (4, _SIZE, _SIZE)))
        self.head = of.head

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.stem(image.flatten(1)))
        x = torch.relu(x + self.inner(x)).reshape(-1, 4, _SIZE, _SIZE)
        found: Tensor = self.head(F.max_pool2d(x, 2).flatten(1))
        return found


class Dense(nn.Module):
    """Two dense layers, as modules."""

    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.first, self.act, self.second = nn.Linear(6, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.act(self.first(x)))
        return found


class DenseFunctions(nn.Module):
    """The same by functions."""

    def __init__(self, of: Dense) -> None:
        super().__init__()
        self.first, self.second = of.first, of.second

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(x @ self.first.weight.T + self.first.bias)
        return F.linear(F.dropout(hidden, 0.3, self.training), self.second.weight) + self.second.bias


def other_weights(of: Dense) -> Dense:
    """The same by other weights: a neuron in two halves, another scaled and back."""
    hidden = of.first.out_features
    model = Dense(hidden + 1).double()
    first, second = model.first, model.second
    with torch.no_grad():
        first.weight.copy_(torch.cat([of.first.weight, of.first.weight[:1]]))
        first.bias.copy_(torch.cat([of.first.bias, of.first.bias[:1]]))
        second.weight.copy_(torch.cat([of.second.weight, of.second.weight[:, :1]], 1))
        second.bias.copy_(of.second.bias)
        second.weight[:, [0, hidden]] /= 2
        first.weight[1] *= 4
        first.bias[1] *= 4
        second.weight[:, 1] /= 4
    return model.eval()


class Along(nn.Module):
    """A convolution along time, as a module or as a function."""

    def __init__(self, functional: bool) -> None:
        super().__init__()
        self.along, self.act, self.head = nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Linear(4, CLASSES)
        self.functional = functional

    def forward(self, x: Tensor) -> Tensor:
        if not self.functional:
            found: Tensor = self.head(self.act(self.along(x)).mean(-1))
            return found
        x = F.relu(F.conv1d(x, self.along.weight, self.along.bias, padding=1))
        return x.mean(2) @ self.head.weight.T + self.head.bias


@dataclass(frozen=True)
class Writing:
    """One way to write a function.

    Parameters
    ----------
    model : in float64 and evaluation mode.
    way : what is different from the first way.
    same_weights : whether only the writing differs, and the layers with their weights are the same.
    """

    model: nn.Module
    way: str
    same_weights: bool = True


@functools.cache
def writings(kind: str) -> tuple[Writing, ...]:
    """The ways in which the kit writes a function of such inputs; the same models each time, captured once."""
    return {"image": _of_images, "tabular": _of_tables, "series": _of_series}[kind]()


SHAPES = {"image": (3, _SIZE, _SIZE), "tabular": (6,), "series": (2, 8)}


def _of_images() -> tuple[Writing, ...]:
    first = _made(Modules)
    functions, folded = _made(Functions), _made(Folded)
    functions.load_state_dict(first.state_dict())
    folded.load_state_dict(first.state_dict())
    folded.fold()
    return (
        Writing(first, "as modules"),
        Writing(functions, "by functions, with x @ W.T + b and the operands of an addition swapped"),
        Writing(folded, "with batch norm folded by hand, dropout, reshapes that change nothing and an unused branch"),
        Writing(Unrolled(folded).eval(), "with convolutions as dense layers", same_weights=False),
    )


def _of_tables() -> tuple[Writing, ...]:
    first = _made(Dense)
    return (
        Writing(first, "as modules"),
        Writing(DenseFunctions(first).eval(), "by functions, with x @ W.T + b"),
        Writing(other_weights(first), "with one neuron split in halves and one scaled", same_weights=False),
    )


def _of_series() -> tuple[Writing, ...]:
    first, functions = _made(lambda: Along(False)), _made(lambda: Along(True))
    functions.load_state_dict(first.state_dict())
    return Writing(first, "as modules"), Writing(functions, "by functions")


def _made(make: Callable[[], ModelT]) -> ModelT:
    with seeded(8):
        model = make().double().eval()
    shake(model)
    return model


def _dense(affine: Affine) -> nn.Linear:
    outputs, inputs = affine.weight.shape
    layer = nn.Linear(inputs, outputs).double()
    with torch.no_grad():
        layer.weight.copy_(affine.weight)
        layer.bias.copy_(affine.bias)
    return layer
