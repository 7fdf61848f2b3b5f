"""Half precision, batches, derivatives of explanations."""

from __future__ import annotations

import networks
import pytest
import torch
from test_lrp_networks import METHODS
from torch import Tensor, nn

import xaicore
from xai_lrp.rules import Epsilon, ZPlus
from xaicore.graph import Kind, kind


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", METHODS)
def test_half_precision_agrees_with_single_precision(method: str, dtype: torch.dtype) -> None:
    x = networks.images(dtype=torch.float32)
    single, half = (
        networks.build("plain", bias=True, dtype=torch.float32),
        networks.build("plain", bias=True, dtype=dtype),
    )
    expected = xaicore.explain(single, x, method=method, target=1, **METHODS[method]).relevance
    relevance = xaicore.explain(half, x.to(dtype), method=method, target=1, **METHODS[method]).relevance
    assert relevance.dtype == dtype
    assert torch.cosine_similarity(relevance.float().flatten(1), expected.flatten(1)).min() > 0.99


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", METHODS)
def test_half_precision_stays_finite_where_summands_cancel(method: str, dtype: torch.dtype) -> None:
    model, x = networks.build("residual", bias=True, dtype=dtype), networks.images(16, dtype=dtype)
    assert xaicore.explain(model, x, method=method, target=1, **METHODS[method]).relevance.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("method", METHODS)
def test_an_image_of_zeros_gives_finite_relevance(method: str, dtype: torch.dtype) -> None:
    model = networks.build("plain", bias=False, dtype=dtype)
    explanation = xaicore.explain(
        model, torch.zeros(2, 2, 8, 8, dtype=dtype), method=method, target=0, **METHODS[method]
    )
    assert explanation.relevance.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_is_explained_the_same_alone_and_in_a_batch(method: str) -> None:
    model, x = networks.build("residual", bias=True), networks.images(4)
    together = xaicore.explain(model, x, method=method, target=2, **METHODS[method]).relevance
    for sample in range(4):
        alone = xaicore.explain(model, x[sample : sample + 1], method=method, target=2, **METHODS[method]).relevance
        torch.testing.assert_close(alone[0], together[sample], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_the_derivative_of_an_explanation_is_that_of_finite_differences(method: str) -> None:
    model = networks.build("plain", bias=True)
    analyzer = xaicore.create_analyzer(method, model, **METHODS[method])
    x, direction, weights = networks.images(6).split(2)

    def along(step: Tensor) -> Tensor:
        return (analyzer.analyze(x + step * direction, target=0, create_graph=True).relevance * weights).sum()

    assert torch.autograd.gradcheck(along, torch.zeros((), dtype=x.dtype, requires_grad=True), eps=1e-7, atol=1e-5)


def test_the_derivative_is_finite_where_units_are_dead() -> None:
    model = networks.build("plain", bias=False)
    for method in METHODS:
        x = networks.images(2)
        x[:, :, :4] = 0
        x.requires_grad_()
        analyzer = xaicore.create_analyzer(method, model, **METHODS[method])
        relevance = analyzer.analyze(x, target=0, create_graph=True).relevance
        (gradient,) = torch.autograd.grad(relevance.square().sum(), x)
        assert gradient.isfinite().all(), method


def test_values_are_the_same_with_and_without_a_graph_of_the_explanation() -> None:
    model, x = networks.build("residual", bias=True), networks.images(2)
    for method, parameters in METHODS.items():
        analyzer = xaicore.create_analyzer(method, model, **parameters)
        plain = analyzer.analyze(x, target=0).relevance
        tracked = analyzer.analyze(x.clone().requires_grad_(), target=0, create_graph=True).relevance
        torch.testing.assert_close(plain, tracked.detach(), rtol=1e-9, atol=1e-11)


def test_a_relative_epsilon_is_finite_for_outputs_whose_squares_overflow_and_for_none_but_zeros() -> None:
    layer, x = nn.Linear(8, 4).half(), torch.full((2, 8), 900.0).half()
    with torch.no_grad():
        layer.weight.fill_(0.5)
        layer.bias.zero_()
    explain = xaicore.create_analyzer("lrp.epsilon", layer, epsilon_relative=0.25).analyze
    torch.testing.assert_close(explain(x, target=0).relevance, (0.8 * 0.5 * x), rtol=1e-2, atol=0)
    zeros = torch.zeros(2, 8).half().requires_grad_()
    (gradient,) = torch.autograd.grad(explain(zeros, target=0, create_graph=True).relevance.sum(), zeros)
    assert gradient.isfinite().all()


def test_an_update_of_the_weights_is_seen_by_the_next_call() -> None:
    model, x = networks.fresh("plain", bias=True), networks.images(2)
    for method in ("lrp.gamma", "lrp.alpha_2_beta_1", "lrp.w_square", "lrp.z_box"):
        parameters = METHODS[method]
        analyzer = xaicore.create_analyzer(method, model, **parameters)
        analyzer.analyze(x, target=0)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(-0.9).add_(0.01)
        updated = networks.fresh("plain", bias=True)
        updated.load_state_dict(model.state_dict())
        expected = xaicore.create_analyzer(method, updated, **parameters).analyze(x, target=0).relevance
        torch.testing.assert_close(analyzer.analyze(x, target=0).relevance, expected)


def test_outputs_and_parameters_are_not_overwritten() -> None:
    model, x = networks.build("plain", bias=True), networks.images(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    original, output = x.clone(), model(x)
    for method, parameters in METHODS.items():
        explanation = xaicore.explain(model, x, method=method, target=0, **parameters)
        torch.testing.assert_close(explanation.prediction, output.detach(), rtol=0, atol=0)
    assert torch.equal(x, original)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_methods_with_the_same_rules_are_the_same() -> None:
    model, x = networks.build("plain", bias=True), networks.images(2)

    def relevance(method: str, **parameters: object) -> Tensor:
        return xaicore.explain(model, x, method=method, target=0, **parameters).relevance

    assert torch.equal(relevance("lrp.alpha_1_beta_0"), relevance("lrp.z_plus"))
    assert torch.equal(relevance("lrp.alpha_2_beta_1"), relevance("lrp.alpha_beta"))
    composite = xaicore.Composite([(kind(Kind.CONVOLUTION), ZPlus()), (kind(Kind.LINEAR), Epsilon(0.25))])
    assert torch.equal(relevance("lrp.composite", composite=composite), relevance("lrp.epsilon_plus", epsilon=0.25))
    torch.testing.assert_close(relevance("lrp.gamma", gamma=0.0), relevance("lrp.epsilon"), rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(relevance("lrp.gamma", gamma=1e9), relevance("lrp.z_plus"), rtol=1e-5, atol=1e-6)


def test_z_box_stands_in_the_first_layer_by_data_flow_alone() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Linear(4, 2)
            self.first = nn.Linear(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.relu(self.first(x)))

    torch.manual_seed(0)
    model = Backwards()
    x = torch.rand(2, 3)
    zero_bounds = xaicore.explain(model, x, method="lrp.z_box", low=0.0, high=0.0, target=0)
    swapped = nn.Sequential(model.first, nn.ReLU(), model.second)
    same = xaicore.explain(swapped, x, method="lrp.z_box", low=0.0, high=0.0, target=0)
    torch.testing.assert_close(zero_bounds.relevance, same.relevance)
