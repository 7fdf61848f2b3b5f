"""Relevance that flows only through chosen neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from oracles import assert_same, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import InputError, LayerError, XaicoreError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.one(x).relu()
        h = h + self.two(h).relu()
        return self.head(h.mean((2, 3)))


X = noise(3, 2, 4, 4)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return shaken(Net())


def relevance(model: nn.Module, method: str, chosen: Any, layer: str = "one") -> Tensor:
    found = xaicore.explain(model, X, method=method, target=1, filter={layer: chosen}).relevance
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize("method", ["gradients.saliency", "lrp.epsilon", "lrp.gamma"])
def test_the_parts_sum_to_the_whole(model: nn.Module, method: str) -> None:
    whole = xaicore.explain(model, X, method=method, target=1).relevance
    parts = [relevance(model, method, channel) for channel in range(4)]
    assert all(float(part.abs().max()) > 0 for part in parts)
    assert_same(sum(parts), whole)  # type: ignore[arg-type]


def test_through_one_channel_flows_what_the_chain_rule_says(model: Any) -> None:
    x = X.clone().requires_grad_()
    h = model.one(x)
    inner = h.detach().requires_grad_()
    r = inner.relu()
    (arrived,) = torch.autograd.grad(model.head((r + model.two(r).relu()).mean((2, 3)))[:, 1].sum(), inner)
    arrived[:, [0, 1, 3]] = 0
    (expected,) = torch.autograd.grad(h, x, arrived)
    assert_same(relevance(model, "gradients.saliency", 2), expected)


MASK = torch.zeros(4, 1, 1, dtype=torch.bool)
MASK[1:3] = True
SAME: dict[str, Any] = {
    "list": [1, 2],
    "tuple": (2, 1),
    "range": range(1, 3),
    "from the end": [-3, -2],
    "repeated": [1, 2, 2],
    "integer tensor": torch.tensor([1, 2]),
    "array": np.array([1, 2]),
    "boolean mask": MASK,
    "full mask": MASK.expand(3, 4, 4, 4),
    "weights": MASK.float(),
    "function": lambda arrived: arrived * MASK,
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_of_a_filter_says_the_same(model: nn.Module, form: str) -> None:
    expected = relevance(model, "lrp.epsilon", 1) + relevance(model, "lrp.epsilon", 2)
    assert_same(relevance(model, "lrp.epsilon", SAME[form]), expected)


def test_a_weight_scales_and_an_empty_choice_stops_everything(model: nn.Module) -> None:
    whole = xaicore.explain(model, X, method="lrp.epsilon", target=1).relevance
    assert_same(relevance(model, "lrp.epsilon", torch.full((1,), 0.25)), 0.25 * whole)  # type: ignore[operator]
    assert float(relevance(model, "lrp.epsilon", []).abs().max()) == 0.0


def test_a_filter_of_single_neurons(model: nn.Module) -> None:
    def one_pixel(y: int, x: int) -> Tensor:
        mask = torch.zeros(4, 4, 4)
        mask[:, y, x] = 1
        return mask

    parts = [relevance(model, "lrp.zero", one_pixel(y, x), "two") for y in range(4) for x in range(4)]
    channels = [relevance(model, "lrp.zero", channel, "two") for channel in range(4)]
    beside = relevance(model, "lrp.zero", [], "two")  # what goes by the skip connection
    assert_same(sum(parts) - 15 * beside, sum(channels) - 3 * beside)  # type: ignore[arg-type]


def test_a_filter_holds_in_every_batch_and_for_a_recorded_layer(model: nn.Module) -> None:
    options: dict[str, Any] = {"method": "lrp.epsilon", "target": 1, "filter": {"one": [0]}, "record": ["one"]}
    whole = xaicore.explain(model, X, **options)
    parts = xaicore.explain(model, X, **options, batch_size=2)
    assert_same(parts.relevance, whole.relevance)  # type: ignore[arg-type]
    assert float(whole.recorded["one"][:, 1:].abs().max()) == 0.0
    assert float(whole.recorded["one"][:, 0].abs().max()) > 0.0


def test_filtered_relevance_promises_no_conservation(model: nn.Module) -> None:
    explanation = xaicore.explain(model, X, method="lrp.zero", target=1, filter={"one": 0})
    assert explanation.diagnostics.conservation_gap is None


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        (4, LayerError, "has 4 channels; the filter names 4"),
        ([0, -5], LayerError, "the filter names -5"),
        ("first", InputError, "give a channel"),
        (1.5, InputError, "give a channel"),
        ([0.5], InputError, "give a channel"),
        (None, InputError, "give a channel"),
        (torch.ones(5, 1, 1), InputError, r"shape \(5, 1, 1\).*does not broadcast to \(3, 4, 4, 4\)"),
        (torch.ones(2, 3, 4, 4, 4), InputError, "does not broadcast"),
        (lambda arrived: arrived[:, :1], InputError, "must return a tensor of shape"),
        (lambda arrived: None, InputError, "must return a tensor of shape"),
    ],
)
def test_filters_that_do_not_fit_are_refused(model: nn.Module, chosen: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        relevance(model, "lrp.epsilon", chosen)
    assert "one" in str(caught.value) and isinstance(caught.value, XaicoreError)


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(4, 6, bias=False), nn.Linear(3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.inner(x).chunk(2, 1)
        return self.head(one.relu() + two.sigmoid())


def test_one_output_of_a_layer_with_several_is_explained_recorded_and_filtered() -> None:
    model, x = shaken(Halves()), noise(3, 4)
    options: dict[str, Any] = {"method": "gradients.saliency", "target": 1}
    inner = model.inner(x).detach().requires_grad_()
    one, two = inner.chunk(2, 1)
    (expected,) = torch.autograd.grad(model.head(one.relu() + two.sigmoid())[:, 1].sum(), inner)
    for index, part in enumerate(expected.chunk(2, 1)):
        assert_same(xaicore.explain(model, x, **options, layer=f"chunk[{index}]").relevance, part)
        assert_same(xaicore.explain(model, x, **options, record=[f"chunk[{index}]"]).recorded[f"chunk[{index}]"], part)
    nothing = xaicore.explain(model, x, **options, filter={"chunk[0]": [], "chunk[1]": []}).relevance
    assert float(nothing.abs().max()) == 0.0  # type: ignore[union-attr]
    for named in ({"layer": "chunk"}, {"record": ["chunk"]}, {"filter": {"chunk": []}}):
        with pytest.raises(LayerError, match="'chunk' has 2 outputs"):
            xaicore.explain(model, x, **options, **named)
    half = xaicore.explain(model, x, method="lrp.zero", target=1, layer="chunk[1]")
    assert half.diagnostics.conservation_gap is None  # the other half goes by


def test_a_folded_batch_norm_is_explained_under_its_own_name() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)))
    at_norm = xaicore.explain(model, X, method="lrp.epsilon", target=1, layer="1").relevance
    assert_same(at_norm, xaicore.explain(model, X, method="lrp.epsilon", target=1, layer="2").relevance)  # type: ignore
    with pytest.raises(LayerError, match="names the tensor conv2d twice, again as '1'"):
        xaicore.explain(model, X, method="lrp.epsilon", target=1, filter={"0": [0], "1": [1]})
