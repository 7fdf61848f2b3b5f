"""Parameters of rules and methods: what is refused, and how a rule reads."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import xaicore
from xai_lrp.rules import AlphaBeta, Epsilon, Flat, Gamma, WSquare, ZBox, Zero, ZPlus
from xaicore.errors import MatchError, ParameterError
from xaicore.graph import Kind, kind


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Epsilon(-1), "epsilon=-1 must be zero or positive"),
        (lambda: Epsilon(float("nan")), "must be zero or positive"),
        (lambda: Epsilon(epsilon_relative=-0.1), "epsilon_relative=-0.1 must be"),
        (lambda: Gamma(-0.5), "gamma=-0.5 must be"),
        (lambda: AlphaBeta(2, 2), "alpha - beta must be 1"),
        (lambda: AlphaBeta(0.5, -0.5), "beta=-0.5 must be"),
        (lambda: Zero("absorbed"), "Did you mean 'absorb'"),
        (lambda: ZPlus(bias="no"), "bias='no' is not known"),
        (lambda: ZBox(1, 0), "low must not exceed high"),
        (lambda: ZBox(None, 1), "low is missing"),
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
