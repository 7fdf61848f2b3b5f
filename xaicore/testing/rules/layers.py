"""The layers that every rule is tried on, all in one model so that it is captured once."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from xaicore.graph import trace
from xaicore.testing.backward.place import Captured, Place
from xaicore.testing.examples import seeded

SHAPES: dict[str, tuple[int, ...]] = {"features": (6,), "series": (2, 7), "image": (4, 4, 4), "volume": (2, 3, 3, 2)}
"""Of one sample of each input of the model."""

_MADE: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "dense": ("features", lambda: nn.Linear(6, 5)),
    "dense, square, without bias": ("features", lambda: nn.Linear(6, 6, bias=False)),
    "conv1d, strided, dilated": ("series", lambda: nn.Conv1d(2, 3, 3, stride=2, dilation=2, padding=2)),
    "conv2d, grouped, strided, padded": ("image", lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)),
    "conv2d, square": ("image", lambda: nn.Conv2d(4, 4, 3, padding=1)),
    "conv3d": ("volume", lambda: nn.Conv3d(2, 2, 2, stride=(1, 2, 1), padding=(0, 1, 0))),
    "transposed conv1d": ("series", lambda: nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1)),
    "transposed conv2d, grouped": ("image", lambda: nn.ConvTranspose2d(4, 2, 2, stride=2, groups=2)),
    "one dense layer for each step": ("series", lambda: nn.Linear(7, 4)),  # a convolution of width one
}
NAMES = tuple(_MADE)
RECTIFIED = " behind a ReLU"


class LinearLayers(nn.Module):
    """Layers that are linear in their input, each also behind a ReLU, where inputs are known not to be negative."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(make() for _, make in _MADE.values())

    def forward(self, features: Tensor, series: Tensor, image: Tensor, volume: Tensor) -> list[Tensor]:
        given = {"features": features, "series": series, "image": image, "volume": volume}
        found = []
        for (kind, _), layer in zip(_MADE.values(), self.layers, strict=True):
            found += [layer(given[kind]), layer(torch.relu(given[kind]))]
        return found


def model_of(dtype: torch.dtype, *, updated: bool = False) -> LinearLayers:
    """The model in this type, the same object each time; ``updated``: another one, with other weights."""
    return _model_of(dtype, updated)


@functools.cache
def _model_of(dtype: torch.dtype, updated: bool) -> LinearLayers:
    with seeded(3):
        model = LinearLayers().to(dtype).eval()
    if updated:
        for layer in model.layers:
            _change(layer)
    return model


def samples(count: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Inputs of either sign for all layers; the first ones are the same whatever the count."""
    generator = torch.Generator().manual_seed(11)
    drawn = [
        [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES.values()]
        for _ in range(count)
    ]
    return tuple(torch.stack(each).to(dtype) for each in zip(*drawn, strict=True))


def places_of(dtype: torch.dtype, *, updated: bool = False) -> tuple[Place, ...]:
    """Every layer, plain and behind a ReLU."""
    return _places_of(dtype, updated)


@functools.cache
def _places_of(dtype: torch.dtype, updated: bool) -> tuple[Place, ...]:
    tensors = samples(3, dtype)
    model = Captured(trace(_model_of(dtype, updated), *tensors), tensors)
    labels = [f"{name}{behind}" for name in NAMES for behind in ("", RECTIFIED)]
    return tuple(
        Place(model, ref.layer, label) for label, ref in zip(labels, model.graph.outputs.values(), strict=True)
    )


def module_of(place: Place) -> nn.Module:
    """The layer as a module of float64."""
    return model_of(torch.float64).layers[NAMES.index(place.name.removesuffix(RECTIFIED))]


@contextmanager
def with_other_weights(place: Place) -> Iterator[None]:
    """The layer with the weights that it has in the updated model; afterwards it has its own again."""
    layer = module_of(place)
    before = copy.deepcopy(layer.state_dict())
    try:
        _change(layer)
        yield
    finally:
        layer.load_state_dict(before)


def _change(layer: nn.Module) -> None:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(parameter.flip(0) * 1.5 + 0.1)
