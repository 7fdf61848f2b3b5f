"""Choosing a method and its parameters by a metric."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from oracles import noise, shaken
from scipy.stats import uniform
from torch import nn

import xaicore
from xai_lrp.rules import Epsilon, Gamma
from xaicore.errors import InputError, ParameterError, UnknownMethodError
from xaicore.scoring import Case, Metric, Scores
from xaicore.studies.tuning.significance import as_good_as_the_best

X = noise(12, 1, 6, 6)


@pytest.fixture
def model() -> nn.Module:
    return shaken(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)))


class Nearness(Metric):
    """How near epsilon is to 0.25, with some noise a sample; needs no model."""

    higher_is_better = False

    def __init__(self, *, blur: float = 0.0, hole: float | None = None) -> None:
        self.blur, self.hole = blur, hole

    def score(self, case: Case) -> Scores:
        epsilon = case.explanation.parameters["epsilon"]
        x = case.explanation.inputs.flatten(1)[:, 0].double()  # type: ignore[union-attr]
        values = (abs(epsilon - 0.25) + self.blur * x).clone()
        if epsilon == self.hole:
            values[0] = torch.nan
        return self.scores(values)


EPSILONS = [0.01, 0.25, 0.5, 1.0]


def test_the_best_comes_first_and_is_an_analyzer_that_works(model: nn.Module) -> None:
    ranking = xaicore.tune(model, X, {"method": ["lrp.epsilon"], "epsilon": EPSILONS}, metric=Nearness())
    assert [each.parameters["epsilon"] for each in ranking] == sorted(EPSILONS, key=lambda value: abs(value - 0.25))
    assert ranking.best_parameters == {"method": "lrp.epsilon", "epsilon": 0.25}
    assert ranking.best.analyze(X).parameters["epsilon"] == 0.25
    assert "All others are significantly worse" in ranking.verdict()
    assert ranking.held_out is not None and len(ranking.held_out) == 4
    assert len(ranking[0].scores) == 8


def test_differences_that_chance_explains_are_said_to_be_not_significant(model: nn.Module) -> None:
    class Coin(Metric):
        higher_is_better = True

        def score(self, case: Case) -> Scores:
            seed = round(100 * case.explanation.parameters["epsilon"]) + 5
            return self.scores(torch.randn(len(case), generator=torch.Generator().manual_seed(seed)))

    ranking = xaicore.tune(model, X, {"method": ["lrp.epsilon"], "epsilon": EPSILONS}, metric=Coin())
    assert len(ranking.as_good) == 3
    assert "is not significant with 8 samples" in ranking.verdict()


def test_rules_of_groups_of_layers_are_chosen_together(model: nn.Module) -> None:
    layers = {"0": [Gamma(0.1), Gamma(0.5)], "3": [Epsilon(), Epsilon(0.25)]}
    ranking = xaicore.tune(model, X, {"method": "lrp.composite", "layers": layers}, metric="evaluation.gini")
    tried = {tuple(each.parameters["layers"].values()) for each in ranking}
    assert tried == set(itertools.product(*layers.values()))
    best = xaicore.Composite(list(ranking.best_parameters["layers"].items()))
    again = xaicore.explain(model, X, method="lrp.composite", composite=best)
    torch.testing.assert_close(ranking.best.analyze(X).relevance, again.relevance)


def test_candidates_are_drawn_from_distributions_the_same_for_a_seed(model: nn.Module) -> None:
    space = {"method": ["lrp.epsilon"], "epsilon": uniform(0, 1)}
    found = [xaicore.tune(model, X, space, metric=Nearness(), candidates=4, seed=seed) for seed in (1, 1, 2)]
    names = [{each.name for each in ranking} for ranking in found]
    assert names[0] == names[1] != names[2] and len(names[0]) == 4
    with pytest.raises(ParameterError, match="candidates="):
        xaicore.tune(model, X, space, metric=Nearness())


def test_more_candidates_than_there_are_try_all(model: nn.Module) -> None:
    space = {"method": ["lrp.epsilon"], "epsilon": EPSILONS}
    assert len(xaicore.tune(model, X, space, metric=Nearness(), candidates=9)) == 4


def test_a_candidate_without_a_score_for_every_sample_is_ranked_behind_those_with(model: nn.Module) -> None:
    space = {"method": ["lrp.epsilon"], "epsilon": EPSILONS}
    ranking = xaicore.tune(model, X, space, metric=Nearness(hole=0.25), held_out=0)
    assert ranking[-1].parameters["epsilon"] == 0.25 and ranking.best_parameters["epsilon"] == 0.01
    assert "undefined for 1 of 12" in ranking.table() and ranking.held_out is None


def test_samples_that_no_candidate_can_be_judged_by_are_left_out_and_told(model: nn.Module) -> None:
    class Holed(Nearness):
        def score(self, case: Case) -> Scores:
            values = super().score(case).values.clone()
            values[3] = torch.nan
            return self.scores(values)

    space = {"method": ["lrp.epsilon"], "epsilon": EPSILONS}
    ranking = xaicore.tune(model, X, space, metric=Holed(), held_out=0)
    assert ranking.best_parameters["epsilon"] == 0.25 and len(ranking[0].scores) == 11
    assert "For 1 samples the metric is undefined whatever the candidate" in ranking.verdict()


def test_a_candidate_that_fails_is_told_with_its_reason_and_the_others_are_ranked(model: nn.Module) -> None:
    space = [{"method": ["lrp.epsilon"]}, {"method": ["deeptaylor.bounded"], "low": [5.0], "high": [6.0]}]
    ranking = xaicore.tune(model, X, space, metric="evaluation.gini")
    assert [bool(each.failure) for each in ranking] == [False, True]
    assert "failed: " in ranking.table()
    with pytest.raises(xaicore.XaicoreError):
        xaicore.tune(model, X, space[1], metric="evaluation.gini")


def test_a_row_of_the_table_is_one_line_whatever_failed(model: nn.Module) -> None:
    class Fussy(Nearness):
        def score(self, case: Case) -> Scores:
            if case.explanation.parameters["epsilon"] == 1.0:
                raise InputError("this\n  went wrong")
            return super().score(case)

    ranking = xaicore.tune(model, X, {"method": ["lrp.epsilon"], "epsilon": [0.25, 1.0]}, metric=Fussy())
    assert len(ranking.table().splitlines()) == 3 and "failed: this went wrong" in ranking.table()


def test_each_sample_keeps_its_own_target_and_mask(model: nn.Module) -> None:
    seen = []

    class Watching(Metric):
        higher_is_better = True
        needs = ("masks",)

        def score(self, case: Case) -> Scores:
            inputs = case.explanation.inputs
            for x, target, mask in zip(inputs, case.explanation.target["index"], case.masks, strict=True):
                (number,) = (sample for sample in range(12) if torch.equal(X[sample], x))
                seen.append((number, target, int(mask.sum())))
            return self.scores(torch.zeros(len(case)))

    masks = np.stack([np.arange(36).reshape(6, 6) < sample for sample in range(12)])
    targets = [sample % 3 for sample in range(12)]
    xaicore.tune(model, X, {"method": "saliency"}, metric=Watching(), target=targets, masks=masks)
    assert sorted(seen) == [(sample, sample % 3, sample) for sample in range(12)]


@pytest.mark.parametrize(
    ("space", "options", "error", "message"),
    [
        ([], {}, ParameterError, "empty"),
        ({"epsilon": [1]}, {}, ParameterError, "'method'"),
        ({"method": ["lrp.epsilom"]}, {}, UnknownMethodError, "Did you mean 'lrp.epsilon'"),
        ({"method": ["lrp.epsilon"], "epsilo": [1]}, {}, ParameterError, "no parameter 'epsilo'"),
        ({"method": ["lrp.epsilon"], "epsilon": 0.25}, {}, ParameterError, "list of candidates"),
        ({"method": ["lrp.epsilon"], "layers": {"0": [Gamma()]}}, {}, ParameterError, "no parameter 'composite'"),
        ({"method": "lrp.composite", "layers": {}}, {}, ParameterError, "a dict of conditions"),
        ({"method": "lrp.epsilon"}, {"held_out": 1.0}, ParameterError, "below 1"),
        ({"method": "lrp.epsilon"}, {"held_out": 0.95}, InputError, "leave 1 to choose by"),
        ({"method": "lrp.epsilon"}, {"candidates": 0}, ParameterError, "positive integer"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    model: nn.Module, space: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        xaicore.tune(model, X, space, metric=Nearness(), **options)


def test_the_best_of_candidates_that_differ_by_chance_is_rarely_called_better() -> None:
    random = np.random.default_rng(0)
    excluded = [as_good_as_the_best(random.normal(size=(10, 30)), True)[0] < 0.05 for _ in range(200)]
    assert np.mean(excluded) < 0.09  # 0.05, and three standard deviations of a mean of 200


def test_candidates_that_are_worse_are_found_in_either_direction() -> None:
    scores = np.random.default_rng(1).normal(size=(3, 40)) + np.array([[0.0], [2.0], [1.9]])
    assert (as_good_as_the_best(scores, True) < 0.05).tolist() == [True, False, False]
    assert as_good_as_the_best(-scores, False) == pytest.approx(as_good_as_the_best(scores, True))


def test_what_equals_the_best_in_every_sample_is_as_good() -> None:
    scores = np.ones((2, 5))
    assert as_good_as_the_best(scores, True).tolist() == [1.0, 1.0]
    assert np.isnan(as_good_as_the_best(scores[:, :1], True)).all()


def test_a_ranking_is_drawn_with_one_line_a_candidate(model: nn.Module) -> None:
    ranking = xaicore.tune(model, X, {"method": ["lrp.epsilon"], "epsilon": EPSILONS}, metric=Nearness(blur=0.1))
    (ax,) = ranking.plot().axes
    assert [label.get_text() for label in ax.get_yticklabels()] == [each.name for each in ranking]
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert dots == pytest.approx([each.mean for each in ranking])


def test_names_of_candidates_leave_defaults_out(model: nn.Module) -> None:
    rules = {"0": [Gamma(0.1), Gamma(0.25), Gamma(0.25, bias="ignore")], "3": [Epsilon()]}
    ranking = xaicore.tune(model, X, {"method": "lrp.composite", "layers": rules}, metric="gini")
    assert {each.name for each in ranking} == {
        f"lrp.composite(under('0'): {rule})" for rule in ("Gamma(gamma=0.1)", "Gamma()", "Gamma(bias='ignore')")
    }


def test_long_names_have_room_of_their_own(model: nn.Module) -> None:
    rules = {
        "0": [Gamma(0.1, epsilon=0.01, bias="ignore"), Gamma(0.5, epsilon=0.01, bias="ignore")],
        "3": [Epsilon(0.25, bias="distribute"), Epsilon(1e-3, bias="distribute")],
    }
    space = {"method": "lrp.composite", "layers": rules}
    ax = xaicore.tune(model, X, space, metric="gini").plot().axes[0]
    ax.figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
    below, whole = ax.xaxis.label.get_window_extent(), ax.figure.bbox
    assert whole.x0 <= below.x0 and below.x1 <= whole.x1


def test_two_candidates_of_few_samples_that_differ_by_chance_are_rarely_told_apart() -> None:
    random = np.random.default_rng(0)
    excluded = [as_good_as_the_best(random.normal(size=(2, 3)), True)[0] < 0.05 for _ in range(200)]
    assert np.mean(excluded) < 0.1  # 0.05, and three standard deviations of a mean of 200


def test_an_infinite_mean_is_ranked_and_not_compared(model: nn.Module) -> None:
    class Unbounded(Nearness):
        def score(self, case: Case) -> Scores:
            found = super().score(case)
            values = found.values.clone()
            values[0] = torch.inf if case.explanation.parameters["epsilon"] == self.hole else values[0]
            return self.scores(values)

    space = {"method": ["lrp.epsilon"], "epsilon": [0.25, 0.01]}
    for hole, best in ((0.25, 0.01), (0.01, 0.25)):
        ranking = xaicore.tune(model, X, space, metric=Unbounded(hole=hole), held_out=0)
        assert [each.parameters["epsilon"] for each in ranking] == [best, hole]
        assert ranking[0].p_value == 1 and np.isnan(ranking[1].p_value)
        assert "significant" not in ranking.verdict()
        assert len(ranking.plot().axes[0].get_yticklabels()) == 1


def test_masks_and_boxes_may_say_to_which_input_they_belong(model: nn.Module) -> None:
    space = {"method": ["lrp.epsilon"], "epsilon": [0.25, 0.5]}
    masks = torch.zeros(12, 6, 6, dtype=torch.bfloat16)
    masks[:, :3, :3] = 1
    boxes = [(0, 0, 3, 3)] * 12
    tables = {
        xaicore.tune(model, X, space, metric="evaluation.relevance_mass", **places).table()
        for places in ({"masks": masks}, {"masks": {"input": masks}}, {"boxes": boxes}, {"boxes": {"input": boxes}})
    }
    assert len(tables) == 1


@pytest.mark.parametrize("count", [0, 4, 24])
def test_masks_and_boxes_of_other_samples_are_refused(model: nn.Module, count: int) -> None:
    for places in ({"masks": torch.ones(count, 6, 6)}, {"boxes": [(0, 0, 3, 3)] * count}):
        with pytest.raises(InputError, match=f"given for {count} samples; there are 12"):
            xaicore.tune(model, X, {"method": "saliency"}, metric="evaluation.relevance_mass", **places)


def test_data_that_can_be_gone_through_once_are_refused_where_several_may_learn(model: nn.Module) -> None:
    space = {"method": ["patternnet.attribution", "patternnet.signal"]}
    with pytest.raises(InputError, match="only once"):
        xaicore.tune(model, X, space, metric="evaluation.gini", fit_data=iter([X]))
    ranking = xaicore.tune(model, X, space, metric="evaluation.gini", fit_data=X)
    assert not any(each.failure for each in ranking)


def test_one_of_several_outputs_is_tuned_for() -> None:
    class Double(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"one": self.net(x), "other": -self.net(x)}

    both = shaken(Double())
    for target in (None, 1, [0, 1, 2] * 4):
        ranking = xaicore.tune(both, X, {"method": "saliency"}, metric="evaluation.gini", target=target, output="other")
        assert not ranking[0].failure
