"""Operations that write in place become functional ones; the user's tensors are never written to."""

from __future__ import annotations

import pytest
import torch
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


class SliceOfSlice(Net):
    """Of every second but the first and last; and of one feature, counted from the end."""

    def body(self, h: Tensor) -> Tensor:
        h[:, 1:][:, :-1:2].mul_(3.0)
        h[:, -1] = h[:, 0]
        return h


class SliceReadLater(Net):
    """Under its own name, under that of the whole, and as it was before."""

    def body(self, h: Tensor) -> Tensor:
        before, part = h * 1, h[:, 1:4]
        part.sub_(before[:, :3])
        return torch.cat([part, h[:, :3]], 1) + before


class WholeThenSlice(Net):
    def body(self, h: Tensor) -> Tensor:
        h.add_(1.0)
        h[:, 2:].mul_(2.0)
        h.sub_(0.5)
        return h


class Mask(Net):
    """Regions of a constant are counted, as for windows that are shifted."""

    def body(self, h: Tensor) -> Tensor:
        mask = h.new_zeros((3, 2))
        for number, (rows, columns) in enumerate([(slice(0, 1), 0), (slice(1, 3), 1), (slice(-1, None), 0)]):
            mask[rows, columns] = number + 1
        return h * mask.flatten()


class StepByStep(Net):
    """Each result is written to its place, and read for the next."""

    def body(self, h: Tensor) -> Tensor:
        states = torch.zeros_like(h)
        states[:, 0] = h[:, 0]
        for step in range(1, 6):
            states[:, step] = torch.tanh(states[:, step - 1] + h[:, step])
        return states


class SliceOfView(Net):
    """What is sliced is itself another name of a tensor that is read later."""

    def body(self, h: Tensor) -> Tensor:
        table = h.view(-1, 2, 3)
        table[:, 1] *= 2.0
        return h + table.flatten(1)


class PartReadUnderAnOldName(Net):
    def body(self, h: Tensor) -> Tensor:
        old = h[:, 1:4]
        h[:, :2] = 0.5
        return h[:, :3] * old @ torch.ones(3, 6, dtype=h.dtype)


class SumInAnotherType(Net):
    """What is added has a wider type; the tensor keeps its own."""

    def body(self, h: Tensor) -> Tensor:
        short = h.float()
        short[:, :2] += h[:, 2:4]
        return short.to(h.dtype)


PUT_BACK = [Slice, SliceOfSlice, SliceReadLater, Copied, Mask, StepByStep]
CASES = [
    Module, Chained, NameReadLater, ReadBefore, AddsToItself, ViewReadLater, WriteThroughView, BothHalves,
    CopyIsNotShared, WholeThenSlice, SliceOfView, PartReadUnderAnOldName, SumInAnotherType, *PUT_BACK,
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


@pytest.mark.parametrize("kind", PUT_BACK)
def test_parts_of_a_tensor_are_put_back_without_a_second_capture(
    kind: type[Net], monkeypatch: pytest.MonkeyPatch
) -> None:
    def capture_again(*_: object) -> None:
        raise AssertionError("captured again, which takes as long as the first time")

    monkeypatch.setattr(torch.export.ExportedProgram, "run_decompositions", capture_again)
    model, x = shaken(kind()), noise(2, 4)
    assert_same(xaicore.trace(model, x)(x), eager(model, x))


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
