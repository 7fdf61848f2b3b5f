"""Custom operations (`torch.library`): layers under their own names, with the derivative that was registered."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import assert_same, eager, input_gradient, noise
from torch import Tensor, nn

import xaicore
from xai_lrp.rules import Epsilon
from xaicore import Composite, Kind, kind
from xaicore.deprecation import XaicoreDeprecationWarning
from xaicore.errors import CaptureError, MatchError, XaicoreError
from xaicore.graph import op
from xaicore.plugins import reset_registry


def shrunk(x: Tensor, threshold: Tensor | float) -> Tensor:
    return x.sign() * (x.abs() - threshold).clamp(min=0)


@torch.library.custom_op("trial::shrink", mutates_args=())
def shrink(x: Tensor, threshold: Tensor, scale: float = 2.0, *, shift: float = 0.5) -> Tensor:
    return scale * shrunk(x, threshold) + shift


@shrink.register_fake
def _(x: Tensor, threshold: Tensor, scale: float = 2.0, *, shift: float = 0.5) -> Tensor:
    return torch.empty_like(x)


def _save(ctx: Any, inputs: tuple[Any, ...], keyword_only_inputs: Any, output: Tensor) -> None:
    x, threshold, ctx.scale = inputs
    ctx.save_for_backward(x, threshold)


def _shrink_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
    x, threshold = ctx.saved_tensors
    passing = ctx.scale * gradient * (x.abs() > threshold)
    return passing, (-passing * x.sign()).sum_to_size(threshold.shape), None


shrink.register_autograd(_shrink_backward, setup_context=_save)


@torch.library.custom_op("trial::relu", mutates_args=())
def not_a_relu(x: Tensor) -> Tensor:
    return -x


not_a_relu.register_fake(torch.empty_like)
not_a_relu.register_autograd(lambda ctx, gradient: -gradient)


@torch.library.custom_op("trial::rounded", mutates_args=())
def rounded(x: Tensor) -> Tensor:
    return x.round()


rounded.register_fake(torch.empty_like)
rounded.register_autograd(lambda ctx, gradient: 3 * gradient)  # straight through, three times as much


@torch.library.custom_op("trial::halves", mutates_args=())
def halves(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    whole = parts[0] * parts[1]
    return whole[:, ::2].clone(), whole[:, 1::2].clone()


@halves.register_fake
def _(parts: list[Tensor]) -> tuple[Tensor, Tensor]:
    return torch.empty_like(parts[0][:, ::2]), torch.empty_like(parts[0][:, 1::2])


def _halves_backward(ctx: Any, even: Tensor, odd: Tensor) -> list[Tensor]:
    first, second = ctx.saved_tensors
    gradient = torch.stack([even, odd], 2).flatten(1)
    return [gradient * second, gradient * first]


halves.register_autograd(_halves_backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs[0]))


@torch.library.custom_op("trial::underived", mutates_args=())
def underived(x: Tensor) -> Tensor:
    return x * 2


underived.register_fake(torch.empty_like)


@torch.library.custom_op("trial::shapeless", mutates_args=())
def shapeless(x: Tensor) -> Tensor:
    return x * 2


@torch.library.custom_op("trial::shrink_", mutates_args=("x",))
def shrink_(x: Tensor, threshold: float) -> None:
    x.copy_(shrunk(x, threshold))


@torch.library.custom_op("trial::relu_", mutates_args=("x",))
def negate_(x: Tensor) -> None:
    x.neg_()


@torch.library.custom_op("trial::negate_and_double_", mutates_args=("x", "y"))
def negate_and_double_(x: Tensor, y: Tensor) -> None:
    x.neg_()
    y.mul_(2)


@torch.library.custom_op("trial::clip_and_count", mutates_args=("x",))
def clip_and_count(x: Tensor) -> Tensor:
    count = (x > 1).sum(1, keepdim=True).to(x.dtype)
    x.clamp_(max=1)
    return count


clip_and_count.register_fake(lambda x: x.new_empty(x.shape[0], 1))


class Net(nn.Module):
    """A dense layer, a custom operation, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 6)
        self.threshold = nn.Parameter(torch.rand(6) / 2)
        self.second = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(self.first(x))  # the custom operation
        return self.second(h)

    def body(self, h: Tensor) -> Tensor:
        return shrink(h, self.threshold)


class NotReLU(Net):
    def body(self, h: Tensor) -> Tensor:
        return not_a_relu(torch.relu(h) + 1)


class Rounded(Net):
    def body(self, h: Tensor) -> Tensor:
        return rounded(h)


class Halved(Net):
    def body(self, h: Tensor) -> Tensor:
        even, odd = halves([h, h.exp()])
        return torch.cat([odd, even], 1)


class Underived(Net):
    def body(self, h: Tensor) -> Tensor:
        return underived(h)


class Shapeless(Net):
    def body(self, h: Tensor) -> Tensor:
        return shapeless(h)


class InPlace(Net):
    def body(self, h: Tensor) -> Tensor:
        torch.ops.trial.shrink_(h, 0.2)
        return h


class NegatedInPlace(Net):
    def body(self, h: Tensor) -> Tensor:
        torch.ops.trial.relu_(h)
        return h


class CountsInPlace(Net):
    def body(self, h: Tensor) -> Tensor:
        counted = 3 * h
        counts = torch.ops.trial.clip_and_count(counted)
        return counted + counts


class InPlaceTwice(Net):
    def body(self, h: Tensor) -> Tensor:
        torch.ops.trial.negate_and_double_(h, h)
        return h


class InPlaceOnAView(Net):
    def body(self, h: Tensor) -> Tensor:
        torch.ops.trial.shrink_(h[:, 1:4], 0.2)
        return h


WRITING = [InPlace, NegatedInPlace, CountsInPlace, InPlaceOnAView, InPlaceTwice]
BATCH = noise(3, 4, dtype=torch.float32)


@functools.cache
def built(model: type[Net]) -> Net:
    """The model, captured once for all tests."""
    return model().eval()


def unchanged(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
    return rs


def test_a_custom_operation_is_a_layer_under_its_own_name_with_its_namespace() -> None:
    graph = xaicore.trace(built(Net), BATCH)
    layer = graph.find("shrink")
    assert (layer.kind, layer.op_name, layer.name) == (Kind.OTHER, "trial::shrink", "shrink")
    assert "self.body(self.first(x))" in layer.source
    assert next(row for row in graph.table() if row["layer"] == "shrink")["operator"] == "trial::shrink"
    assert "other: trial::shrink" in graph.to_mermaid()


def test_its_tensors_and_settings_go_by_the_names_of_its_signature_defaults_included() -> None:
    layer = xaicore.trace(built(Net), BATCH).find("shrink")
    assert layer.input_names == ("x",)
    assert set(layer.parameters) == {"threshold"}
    assert layer.options == {"scale": 2.0, "shift": 0.5}


@pytest.mark.parametrize("model", [Net, NotReLU, Rounded, Halved, Underived, *WRITING])
def test_the_graph_computes_what_the_model_does_for_every_batch_size(model: type[Net]) -> None:
    graph = xaicore.trace(built(model), BATCH)
    for samples in (1, 2, 7):
        x = torch.randn(samples, 4)
        assert_same(graph(x.clone()).detach(), eager(built(model), x), 1e-6)
    assert graph.outputs["output"].info.describe() == "Bx3"


@pytest.mark.parametrize("model", [Net, NotReLU, Rounded, Halved])
def test_the_gradient_is_the_one_that_its_author_registered(model: type[Net]) -> None:
    net = built(model)
    actual = xaicore.explain(net, BATCH, method="gradients.saliency", target=1).relevance
    assert_same(actual, input_gradient(net, BATCH, 1), 1e-5)
    assert float(actual.abs().sum()) > 0


def test_an_operation_called_like_one_of_torchs_is_not_taken_for_it() -> None:
    layer = xaicore.trace(built(NotReLU), BATCH).find("relu_1")
    assert (layer.op_name, layer.kind, layer.outputs[0].nonnegative) == ("trial::relu", Kind.OTHER, False)
    with pytest.raises(MatchError, match="'trial::relu'"):
        xaicore.explain(built(NotReLU), BATCH, method="lrp.epsilon")


@pytest.mark.parametrize("model", [Underived, *WRITING])
def test_a_gradient_through_an_operation_without_derivative_is_refused_and_not_zero(model: type[Net]) -> None:
    with pytest.raises(XaicoreError, match=r"'trial::\w+' has no derivative, at \w+, at test_custom_operations.py:\d+"):
        xaicore.explain(built(model), BATCH, method="gradients.saliency")


def test_it_is_refused_as_well_where_the_gradient_is_a_fallback() -> None:
    with pytest.raises(XaicoreError, match=r"'trial::underived' has no derivative.*register_autograd"):
        xaicore.create_analyzer(
            "lrp.composite", built(Underived), composite=Composite([(kind("linear"), Epsilon())], fallback="gradient")
        ).analyze(BATCH)


@pytest.mark.parametrize(("model", "name"), [(Underived, "underived"), (InPlace, "shrink_"), (NegatedInPlace, "relu_")])
def test_relevance_needs_a_mapping_but_no_derivative(model: type[Net], name: str) -> None:
    composite = Composite([(op(f"trial::{name}"), unchanged), (kind("linear"), Epsilon(1e-9, bias="distribute"))])
    net = built(model)
    with torch.no_grad():
        logits = net(BATCH)
    explanation = xaicore.explain(net, BATCH, method="lrp.composite", composite=composite, target=0)
    assert_same(explanation.relevance.sum(1), logits[:, 0], 1e-4)


def test_what_an_operation_writes_is_its_output_behind_what_it_returns() -> None:
    graph = xaicore.trace(built(CountsInPlace), BATCH)
    layer = graph.find("clip_and_count")
    assert [info.describe() for info in layer.outputs] == ["Bx1", "Bx6"]
    assert [info.describe() for info in xaicore.trace(built(InPlace), BATCH).find("shrink_").outputs] == ["Bx6"]
    assert xaicore.trace(built(InPlace), BATCH).find("shrink_").options == {"threshold": 0.2}


def test_any_layer_behind_a_custom_operation_can_be_explained() -> None:
    net = built(Net)
    found = xaicore.explain(net, BATCH, method="gradients.saliency", layer="shrink", target=2).relevance
    assert_same(found, net.second.weight[2].expand(3, 6))


def test_an_unmapped_operation_is_refused_with_its_place_and_what_to_register() -> None:
    lines, first = inspect.getsourcelines(Net)
    line = first + next(offset for offset, text in enumerate(lines) if "# the custom operation" in text)
    with pytest.raises(MatchError) as raised:
        xaicore.explain(built(Net), BATCH, method="lrp.epsilon")
    message = str(raised.value)
    assert f"other shrink, at {Path(__file__).name}:{line}" in message
    assert "(op('trial::shrink'), mapping)" in message
    assert "kinds=('other',), ops=('trial::shrink',)" in message


REGISTERS = """
from xaicore.plugins import MappingSpec, hookimpl

@hookimpl
def xaicore_mappings():
    target = "xai_lrp.structure:pass_through"
    return [MappingSpec(family="relevance", kinds=(KIND,), ops=(NAME,), target=target, summary="unchanged")]
"""


def registered(site: Any, kind: str, name: str) -> None:
    site.install("xai-trial", "trial", REGISTERS.replace("KIND", repr(kind)).replace("NAME", repr(name)))
    reset_registry()


def test_a_registered_mapping_takes_the_operation_in_every_method(site: Any) -> None:
    registered(site, "other", "trial::shrink")
    for method in ("lrp.epsilon", "lrp.z_plus"):
        matching = xaicore.create_analyzer(method, built(Net)).match(BATCH)
        assert matching.matches[matching.graph.find("shrink")].provider == "xai-trial"


def test_a_mapping_registered_without_the_namespace_still_counts_and_warns(site: Any) -> None:
    registered(site, "other", "shrink")
    with pytest.warns(XaicoreDeprecationWarning, match=r"write ops=\('trial::shrink',\)"):
        matching = xaicore.create_analyzer("lrp.epsilon", built(Net)).match(BATCH)
    assert not matching.missing


def test_a_mapping_for_an_operator_of_torchs_does_not_take_one_called_alike(site: Any) -> None:
    registered(site, "other", "relu")
    with pytest.raises(MatchError, match=r"xai-trial registers 'xai_lrp.structure:pass_through' for .*ops=\('relu',\)"):
        xaicore.create_analyzer("lrp.epsilon", built(NotReLU)).match(BATCH)


def test_a_mapping_registered_for_another_kind_is_named(site: Any) -> None:
    registered(site, "activation", "trial::shrink")
    with pytest.raises(MatchError, match=r"xai-trial registers .* for kinds=\('activation',\), ops="):
        xaicore.create_analyzer("lrp.epsilon", built(Net)).match(BATCH)


def test_a_condition_takes_the_full_name_and_warns_of_the_bare_one() -> None:
    graph = xaicore.trace(built(Net), BATCH)
    assert graph.select(op("trial::shrink")) == [graph.find("shrink")]
    assert xaicore.trace(built(NotReLU), BATCH).select(op("relu")) != []
    assert all(layer.op_name == "relu" for layer in xaicore.trace(built(NotReLU), BATCH).select(op("relu")))
    composite = Composite([(op("shrink"), unchanged), (kind("linear"), Epsilon())])
    with pytest.warns(XaicoreDeprecationWarning, match=r"write op\('trial::shrink'\)"):
        assert not graph.match(composite).missing


def test_an_operation_without_a_fake_form_is_refused_with_what_to_register() -> None:
    with pytest.raises(CaptureError, match=r"(?s)test_custom_operations.py:\d+.*torch.library.register_fake"):
        xaicore.trace(Shapeless(), BATCH)
