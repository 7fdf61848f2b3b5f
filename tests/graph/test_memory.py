"""What is remembered is remembered once, and forgotten with the model."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import OperatorCounter, noise, shaken
from torch import Tensor, nn

import xaicore


class Folding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.matrix = nn.Parameter(torch.zeros(27, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.conv(x)).relu().flatten(1)
        return h @ (self.matrix * 2.0).exp()


def use_by_tracing(model: nn.Module, x: Tensor) -> Any:
    graph = xaicore.trace(model, x)
    return graph(x), graph.folded(x), graph.select(xaicore.first_on_path)


def use_by_explaining(model: nn.Module, x: Tensor) -> Any:
    found = [xaicore.explain(model, x, method=name, target=0) for name in ("gradients.saliency", "lrp.gamma")]
    return [explanation.relevance for explanation in found]


def use_by_differentiating(model: nn.Module, x: Tensor) -> Any:
    return xaicore.explain(model, x, method="lrp.epsilon", target=0, create_graph=True).relevance.detach()


@pytest.mark.parametrize("use", [use_by_tracing, use_by_explaining, use_by_differentiating])
def test_a_model_and_its_weights_are_freed_after_use(use: Callable[[nn.Module, Tensor], Any]) -> None:
    model = shaken(Folding())
    result = use(model, noise(2, 2, 5, 5))
    watched = [weakref.ref(model), weakref.ref(model.conv.weight), weakref.ref(model.norm)]
    if use is use_by_tracing:
        result = result[:2]
    del model
    gc.collect()
    assert [reference() for reference in watched] == [None, None, None]
    assert result is not None


def test_a_replaced_parameter_is_freed_after_the_next_call() -> None:
    model, x = shaken(Folding()), noise(2, 2, 5, 5)
    use_by_explaining(model, x)
    old = weakref.ref(model.matrix)
    model.matrix = nn.Parameter(noise(27, 4, seed=6))
    use_by_explaining(model, x)
    gc.collect()
    assert old() is None


def test_what_depends_on_no_input_is_computed_once() -> None:
    model, x = shaken(Folding()), noise(2, 2, 5, 5)
    graph = xaicore.trace(model, x)
    graph.folded(x)
    with OperatorCounter() as counter:
        graph.folded(x)
    assert counter.of(["convolution", "exp", "rsqrt", "mul"]) == [1, 0, 0, 0]
    with torch.no_grad():
        model.norm.weight.mul_(2.0)
    with OperatorCounter() as counter:
        graph.folded(x)
    assert counter.of(["exp", "rsqrt"]) == [0, 1]  # of the two, only the scale is made of what has changed


def test_constants_can_be_cleared() -> None:
    model, x = shaken(Folding()), noise(2, 2, 5, 5)
    graph = xaicore.trace(model, x)
    expected = graph.folded(x)
    graph.folded.constants.clear()
    with OperatorCounter() as counter:
        assert torch.equal(graph.folded(x), expected)  # type: ignore[arg-type]
    assert counter.of(["exp", "rsqrt"]) == [1, 1]


def test_constants_that_follow_the_batch_are_right_for_each_batch() -> None:
    class Places(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.arange(x.shape[0], dtype=x.dtype)[:, None] ** 2

    graph = xaicore.trace(Places(), noise(3, 4))
    for size in (2, 5, 3, 2):
        x = noise(size, 4)
        torch.testing.assert_close(graph(x), x + torch.arange(size, dtype=x.dtype)[:, None] ** 2)


def test_a_repeated_call_keeps_no_more_memory_than_one() -> None:
    model, x = shaken(Folding()), noise(2, 2, 5, 5)

    def tensors_alive() -> int:
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    use_by_explaining(model, x)
    before = tensors_alive()
    for seed in range(3):
        use_by_explaining(model, noise(2, 2, 5, 5, seed=seed))
        with torch.no_grad():
            model.conv.weight.mul_(1.1)
    assert tensors_alive() <= before


def test_many_shapes_do_not_pile_up() -> None:
    model = shaken(nn.Sequential(nn.Conv1d(1, 2, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten()))
    first = xaicore.trace(model, noise(2, 1, 5))
    watched = weakref.ref(first)
    del first
    for length in range(6, 20):
        xaicore.trace(model, noise(2, 1, length))
    gc.collect()
    assert watched() is None
