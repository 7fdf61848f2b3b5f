"""Whether a rule for linear layers is what it says, and right: `check_rule`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaicore.propagation import BackwardMapping
from xaicore.testing.backward.derivative import differentiable
from xaicore.testing.backward.handling import (
    answers_for_each_input,
    factored_alike,
    reads_what_it_declares,
    stays_finite,
    treats_samples_alone,
    writes_to_nothing,
)
from xaicore.testing.backward.laws import ledger_balances, linear_in_relevance
from xaicore.testing.card import Card
from xaicore.testing.checks import Check, card_for
from xaicore.testing.rules.as_parameter import (
    can_be_copied_and_sent,
    equal_by_parameters,
    reads_well,
    refuses_bad_parameters,
)
from xaicore.testing.rules.dense import follows_connections, same_as_dense
from xaicore.testing.rules.jacobian import agrees_with_jacobian_form
from xaicore.testing.rules.subject import JacobianForm, RuleSubject
from xaicore.testing.rules.updates import sees_weight_updates

__all__ = ["RULE_CHECKS", "RuleSubject", "check_rule"]

RULE_CHECKS: tuple[Check[Any], ...] = (
    reads_well,
    equal_by_parameters,
    can_be_copied_and_sent,
    refuses_bad_parameters,
    answers_for_each_input,
    writes_to_nothing,
    reads_what_it_declares,
    stays_finite,
    treats_samples_alone,
    sees_weight_updates,
    factored_alike,
    agrees_with_jacobian_form,
    same_as_dense,
    follows_connections,
    linear_in_relevance,
    ledger_balances,
    differentiable,
)


def check_rule(
    rule: BackwardMapping,
    *,
    jacobian_form: JacobianForm | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Try a rule for linear layers by every check of the kit.

    Parameters
    ----------
    rule : backward mapping
        An instance, of the relevance family, for layers with ``state.linear``.
    jacobian_form : callable, optional
        The rule's equation over the matrix of a layer, ``form(weight, bias, x)``: weight (J, I), bias (J,), x (I,), in
        float64; returns which part of the relevance of each output goes to each input, (J, I). Default: the method of
        this name of the rule, if it has one.
    expected_failures : mapping of str to str, optional
        Reasons by the name of the check. Default: those that the plugin of the rule's class states under
        ``"rule Name"``.

    Returns
    -------
    Card
        Which is green.

    Raises
    ------
    ConformanceError
        Where a check fails, one that should fail passes, or too little ran.
    InputError
        Where it is no rule.
    """
    return rule_card(rule, jacobian_form, expected_failures).raise_if_bad()


def rule_card(
    rule: BackwardMapping,
    jacobian_form: JacobianForm | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """`check_rule` without raising."""
    return card_for(RuleSubject.of(rule, jacobian_form), RULE_CHECKS, expected_failures)
