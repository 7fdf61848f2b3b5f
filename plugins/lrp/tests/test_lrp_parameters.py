"""Parameters of rules and methods: what is refused, and how a rule reads."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import xaicore
from xai_lrp.rules import AlphaBeta, Epsilon, Flat, Gamma, GeneralizedGamma, Norm, Pass, WSquare, ZBox, Zero, ZPlus
from xaicore.errors import MatchError, ParameterError
from xaicore.graph import Kind, kind


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Epsilon(-1), "epsilon=-1 must be zero or positive"),
        (lambda: Epsilon(float("nan")), "must be zero or positive"),
        (lambda: Epsilon(epsilon_relative=-0.1), "epsilon_relative=-0.1 must be"),
        (lambda: Gamma(-0.5), "gamma=-0.5 must be"),
        (lambda: GeneralizedGamma(-0.5), "gamma=-0.5 must be"),
        (lambda: GeneralizedGamma(bias="none"), "bias='none' is not known"),
        (lambda: Norm(-1), "epsilon=-1 must be"),
        (lambda: AlphaBeta(2, 2), "alpha - beta must be 1"),
        (lambda: AlphaBeta(0.5, -0.5), "beta=-0.5 must be"),
        (lambda: Zero("absorbed"), "Did you mean 'absorb'"),
        (lambda: ZPlus(bias="no"), "bias='no' is not known"),
        (lambda: ZBox(1, 0), "low must not exceed high"),
        (lambda: ZBox(torch.tensor([0.0, 2.0]), 1.0), "low must not exceed high"),
        (lambda: ZBox(0, 1, epsilon=-1), "epsilon=-1 must be"),
    ],
)
def test_a_rule_refuses_parameters_out_of_range(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_rule_reads_as_it_is_written() -> None:
    assert repr(Epsilon(0.25)) == "Epsilon(epsilon=0.25, bias='absorb', epsilon_relative=0.0)"
    assert repr(ZBox(0, torch.ones(3, 1, 1))) == "ZBox(low=0, high=tensor(3, 1, 1), epsilon=1e-06)"
    assert repr(ZBox(torch.tensor(-1.5), 2)) == "ZBox(low=-1.5, high=2, epsilon=1e-06)"


def test_rules_with_equal_parameters_are_equal_and_cannot_be_changed() -> None:
    assert Gamma(0.25) == Gamma() != Gamma(0.5)
    with pytest.raises(AttributeError):
        Gamma().gamma = 1.0


@pytest.mark.parametrize("method", ["lrp.z_box", "lrp.epsilon_gamma_box"])
def test_a_method_with_a_box_asks_for_the_range_of_the_inputs(method: str) -> None:
    with pytest.raises(ParameterError, match=r"range of the inputs .* low=0, high=1"):
        xaicore.explain(nn.Linear(3, 2), torch.rand(2, 3), method=method)


def test_a_box_that_does_not_fit_the_input_is_refused_with_the_shape_that_would() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())
    with pytest.raises(xaicore.errors.InputError, match=r"low of shape \(3,\) .* has shape \(3, 1, 1\)"):
        xaicore.explain(model, torch.rand(2, 3, 5, 5), method="lrp.z_box", low=torch.zeros(3), high=1.0)


@pytest.mark.parametrize("rule", [Epsilon(), Gamma(), AlphaBeta(), ZPlus(), Flat(), WSquare(), ZBox(0, 1)])
def test_a_rule_on_a_layer_that_is_not_linear_says_which_layer_and_how_to_narrow(rule) -> None:
    composite = xaicore.Composite([(kind(Kind.ACTIVATION, Kind.LINEAR), rule)])
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    with pytest.raises(MatchError, match=r"tanh.*kind\(Kind.CONVOLUTION, Kind.LINEAR\)"):
        xaicore.explain(model, torch.rand(2, 3), method="lrp.composite", composite=composite)


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, xai_lrp, xai_lrp._plugin; assert 'torch' not in sys.modules; xai_lrp.Epsilon(0.1)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pass_needs_an_input_of_the_shape_of_the_output() -> None:
    composite = xaicore.Composite([(kind(Kind.LINEAR), Pass())])
    x = torch.rand(2, 3)
    explanation = xaicore.explain(nn.Linear(3, 3), x, method="lrp.composite", composite=composite, target=1)
    torch.testing.assert_close(explanation.relevance[:, 1], explanation.prediction[:, 1])
    with pytest.raises(MatchError, match=r"turns \(2, 3\) into \(2, 4\)"):
        xaicore.explain(nn.Linear(3, 4), x, method="lrp.composite", composite=composite)


def test_the_composite_of_a_user_is_a_parameter_like_any_other() -> None:
    first, second = (xaicore.Composite([(kind(Kind.LINEAR), Epsilon(value))]) for value in (0.1, 0.2))
    model = nn.Linear(3, 2)
    analyzer = xaicore.create_analyzer("lrp.composite", model, composite=first)
    assert analyzer.get_params() == {"model": model, "composite": first, "structure": None}
    assert "epsilon=0.1" in repr(analyzer)
    assert analyzer.set_params(composite=second).get_params()["composite"] is second
    assert analyzer.build_composite() is second
    with pytest.raises(ParameterError, match="relevance family"):
        xaicore.create_analyzer("lrp.composite", model, composite=xaicore.Composite(family="gradient"))


def test_parameters_that_a_rule_refuses_are_refused_when_the_method_is_made_or_changed() -> None:
    model = nn.Linear(3, 2)
    with pytest.raises(ParameterError, match="epsilon=-1"):
        xaicore.create_analyzer("lrp.epsilon_plus", model, epsilon=-1)
    analyzer = xaicore.create_analyzer("lrp.alpha_beta", model, alpha=2, beta=1)
    with pytest.raises(ParameterError, match="For this alpha, beta is 2"):
        analyzer.set_params(alpha=3)
    assert analyzer.get_params()["alpha"] == 2


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (torch.zeros(3), torch.ones(3))])
def test_inputs_outside_the_box_are_noted_and_rounded_ones_are_not(bounds) -> None:
    low, high = bounds
    model, x = nn.Linear(3, 2), torch.tensor([[0.0, 0.5, 1.00001]] * 2)
    inside = xaicore.explain(model, x, method="lrp.z_box", low=low, high=high, target=0)
    assert not any("box" in note for note in inside.diagnostics.notes)
    outside = xaicore.explain(model, 3 * x - 1, method="lrp.z_box", low=low, high=high, target=0)
    (note,) = [note for note in outside.diagnostics.notes if "box" in note]
    assert "ranges from -1 to 2" in note and "derived for inputs inside it" in note
