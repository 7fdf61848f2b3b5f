"""Methods that are composites: which rule stands where, under which names they are found, and what they refuse."""

from __future__ import annotations

from typing import Any

import networks
import pytest
import torch
from torch import Tensor, nn

import xaicore
from xai_lrp.rules import AlphaBeta, Epsilon, Flat, Gamma, GeneralizedGamma, ZBox, ZPlus
from xaicore import Composite, Kind, depth, first_on_path, kind, named
from xaicore.errors import LayerError, ParameterError
from xaicore.plugins import plugin_registry

CONVOLUTION, LINEAR = kind(Kind.CONVOLUTION), kind(Kind.LINEAR)
BOX = {"low": -4.0, "high": 4.0}


def relevance(method: str, **parameters: Any) -> Tensor:
    model, x = networks.build("plain", bias=True), networks.images(2)
    return xaicore.explain(model, x, method=method, target=1, **parameters).relevance


# method, its parameters, the same as a composite of the user's own
WRITTEN_OUT: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("lrp.epsilon_plus", {"epsilon": 0.2}, [(CONVOLUTION, ZPlus()), (LINEAR, Epsilon(0.2))]),
    ("lrp.epsilon_plus_flat", {}, [(first_on_path, Flat()), (CONVOLUTION, ZPlus()), (LINEAR, Epsilon())]),
    ("lrp.epsilon_alpha2_beta1", {}, [(CONVOLUTION, AlphaBeta(2, 1)), (LINEAR, Epsilon())]),
    (
        "lrp.epsilon_alpha2_beta1_flat",
        {},
        [(first_on_path, Flat()), (CONVOLUTION, AlphaBeta(2, 1)), (LINEAR, Epsilon())],
    ),
    ("lrp.preset_a", {}, [(CONVOLUTION, AlphaBeta(1, 0)), (LINEAR, Epsilon(0.1))]),
    ("lrp.preset_a_flat", {}, [(first_on_path, Flat()), (CONVOLUTION, AlphaBeta(1, 0)), (LINEAR, Epsilon(0.1))]),
    ("lrp.preset_b", {}, [(CONVOLUTION, AlphaBeta(2, 1)), (LINEAR, Epsilon(0.1))]),
    ("lrp.preset_b_flat", {}, [(first_on_path, Flat()), (CONVOLUTION, AlphaBeta(2, 1)), (LINEAR, Epsilon(0.1))]),
    ("lrp.preset_b_flat", {"flat_until": 0}, [(CONVOLUTION, AlphaBeta(2, 1)), (LINEAR, Epsilon(0.1))]),
    ("lrp.cmp", {}, [(CONVOLUTION, AlphaBeta(1, 0)), (LINEAR, Epsilon())]),
    (
        "lrp.cmp",
        {"alpha": 3, "flat_until": 1},
        [(first_on_path, Flat()), (CONVOLUTION, AlphaBeta(3, 2)), (LINEAR, Epsilon())],
    ),
    (
        "lrp.epsilon_gamma_box",
        {**BOX, "gamma": 0.5, "epsilon_relative": 0.25, "bias": "ignore"},
        [
            (first_on_path, ZBox(-4, 4)),
            (CONVOLUTION, Gamma(0.5, bias="ignore")),
            (LINEAR, Epsilon(1e-6, "ignore", 0.25)),
        ],
    ),
    (
        "lrp.epsilon_gamma_box",
        {**BOX, "generalized": True},
        [(first_on_path, ZBox(-4, 4)), (CONVOLUTION, GeneralizedGamma(0.25)), (LINEAR, Epsilon())],
    ),
    (
        "lrp.z_box",
        {**BOX, "bias": "distribute"},
        [(first_on_path, ZBox(-4, 4)), (CONVOLUTION | LINEAR, ZPlus("distribute"))],
    ),
    ("lrp.alpha_beta", {"beta": 0.5}, [(CONVOLUTION | LINEAR, AlphaBeta(1.5, 0.5))]),
    ("lrp.alpha_beta", {"alpha": 3}, [(CONVOLUTION | LINEAR, AlphaBeta(3, 2))]),
    ("lrp.alpha_beta", {}, [(CONVOLUTION | LINEAR, AlphaBeta(2, 1))]),
]


@pytest.mark.parametrize(("method", "parameters", "entries"), WRITTEN_OUT)
def test_a_method_is_the_composite_that_it_stands_for(method: str, parameters: dict[str, Any], entries: Any) -> None:
    expected = relevance("lrp.composite", composite=Composite(entries))
    torch.testing.assert_close(relevance(method, **parameters), expected, rtol=0, atol=0)


@pytest.mark.parametrize("until", [2, "second", "conv2d_1"])
def test_flat_until_a_layer_takes_it_and_all_that_leads_to_it(until: int | str) -> None:
    composite = Composite([(CONVOLUTION & (depth < 2), Flat()), (LINEAR, Epsilon())])
    expected = relevance("lrp.composite", composite=composite)
    torch.testing.assert_close(relevance("lrp.epsilon_plus", flat_until=until), expected, rtol=0, atol=0)


def test_flat_until_a_module_takes_all_branches_that_lead_to_it() -> None:
    model = networks.build("residual", bias=True)
    matching = xaicore.create_analyzer("lrp.epsilon_plus", model, flat_until="short").match(networks.images(2))
    flat = {match.layer.name for match in matching.matches.values() if match.description == "Flat()"}
    # The stem, the first call of the inner layer and the shortcut; the second call of the inner layer runs beside it.
    assert flat == {"conv2d", "conv2d_1", "conv2d_3"}


def test_flat_until_a_layer_that_does_not_exist_suggests_the_nearest() -> None:
    with pytest.raises(LayerError, match=r"no layer or module 'secnd'. Did you mean 'second'\?"):
        relevance("lrp.preset_a", flat_until="secnd")


def test_flat_until_more_layers_than_there_are_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"flat_until=77 counts more layers than the model has"):
        relevance("lrp.preset_a", flat_until=77)


@pytest.mark.parametrize("until", [-1, True, 1.5])
def test_flat_until_something_that_is_no_layer_is_refused(until: Any) -> None:
    with pytest.raises(ParameterError, match=r"flat_until=.* must be a number of layers"):
        xaicore.create_analyzer("lrp.epsilon_plus", nn.Linear(2, 2), flat_until=until)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 2, "beta": 2}, "alpha - beta must be 1"),
        ({"alpha": 0.5}, "beta=-0.5 must be zero or positive"),
        ({"beta": -1}, "beta=-1 must be zero or positive"),
        ({"alpha": "two"}, "alpha='two' must be a number"),
    ],
)
@pytest.mark.parametrize("method", ["lrp.alpha_beta", "lrp.cmp"])
def test_alpha_and_beta_that_do_not_belong_together_are_refused(method: str, parameters: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        xaicore.create_analyzer(method, nn.Linear(2, 2), **parameters)


def test_a_large_relative_epsilon_is_reached_in_every_composite_with_epsilon() -> None:
    for method in ("lrp.epsilon_plus", "lrp.epsilon_alpha2_beta1_flat", "lrp.preset_b", "lrp.cmp"):
        assert not torch.allclose(relevance(method), relevance(method, epsilon_relative=1.0)), method


def test_generalized_gamma_is_gamma_where_all_outputs_are_positive_and_not_elsewhere() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 5).double(), torch.randn(3, 4, dtype=torch.float64)
    signs = layer(x) >= 0
    for target in range(5):
        plain, general = (
            xaicore.explain(layer, x, method=method, target=target).relevance
            for method in ("lrp.gamma", "lrp.generalized_gamma")
        )
        same = (plain - general).abs().amax(1) < 1e-12
        assert torch.equal(same, signs[:, target])


def test_excitation_backprop_on_inputs_that_are_never_negative_is_z_plus_without_bias() -> None:
    model, x = networks.build("plain", bias=True), networks.images(2).abs()
    expected = xaicore.explain(model, x, method="lrp.z_plus", bias="ignore", target=0).relevance
    actual = xaicore.explain(model, x, method="lrp.excitation_backprop", target=0).relevance
    torch.testing.assert_close(actual, expected)


METHODS = [spec for spec in plugin_registry().methods() if spec.namespace == "lrp"]


@pytest.mark.parametrize("spec", METHODS, ids=lambda spec: spec.name)
def test_every_method_takes_treatments_of_structure(spec: Any) -> None:
    given: dict[str, Any] = {"composite": Composite([(LINEAR, Epsilon())])} if spec.name == "lrp.composite" else {}
    given |= BOX if "box" in spec.name else {}
    analyzer = xaicore.create_analyzer(spec.name, nn.Linear(2, 2), structure={"max_pool": "winner"}, **given)
    assert "max_pool" in repr(analyzer.build_composite())
    with pytest.raises(ParameterError, match="max_pool"):
        analyzer.set_params(structure={"max_pol": "winner"})


def test_the_form_of_batch_norm_is_chosen_by_structure_and_kept_in_a_composite_of_the_users() -> None:
    model = networks.build("normalized", bias=True)
    one = xaicore.create_analyzer("lrp.epsilon", model, structure={"batch_norm": "one"})
    assert one.build_composite().batch_norm == "one"
    own = Composite([(LINEAR | CONVOLUTION, Epsilon())], batch_norm="one")
    kept = xaicore.create_analyzer("lrp.composite", model, composite=own, structure={"max_pool": "winner"})
    assert kept.build_composite().batch_norm == "one"
    x = networks.images(2)
    torch.testing.assert_close(
        one.analyze(x, target=0).relevance, kept.analyze(x, target=0).relevance, rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("lrp.z", "lrp.zero"),
        ("lrp.z_plus_fast", "lrp.z_plus"),
        ("lrp.sequential_preset_a", "lrp.preset_a"),
        ("lrp.sequential_preset_a_flat", "lrp.preset_a_flat"),
        ("lrp.sequential_preset_b", "lrp.preset_b"),
        ("lrp.sequential_preset_b_flat", "lrp.preset_b_flat"),
        ("lrp.sequential_preset_b_flat_until_idx", "lrp.preset_b_flat"),
        ("EpsilonPlus", "lrp.epsilon_plus"),
        ("EpsilonPlusFlat", "lrp.epsilon_plus_flat"),
        ("EpsilonGammaBox", "lrp.epsilon_gamma_box"),
        ("EpsilonAlpha2Beta1", "lrp.epsilon_alpha2_beta1"),
        ("EpsilonAlpha2Beta1Flat", "lrp.epsilon_alpha2_beta1_flat"),
        ("ExcitationBackprop", "lrp.excitation_backprop"),
        ("excitation_backprop", "lrp.excitation_backprop"),
    ],
)
def test_names_of_other_tools_are_known(alias: str, name: str) -> None:
    assert xaicore.find_method(alias).name == name


def test_a_layer_that_the_users_composite_names_must_exist() -> None:
    composite = Composite([(named("frist"), Flat()), (CONVOLUTION | LINEAR, Epsilon())])
    with pytest.raises(LayerError, match=r"'frist'. Did you mean 'first'\?"):
        relevance("lrp.composite", composite=composite)
