"""Each wrong rule fails the check that is about what is wrong with it, and no other; right ones fail none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import wrong_rules as wrong
from torch import Tensor

from xai_lrp.rules import Epsilon
from xaicore.errors import InputError
from xaicore.testing import ConformanceError, check_rule

WRONG: dict[type, str] = {
    wrong.ReprOfAnObject: "reads_well",
    wrong.ReprWithoutParameters: "reads_well",
    wrong.EqualToNone: "equal_by_parameters",
    wrong.EqualToAll: "equal_by_parameters",
    wrong.WithoutHash: "equal_by_parameters",
    wrong.HoldsAFunction: "can_be_copied_and_sent",
    wrong.TakesAnything: "refuses_bad_parameters",
    wrong.WidensHalves: "answers_for_each_input",
    wrong.WritesToRelevance: "writes_to_nothing",
    wrong.WritesToInputs: "writes_to_nothing",
    wrong.ReadsMore: "reads_what_it_declares",
    wrong.DividesByZero: "stays_finite",
    wrong.MeansOverTheBatch: "treats_samples_alone",
    wrong.KeepsWeights: "sees_weight_updates",
    wrong.CoefficientsOfTwo: "factored_alike",
    wrong.SaysAnotherForm: "agrees_with_jacobian_form",
    wrong.HalvesConvolutions: "same_as_dense",
    wrong.SpreadsOverAll: "follows_connections",
    wrong.RectifiesRelevance: "linear_in_relevance",
    wrong.ForgetsTheBias: "ledger_balances",
    wrong.DetachesWeights: "differentiable",
}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_rule_fails_exactly_its_check(cls: Any) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_rule(cls())
    assert caught.value.card.failed == [WRONG[cls]], str(caught.value)
    assert len(caught.value.card.problems) == 1


@pytest.mark.parametrize("cls", [wrong.Right, wrong.RightFactored, wrong.ForConvolutions])
def test_a_right_rule_passes_all_checks(cls: Any) -> None:
    card = check_rule(cls(0.3))
    assert card.ok
    assert card.title == f"rule {cls.__name__}"


def _form(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    z = weight @ x + bias
    return weight * x / torch.where(z < 0, z - 0.3, z + 0.3)[:, None]


def test_a_form_can_be_given_for_a_rule_that_has_none() -> None:
    card = check_rule(Epsilon(0.3), jacobian_form=_form)
    assert card.ok
    assert not [outcome.check for outcome in card.outcomes if outcome.verdict == "skipped"]
    with pytest.raises(ConformanceError) as caught:
        check_rule(Epsilon(0.2), jacobian_form=_form)
    assert caught.value.card.failed == ["agrees_with_jacobian_form"]


def test_a_form_of_another_shape_is_told() -> None:
    with pytest.raises(ConformanceError, match=r"must be of shape \(5, 6\)"):
        check_rule(Epsilon(0.3), jacobian_form=lambda weight, bias, x: weight[0])


def test_a_rule_that_takes_no_layer_of_the_kit_says_so() -> None:
    class Nothing(wrong.Right):
        def share(self, *args: Any) -> Any:
            raise InputError("only at noon")

    with pytest.raises(ConformanceError, match="none of the linear layers of the kit: only at noon"):
        check_rule(Nothing())


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(InputError, match=r"give an instance, Epsilon\(...\)"):
        check_rule(Epsilon)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="is no rule"):
        check_rule("lrp.epsilon")  # type: ignore[arg-type]
