"""Any rule of xai-lrp in the linear maps and sums of recurrent layers: the same as the numpy equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy_linear_rules import By, Shares, alpha_beta, flat, gamma, w_square, z_plus
from numpy_recurrent import Array, Rules
from recurrent_networks import ONE_OF_EACH, batch_for, make, model_for, one_by_one, weights_for
from recurrent_rules import assert_close

import xaicore
from xai_lrp.rules import AlphaBeta, Epsilon, Flat, Gamma, LinearRule, WSquare, Zero, ZPlus
from xai_lstm import RecurrentRule
from xaicore import Composite, Kind, kind

# Ours, which takes the bias mode if it has one; the equation, and its parameters.
RULES: dict[str, tuple[Callable[..., LinearRule], Callable[..., Shares], dict[str, Any]]] = {
    "gamma": (lambda **bias: Gamma(0.5, 0.01, **bias), gamma, {"more": 0.5, "epsilon": 0.01}),
    "alpha 2 beta 1": (lambda **bias: AlphaBeta(2, 1, **bias), alpha_beta, {"alpha": 2.0, "beta": 1.0}),
    "z-plus": (ZPlus, z_plus, {}),
    "w-square": (WSquare, w_square, {}),
    "flat": (Flat, flat, {}),
    "zero": (Zero, gamma, {"more": 0.0, "epsilon": 0.0}),
    "epsilon": (lambda **bias: Epsilon(0.1, **bias), gamma, {"more": 0.0, "epsilon": 0.1}),
}
PRODUCTS = {"signal": "all", "proportional": "prop", "half": "half"}
# They share by weights alone, so that no bias enters.
WITHOUT_BIAS = ("w-square", "flat")


def compare(name: str, rule: RecurrentRule, theirs: Rules, case: object = None) -> None:
    """Explain a weighted sum of all outputs, by ours in one batch, by the reference one sequence at a time."""
    model, (module, reference) = model_for(name), make(name)
    x = batch_for(module)[0]
    weights = weights_for(model(torch.tensor(x)))
    composite = Composite([(kind(Kind.RECURRENT), rule)])
    seen = xaicore.explain(
        model, torch.tensor(x), method="lrp.composite", composite=composite, target=lambda rows: rows @ weights
    )
    expected = one_by_one(reference, weights, x, rules=theirs)
    assert_close(seen.relevance, np.stack([each.x for each in expected]), case)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_rule_stands_in_all_maps_and_sums(name: str, rule: str) -> None:
    ours, shares, parameters = RULES[rule]
    for product in PRODUCTS:
        for bias in ("absorb",) if rule in WITHOUT_BIAS else ("absorb", "ignore", "distribute", "conserve"):
            mode = {} if rule in WITHOUT_BIAS else {"bias": bias}
            theirs = By(shares, PRODUCTS[product], bias, **parameters)
            compare(name, RecurrentRule(product, ours(**mode)), theirs, (product, bias))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_sums_may_have_a_rule_of_their_own(name: str) -> None:
    class Both(By):
        def sum(self, a: Array, b: Array, r: Array) -> tuple[Array, Array]:
            return Rules(epsilon=0.1).sum(a, b, r)

    compare(name, RecurrentRule("half", ZPlus(), sums=Epsilon(0.1)), Both(z_plus, "half"))
