"""Whether a method is what it says, and right: `check_method`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaicore.analyzers import Analyzer
from xaicore.testing.card import Card
from xaicore.testing.checks import Check, card_for
from xaicore.testing.methods.batches import (
    batch_makes_no_difference,
    batch_size_makes_no_difference,
    each_sample_has_its_target,
    repeats_itself,
)
from xaicore.testing.methods.completeness import completeness
from xaicore.testing.methods.conservation import conservation
from xaicore.testing.methods.copies import clone_explains_the_same, result_is_kept_in_a_file
from xaicore.testing.methods.descriptions import description, takes_what_it_is_made_for
from xaicore.testing.methods.differentiation import gradient_of_explanation
from xaicore.testing.methods.invariance import implementation_invariance
from xaicore.testing.methods.parameters import (
    parameters_are_changed_by_name,
    parameters_are_documented,
    parameters_are_kept,
    unknown_parameters_are_refused,
)
from xaicore.testing.methods.refusals import bad_input_is_refused
from xaicore.testing.methods.rules_of import rules_conform
from xaicore.testing.methods.shapes import looks_like_the_input, several_inputs_are_told_apart
from xaicore.testing.methods.subject import MethodSubject
from xaicore.testing.methods.untouched import (
    inputs_are_untouched,
    model_is_untouched,
    model_is_untouched_after_failure,
    process_is_untouched,
)

__all__ = ["METHOD_CHECKS", "MethodSubject", "check_method"]

METHOD_CHECKS: tuple[Check[MethodSubject], ...] = (
    description,
    takes_what_it_is_made_for,
    parameters_are_kept,
    parameters_are_changed_by_name,
    parameters_are_documented,
    unknown_parameters_are_refused,
    clone_explains_the_same,
    result_is_kept_in_a_file,
    bad_input_is_refused,
    looks_like_the_input,
    several_inputs_are_told_apart,
    model_is_untouched,
    model_is_untouched_after_failure,
    inputs_are_untouched,
    process_is_untouched,
    batch_makes_no_difference,
    batch_size_makes_no_difference,
    each_sample_has_its_target,
    repeats_itself,
    conservation,
    completeness,
    implementation_invariance,
    gradient_of_explanation,
    rules_conform,
)


def check_method(
    method: str | type[Analyzer],
    parameters: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Try a method by every check of the kit.

    Parameters
    ----------
    method : str or class
        The name of an installed method, or an analyzer class.
    parameters : mapping, optional
        With which it is made; default: those of the ``example`` of its description, else its own defaults.
    expected_failures : mapping of str to str, optional
        Reasons by the name of the check. Default: those that the plugin states (``XAICORE_EXPECTED_FAILURES``).

    Returns
    -------
    Card
        Which is green.

    Raises
    ------
    ConformanceError
        Where a check fails, one that should fail passes, or too little ran.
    """
    return method_card(method, parameters, expected_failures=expected_failures).raise_if_bad()


def method_card(
    method: str | type[Analyzer],
    parameters: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """`check_method` without raising."""
    subject = MethodSubject.of(method, parameters)
    return card_for(subject, METHOD_CHECKS, expected_failures)
