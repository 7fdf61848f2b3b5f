"""Where relevance goes in recurrent layers; batches of any size, lower precision, what is refused."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from recurrent_networks import (
    CLASSES,
    HIDDEN,
    INPUTS,
    ONE_OF_EACH,
    TALL,
    AllOutputs,
    batch_for,
    make,
    model_for,
    one_by_one,
    weights_for,
)
from recurrent_rules import PRODUCTS
from torch import nn

import xaicore
from xai_lstm import RecurrentRule
from xaicore.errors import ParameterError

MODES: dict[str, dict[str, Any]] = {
    "absorb": {"bias": "absorb"},
    "ignore": {"bias": "ignore"},
    "distribute": {"bias": "distribute"},
    "conserve": {"bias_factor": 1.0},
}


@pytest.mark.parametrize("bias", MODES)
@pytest.mark.parametrize("method", PRODUCTS)
@pytest.mark.parametrize("name", TALL)
def test_the_ledger_says_what_the_equations_say_was_kept(name: str, method: str, bias: str) -> None:
    model, (module, reference) = model_for(name), make(name)
    x = batch_for(module)[0]
    with torch.no_grad():
        rows = model(torch.tensor(x))
    weights = weights_for(rows)
    explanation = xaicore.explain(
        model, torch.tensor(x), method=method, target=lambda rows: rows @ weights, bias=bias, ledger=True
    )
    expected = one_by_one(reference, weights, x, product=PRODUCTS[method], **MODES[bias])
    ledger = explanation.diagnostics.ledger
    kept = {key: sum(row[key] for row in ledger) for key in ("bias", "stabilizer", "elsewhere")}
    # Relevance of either sign is large where contributions cancel, and so is its rounding.
    close = {"abs": 1e-10 * (1 + sum(np.abs(each.x).sum() for each in expected)), "rel": 1e-9}
    # What initial states get rests there. They are zero, so that they get something only where shares are spread.
    at_rest = sum(each.h0.sum() + each.c0.sum() for each in expected)
    assert (abs(at_rest) > 1e-6) == (bias in ("distribute", "conserve"))
    assert kept["stabilizer"] == pytest.approx(sum(each.stabilizer for each in expected), **close)
    assert kept["bias"] + kept["elsewhere"] == pytest.approx(sum(each.bias for each in expected) + at_rest, **close)
    assert all(row["unaccounted"] == pytest.approx(0, **close) for row in ledger)
    score = float((rows @ weights).sum())
    assert float(explanation.relevance.sum()) + sum(kept.values()) == pytest.approx(score, **close)
    if bias == "conserve":
        assert float(explanation.relevance.sum()) + at_rest == pytest.approx(score, **close)


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_batch_of_any_size_is_explained_as_its_sequences_are_one_by_one(name: str) -> None:
    model = model_for(name)
    x = torch.tensor(batch_for(model.module, 33)[0])
    together = xaicore.explain(model, x, method="lstm.lrp_half", target=3).relevance
    chosen = (0, 16, 32)
    alone = [xaicore.explain(model, x[[number]], method="lstm.lrp_half", target=3).relevance for number in chosen]
    torch.testing.assert_close(together[list(chosen)], torch.cat(alone), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("kind_of_cell", CLASSES)
def test_lower_precision_stays_finite_and_near_float64(kind_of_cell: str, dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    memory = CLASSES[kind_of_cell](INPUTS, HIDDEN, batch_first=True, bidirectional=True).to(dtype)
    low, exact = AllOutputs(memory), AllOutputs(copy.deepcopy(memory).double())
    x = torch.randn(9, 4, INPUTS).to(dtype)
    for method in PRODUCTS:
        seen, expected = (
            xaicore.explain(model, given, method=method, target=lambda rows: rows.sum(1), epsilon=0.1).relevance
            for model, given in ((low, x), (exact, x.double()))
        )
        assert seen.dtype == dtype and torch.isfinite(seen).all()
        error = (seen.double() - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
        assert float(error.median()) < tolerance  # single sequences in which everything cancels are worse


@pytest.mark.parametrize("wrong", [{"epsilon": -1.0}, {"bias": "absorbs"}, {"bias": None}])
def test_parameters_that_mean_nothing_are_refused_before_work_starts(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        xaicore.create_analyzer("lstm.lrp_all", nn.Linear(2, 2), **wrong)


def test_a_treatment_of_products_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ParameterError, match="'signal'"):
        RecurrentRule(product="signals")
