"""LRP agrees with captum 0.8 on the networks that its LRP supports, where both define the same thing.

Known differences, which the cases below are chosen around:

* captum's gamma and alpha1-beta0 change the weights alone: ``w + gamma w+`` and ``w+`` with the whole signed bias. That
  is not a rule whose parts sum to the output; with ``set_bias_to_zero`` it is ours with ``bias="ignore"``.
* they do so whatever the sign of the inputs, so that a negative input turns a positive weight into evidence against.
  Inputs here are never negative, as behind a ReLU; for the others see the derivation in xai-lrp's own tests.
* captum divides in every layer with a stabilizer of 1e-9, also where ours needs none: it gets a negligible one there.
* captum treats a batch norm as a linear layer of its own: here ``structure={"batch_norm": "one"}``.
* captum knows no functional activations, reused modules or sums outside of its ``Addition_Module``.
"""

from __future__ import annotations

import copy
import functools
import importlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore
from xaicore import Composite, Kind, kind

attr = pytest.importorskip("captum.attr")
lrp_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
rules = pytest.importorskip("xai_lrp.rules")

NEGLIGIBLE = 1e-30
WITH_RULES = importlib.import_module("captum.attr._core.lrp").SUPPORTED_LAYERS_WITH_RULES
WITH_WEIGHTS = (nn.Conv2d, nn.Linear)


class Chain(nn.Module):
    """Features and a classifier; captum has no rule for ``nn.Flatten``."""

    def __init__(self, features: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features, self.classifier = features, classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def plain() -> nn.Module:
    features = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(),
        nn.AvgPool2d(2),
    )  # fmt: skip
    return Chain(features, nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 5)))


def normalized() -> nn.Module:
    features = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8),
        nn.Tanh(), nn.AdaptiveAvgPool2d(2),
    )  # fmt: skip
    return Chain(features, nn.Linear(32, 5))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        from captum.attr._utils.custom_modules import Addition_Module

        self.first, self.relu_1 = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.second, self.add, self.relu_2 = nn.Conv2d(6, 6, 3, padding=1), Addition_Module(), nn.ReLU()
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu_1(self.first(x))
        return self.head(self.pool(self.relu_2(self.add(x, self.second(x)))).flatten(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {"plain": plain, "normalized": normalized, "residual": Residual}


@functools.cache
def build(network: str) -> tuple[nn.Module, Tensor]:
    """The same for all tests, which give copies to captum: it is captured once."""
    with zoo.seeded():
        model = NETWORKS[network]()
        zoo.randomise_constants(model)
        zoo.calibrate_batch_norm(model, torch.rand(8, 3, 16, 16))
        images = torch.rand(4, 3, 16, 16)
    return model.double().eval(), images.double()


def by_captum(model: nn.Module, images: Tensor, target: Any, rule: Callable[[nn.Module], Any]) -> Tensor:
    """Relevance by captum, with ``rule(module)`` in each convolution and linear layer, from a copy."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, WITH_WEIGHTS) or type(module) in WITH_RULES:
            module.rule = rule(module) if isinstance(module, WITH_WEIGHTS) else lrp_rules.EpsilonRule(NEGLIGIBLE)
            module.activations = {}
            module.rule.relevance_input, module.rule.relevance_output = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum announces its hooks
        return attr.LRP(model).attribute(images.clone(), target=target).detach()


def assert_same(actual: Tensor, expected: Tensor) -> None:
    scale = float(expected.abs().max())
    assert torch.isfinite(expected).all() and scale > 1e-9
    assert float((actual - expected).abs().max()) < 1e-6 * scale


def mixed(module: nn.Module) -> Any:
    return (
        lrp_rules.GammaRule(0.25, set_bias_to_zero=True)
        if isinstance(module, nn.Conv2d)
        else lrp_rules.EpsilonRule(0.1)
    )


RULES: dict[str, tuple[str, dict[str, Any], Callable[[nn.Module], Any]]] = {
    "zero": ("lrp.zero", {}, lambda module: lrp_rules.EpsilonRule(NEGLIGIBLE)),
    "epsilon": ("lrp.epsilon", {"epsilon": 1e-9}, lambda module: lrp_rules.EpsilonRule()),
    "large epsilon": ("lrp.epsilon", {"epsilon": 0.25}, lambda module: lrp_rules.EpsilonRule(0.25)),
    "gamma": ("lrp.gamma", {"gamma": 0.25, "epsilon": 1e-9, "bias": "ignore"},
              lambda module: lrp_rules.GammaRule(0.25, set_bias_to_zero=True)),
    "large gamma": ("lrp.gamma", {"gamma": 4.0, "epsilon": 1e-9, "bias": "ignore"},
                    lambda module: lrp_rules.GammaRule(4.0, set_bias_to_zero=True)),
    "alpha 1 beta 0": ("lrp.alpha_1_beta_0", {"bias": "ignore"},
                       lambda module: lrp_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True)),
    "z_plus": ("lrp.z_plus", {"bias": "ignore"},
               lambda module: lrp_rules.Alpha1_Beta0_Rule(set_bias_to_zero=True)),
    "gamma in convolutions, epsilon in linear layers": (
        "lrp.composite",
        {"composite": Composite([
            (kind(Kind.CONVOLUTION), rules.Gamma(0.25, 1e-9, bias="ignore")), (kind(Kind.LINEAR), rules.Epsilon(0.1)),
        ])},
        mixed,
    ),
}  # fmt: skip


@pytest.mark.parametrize("network", ["plain", "residual"])
@pytest.mark.parametrize("rule", RULES)
def test_relevance_agrees_with_captum(rule: str, network: str) -> None:
    method, parameters, theirs = RULES[rule]
    target = [0, 4, 2, 3]
    model, images = build(network)
    actual = xaicore.explain(model, images, method=method, target=target, **parameters).relevance
    assert_same(actual, by_captum(model, images, target, theirs))


def test_batch_norm_as_a_linear_layer_of_its_own_agrees_with_captum() -> None:
    model, images = build("normalized")
    one = {"structure": {"batch_norm": "one"}}
    actual = xaicore.explain(model, images, method="lrp.zero", target=2, **one).relevance
    assert_same(actual, by_captum(model, images, 2, lambda module: lrp_rules.EpsilonRule(NEGLIGIBLE)))


def test_with_a_bias_captums_alpha_1_beta_0_is_not_a_share_of_the_positive_contributions() -> None:
    """Its denominator takes the whole bias, so that a negative one hands on more relevance than arrived."""
    layer, x = nn.Linear(2, 1).double(), torch.tensor([[1.0, 2.0]]).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 1.0]]))
        layer.bias.fill_(-3.5)
    theirs = by_captum(nn.Sequential(layer), x, 0, lambda module: lrp_rules.Alpha1_Beta0_Rule())
    ours = xaicore.explain(layer, x, method="lrp.alpha_1_beta_0", target=0).relevance
    output = float(layer(x).detach())  # 0.5, of which 4.0 is positive contributions
    torch.testing.assert_close(ours, torch.tensor([[2.0, 2.0]]).double() / 4 * output)
    torch.testing.assert_close(theirs.sum() / output, torch.tensor(8.0).double(), rtol=1e-6, atol=0)
