"""One graph for every batch size where the model allows it; never a wrong one where it does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import InputError


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.drop = nn.Dropout(0.9)
        self.dense = nn.Linear(3 * 9, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.drop(self.norm(self.conv(x)).relu()).flatten(1))


class OtherForOne(Plain):
    """A batch of one is squeezed and doubled."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x) if len(x) == 1 else super().forward(x)


class SqueezesAll(nn.Module):
    """A careless ``squeeze()`` that takes a batch dimension of one with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).squeeze()


class FixedBatch(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.reshape(3, 2, 5, 5))


class OnlyThree(Plain):
    def forward(self, x: Tensor) -> Tensor:
        if len(x) != 3:
            raise ValueError("three at a time")
        return super().forward(x)


@pytest.mark.parametrize("first", [1, 2, 5])
def test_a_graph_captured_at_one_batch_size_serves_all(first: int) -> None:
    model = shaken(Plain())
    graph = xaicore.trace(model, noise(first, 2, 5, 5))
    for size in (1, 2, 3, 7):
        x = noise(size, 2, 5, 5, seed=size)
        assert_same(graph(x), eager(model, x))
        assert xaicore.trace(model, x) is graph


def test_the_batch_is_called_b_in_shapes() -> None:
    graph = xaicore.trace(shaken(Plain()), noise(1, 2, 5, 5))
    assert graph.inputs[0].outputs[0].describe() == "Bx2x5x5"
    assert graph.find("conv").outputs[0].describe() == "Bx3x3x3"
    assert graph.find("dense").outputs[0].describe() == "Bx4"


@pytest.mark.parametrize("kind", [OtherForOne, SqueezesAll])
@pytest.mark.parametrize("order", [(1, 3, 1, 4), (3, 1, 4, 1)])
def test_a_model_that_treats_a_batch_of_one_differently_is_captured_for_both(
    kind: type[nn.Module], order: tuple[int, ...]
) -> None:
    model = shaken(kind())
    for size in order:
        x = noise(size, 2, 5, 5, seed=size)
        assert_same(xaicore.trace(model, x)(x), eager(model, x))


@pytest.mark.parametrize("kind", [FixedBatch, OnlyThree])
def test_a_model_that_fixes_its_batch_is_captured_for_that_batch(kind: type[nn.Module]) -> None:
    model = shaken(kind())
    x = noise(3, 2, 5, 5)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert graph.inputs[0].outputs[0].describe() == "3x2x5x5"
    with pytest.raises(InputError, match="captured for 3x2x5x5"):
        graph(noise(2, 2, 5, 5))


def test_a_batch_that_the_model_refuses_is_an_error_with_the_models_own_words() -> None:
    with pytest.raises(InputError, match="three at a time"):
        xaicore.trace(shaken(OnlyThree()), noise(2, 2, 5, 5))


def test_another_image_size_is_another_graph_and_the_first_is_remembered() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    small, large = noise(2, 2, 5, 5), noise(2, 2, 8, 8)
    graph = xaicore.trace(model, small)
    assert_same(xaicore.trace(model, large)(large), eager(model, large))
    assert xaicore.trace(model, small) is graph
    with pytest.raises(InputError, match="Trace the model again"):
        graph(large)


def test_a_model_in_training_mode_is_captured_in_evaluation_mode_and_left_training() -> None:
    model = shaken(Plain()).train()
    x = noise(2, 2, 5, 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_mixed_modes_stay_mixed() -> None:
    model = shaken(Plain()).train()
    model.norm.eval()
    model.drop.train()
    xaicore.trace(model, noise(2, 2, 5, 5))
    assert [module.training for module in model.modules()] == [True, True, False, True, True]


def test_the_mode_is_not_switched_by_the_models_own_train_method() -> None:
    class Logged(Plain):
        calls = 0

        def train(self, mode: bool = True) -> Logged:
            self.calls += 1
            return super().train(mode)

    model = shaken(Logged())
    before = model.calls
    xaicore.trace(model, noise(2, 2, 5, 5))
    assert model.calls == before


def test_wrong_numbers_of_inputs_are_refused_with_the_names_of_those_expected() -> None:
    graph = xaicore.trace(shaken(Plain()), noise(2, 2, 5, 5))
    with pytest.raises(InputError, match=r"takes 1 inputs \(x\); 2 were given"):
        graph(noise(2, 2, 5, 5), noise(2, 2, 5, 5))


def test_only_modules_are_traced() -> None:
    with pytest.raises(InputError, match="trace takes a torch.nn.Module; got function"):
        xaicore.trace(lambda x: x, noise(2, 3))  # type: ignore[arg-type]


class Branching(Plain):
    """Takes another way by a test on the size of the batch."""

    def __init__(self, doubled: Any) -> None:
        super().__init__()
        self.doubled = doubled

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x) if self.doubled(x.shape[0]) else super().forward(x)


@pytest.mark.parametrize("order", [(2, 3, 6, 5, 1, 2, 6), (6, 5, 2, 3, 1)])
@pytest.mark.parametrize("doubled", [lambda size: size > 4, lambda size: size % 2 == 0, lambda size: size == 3])
def test_a_branch_on_the_size_of_the_batch_is_taken_as_the_model_takes_it(doubled: Any, order: tuple[int, ...]) -> None:
    model = shaken(Branching(doubled))
    for size in order:
        x = noise(size, 2, 5, 5, seed=size)
        assert_same(xaicore.trace(model, x)(x), eager(model, x))


def test_a_graph_is_compared_with_the_model_once_for_each_batch_size() -> None:
    model = shaken(Plain())
    calls = []
    x = noise(2, 2, 5, 5)
    xaicore.trace(model, x)
    model.dense.register_forward_hook(lambda *ignored: calls.append(1))
    graph = xaicore.trace(model, x)  # a hook is part of the model: it is captured anew
    calls.clear()
    assert xaicore.trace(model, x) is graph and len(calls) == 0
    assert xaicore.trace(model, x[:1]) is graph and len(calls) == 1
    assert xaicore.trace(model, x[:1]) is graph and len(calls) == 1
