"""What is known of tensors before anything runs: which are never negative, which scale others, what is on the path."""

from __future__ import annotations

import pytest
import torch
from oracles import noise, shaken
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore.graph import Graph

NONNEGATIVE = {
    "relu": lambda h, c: h.relu(),
    "relu6": lambda h, c: F.relu6(h),
    "sigmoid": lambda h, c: h.sigmoid(),
    "softplus": lambda h, c: F.softplus(h),
    "exp": lambda h, c: h.exp(),
    "abs": lambda h, c: h.abs(),
    "softmax inside": lambda h, c: h.softmax(1) * 1.0,
    "clamp from zero": lambda h, c: h.clamp(0.0, 2.0),
    "clamp from zero to zero": lambda h, c: h.clamp(0.0, 0.0),
    "average pooling with a divisor of its own": lambda h, c: F.avg_pool2d(
        h.relu().reshape(-1, 1, 2, 3), 2, divisor_override=3
    ),
    "another precision": lambda h, c: h.relu().float(),
    "clamp without upper bound": lambda h, c: h.clamp(min=0.5),
    "hardtanh from zero": lambda h, c: F.hardtanh(h, 0.0, 6.0),
    "hardsigmoid": lambda h, c: F.hardsigmoid(h),
    "threshold": lambda h, c: F.threshold(h, 0.1, 0.0),
    "max pooling": lambda h, c: F.max_pool1d(h.relu(), 2),
    "average pooling": lambda h, c: F.avg_pool1d(h.relu(), 2),
    "concatenation": lambda h, c: torch.cat([h.relu(), h.sigmoid()], 1),
    "sum of both": lambda h, c: h.relu() + h.abs(),
    "plus a number": lambda h, c: h.relu() + 1.0,
    "product of both": lambda h, c: h.relu() * h.sigmoid(),
    "times a number": lambda h, c: h.relu() * 0.5,
    "divided by a number": lambda h, c: h.relu() / 2.0,
    "mean": lambda h, c: h.relu().mean(1, keepdim=True),
    "slice": lambda h, c: h.relu()[:, 1:3],
    "reshape": lambda h, c: h.relu().reshape(-1, 2, 3),
    "zero padding": lambda h, c: F.pad(h.relu(), (1, 1)),
    "nearest interpolation": lambda h, c: F.interpolate(h.relu().unsqueeze(1), scale_factor=2),
    "expanded like a signed one": lambda h, c: h[:, :1].relu().expand_as(h),
    "viewed like a signed one": lambda h, c: h.relu().view_as(h + 1),
    "reflection padding": lambda h, c: F.pad(h.relu().unsqueeze(1), (1, 1), mode="reflect"),
}

SIGNED = {
    "nothing": lambda h, c: h * 1.0,
    "leaky relu": lambda h, c: F.leaky_relu(h),
    "gelu": lambda h, c: F.gelu(h),
    "silu": lambda h, c: F.silu(h),
    "hardswish": lambda h, c: F.hardswish(h),
    "tanh": lambda h, c: h.tanh(),
    "softplus upside down": lambda h, c: F.softplus(h, beta=-1.0),
    "softplus that hands on what is negative": lambda h, c: F.softplus(h, threshold=-50.0),
    "clamp to a negative upper bound": lambda h, c: h.clamp(0.0, -1.0),
    "average pooling with a negative divisor": lambda h, c: F.avg_pool2d(
        h.relu().reshape(-1, 1, 2, 3), 2, divisor_override=-2
    ),
    "integers that overflow": lambda h, c: (100 * h.relu()).to(torch.int8).double(),
    "bits read as another type": lambda h, c: h.exp().view(torch.float32),
    "clamp below zero": lambda h, c: h.clamp(-1.0, 1.0),
    "clamp without lower bound": lambda h, c: h.clamp(max=1.0),
    "hardtanh": lambda h, c: F.hardtanh(h),
    "threshold to a negative value": lambda h, c: F.threshold(h, 0.1, -1.0),
    "concatenation with signed": lambda h, c: torch.cat([h.relu(), h], 1),
    "difference": lambda h, c: h.relu() - h.sigmoid(),
    "minus a number": lambda h, c: h.relu() - 1.0,
    "plus a negative number": lambda h, c: h.relu() + (-1.0),
    "times a negative number": lambda h, c: h.relu() * -2.0,
    "minus times": lambda h, c: torch.add(h.relu(), h.relu(), alpha=-2.0),
    "reverse difference": lambda h, c: 1.0 - h.relu(),
    "negated": lambda h, c: -h.relu(),
    "plus a constant tensor": lambda h, c: h.relu() + c,
    "times a constant tensor": lambda h, c: h.relu() * c,
    "half signed product": lambda h, c: h.relu() * h,
    "negative padding value": lambda h, c: F.pad(h.relu(), (1, 1), value=-1.0),
    "bicubic interpolation": lambda h, c: F.interpolate(h.relu().reshape(-1, 1, 2, 3), scale_factor=2, mode="bicubic"),
    "log": lambda h, c: (h.relu() + 0.5).log(),
    "masked with a negative value": lambda h, c: h.relu().masked_fill(h > 0, -1.0),
    "where with signed": lambda h, c: torch.where(h > 1, h.relu(), h),
    "dense": lambda h, c: F.linear(h.relu(), c.expand(2, 6)),
}


class AllCases(nn.Module):
    """A dense layer, and every function of its output, each an output of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 6)
        self.register_buffer("constant", noise(6, seed=3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {case: function(self.dense(x), self.constant) for case, function in (NONNEGATIVE | SIGNED).items()}


@pytest.fixture(scope="module")
def cases() -> Graph:
    return xaicore.trace(shaken(AllCases()), noise(5, 4))


@pytest.mark.parametrize("case", NONNEGATIVE)
def test_never_negative_is_known(cases: Graph, case: str) -> None:
    assert cases.outputs[case].info.nonnegative


@pytest.mark.parametrize("case", SIGNED)
def test_what_can_be_negative_is_not_called_never_negative(cases: Graph, case: str) -> None:
    assert not cases.outputs[case].info.nonnegative


def test_what_is_called_never_negative_is_never_negative(cases: Graph) -> None:
    found = cases(10 * noise(50, 4, seed=9))
    assert isinstance(found, dict)
    assert [case for case in NONNEGATIVE if float(found[case].min()) < 0] == []


def test_the_fact_of_an_input_is_never_assumed() -> None:
    graph = xaicore.trace(nn.MaxPool2d(2), noise(2, 1, 4, 4).abs())
    assert not graph.inputs[0].outputs[0].nonnegative
    assert not graph.outputs["output"].info.nonnegative


def test_facts_are_filled_in_for_the_folded_graph_too() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 1))
    graph = xaicore.trace(shaken(model), noise(2, 2, 5, 5)).folded
    assert graph.find("3").inputs[0].info.nonnegative
    assert not graph.find("0").outputs[0].nonnegative


class Paths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.cut_off = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        self.unused(x)
        mask = (ids > 0).double()
        weights = self.cut_off(x).detach()
        return self.used(x) * mask + weights


def test_the_path_holds_what_a_gradient_can_reach_and_what_the_output_needs() -> None:
    graph = xaicore.trace(shaken(Paths()), noise(2, 4), torch.ones(2, 1, dtype=torch.long))
    on_path = {layer.module_path or layer.op_name for layer in graph.path}
    assert {"used", "mul", "add"} <= on_path
    assert not any(layer.module_path == "unused" for layer in graph.path)
    assert not any(layer.op_name in ("gt", "to", "_to_copy", "double") for layer in graph.path)
    explained = xaicore.explain(
        shaken(Paths()), (noise(2, 4), torch.ones(2, 1, dtype=torch.long)), method="gradients.saliency", target=0
    )
    assert "not explained: ids" in " ".join(explained.diagnostics.notes)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(11, 4), nn.Embedding(9, 4)
        self.dense = nn.Linear(4, 3)

    def forward(self, ids: Tensor, mask: Tensor, extra: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        h = self.words(ids.reshape(-1, ids.shape[1])) + self.places(places) + extra
        return (self.dense(h) * mask[..., None]).mean(1)


def test_integers_are_explained_at_the_embedding_that_looks_them_up_and_masks_not_at_all() -> None:
    ids = torch.arange(6).reshape(2, 3)
    graph = xaicore.trace(shaken(Tokens()), ids, torch.ones(2, 3), noise(2, 3, 4))
    assert set(graph.sources) == {"ids", "mask", "extra"}
    assert [ref.layer.module_path for ref in graph.sources["ids"]] == ["words"]
    assert graph.sources["extra"] == (graph.find("extra").ref,)
    boolean = xaicore.trace(shaken(Tokens()), ids, torch.ones(2, 3, dtype=torch.bool), noise(2, 3, 4))
    assert set(boolean.sources) == {"ids", "extra"}


def test_one_integer_input_with_two_embeddings_has_two_sources() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Embedding(7, 3), nn.Embedding(7, 3)

        def forward(self, ids: Tensor) -> Tensor:
            return (self.one(ids) * self.two(ids)).sum(1)

    graph = xaicore.trace(shaken(Twice()), torch.arange(6).reshape(2, 3))
    assert [ref.layer.module_path for ref in graph.sources["ids"]] == ["one", "two"]
