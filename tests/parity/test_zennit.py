"""Relevance agrees with zennit 0.5.1 where both define the same thing.

Known differences, which the cases below are chosen around:

* zennit's stabilizer is 1e-6 in every rule. Rules that need none here (z-plus, alpha-beta, flat, w-square) have none,
  so zennit gets one that is negligible in float64.
* zennit's w-square counts the squared bias as one more input; Montavon et al. 2017, eq. 12, have no bias: it is
  left out there with ``zero_params``.
* zennit's gamma is the generalised one (Andeol et al. 2021): `lrp.generalized_gamma`, and `generalized=True` in
  `lrp.epsilon_gamma_box`. `lrp.gamma` favours positive contributions whatever the output (Montavon et al. 2019).
  Both agree where outputs that carry relevance are positive: in front of a ReLU, and at a positive logit. Not in
  front of a residual sum. Outputs of exactly zero pass nothing in zennit.
* zennit's excitation backprop is its z-plus everywhere: unless told otherwise it keeps the bias, which Zhang et al.
  2016 leave out, and it lets negative inputs through negative weights, where ours clamps them.
* zennit finds the first layer by registration order and batch norm by adjacency of modules; the models below register
  their modules in the order of use, for its sake.
* zennit's merged batch norm is left in place with variance one and its eps, so that it still divides by sqrt(1 + 1e-5).
  The copy that zennit works on gets an eps of zero after the merge.
* zennit normalises average pooling and sums with a stabilizer of 1e-6, too: see the first item.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore

zoo.import_torchvision()  # zennit imports it by itself, and fails where it fails
zennit_rules = pytest.importorskip("zennit.rules")
rules = pytest.importorskip("xai_lrp.rules")
from zennit import composites  # noqa: E402
from zennit.canonizers import SequentialMergeBatchNorm  # noqa: E402
from zennit.core import Composite as ZennitComposite  # noqa: E402
from zennit.types import Convolution as ZennitConvolution  # noqa: E402
from zennit.types import Linear as ZennitLinear  # noqa: E402

NEGLIGIBLE = 1e-30
LOW, HIGH = -4.0, 4.0


def relevance_by_zennit(model: nn.Module, images: Tensor, composite: ZennitComposite) -> Tensor:
    """Relevance of the predicted class, from a copy: zennit rewrites the weights for the time of its call."""
    model, images = copy.deepcopy(model), images.clone().requires_grad_()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with composite.context(model) as modified:
        for module in modified.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eps = 0.0  # it was merged: now an identity but for this
        output = modified(images)
        chosen = torch.nn.functional.one_hot(output.argmax(1), output.shape[1])
        (relevance,) = torch.autograd.grad(output, images, output.detach() * chosen)
    return relevance


def assert_same(actual: Tensor, expected: Tensor) -> None:
    assert torch.isfinite(expected).all()
    scale = float(expected.abs().max())
    error = float((actual - expected).abs().max())
    assert scale > 1e-9
    assert error < 1e-6 * scale


def everywhere(rule: Any) -> ZennitComposite:
    """Build zennit's composite of one rule in every linear layer."""
    layer_map = [*composites.layer_map_base(NEGLIGIBLE), (ZennitLinear, rule)]
    return composites.LayerMapComposite(layer_map, canonizers=[SequentialMergeBatchNorm()])


def first_then_epsilon(rule: Any) -> ZennitComposite:
    layer_map = [*composites.layer_map_base(NEGLIGIBLE), (ZennitLinear, zennit_rules.Epsilon(1e-6))]
    first_map = [(ZennitLinear, rule)]
    return composites.SpecialFirstLayerMapComposite(layer_map, first_map, canonizers=[SequentialMergeBatchNorm()])


def like_alexnet() -> nn.Module:
    """Large strides, overlapping max pooling, dropout, linear layers, biases everywhere."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(12, 8, 3, padding=1, groups=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(32, 16), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(16, 10),
    )  # fmt: skip


def like_vgg() -> nn.Module:
    """Pairs of small convolutions with batch norm, average pooling on the way."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.AvgPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(12, 12, 3, dilation=2), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(12 * 4 * 4, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 10),
    )  # fmt: skip


@functools.cache
def build(factory: Callable[[], nn.Module], size: int) -> tuple[nn.Module, Tensor]:
    """The same for all rules: it is captured once."""
    with zoo.seeded():
        model = factory()
        zoo.randomise_constants(model)
        images = torch.randn(4, 3, size, size).clamp(LOW, HIGH)
        zoo.calibrate_batch_norm(model, torch.randn(8, 3, size, size))
    model = model.double().eval()
    images = images.double()
    with torch.no_grad():
        assert (model(images).amax(1) > 0).all()  # what gamma needs, see above
    return model, images


SEQUENTIAL = {"like_alexnet": (like_alexnet, 40), "like_vgg": (like_vgg, 32)}

RULES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "epsilon": ("lrp.epsilon", {"epsilon": 1e-6}, zennit_rules.Epsilon(1e-6)),
    "large epsilon": ("lrp.epsilon", {"epsilon": 0.25}, zennit_rules.Epsilon(0.25)),
    "z_plus": ("lrp.z_plus", {}, zennit_rules.ZPlus(NEGLIGIBLE)),
    "alpha 2 beta 1": ("lrp.alpha_beta", {"alpha": 2.0, "beta": 1.0}, zennit_rules.AlphaBeta(2, 1, NEGLIGIBLE)),
    "alpha 1.5 beta 0.5": ("lrp.alpha_beta", {"alpha": 1.5, "beta": 0.5}, zennit_rules.AlphaBeta(1.5, 0.5, NEGLIGIBLE)),
    "gamma": ("lrp.gamma", {"gamma": 0.25}, zennit_rules.Gamma(0.25, 1e-6)),
    "large gamma": ("lrp.gamma", {"gamma": 3.0}, zennit_rules.Gamma(3.0, 1e-6)),
    "generalized gamma": ("lrp.generalized_gamma", {"gamma": 0.25}, zennit_rules.Gamma(0.25, 1e-6)),
    "epsilon without bias": ("lrp.epsilon", {"bias": "ignore"}, zennit_rules.Epsilon(1e-6, zero_params="bias")),
    "z_plus without bias": ("lrp.z_plus", {"bias": "ignore"}, zennit_rules.ZPlus(NEGLIGIBLE, zero_params="bias")),
    "alpha 2 beta 1 without bias": (
        "lrp.alpha_2_beta_1",
        {"bias": "ignore"},
        zennit_rules.AlphaBeta(2, 1, NEGLIGIBLE, zero_params="bias"),
    ),
    "flat": ("lrp.flat", {}, zennit_rules.Flat(NEGLIGIBLE)),
    "w_square": ("lrp.w_square", {}, zennit_rules.WSquare(NEGLIGIBLE, zero_params="bias")),
    "norm": (
        "lrp.composite",
        {"composite": xaicore.Composite([(xaicore.kind(xaicore.Kind.CONVOLUTION, xaicore.Kind.LINEAR), rules.Norm())])},
        zennit_rules.Norm(1e-6),
    ),
}

FIRST_RULES: dict[str, tuple[Any, Any]] = {
    "z_box": (rules.ZBox(LOW, HIGH), zennit_rules.ZBox(LOW, HIGH, 1e-6)),
    "z_box by channel": (
        rules.ZBox(-torch.tensor([4.0, 5.0, 6.0]).view(3, 1, 1), torch.tensor([4.0, 4.5, 5.5]).view(3, 1, 1)),
        zennit_rules.ZBox(
            -torch.tensor([4.0, 5.0, 6.0]).view(1, 3, 1, 1), torch.tensor([4.0, 4.5, 5.5]).view(1, 3, 1, 1), 1e-6
        ),
    ),
    "flat": (rules.Flat(), zennit_rules.Flat(NEGLIGIBLE)),
    "w_square": (rules.WSquare(), zennit_rules.WSquare(NEGLIGIBLE, zero_params="bias")),
}


@pytest.mark.parametrize("network", SEQUENTIAL)
@pytest.mark.parametrize("rule", RULES)
def test_one_rule_in_every_linear_layer(rule: str, network: str) -> None:
    method, parameters, theirs = RULES[rule]
    model, images = build(*SEQUENTIAL[network])
    actual = xaicore.explain(model, images, method=method, **parameters).relevance
    assert_same(actual, relevance_by_zennit(model, images, everywhere(theirs)))


@pytest.mark.parametrize("network", SEQUENTIAL)
@pytest.mark.parametrize("rule", FIRST_RULES)
def test_a_rule_for_the_first_layer(rule: str, network: str) -> None:
    ours, theirs = FIRST_RULES[rule]
    model, images = build(*SEQUENTIAL[network])
    linear = xaicore.kind(xaicore.Kind.CONVOLUTION, xaicore.Kind.LINEAR)
    composite = xaicore.Composite([(xaicore.first_on_path, ours), (linear, rules.Epsilon(1e-6))])
    actual = xaicore.explain(model, images, method="lrp.composite", composite=composite).relevance
    assert_same(actual, relevance_by_zennit(model, images, first_then_epsilon(theirs)))


COMPOSITES: dict[str, tuple[str, dict[str, Any], Callable[..., ZennitComposite]]] = {
    "epsilon_plus": (
        "lrp.epsilon_plus", {"epsilon": 1e-6},
        lambda canonizers: composites.EpsilonPlus(1e-6, NEGLIGIBLE, canonizers=canonizers),
    ),
    "epsilon_alpha2_beta1": (
        "lrp.epsilon_alpha2_beta1", {"epsilon": 1e-6},
        lambda canonizers: composites.EpsilonAlpha2Beta1(1e-6, NEGLIGIBLE, canonizers=canonizers),
    ),
    "epsilon_gamma_box": (
        "lrp.epsilon_gamma_box", {"low": LOW, "high": HIGH, "epsilon": 1e-6},
        lambda canonizers: composites.EpsilonGammaBox(
            LOW, HIGH, 1e-6, 0.25, 1e-6, layer_map=composites.layer_map_base(NEGLIGIBLE), canonizers=canonizers
        ),
    ),
    "epsilon_gamma_box, generalized": (
        "lrp.epsilon_gamma_box", {"low": LOW, "high": HIGH, "epsilon": 1e-6, "generalized": True},
        lambda canonizers: composites.EpsilonGammaBox(
            LOW, HIGH, 1e-6, 0.25, 1e-6, layer_map=composites.layer_map_base(NEGLIGIBLE), canonizers=canonizers
        ),
    ),
    "epsilon_plus_flat": (
        "lrp.epsilon_plus_flat", {"epsilon": 1e-6},
        lambda canonizers: composites.EpsilonPlusFlat(1e-6, NEGLIGIBLE, canonizers=canonizers),
    ),
    "epsilon_alpha2_beta1_flat": (
        "lrp.epsilon_alpha2_beta1_flat", {"epsilon": 1e-6},
        lambda canonizers: composites.EpsilonAlpha2Beta1Flat(1e-6, NEGLIGIBLE, canonizers=canonizers),
    ),
    "excitation_backprop, inputs of either sign": (
        "lrp.z_plus", {"bias": "ignore"},
        lambda canonizers: composites.ExcitationBackprop(NEGLIGIBLE, zero_params="bias", canonizers=canonizers),
    ),
}  # fmt: skip


@pytest.mark.parametrize("network", SEQUENTIAL)
@pytest.mark.parametrize("name", COMPOSITES)
def test_a_composite_on_a_sequential_network(name: str, network: str) -> None:
    method, parameters, theirs = COMPOSITES[name]
    model, images = build(*SEQUENTIAL[network])
    actual = xaicore.explain(model, images, method=method, **parameters).relevance
    assert_same(actual, relevance_by_zennit(model, images, theirs([SequentialMergeBatchNorm()])))


# Plain gamma differs at residual sums, see above.
RESIDUAL = [(name, "resnet18") for name in COMPOSITES if name != "epsilon_gamma_box"] + [("epsilon_plus", "resnet50")]


@functools.cache
def residual(network: str) -> tuple[nn.Module, Tensor]:
    entry = zoo.BY_NAME[network]
    return entry.build(torch.float64), entry.inputs(torch.float64)


@pytest.mark.parametrize(("name", "network"), RESIDUAL)
def test_a_composite_on_a_residual_network(name: str, network: str) -> None:
    from zennit.torchvision import ResNetCanonizer  # the sum and the batch norms, which ours needs no code for

    method, parameters, theirs = COMPOSITES[name]
    model, images = residual(network)
    actual = xaicore.explain(model, images, method=method, **parameters).relevance
    assert_same(actual, relevance_by_zennit(model, images, theirs([ResNetCanonizer()])))


def test_excitation_backprop_of_inputs_that_are_never_negative() -> None:
    model, images = build(*SEQUENTIAL["like_vgg"])
    images = images.abs()
    actual = xaicore.explain(model, images, method="ExcitationBackprop").relevance
    theirs = composites.ExcitationBackprop(NEGLIGIBLE, zero_params="bias", canonizers=[SequentialMergeBatchNorm()])
    assert_same(actual, relevance_by_zennit(model, images, theirs))


def test_pass_in_a_layer_of_equal_shapes() -> None:
    with zoo.seeded():
        model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3)).double()
        x = torch.randn(4, 6).double()
    ours = xaicore.Composite([(xaicore.first_on_path, rules.Pass()), (xaicore.last, rules.Epsilon(1e-6))])
    theirs = composites.NameMapComposite([
        (["0"], zennit_rules.Pass()), (["1"], zennit_rules.Pass()), (["2"], zennit_rules.Epsilon(1e-6)),
    ])  # fmt: skip
    actual = xaicore.explain(model, x, method="lrp.composite", composite=ours).relevance
    assert_same(actual, relevance_by_zennit(model, x, theirs))


def test_the_users_own_composite() -> None:
    model, images = build(*SEQUENTIAL["like_vgg"])
    ours = xaicore.Composite([
        (xaicore.first_on_path, rules.ZBox(LOW, HIGH)),
        (xaicore.kind(xaicore.Kind.CONVOLUTION), rules.Gamma(0.5)),
        (xaicore.kind(xaicore.Kind.LINEAR), rules.Epsilon(0.25)),
    ])  # fmt: skip
    theirs = composites.SpecialFirstLayerMapComposite(
        [*composites.layer_map_base(NEGLIGIBLE), (ZennitConvolution, zennit_rules.Gamma(0.5, 1e-6)),
         (nn.Linear, zennit_rules.Epsilon(0.25))],
        [(ZennitConvolution, zennit_rules.ZBox(LOW, HIGH, 1e-6))],
        canonizers=[SequentialMergeBatchNorm()],
    )  # fmt: skip
    actual = xaicore.explain(model, images, method="lrp.composite", composite=ours).relevance
    assert_same(actual, relevance_by_zennit(model, images, theirs))
