"""The models and data that the kit brings: small, seeded, one for each way in which models are written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 4


class ResidualImage(nn.Module):
    """Strides, padding, batch norm, a residual addition of one module used twice, max pooling, functional ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6)
        self.shared = nn.Conv2d(6, 6, 3, padding=1)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(6 * 2 * 2, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(image)))
        x = torch.relu(x + self.shared(x))
        x = torch.relu(self.shared(x))
        scores: Tensor = self.head(self.pool(x).flatten(1))
        return scores


class Table(nn.Module):
    """Two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(6, 10), nn.Linear(10, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.relu(self.hidden(features)))
        return scores


class Series(nn.Module):
    """A convolution along time, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.along, self.head = nn.Conv1d(2, 6, 3, padding=1), nn.Linear(6, CLASSES)

    def forward(self, series: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.relu(self.along(series)).mean(-1))
        return scores


class Text(nn.Module):
    """Integer tokens, looked up, taken one by one, and averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.each, self.head = nn.Embedding(13, 6), nn.Linear(6, 8), nn.Linear(8, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(torch.relu(self.each(self.embedding(tokens))).mean(1))
        return scores


class Recurrent(nn.Module):
    """Integer tokens, read by an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.reader = nn.Embedding(13, 6), nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.reader(self.embedding(tokens))[0][:, -1])
        return scores


class TwoInputs(nn.Module):
    """Two inputs that meet in a sum, and a dict of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(6, 8), nn.Linear(3, 8), nn.Linear(8, CLASSES)

    def forward(self, left: Tensor, right: Tensor) -> dict[str, Tensor]:
        return {"logits": self.head(torch.relu(self.left(left) + self.right(right)))}


@dataclass(frozen=True)
class Example:
    """A model that the kit brings, and inputs for it.

    Parameters
    ----------
    name : what it is called in messages.
    kind : what it is given: "image", "text", "series", "tabular".
    make : makes the model, in float32, from the global random state.
    shapes : of one sample of each input.
    tokens : how many different integers there are; 0 for floating-point inputs.
    """

    name: str
    kind: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    tokens: int = 0

    def model(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The model in this type and evaluation mode; the same object each time, so that it is captured once.

        Where a method has written to it, the next is given a new one.
        """
        key = (self, dtype)
        if key not in _MODELS or _writes_to(_MODELS[key][0]) != _MODELS[key][1]:
            made = self.fresh_model(dtype)
            _MODELS[key] = made, _writes_to(made)
        return _MODELS[key][0]

    def fresh_model(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """A new copy with the same weights, for checks that must see that nobody has touched it."""
        with seeded(0):
            model = self.make().to(dtype)
        shake(model)
        return model.eval()

    def inputs(self, count: int = 3, dtype: torch.dtype = torch.float64, seed: int = 1) -> Any:
        """`count` samples: a tensor, or a tuple of them where the model has several inputs.

        The first samples are the same whatever the count.
        """
        found = tuple(
            torch.stack([self._sample(shape, 1000 * seed + 10 * number + place) for number in range(count)])
            for place, shape in enumerate(self.shapes)
        )
        found = tuple(each if self.tokens else each.to(dtype) for each in found)
        return found if len(found) > 1 else found[0]

    def _sample(self, shape: tuple[int, ...], seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        if self.tokens:
            return torch.randint(1, self.tokens, shape, generator=generator)
        return torch.rand(shape, generator=generator, dtype=torch.float64)


IMAGE = Example("residual CNN", "image", ResidualImage, ((3, 8, 8),))
TABLE = Example("dense network", "tabular", Table, ((6,),))
SERIES = Example("convolution along time", "series", Series, ((2, 12),))
TEXT = Example("token network", "text", Text, ((7,),), tokens=13)
RECURRENT = Example("LSTM", "text", Recurrent, ((5,),), tokens=13)
TWO_INPUTS = Example("network of two inputs", "tabular", TwoInputs, ((6,), (3,)))

EXAMPLES = (IMAGE, TABLE, SERIES, TEXT, RECURRENT, TWO_INPUTS)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global random state of torch seeded, and put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


_MODELS: dict[tuple[Example, torch.dtype], tuple[nn.Module, list[int]]] = {}


def _writes_to(model: nn.Module) -> list[int]:
    """How often each of its tensors was written to."""
    return [tensor._version for tensor in (*model.parameters(), *model.buffers())]


def shake(model: nn.Module) -> None:
    """Give norms statistics and factors, which are trivial in a new model, and biases a size that can be seen.

    Every class gets a positive score: some methods (deep Taylor decomposition) explain no other.
    """
    with torch.no_grad(), seeded(7):
        for name, tensor in [*model.named_buffers(), *model.named_parameters()]:
            if name.endswith(("running_mean", "bias")):
                tensor.copy_(0.2 * torch.randn(tensor.shape))
            elif name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
                tensor.copy_(0.5 + torch.rand(tensor.shape))
            if name == "head.bias":
                tensor.add_(1)
