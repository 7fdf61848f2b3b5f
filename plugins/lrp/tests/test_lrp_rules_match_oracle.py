"""Every rule, on every layer, for inputs of either sign: the same as the derivation from the Jacobian matrix."""

from __future__ import annotations

import functools

import jacobian_oracle as oracle
import layers_under_test as layers
import pytest
import torch
from torch import nn

import xaicore
from xai_lrp.rules import (
    AlphaBeta,
    Epsilon,
    ExcitationBackprop,
    Flat,
    Gamma,
    GeneralizedGamma,
    Norm,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
)
from xaicore.graph import Kind, kind

LINEAR = kind(Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM)
MODES = ("absorb", "ignore", "distribute", "conserve")
BOX = {"low": -3.0, "high": 4.0}

# name -> (rule, the same by hand)
RULES = {
    **{f"zero, {mode}": (Zero(mode), oracle.zero, mode) for mode in MODES},
    **{
        f"epsilon, {mode}": (Epsilon(0.3, mode), functools.partial(oracle.epsilon, epsilon=0.3), mode) for mode in MODES
    },
    **{f"gamma, {mode}": (Gamma(0.7, bias=mode), functools.partial(oracle.gamma, gamma=0.7), mode) for mode in MODES},
    **{
        f"generalized gamma, {mode}": (
            GeneralizedGamma(0.7, bias=mode),
            functools.partial(oracle.generalized_gamma, gamma=0.7),
            mode,
        )
        for mode in MODES
    },
    **{
        f"alpha-beta, {mode}": (AlphaBeta(3, 2, mode), functools.partial(oracle.alpha_beta, alpha=3, beta=2), mode)
        for mode in MODES
    },
    **{f"z-plus, {mode}": (ZPlus(mode), oracle.z_plus, mode) for mode in MODES},
    "alpha 1 beta 0": (AlphaBeta(1, 0), oracle.z_plus, "absorb"),
    "excitation backprop": (ExcitationBackprop(), oracle.excitation_backprop, "absorb"),
    "norm": (Norm(0.3), functools.partial(oracle.epsilon, epsilon=0.3), "absorb"),
    "flat": (Flat(), oracle.flat, "absorb"),
    "w-square": (WSquare(), oracle.w_square, "absorb"),
    "z-box": (ZBox(**BOX), functools.partial(oracle.z_box, **BOX), "absorb"),
}


@functools.cache
def model_of(name: str, nonnegative: bool) -> nn.Module:
    """The layer with its outputs in a row; a ReLU before it lets the graph know the sign of its inputs."""
    layer, _ = layers.make(name)
    return nn.Sequential(*([nn.ReLU()] if nonnegative else []), layer, nn.Flatten())


@pytest.mark.parametrize("rule_name", RULES)
@pytest.mark.parametrize("nonnegative", [False, True], ids=["signed", "nonnegative"])
@pytest.mark.parametrize("layer_name", layers.NAMES)
def test_rule_equals_its_equation_and_accounts_for_every_output(
    layer_name: str, nonnegative: bool, rule_name: str
) -> None:
    rule, equation, mode = RULES[rule_name]
    layer, shape = layers.make(layer_name)
    x = layers.sample(shape, nonnegative)
    expected = oracle.explain_every_output(layer, x, equation, mode)

    outputs = len(expected.outputs)
    analyzer = xaicore.create_analyzer(
        "lrp.composite", model_of(layer_name, nonnegative), composite=xaicore.Composite([(LINEAR, rule)])
    )
    inputs = x.expand(outputs, *shape)
    plain = analyzer.analyze(inputs, target=list(range(outputs)))
    with_ledger = analyzer.analyze(inputs, target=list(range(outputs)), ledger=True)

    torch.testing.assert_close(plain.relevance, expected.relevance, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(with_ledger.relevance, expected.relevance, rtol=1e-8, atol=1e-10)
    (row,) = [r for r in with_ledger.diagnostics.ledger if r["kind"] in ("convolution", "linear", "batch_norm")]
    scale = expected.outputs.abs().sum().item()
    assert row["relevance_in"] == pytest.approx(expected.outputs.sum().item(), abs=1e-9 * scale)
    assert row["bias"] == pytest.approx(expected.bias.sum().item(), abs=1e-8 * scale)
    assert row["stabilizer"] == pytest.approx(expected.stabilizer.sum().item(), abs=1e-8 * scale)
    assert row["unaccounted"] == pytest.approx(0, abs=1e-8 * scale)


def test_bounds_of_the_box_may_differ_by_channel_and_pixel() -> None:
    layer, shape = layers.make("conv2d")
    x = layers.sample(shape, nonnegative=False)
    low = torch.tensor([-3.0, -4.0], dtype=torch.float64).view(2, 1, 1)
    high = 3 + torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    equation = functools.partial(oracle.z_box, low=low.expand(shape).flatten(), high=high.flatten())
    expected = oracle.explain_every_output(layer, x, equation)
    outputs = len(expected.outputs)
    explanation = xaicore.explain(
        nn.Sequential(layer, nn.Flatten()),
        x.expand(outputs, *shape),
        method="lrp.z_box",
        target=list(range(outputs)),
        low=low,
        high=high,
    )
    torch.testing.assert_close(explanation.relevance, expected.relevance, rtol=1e-8, atol=1e-10)


def test_relative_epsilon_is_a_multiple_of_the_root_mean_square_of_each_sample() -> None:
    layer, shape = layers.make("linear")
    for seed in range(2):
        x = layers.sample(shape, nonnegative=False, seed=seed)
        absolute = 0.25 * layer(x).square().mean().sqrt().item() + 1e-6
        expected = oracle.explain_every_output(layer, x, functools.partial(oracle.epsilon, epsilon=absolute))
        batch = torch.stack([x, layers.sample(shape, nonnegative=False, seed=7)])
        explanation = xaicore.explain(layer, batch, method="lrp.epsilon", target=2, epsilon_relative=0.25)
        torch.testing.assert_close(explanation.relevance[0], expected.relevance[2], rtol=1e-8, atol=1e-10)
