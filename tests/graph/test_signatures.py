"""What a model takes and returns: keywords, nested arguments, None, dicts, tuples, dataclasses."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore


class Takes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(5, 3)


class Keywords(Takes):
    def forward(self, left: Tensor, *, right: Tensor | None = None, scale: float = 1.0) -> Tensor:
        h = self.a(left) * scale
        return h if right is None else h + self.b(right)


class Nested(Takes):
    def forward(self, batch: dict[str, Any], pair: tuple[Tensor, list[Tensor]]) -> Tensor:
        return self.a(batch["left"]) * pair[0] + self.b(pair[1][0])


def test_keywords_by_name_in_any_order() -> None:
    model, left, right = shaken(Keywords()), noise(3, 4), noise(3, 5)
    expected = eager(model, left, right=right)
    first = xaicore.trace(model, left, right=right)
    assert_same(first(left, right=right), expected)
    second = xaicore.trace(model, right=right, left=left)
    assert_same(second(right=right, left=left), expected)
    assert {layer.name for layer in first.inputs} == {layer.name for layer in second.inputs} == {"left", "right"}
    assert_same(first(left[:1], right=right[:1]), expected[:1])


def test_an_argument_that_is_none_or_a_number_is_part_of_the_graph() -> None:
    model, left = shaken(Keywords()), noise(3, 4)
    for keywords in ({}, {"right": None}, {"scale": 2.5}, {"right": noise(3, 5), "scale": -1.0}):
        graph = xaicore.trace(model, left, **keywords)
        assert_same(graph(left, **keywords), eager(model, left, **keywords))


def test_a_number_given_anew_is_captured_anew() -> None:
    model, left = shaken(Keywords()), noise(3, 4)
    one, two = (xaicore.trace(model, left, scale=scale)(left, scale=scale) for scale in (1.0, 2.0))
    assert_same(two, 2 * one)  # type: ignore[arg-type, operator]


def test_nested_arguments() -> None:
    model = shaken(Nested())
    inputs = ({"left": noise(3, 4)}, (noise(3, 3), [noise(3, 5)]))
    graph = xaicore.trace(model, *inputs)
    assert_same(graph(*inputs), eager(model, *inputs))
    assert [layer.outputs[0].describe() for layer in graph.inputs] == ["Bx4", "Bx3", "Bx5"]


@dataclass
class Result:
    logits: Tensor
    hidden: tuple[Tensor, ...]
    note: str = "no tensor"
    cache: object = None


Pair = namedtuple("Pair", ["first", "second"])

RETURNS: dict[str, tuple[Any, list[str]]] = {
    "tensor": (lambda a, b: a, ["output"]),
    "tuple": (lambda a, b: (a, b), ["0", "1"]),
    "tuple of one": (lambda a, b: (a,), ["0"]),
    "list": (lambda a, b: [a, b], ["0", "1"]),
    "dict": (lambda a, b: {"x": a, "y": b}, ["x", "y"]),
    "ordered dict": (lambda a, b: OrderedDict(y=b, x=a), ["y", "x"]),
    "integer keys": (lambda a, b: {0: a, 7: b}, ["0", "7"]),
    "named tuple": (lambda a, b: Pair(a, b), ["first", "second"]),
    "nested": (lambda a, b: {"x": a, "rest": (b, {"z": a + b})}, ["x", "rest.0", "rest.1.z"]),
    "with none": (lambda a, b: (a, None, b), ["0", "2"]),
    "dataclass": (lambda a, b: Result(a, (b,), cache=object()), ["logits", "hidden.0"]),
}


class Gives(Takes):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.function(self.a(x), self.b(y).tanh())


@pytest.mark.parametrize("form", RETURNS)
def test_outputs_have_the_names_a_user_would_give_them(form: str) -> None:
    function, names = RETURNS[form]
    model, x, y = shaken(Gives(function)), noise(3, 4), noise(3, 5)
    graph = xaicore.trace(model, x, y)
    a, b = eager(model.a, x), eager(model.b, y).tanh()
    by_name = {"0": a, "1": b, "x": a, "y": b, "output": a, "first": a, "second": b, "rest.0": b, "rest.1.z": a + b}
    by_name |= {"7": b, "2": b, "logits": a, "hidden.0": b}
    assert list(graph.outputs) == names
    found = graph(x, y)
    found = {names[0]: found} if isinstance(found, Tensor) else found
    for name in names:
        assert_same(found[name], by_name[name])


def test_an_output_that_depends_on_no_input_comes_along() -> None:
    model = shaken(Gives(lambda a, b: {"a": a, "prior": torch.ones(3, dtype=torch.double) * 2}))
    found = xaicore.trace(model, noise(3, 4), noise(3, 5))(noise(3, 4), noise(3, 5))
    assert isinstance(found, dict)
    assert_same(found["prior"], torch.full((3,), 2.0, dtype=torch.double))


def test_an_input_that_is_returned_and_an_input_that_is_not_used() -> None:
    model = shaken(Gives(lambda a, b: {"a": a}))

    class Passing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Any:
            return {"given": x, "a": self.inner(x, y)["a"]}

    x, y, z = noise(3, 4), noise(3, 5), noise(3, 2)
    found = xaicore.trace(Passing(), x, y, z)(x, y, z)
    assert isinstance(found, dict)
    assert_same(found["given"], x)
    assert_same(found["a"], eager(model.a, x))
