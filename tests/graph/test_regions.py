"""Parts of a forward that run under other rules: no gradient, no autocast, writes to buffers."""

from __future__ import annotations

import pytest
import torch
from oracles import assert_same, eager, input_gradient, noise, shaken
from torch import Tensor, nn

import xaicore


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 3)


class Blocked(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            gate = self.second(x).sigmoid()
        return self.last(self.first(x) * gate)


class Decorated(Net):
    @torch.no_grad()
    def gate(self, x: Tensor) -> Tensor:
        return self.second(x).tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x) * self.gate(x) + self.gate(x))


class NestedModes(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            a = self.second(x)
            with torch.enable_grad():
                b = self.first(x)
        return self.last(a + b)


class Detached(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.first(x) * self.second(x).detach())


@pytest.mark.parametrize("kind", [Blocked, Decorated, Detached, NestedModes])
def test_no_gradient_flows_where_the_model_lets_none(kind: type[nn.Module]) -> None:
    model, x = shaken(kind()), noise(3, 4)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    found = xaicore.explain(model, x, method="gradients.saliency", target=1).relevance
    assert_same(found, input_gradient(model, x, 1))


class FullPrecision(Net):
    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        with torch.autocast("cpu", enabled=False):
            h = self.second(h[:, :4].double()) + 1
        return self.last(h)


def test_a_region_without_autocast_is_part_of_the_graph() -> None:
    model, x = shaken(FullPrecision()), noise(3, 4)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert graph.find("second").module_path == "second"
    found = xaicore.explain(model, x, method="gradients.saliency", target=1).relevance
    assert_same(found, input_gradient(model, x, 1))


class Counting(Net):
    """Writes to its buffers in every forward, in evaluation too; nothing it returns depends on them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("latest", torch.zeros(5, dtype=torch.double))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        self.seen += 1
        self.latest.copy_(h.detach().mean(0))
        return self.last(h)


class CountingWithViews(Counting):
    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        self.seen.add_(1)
        self.latest[1:] = h.detach().mean(0)[1:]
        h[:, :2] *= 2.0
        return self.last(h)


@pytest.mark.parametrize("kind", [Counting, CountingWithViews])
def test_buffers_that_the_forward_writes_to_are_put_back(kind: type[nn.Module]) -> None:
    model, x = shaken(kind()), noise(3, 4)
    before = {name: (value, value.clone()) for name, value in model.named_buffers()}
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    found = xaicore.explain(model, x, method="gradients.saliency", target=1).relevance
    assert_same(found, input_gradient(model, x, 1))
    for name, buffer in model.named_buffers():
        assert buffer is before[name][0]
        assert torch.equal(buffer, before[name][1])


class Replacing(Counting):
    """Replaces buffers and attributes by new tensors and keeps what it computed, as models with a cache do."""

    def __init__(self) -> None:
        super().__init__()
        self.past = noise(5)
        self.history: list[Tensor] = []
        self.stash: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x) + self.past
        self.latest = h.detach().mean(0)
        self.past = 0.5 * self.past + self.latest
        self.history.append(h)
        self.stash["hidden"] = h
        return self.last(h)


def test_attributes_that_the_forward_replaces_are_put_back() -> None:
    model, x = shaken(Replacing()), noise(3, 4)
    latest, past = model.latest, model.past
    contents = latest.clone(), past.clone()
    expected = eager(model, x)
    assert_same(xaicore.trace(model, x)(x), expected)
    assert_same(xaicore.trace(model, x)(x), expected)
    assert model.latest is latest and model.past is past
    assert torch.equal(latest, contents[0]) and torch.equal(past, contents[1])
    assert model.history == [] and model.stash == {}
    with torch.no_grad():
        model(x)  # now the model has another state, and the graph follows
    assert_same(xaicore.trace(model, x)(x), eager(model, x))


def test_what_a_forward_remembered_before_is_kept() -> None:
    model, x = shaken(Replacing()), noise(3, 4)
    with torch.no_grad():
        model(x)
    kept = model.history[0], model.stash["hidden"]
    xaicore.trace(model, x)
    assert len(model.history) == 1 and model.history[0] is kept[0] and model.stash["hidden"] is kept[1]
