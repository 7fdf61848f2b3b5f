"""Linear layers in a form that rules can change the weights of: y = A(x, weight) + bias, and A transposed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.graph import anything
from xaicore.propagation import Composite, LinearForm, Tape, walk

COLUMN = noise(3, 1, 1, seed=4)
MATRIX = noise(4, 3, seed=8)


class Function(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


FEATURES = (4,)
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(4, 3), FEATURES),
    "linear without bias": (nn.Linear(4, 3, bias=False), FEATURES),
    "linear over a sequence": (nn.Linear(4, 3), (5, 4)),
    "matrix product": (Function(lambda x: x @ MATRIX), FEATURES),
    "conv1d": (nn.Conv1d(2, 3, 3, stride=2, padding=1), (2, 7)),
    "conv2d": (nn.Conv2d(2, 3, (2, 3), stride=(1, 2), padding=(0, 1), dilation=(2, 1)), (2, 6, 7)),
    "conv3d": (nn.Conv3d(2, 3, 2, stride=2, padding=1), (2, 4, 5, 4)),
    "conv2d of groups": (nn.Conv2d(4, 6, 3, groups=2, bias=False), (4, 5, 5)),
    "depthwise conv2d": (nn.Conv2d(4, 4, 3, groups=4, padding="same"), (4, 5, 5)),
    "transposed conv1d": (nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 5)),
    "transposed conv2d": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1, dilation=2), (4, 3, 4)),
    "transposed conv3d": (nn.ConvTranspose3d(2, 3, 2, stride=2), (2, 3, 2, 3)),
    "batch norm": (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()), (3, 4, 4)),
    "times a number": (Function(lambda x: x * 2.5), (3, 4)),
    "number times": (Function(lambda x: -0.5 * x), (3, 4)),
    "divided": (Function(lambda x: x / 4.0), (3, 4)),
    "divided by a tensor": (Function(lambda x: x / COLUMN), (3, 4, 4)),
    "times a tensor": (Function(lambda x: COLUMN * x), (3, 4, 4)),
    "spread out by a tensor": (Function(lambda x: x * COLUMN), (1, 4, 4)),
    "negated": (Function(lambda x: -x), (3, 4)),
}


def form_of(module: nn.Module, x: Tensor) -> tuple[LinearForm, Tensor]:
    """The form of the first layer that has one, and the layer's output."""
    graph = xaicore.trace(shaken(module), x).folded
    found: list[tuple[LinearForm, Tensor]] = []

    def look(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        if state.linear is not None:
            found.append((state.linear, ys[0].clone()))
        return state.vjp(rs)

    seed = torch.ones_like(graph(x))  # type: ignore[arg-type]
    walk(Tape(graph, [x]), {graph.outputs["output"]: seed}, Composite([(anything, look)]).match(graph))
    (form,) = found
    return form


@pytest.mark.parametrize("layer", LAYERS)
def test_weight_and_bias_give_the_layers_output(layer: str) -> None:
    module, shape = LAYERS[layer]
    form, y = form_of(module, noise(2, *shape))
    assert_same(form.apply(form.x, bias=form.bias), y)
    assert_same(form.apply(form.x) + (0 if form.bias is None else form.bias), y)


@pytest.mark.parametrize("layer", LAYERS)
def test_the_map_is_linear_in_the_input_and_in_the_weight(layer: str) -> None:
    module, shape = LAYERS[layer]
    form, _ = form_of(module, noise(2, *shape))
    a, b = noise(2, *form.x.shape[1:], seed=5), noise(2, *form.x.shape[1:], seed=6)
    assert_same(form.apply(a - 3 * b), form.apply(a) - 3 * form.apply(b))
    w = torch.randn(form.weight.shape, generator=torch.Generator().manual_seed(7), dtype=torch.double)
    assert_same(form.apply(a, 2 * form.weight - w), 2 * form.apply(a) - form.apply(a, w))


@pytest.mark.parametrize("own_weight", [True, False])
@pytest.mark.parametrize("layer", LAYERS)
def test_pull_is_the_transposed_map(layer: str, own_weight: bool) -> None:
    """<A x, r> == <x, A' r>, for the layer's own weight and for any other."""
    module, shape = LAYERS[layer]
    form, y = form_of(module, noise(2, *shape))
    weight = None if own_weight else form.weight.abs() + 0.1
    x, r = noise(2, *form.x.shape[1:], seed=5), noise(*y.shape, seed=6)
    pulled = form.pull(r, weight)
    assert pulled.shape == x.shape
    assert float((form.apply(x, weight) * r).sum()) == pytest.approx(float((x * pulled).sum()), rel=1e-9)


@pytest.mark.parametrize("layer", LAYERS)
def test_pull_is_the_layers_gradient(layer: str) -> None:
    module, shape = LAYERS[layer]
    form, y = form_of(module, noise(2, *shape))
    x = form.x.detach().clone().requires_grad_()
    r = noise(*y.shape, seed=6)
    (gradient,) = torch.autograd.grad(form.apply(x), x, r)
    assert_same(form.pull(r), gradient)


def test_pull_takes_one_sample_of_a_larger_batch() -> None:
    form, y = form_of(nn.Conv2d(2, 3, 3, padding=1), noise(4, 2, 5, 5))
    r = noise(*y.shape, seed=6)
    assert_same(form.pull(r[:1]), form.pull(r)[:1])


@pytest.mark.parametrize(
    "function",
    [lambda x: x.relu(), lambda x: x * x, lambda x: x + 1.0, lambda x: COLUMN[0] / x, lambda x: x.flatten(1)],
)
def test_what_is_not_linear_with_constant_weights_has_no_form(function: Any) -> None:
    graph = xaicore.trace(Function(function), noise(2, 3)).folded
    seen: list[Any] = []

    def look(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        seen.append(state.linear)
        return state.vjp(rs)

    matching = Composite([(anything, look)]).match(graph)
    walk(Tape(graph, [noise(2, 3)]), {graph.outputs["output"]: noise(2, 3)}, matching)
    assert seen == [None]


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Conv1d(4, 3, 3), (4, 7), (4, 7)),  # the four rows are channels, no samples
        (nn.Conv2d(2, 3, 3), (2, 5, 6), (2, 5, 6)),
        (nn.Conv1d(4, 3, 3), (5, 4, 7), (1, 4, 7)),
        (nn.Linear(4, 3), (5, 4), (1, 4)),
        (nn.Linear(4, 3), (5, 6, 4), (1, 6, 4)),
    ],
)
def test_ones_are_one_sample_that_the_map_takes(
    module: nn.Module, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    form, y = form_of(module, noise(*shape))
    assert form.ones().shape == expected
    assert float(form.ones().min()) == float(form.ones().max()) == 1
    assert torch.broadcast_shapes(form.apply(form.ones()).shape, y.shape) == y.shape
    assert form.bias is not None and torch.broadcast_shapes(form.bias.shape, y.shape) == y.shape
    assert_same(form.apply(form.x, bias=form.bias), y)
