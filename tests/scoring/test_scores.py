"""Scores: NaN stays NaN, parts are joined and chosen, and the summary says what is missing."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from xaicore.errors import InputError
from xaicore.scoring import Curve, Scores


def some(values: list[float], **more: Any) -> Scores:
    return Scores("m", torch.tensor(values, dtype=torch.float64), True, **more)


def curved(values: list[float], x: tuple[float, ...] = (0.0, 1.0)) -> Scores:
    y = torch.tensor([[value] * len(x) for value in values])
    return some(values, curve=Curve(torch.tensor(x), y, "share", "output"), details={"twice": 2 * y})


def test_a_mean_over_an_undefined_sample_is_undefined() -> None:
    scores = some([1.0, math.nan, 3.0])
    assert math.isnan(scores.mean)
    assert all(map(math.isnan, scores.interval()))
    assert scores.undefined == 1
    assert scores.defined.mean == 2
    assert scores.summary().startswith("undefined for 1 of 3; 2 [1, 3] for the others")


def test_the_summary_of_what_is_undefined_everywhere() -> None:
    assert some([math.nan, math.nan]).summary() == "undefined for all 2"


def test_the_summary_of_one_sample_has_no_interval() -> None:
    assert some([0.25]).summary() == "0.25"


def test_an_infinite_score_makes_an_infinite_mean_without_interval() -> None:
    scores = some([1.0, math.inf])
    assert scores.mean == math.inf
    assert scores.summary() == "inf"


def test_no_samples_have_no_mean() -> None:
    assert math.isnan(some([]).mean)
    assert len(some([])) == 0


def test_scores_are_shown_with_their_direction() -> None:
    assert repr(some([0.5, 0.5])) == "Scores(m, 2 samples: 0.5 [0.5, 0.5]; higher is better)"
    assert repr(Scores("m", torch.tensor([0.5]), False)).endswith("lower is better)")


def test_values_are_one_number_a_sample() -> None:
    with pytest.raises(InputError, match=r"m: the values have shape \(2, 1\); they must be one number a sample"):
        Scores("m", torch.zeros(2, 1), True)
    assert Scores("m", [1, 2], True).values.dtype == torch.float64  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("which", "left"),
    [(slice(1, 3), [2, 3]), ([2, 0], [3, 1]), (torch.tensor([True, False, True]), [1, 3]), (-1, [3]), ([], [])],
)
def test_samples_are_chosen_with_their_curves_and_details(which: Any, left: list[float]) -> None:
    chosen = curved([1.0, 2.0, 3.0])[which]
    assert chosen.values.tolist() == left
    assert chosen.curve is not None
    assert chosen.curve.y[:, 0].tolist() == left
    assert chosen.details["twice"][:, 0].tolist() == [2 * value for value in left]


def test_scores_of_batches_are_joined_in_order() -> None:
    joined = Scores.concat([curved([1.0, 2.0]), curved([math.nan])])
    assert joined.values[:2].tolist() == [1, 2]
    assert joined.undefined == 1
    assert joined.curve is not None
    assert joined.curve.y.shape == (3, 2)
    assert joined.curve.mean().isnan().all()
    assert joined.details["twice"].shape == (3, 2)


def test_notes_are_said_once() -> None:
    joined = Scores.concat([some([1.0], notes=["a", "b"]), some([2.0], notes=["b"])])
    assert joined.notes == ("a", "b")


def test_curves_over_different_steps_are_left_out() -> None:
    joined = Scores.concat([curved([1.0]), curved([2.0], (0.0, 0.5, 1.0))[:0], curved([3.0], (0.0, 2.0))])
    assert joined.curve is None
    assert joined.values.tolist() == [1, 3]


def test_scores_of_different_metrics_are_not_joined() -> None:
    other = Scores("n", torch.ones(1), True)
    with pytest.raises(InputError, match="scores of several metrics: 'm', 'n'"):
        Scores.concat([some([1.0]), other])
    with pytest.raises(InputError, match="no scores to join"):
        Scores.concat([])


@pytest.mark.parametrize(("higher", "better"), [(True, True), (False, False)])
def test_better_follows_the_direction(higher: bool, better: bool) -> None:
    assert Scores("m", torch.ones(1), higher).better(2, than=1) is better


def test_scores_are_taken_in_any_order() -> None:
    scores = Scores("m", torch.tensor([1.0, 2.0, 3.0]), True, details={"twice": torch.tensor([2.0, 4.0, 6.0])})
    assert list(scores[::-1]) == [3.0, 2.0, 1.0]
    assert scores[2:0:-1].details["twice"].tolist() == [6.0, 4.0]
    assert len(scores[5:]) == 0
