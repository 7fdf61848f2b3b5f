"""Each wrong method fails the check that is about what is wrong with it, and no other; right ones fail none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import wrong_methods as wrong
from wrong_methods import Right

from xaicore.plugins import MethodSpec
from xaicore.testing import Card, ConformanceError, check_method
from xaicore.testing.checks import Check, run_checks
from xaicore.testing.methods import (
    METHOD_CHECKS,
    MethodSubject,
    batches,
    copies,
    parameters,
    refusals,
    shapes,
    untouched,
)
from xaicore.testing.methods.descriptions import description
from xaicore.testing.watching import changes, state_of_process

WRONG: dict[type[Right], str] = {
    wrong.FillsInADefault: "parameters_are_kept",
    wrong.ChangesHalf: "parameters_are_changed_by_name",
    wrong.SaysNothing: "parameters_are_documented",
    wrong.TakesAnything: "unknown_parameters_are_refused",
    wrong.ForgetsWhenCloned: "clone_explains_the_same",
    wrong.TellsNoParameters: "result_is_kept_in_a_file",
    wrong.MendsInputs: "bad_input_is_refused",
    wrong.SumsChannels: "looks_like_the_input",
    wrong.NumbersInputs: "several_inputs_are_told_apart",
    wrong.LeavesEvaluationMode: "model_is_untouched",
    wrong.PutsBackUnlessItFails: "model_is_untouched_after_failure",
    wrong.LeavesInputGradients: "inputs_are_untouched",
    wrong.LEAVES_THE_PROCESS_CHANGED[0]: "process_is_untouched",
    wrong.RandomByPosition: "batch_makes_no_difference",
    wrong.DividesByBatchSize: "batch_size_makes_no_difference",
    wrong.TakesTheFirstTarget: "each_sample_has_its_target",
    wrong.DrawsFromEverybody: "repeats_itself",
}
"""One for each check, tried by all of them."""

WRONG_TOO: dict[type[Right], Check[MethodSubject]] = {
    wrong.ByPosition: parameters.parameters_are_kept,
    wrong.KeepsMore: parameters.parameters_are_kept,
    wrong.RunsTheModel: parameters.parameters_are_kept,
    wrong.TakesAnyName: parameters.parameters_are_changed_by_name,
    wrong.ClonesTheModel: copies.clone_explains_the_same,
    wrong.GivesAnotherName: copies.result_is_kept_in_a_file,
    wrong.Stumbles: refusals.bad_input_is_refused,
    wrong.IgnoresOptions: refusals.bad_input_is_refused,
    wrong.WidensHalves: shapes.looks_like_the_input,
    wrong.CountsTokens: shapes.looks_like_the_input,
    wrong.LeavesNoGradients: untouched.model_is_untouched,
    wrong.LeavesAHook: untouched.model_is_untouched,
    wrong.WritesWeights: untouched.model_is_untouched,
    wrong.WritesInputs: untouched.inputs_are_untouched,
    wrong.FreezesInputs: untouched.inputs_are_untouched,
    **dict.fromkeys(wrong.LEAVES_THE_PROCESS_CHANGED[1:], untouched.process_is_untouched),
    wrong.IgnoresTheTarget: batches.each_sample_has_its_target,
    wrong.IgnoresTheSeed: batches.repeats_itself,
}
"""More of what the checks tell, tried by that check alone."""

PARAMETERS: dict[type[Right], dict[str, Any]] = {wrong.ForgetsWhenCloned: {"factor": 2.0}}

TRUE = {
    "name": "mine.right",
    "target": "wrong_methods:Right",
    "summary": "What the output loses when an input is zero.",
    "family": "perturbation",
    "sources": ("Zeiler & Fergus 2014",),
}

UNTRUE: dict[str, tuple[dict[str, Any], str]] = {
    "no summary": ({"summary": " "}, "summary"),
    "a summary of two lines": ({"summary": "Gradient\ntimes input."}, "one line"),
    "a long summary": ({"summary": "Gradient times input. " * 9}, "90 characters"),
    "another family": ({"family": "relevance"}, "the class Right"),
    "an unknown family": ({"family": "magic"}, "how the method works"),
    "no source": ({"sources": ()}, "Bach et al."),
    "an unknown kind of input": ({"inputs": ("tabular", "smell")}, "smell"),
    "an alias twice": ({"aliases": ("plain", "plain")}, "twice"),
    "an alias of two words": ({"aliases": ("plain gradient",)}, "one word"),
    "its own name as alias": ({"aliases": ("right",)}, "own name"),
    "another class": ({"target": "wrong_methods:RightWithSeed"}, "RightWithSeed"),
    "no class": ({"target": "wrong_methods:Wrong"}, "leads nowhere"),
}


def card_of(
    cls: type[Right], spec: MethodSpec | None = None, checks: Sequence[Check[MethodSubject]] = METHOD_CHECKS
) -> Card:
    subject = MethodSubject(cls, spec, PARAMETERS.get(cls, {}))
    return run_checks(subject.title, subject, checks)


@pytest.mark.parametrize("cls", [Right, wrong.RightOnTheGraph, wrong.RightWithSeed, wrong.RightWithFit])
def test_a_right_method_conforms(cls: type[Right]) -> None:
    assert check_method(cls).ok


def test_a_right_method_with_a_true_description_conforms() -> None:
    card = card_of(Right, MethodSpec(**TRUE))
    assert card.ok, card


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_method_fails_its_check_and_no_other(cls: type[Right]) -> None:
    card = card_of(cls)
    assert card.failed == [WRONG[cls]], card
    assert not card.ok


@pytest.mark.parametrize("cls", WRONG_TOO, ids=lambda cls: cls.__name__)
def test_a_check_tells_of_whatever_it_is_about_and_the_process_is_put_back(cls: type[Right]) -> None:
    before = state_of_process()
    card = card_of(cls, checks=[WRONG_TOO[cls]])
    assert card.failed == [WRONG_TOO[cls].name], card
    assert changes(before, state_of_process()) == []


def test_an_untrue_description_is_told_by_that_check_and_no_other() -> None:
    card = card_of(Right, MethodSpec(**TRUE | {"sources": ()}))
    assert card.failed == ["description"], card


@pytest.mark.parametrize("what", UNTRUE)
def test_every_part_of_a_description_is_looked_at(what: str) -> None:
    change, words = UNTRUE[what]
    card = card_of(Right, MethodSpec(**TRUE | change), checks=[description])
    assert card.failed == ["description"], card
    assert words in card.problems[0]


def test_a_method_that_refuses_what_it_is_said_to_be_made_for_is_told() -> None:
    spec = MethodSpec(**TRUE | {"target": "wrong_methods:RefusesTokens", "inputs": ("tabular", "text")})
    card = card_of(wrong.RefusesTokens, spec)
    assert card.failed == ["takes_what_it_is_made_for"], card
    assert "floating-point inputs only" in card.problems[0]


def test_there_is_a_wrong_method_for_every_check_of_the_interface() -> None:
    tried = {*WRONG.values(), "description", "takes_what_it_is_made_for"}
    assert {check.name for check in METHOD_CHECKS if check.tier == "interface"} == tried


def test_the_error_shows_the_card_and_what_to_do() -> None:
    with pytest.raises(ConformanceError, match="leaves the model changed .*put back") as raised:
        check_method(wrong.LeavesAHook)
    assert raised.value.card.failed == ["model_is_untouched"]
