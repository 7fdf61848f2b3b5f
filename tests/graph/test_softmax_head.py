"""A model that ends in softmax is explained at its logits, and the graph says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.graph import Kind


class Headed(nn.Module):
    def __init__(self, head: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 3)
        self.head = head

    def forward(self, x: Tensor) -> Any:
        return self.head(self.dense(x))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (nn.Softmax(1), "softmax"),
        (nn.LogSoftmax(-1), "log_softmax"),
        (lambda logits: torch.softmax(logits, 1), "softmax"),
        (lambda logits: nn.functional.log_softmax(logits, dim=-1), "log_softmax"),
    ],
)
def test_it_is_stripped_with_a_note(head: Any, name: str) -> None:
    model, x = shaken(Headed(head)), noise(3, 4)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model.dense, x))
    assert Kind.SOFTMAX not in [layer.kind for layer in graph.layers]
    (note,) = graph.notes
    assert f"ends in {name}" in note and "logits" in note


def test_a_model_without_one_has_no_notes() -> None:
    assert xaicore.trace(shaken(Headed(nn.ReLU())), noise(3, 4)).notes == ()


@pytest.mark.parametrize(
    "head",
    [
        lambda logits: logits.softmax(1) * 2,
        lambda logits: logits.softmax(1).log(),
        lambda logits: logits.softmax(1).sum(0, keepdim=True) + logits.softmax(1),
    ],
)
def test_it_stays_where_something_else_follows(head: Any) -> None:
    model, x = shaken(Headed(head)), noise(3, 4)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert graph.notes == ()


def test_it_stays_where_another_output_is_computed_from_it() -> None:
    def head(logits: Tensor) -> dict[str, Tensor]:
        p = logits.softmax(1)
        return {"p": p, "entropy": (p * p.log()).sum(1)}

    model, x = shaken(Headed(head)), noise(3, 4)
    graph = xaicore.trace(model, x)
    expected, found = eager(model, x), graph(x)
    assert isinstance(found, dict)
    assert_same(found["p"], expected["p"])
    assert_same(found["entropy"], expected["entropy"])
    assert graph.notes == ()


def test_it_stays_where_it_is_returned_twice() -> None:
    def head(logits: Tensor) -> tuple[Tensor, Tensor]:
        p = logits.softmax(1)
        return p, p

    model, x = shaken(Headed(head)), noise(3, 4)
    found = xaicore.trace(model, x)(x)
    assert isinstance(found, dict)
    for value in found.values():
        assert_same(value, eager(model.dense, x).softmax(1))


def test_only_the_output_that_is_a_softmax_is_stripped() -> None:
    def head(logits: Tensor) -> dict[str, Tensor]:
        return {"logits": logits, "p": logits.softmax(1), "relu": logits.relu()}

    model, x = shaken(Headed(head)), noise(3, 4)
    found, expected = xaicore.trace(model, x)(x), eager(model, x)
    assert isinstance(found, dict)
    assert_same(found["logits"], expected["logits"])
    assert_same(found["p"], expected["logits"])
    assert_same(found["relu"], expected["relu"])


def test_a_softmax_inside_is_no_head() -> None:
    model, x = shaken(nn.Sequential(nn.Linear(4, 5), nn.Softmax(1), nn.Linear(5, 3))), noise(3, 4)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert Kind.SOFTMAX in [layer.kind for layer in graph.layers]


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (nn.Softmax(0), (5, 4)),  # over the batch
        (nn.Softmax(-2), (5, 4)),
        (nn.Softmax(2), (5, 6, 7, 4)),  # over rows of pixels
        (lambda logits: logits[:, 0].softmax(-1), (5, 4)),  # one number a sample: over the batch
    ],
)
def test_a_softmax_over_something_else_than_classes_stays(head: Any, shape: tuple[int, ...]) -> None:
    model, x = shaken(Headed(head)), noise(*shape)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert graph.notes == ()


@pytest.mark.parametrize("dim", [1, -1])
def test_classes_are_the_second_or_the_last_dimension(dim: int) -> None:
    model, x = shaken(Headed(nn.Softmax(dim))), noise(5, 6, 7, 4)
    assert_same(xaicore.trace(model, x)(x), eager(model.dense, x))
