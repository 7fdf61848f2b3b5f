"""Recurrent layers under every rule: the same as the numpy derivation, one sequence at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from recurrent_networks import (
    NETWORKS,
    ONE_OF_EACH,
    AllOutputs,
    FromState,
    FromStates,
    batch_for,
    make,
    model_for,
    one_by_one,
    weights_for,
)
from recurrent_rules import PRODUCTS, RULES, assert_close

import xaicore


@pytest.mark.parametrize("method", PRODUCTS)
@pytest.mark.parametrize("name", NETWORKS)
def test_relevance_of_every_input_is_that_of_the_equations(name: str, method: str) -> None:
    model, (module, reference) = model_for(name), make(name)
    x = batch_for(module)[0]
    weights = weights_for(model(torch.tensor(x)))
    for ours, theirs in RULES:
        seen = xaicore.explain(model, torch.tensor(x), method=method, target=lambda rows: rows @ weights, **ours)
        expected = one_by_one(reference, weights, x, product=PRODUCTS[method], **theirs)
        assert_close(seen.relevance, np.stack([each.x for each in expected]), ours)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_time_may_come_before_the_batch(name: str) -> None:
    model, (module, reference) = model_for(name, AllOutputs, batch_first=False), make(name)
    x = batch_for(module, 3)[0]
    weights = weights_for(model(torch.tensor(x)))
    seen = xaicore.explain(model, torch.tensor(x), method="lstm.lrp_prop", target=lambda rows: rows @ weights)
    expected = one_by_one(reference, weights, x, product="prop")
    assert_close(seen.relevance, np.stack([each.x for each in expected]))


@pytest.mark.parametrize("method", PRODUCTS)
@pytest.mark.parametrize("name", ["lstm", *ONE_OF_EACH])
def test_initial_states_are_inputs_like_others(name: str, method: str) -> None:
    module, reference = make(name)
    of_lstm = module.mode == "LSTM"
    model, (x, *states) = model_for(name, FromStates if of_lstm else FromState), batch_for(module)
    given = [torch.tensor(each) for each in ((x, *states) if of_lstm else (x, states[0]))]
    weights = weights_for(model(*given))
    for ours, theirs in RULES[::4]:
        seen = xaicore.explain(model, tuple(given), method=method, target=lambda rows: rows @ weights, **ours).relevance
        pairs = list(zip(*states, strict=True))
        expected = one_by_one(reference, weights, x, pairs, product=PRODUCTS[method], **theirs)
        for key, values in seen.items():
            assert_close(values, np.stack([getattr(each, key) for each in expected]), (key, ours))
