"""Methods whose numbers are wrong fail the check of the science tier that is about it, and no other of the card."""

from __future__ import annotations

from typing import Any

import pytest
import wrong_science as wrong

from xaicore.testing import ConformanceError, check_method

WRONG: dict[type, str] = {
    wrong.DetachesValues: "gradient_of_explanation",
    wrong.CountsModules: "implementation_invariance",
    wrong.UsesARuleOfAnotherForm: "rules_conform",
    wrong.StartsFromTwice: "conservation",
    wrong.LosesAtTheInput: "conservation",
    wrong.ForgetsWhatItAbsorbs: "conservation",
    wrong.LosesATenth: "completeness",
    wrong.LosesAHundredth: "completeness",
    wrong.TellsAnotherReference: "completeness",
    wrong.LiesAboutTheGap: "completeness",
}

SAYS: dict[type, str] = {
    wrong.UsesARuleOfAnotherForm: "fails 1 of the checks of rules",
    wrong.StartsFromTwice: "relevance starts from the explained value",
    wrong.LosesAtTheInput: "is missing",
    wrong.ForgetsWhatItAbsorbs: "is not accounted for",
    wrong.LosesATenth: "0.1 of the difference is missing",
    wrong.LosesAHundredth: "more than 1e-06",
    wrong.TellsAnotherReference: "at a baseline of 0 the model says",
    wrong.LiesAboutTheGap: "conservation_gap says 0, and it is 0.1",
    wrong.CountsModules: "the same function written with",
}


@pytest.mark.parametrize("cls", WRONG, ids=lambda cls: cls.__name__)
def test_a_wrong_method_fails_exactly_its_check(cls: Any) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_method(cls)
    assert caught.value.card.failed == [WRONG[cls]], str(caught.value)
    assert SAYS.get(cls, "").lower() in str(caught.value).lower()


@pytest.mark.parametrize("cls", [wrong.RightGradient, wrong.RightRelevance, wrong.RightCompleteness])
def test_a_right_method_passes_all_checks(cls: Any) -> None:
    assert check_method(cls).ok
