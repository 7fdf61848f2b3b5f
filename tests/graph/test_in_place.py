"""Operations that write in place become functional ones; the user's tensors are never written to."""

from __future__ import annotations

import pytest
from oracles import assert_same, eager, input_gradient, noise, shaken
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore.graph import Graph


class Net(nn.Module):
    """A dense layer, a body that writes in place, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.body(self.first(x)))

    def body(self, h: Tensor) -> Tensor:
        raise AssertionError("each case has its own")


class Module(Net):
    def body(self, h: Tensor) -> Tensor:
        return nn.ReLU(inplace=True)(h)


class Chained(Net):
    def body(self, h: Tensor) -> Tensor:
        return h.add_(1.0).mul_(2.0).sub_(0.5).relu_()


class NameReadLater(Net):
    """The old name is read after the write: it has the new value."""

    def body(self, h: Tensor) -> Tensor:
        written = h.relu_()
        return written + h


class ReadBefore(Net):
    """What was computed before the write keeps the old value."""

    def body(self, h: Tensor) -> Tensor:
        before = h * 3
        F.relu_(h)
        return before + h


class AddsToItself(Net):
    def body(self, h: Tensor) -> Tensor:
        h += h
        return h


class Slice(Net):
    def body(self, h: Tensor) -> Tensor:
        h[:, :2] = 0.5
        h[:, 2:4] *= 3.0
        return h


class ViewReadLater(Net):
    """A view made before the write shows the new value."""

    def body(self, h: Tensor) -> Tensor:
        view = h.view(-1, 2, 3)
        h.mul_(2.0)
        return view.flatten(1) + 1


class WriteThroughView(Net):
    def body(self, h: Tensor) -> Tensor:
        h.view(-1, 2, 3)[:, 0].relu_()
        return h


class BothHalves(Net):
    def body(self, h: Tensor) -> Tensor:
        a, b = h[:, :3], h[:, 3:]
        a.mul_(3.0)
        b.add_(1.0)
        return h


class CopyIsNotShared(Net):
    """A clone is memory of its own: the original keeps its value."""

    def body(self, h: Tensor) -> Tensor:
        twin = h.clone()
        twin.zero_()
        return h + twin


class Masked(Net):
    def body(self, h: Tensor) -> Tensor:
        h[h < 0] = 0.1
        return h


class Copied(Net):
    def body(self, h: Tensor) -> Tensor:
        out = h.new_zeros(h.shape)
        out[:, 1:] = h[:, :-1]
        return out


CASES = [
    Module, Chained, NameReadLater, ReadBefore, AddsToItself, Slice, ViewReadLater, WriteThroughView, BothHalves,
    CopyIsNotShared, Copied,
]  # fmt: skip


def writes(graph: Graph) -> list[str]:
    """The operators of the graph that write to their arguments."""
    schemas = [(layer.op_name, getattr(layer.op, "_schema", None)) for layer in graph.layers]
    return [name for name, schema in schemas if schema is not None and schema.is_mutable]


@pytest.mark.parametrize("kind", CASES)
def test_the_graph_computes_what_the_model_does_and_writes_nothing(kind: type[Net]) -> None:
    model = shaken(kind())
    for size in (1, 3):
        x = noise(size, 4, seed=size)
        graph = xaicore.trace(model, x)
        assert_same(graph(x), eager(model, x))
        assert writes(graph) == []


@pytest.mark.parametrize("kind", CASES)
def test_the_gradient_through_it_is_autograds(kind: type[Net]) -> None:
    model, x = shaken(kind()), noise(3, 4)
    found = xaicore.explain(model, x, method="gradients.saliency", target=1).relevance
    assert_same(found, input_gradient(model, x, 1))


def test_a_masked_write_with_a_number_is_captured() -> None:
    model, x = shaken(Masked()), noise(3, 4)
    assert_same(xaicore.trace(model, x)(x), eager(model, x))


class WritesItsInput(Net):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2.0).relu_()
        return self.second(self.first(x))


class WritesAViewOfItsInput(Net):
    def forward(self, x: Tensor) -> Tensor:
        x[:, :2] += 1.0
        return self.second(self.first(x))


@pytest.mark.parametrize("kind", [WritesItsInput, WritesAViewOfItsInput])
def test_a_model_that_writes_to_its_input_leaves_the_users_tensor_alone(kind: type[Net]) -> None:
    model, x = shaken(kind()), noise(3, 4)
    before, version = x.clone(), x._version
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, before))
    explanation = xaicore.explain(model, x, method="gradients.saliency", target=1)
    assert_same(explanation.relevance, input_gradient(model, before, 1))
    assert_same(x, before, 0.0)
    assert x._version == version
