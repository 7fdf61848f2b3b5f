"""Checks, run one by one, and the card that comes of them."""

from __future__ import annotations

import json
import os
import random
import warnings

import numpy as np
import pytest
import torch

from xaicore.testing import Card, ConformanceError, Outcome, Verdict
from xaicore.testing.card import Tier
from xaicore.testing.checks import Check, Failure, Skip, interface, require, run_checks, science
from xaicore.testing.watching import changes, process_put_back, state_of_process


@interface
def holds(subject: str) -> str:
    """What holds."""
    return f"seen: {subject}"


@science
def fails(subject: str) -> None:
    """What does not hold."""
    require(subject == "another", "two is three; count again")


@interface
def does_not_apply(subject: str) -> None:
    """What is about something else."""
    raise Skip("it is for others")


@interface
def stumbles(subject: str) -> None:
    """What raises."""
    raise KeyError("lost")


def card_of(*checks: Check[str], **expected: str) -> Card:
    return run_checks("thing", "one", checks, expected)


def test_every_check_runs_whatever_became_of_those_before() -> None:
    card = card_of(fails, stumbles, does_not_apply, holds)
    assert [each.verdict for each in card.outcomes] == ["failed", "failed", "skipped", "passed"]
    assert [each.tier for each in card.outcomes] == ["science", "interface", "interface", "interface"]
    assert card.outcomes[0].message == "two is three; count again"
    assert "KeyError" in card.outcomes[1].message and f"{__file__}:" in card.outcomes[1].message
    assert card.outcomes[2].message == "it is for others" and card.outcomes[3].message == "seen: one"
    assert card.failed == ["fails", "stumbles"] and not card.ok
    assert all(each.seconds >= 0 for each in card.outcomes)


def test_a_card_without_failures_is_green_and_one_with_any_raises_itself() -> None:
    assert card_of(holds, does_not_apply).raise_if_bad().ok
    with pytest.raises(ConformanceError, match="fails +FAILED +two is three") as raised:
        card_of(holds, fails).raise_if_bad()
    assert raised.value.card.failed == ["fails"]
    assert isinstance(raised.value, AssertionError)


def test_a_failure_that_is_expected_is_told_with_its_reason_and_does_not_count() -> None:
    card = card_of(holds, fails, fails="it cannot hold")
    assert card.ok and card.failed == []
    assert card.outcomes[1].verdict is Verdict.EXPECTED and card.outcomes[1].message == "it cannot hold"
    assert "expected  it cannot hold" in str(card)


def test_an_expected_failure_that_does_not_come_is_an_error() -> None:
    card = card_of(holds, fails, holds="it cannot hold", fails="nor this")
    assert card.failed == ["holds"] and not card.ok
    assert card.outcomes[0].verdict is Verdict.UNEXPECTED
    assert "it cannot hold; remove that expectation" in card.problems[0]


def test_an_expectation_of_a_check_that_there_is_not_is_an_error() -> None:
    card = card_of(holds, hold="a slip")
    assert not card.ok and card.failed == [] and card.stale == ["hold"]
    assert card.problems == ["a failure of 'hold' is expected, and there is no such check"]
    assert "! a failure of 'hold'" in str(card)


def test_a_skipped_check_is_neither_an_expected_failure_nor_an_unexpected_pass() -> None:
    card = card_of(holds, does_not_apply, does_not_apply="it cannot hold")
    assert card.ok and card.outcomes[1].verdict is Verdict.SKIPPED


@pytest.mark.parametrize("checks", [(), (does_not_apply,), (holds, does_not_apply, does_not_apply)])
def test_a_card_is_not_green_when_too_little_ran(checks: tuple[Check[str], ...]) -> None:
    card = card_of(*checks)
    assert not card.ok and card.failed == []
    assert "too little ran" in card.problems[-1] and "too little ran" in str(card)


def test_half_of_the_checks_are_enough() -> None:
    assert card_of(holds, does_not_apply).ok
    assert card_of(fails, does_not_apply, fails="it cannot hold").ok


def test_a_card_is_as_good_as_its_parts_and_counts_theirs() -> None:
    good, bad = card_of(holds), card_of(holds, fails)
    whole = Card("all", good.outcomes, parts=[good, bad])
    assert not whole.ok and whole.failed == [] and whole.problems == []
    assert whole.count(Verdict.PASSED) == 3 and whole.count(Verdict.FAILED) == 1
    assert Card("all", good.outcomes, parts=[good, good]).ok
    assert "two is three" in str(whole)


def test_a_card_is_plain_data_too() -> None:
    told = json.loads(json.dumps(Card("all", [], parts=[card_of(holds, fails)]).to_dict()))
    assert not told["ok"] and not told["parts"][0]["ok"]
    assert [each["verdict"] for each in told["parts"][0]["outcomes"]] == ["passed", "failed"]
    assert told["parts"][0]["problems"] == ["fails: two is three; count again"]


def test_a_message_of_many_lines_is_one_on_the_card() -> None:
    outcome = Outcome(check="x", tier=Tier.SCIENCE, verdict=Verdict.PASSED, message="one\n  two")
    assert str(Card("thing", [outcome])).splitlines()[1].endswith("ok  one two")


def test_a_check_is_named_like_its_function_and_says_what_it_means() -> None:
    assert (holds.name, holds.tier, holds.meaning) == ("holds", "interface", "What holds.")
    assert (fails.name, fails.tier, fails.meaning) == ("fails", "science", "What does not hold.")


def test_what_a_check_leaves_behind_is_put_back() -> None:
    @interface
    def untidy(subject: str) -> None:
        torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        np.random.seed(4)
        random.seed(5)
        os.environ["XAICORE_TEST_OF_THE_KIT"] = "1"
        warnings.simplefilter("ignore")

    before = state_of_process()
    assert card_of(untidy).ok
    assert changes(before, state_of_process()) == []


def test_every_change_of_the_process_is_seen_by_its_name() -> None:
    before = state_of_process()
    with process_put_back():
        torch.rand(1)
        np.random.random()
        os.environ["XAICORE_TEST_OF_THE_KIT"] = "1"
        assert changes(before, state_of_process()) == [
            "the random state of torch",
            "the random state of NumPy",
            "the environment variables",
        ]
    assert changes(before, state_of_process()) == []


def test_a_failure_says_what_was_seen() -> None:
    require(True, "never said")
    with pytest.raises(Failure, match="said"):
        require(False, "said")
