"""Analyzers as scikit-learn's conventions have them: parameters, clones, fit, names."""

from __future__ import annotations

from typing import Any

import pytest
from oracles import assert_same, noise, shaken
from sklearn.base import clone
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import InputError, ParameterError, UnknownMethodError
from xaicore.graph import op
from xaicore.propagation import Composite


@pytest.fixture
def model() -> nn.Module:
    return shaken(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)))


def test_parameters_are_kept_under_their_names(model: nn.Module) -> None:
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.25)
    assert analyzer.epsilon == 0.25  # type: ignore[attr-defined]
    assert analyzer.get_params()["epsilon"] == 0.25
    assert analyzer.get_params()["model"] is model
    assert analyzer.model is model
    assert set(analyzer.get_params()) == {"model", *analyzer.parameter_names()}


def test_a_changed_parameter_changes_the_explanation(model: nn.Module) -> None:
    x = noise(3, 4)
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=1e-6)
    before = analyzer.analyze(x, 0).relevance
    assert analyzer.set_params(epsilon=5.0) is analyzer
    assert_same(analyzer.analyze(x, 0).relevance, xaicore.explain(model, x, method="lrp.epsilon", epsilon=5.0,
                                                                  target=0).relevance)  # fmt: skip
    assert float((analyzer.analyze(x, 0).relevance - before).abs().max()) > 0.01


def test_a_refused_change_changes_nothing(model: nn.Module) -> None:
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.25)
    before = analyzer.get_params()
    with pytest.raises(ParameterError):
        analyzer.set_params(bias="ignore", epsilon=-1.0)
    with pytest.raises(ParameterError, match="Did you mean 'epsilon'"):
        analyzer.set_params(bias="ignore", epsilom=1.0)
    assert analyzer.get_params() == before


def test_another_model_can_be_set(model: nn.Module) -> None:
    other, x = shaken(nn.Linear(4, 2)), noise(3, 4)
    analyzer = xaicore.create_analyzer("gradients.saliency", model).set_params(model=other)
    assert_same(analyzer.analyze(x, 1).relevance, other.weight[1].detach().expand(3, 4))


def test_sklearns_clone_keeps_the_model_and_the_parameters(model: nn.Module) -> None:
    analyzer = xaicore.create_analyzer("lrp.gamma", model, gamma=0.5)
    twin = clone(analyzer)
    assert twin is not analyzer and type(twin) is type(analyzer)
    assert twin.model is model
    assert twin.get_params() == analyzer.get_params()
    twin.set_params(gamma=0.1)
    assert analyzer.get_params()["gamma"] == 0.5


@pytest.mark.parametrize("create", [xaicore.create_analyzer, lambda name, model, **options: xaicore.explain(
    model, noise(3, 4), method=name, **options)])  # fmt: skip
def test_an_unknown_parameter_is_refused_with_the_nearest_and_the_list(create: Any, model: nn.Module) -> None:
    with pytest.raises(ParameterError, match=r"no parameter 'epsilonn' \(it has: .*epsilon.*Did you mean 'epsilon'"):
        create("lrp.epsilon", model, epsilonn=0.1)
    with pytest.raises(ParameterError, match="it has: none"):
        create("gradients.guided_backprop", model, epsilon=0.1)


def test_a_parameter_without_a_default_that_is_not_given_is_named(model: nn.Module) -> None:
    with pytest.raises(ParameterError, match=r"needs composite, which has no default: .*composite=\.\.\."):
        xaicore.create_analyzer("lrp.composite", model)


def test_an_unknown_method_is_refused_with_the_nearest(model: nn.Module) -> None:
    with pytest.raises(UnknownMethodError, match=r"Did you mean 'lrp.epsilon'"):
        xaicore.create_analyzer("lrp.epsilom", model)


def test_a_method_knows_its_name_and_says_its_parameters(model: nn.Module) -> None:
    analyzer = xaicore.create_analyzer("input_t_gradient", model)
    assert analyzer.method == "gradients.input_x_gradient"
    assert repr(xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.25)).startswith(
        "Epsilon(Sequential, epsilon=0.25"
    )


def test_fit_returns_the_analyzer(model: nn.Module) -> None:
    analyzer = xaicore.create_analyzer("gradients.saliency", model)
    assert analyzer.fit(noise(3, 4)) is analyzer and analyzer.fit() is analyzer


def test_nothing_is_computed_when_an_analyzer_is_made() -> None:
    class Untouchable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("called")

    assert xaicore.create_analyzer("gradients.saliency", Untouchable()).method == "gradients.saliency"


def test_what_is_no_module_is_refused_with_what_works_on_it() -> None:
    with pytest.raises(InputError, match="perturbation"):
        xaicore.explain(lambda x: x, noise(3, 4), method="gradients.saliency")


class Straight(PropagationAnalyzer):
    """A method of one's own: rectifiers are taken away, and the result is scaled."""

    def __init__(self, model: nn.Module, *, scale: float = 1.0) -> None:
        super().__init__(model)
        self.scale = scale

    def build_composite(self) -> Composite:
        return Composite([(op("relu"), lambda xs, ys, rs, state: [rs[0]])], family="gradient")

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return self.scale * relevance


def test_an_own_method_needs_no_plugin(model: Any) -> None:
    x = noise(3, 4)
    analyzer = Straight(model, scale=2.0)
    explanation = analyzer.analyze(x, 1)
    expected = 2.0 * model[2].weight[1] @ model[0].weight
    assert_same(explanation.relevance, expected.detach().expand(3, 4))
    assert analyzer.method == explanation.method == "Straight"
    assert explanation.parameters == {"scale": 2.0}
    assert clone(analyzer).scale == 2.0


def test_match_tells_who_handles_what_without_running(model: nn.Module) -> None:
    report = Straight(model).match(noise(3, 4))
    assert [row["layer"] for row in report.rows()] == ["linear", "relu", "linear_1"]
    assert [row["mapping"] for row in report.rows()][1] == "<lambda>"
