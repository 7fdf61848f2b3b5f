"""What every metric of robustness promises: batches, types, undefined values, refusals, an untouched model."""

from __future__ import annotations

import copy

import pytest
import torch
from judged import Gradient, InputTimesGradient, OfPositiveScores, Times, images, linear, shared_cnn, small_cnn
from torch import nn

from xai_evaluation import AverageSensitivity, Continuity, LocalLipschitz, MaxSensitivity
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError, TargetError
from xaicore.scoring import Case, Scores, evaluate

METRICS = [
    Continuity(samples=3),
    Continuity(neighbours="translation", directions=[(0, 1), (1, 0)], shifts=2),
    Continuity(samples=3, explained="predicted"),
    MaxSensitivity(samples=3),
    AverageSensitivity(samples=3),
    LocalLipschitz(samples=3),
]
NAMES = [f"{type(metric).__name__}-{number}" for number, metric in enumerate(METRICS)]


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_a_sample_has_the_same_value_in_every_batch(metric) -> None:
    x, analyzer = images(5, dtype=torch.float64), InputTimesGradient(shared_cnn(torch.float64))
    whole = metric.score(Case(analyzer, x))
    for size in (1, 7):
        split = metric.score(Case(analyzer, x, engine=Engine(batch_size=size)))
        torch.testing.assert_close(split.values, whole.values)
    alone = Scores.concat([metric.score(Case(analyzer, x[number : number + 1])) for number in range(5)])
    torch.testing.assert_close(alone.values, whole.values)
    assert whole.values.unique().numel() == 5


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.5)])
def test_types_of_lower_precision_give_about_the_same(metric, dtype, tolerance) -> None:
    exact = metric.score(Case(InputTimesGradient(shared_cnn(torch.float64)), images(3, dtype=torch.float64), 0))
    found = metric.score(Case(InputTimesGradient(shared_cnn(dtype)), images(3, dtype=dtype), 0))
    assert found.values.dtype == torch.float64
    if metric.__class__ is Continuity or dtype == torch.float32:
        torch.testing.assert_close(found.values, exact.values, rtol=tolerance, atol=tolerance)
    assert torch.isfinite(found.values).all()


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_the_same_seed_gives_the_same_and_the_model_stays_as_it_was(metric) -> None:
    model = small_cnn().train()
    before = copy.deepcopy(model.state_dict())
    first, second = (metric.score(Case(Gradient(model), images(2))).values for _ in range(2))
    assert first.tolist() == second.tolist()
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_another_seed_gives_another_noise() -> None:
    case = Case(InputTimesGradient(shared_cnn()), images(2))
    assert MaxSensitivity(seed=0).score(case).values.tolist() != MaxSensitivity(seed=1).score(case).values.tolist()


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
def test_relevance_that_is_not_finite_leaves_the_sample_undefined(metric, factor) -> None:
    scores = metric.score(Case(Times(shared_cnn(), factor=factor), images(2)))
    assert scores.undefined == 2
    assert any("not finite" in note for note in scores.notes)


@pytest.mark.parametrize("metric", [MaxSensitivity(), AverageSensitivity(), Continuity(normalize=True)])
def test_a_relative_change_of_no_relevance_is_undefined(metric) -> None:
    case = Case(Times(shared_cnn(), factor=0.0), images(2))
    scores = metric.score(case)
    assert scores.undefined == 2
    assert any("relevance of a sample is 0" in note for note in scores.notes)
    metric.normalize = False
    assert metric.score(case).values.tolist() == [0.0, 0.0]


def test_neighbours_that_equal_the_sample_are_left_out() -> None:
    x = images(2)
    neighbours = torch.stack([x, x + 0.5], 1)
    neighbours[1, 1] = x[1]
    scores = Continuity(neighbours=neighbours).score(Case(InputTimesGradient(shared_cnn()), x))
    assert torch.isfinite(scores.values).tolist() == [True, False]
    assert scores.details["ratios"].isnan().tolist() == [[True, False], [True, True]]
    assert scores.notes == [
        "neighbours that equal the sample were left out",
        "undefined where all neighbours equal the sample: nothing was changed",
    ]


@pytest.mark.parametrize("cls", [MaxSensitivity, AverageSensitivity, LocalLipschitz])
@pytest.mark.parametrize("given", [{"radius": 1e-30}, {"relative": True}], ids=["rounded away", "constant"])
def test_a_ball_of_one_point_says_nothing(cls, given) -> None:
    # Not 0, the best value there is, where no other point was tried.
    scores = cls(**given).score(Case(InputTimesGradient(shared_cnn()), torch.ones(2, 1, 8, 8, dtype=torch.float64)))
    assert scores.undefined == 2
    assert any("all neighbours equal the sample" in note for note in scores.notes)


def test_a_constant_image_does_not_change_when_it_is_moved() -> None:
    scores = Continuity(neighbours="translation", fill="replicate").score(Case(Gradient(shared_cnn()), images(1) * 0))
    assert scores.undefined == 1


class TwoInputs(nn.Module):
    """A linear function of two inputs, of two classes."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The first feature of each, and their sum over all."""
        return torch.stack([a[:, 0] + 2 * b[:, 0], a.sum(1) + b.sum(1)], 1)


def test_several_inputs_are_one_point() -> None:
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    step = torch.full((3, 1, 4), 0.1).double()
    case = Case(InputTimesGradient(TwoInputs()), (a, b), 1)
    one = Continuity(neighbours={"b": b.unsqueeze(1) + step}).score(case)
    torch.testing.assert_close(one.values, torch.full((3,), 2.0).double())  # |step|_1 / |step|_2 of four numbers
    both = Continuity(neighbours={"a": a.unsqueeze(1) + step, "b": b.unsqueeze(1) + step}).score(case)
    torch.testing.assert_close(both.values, torch.full((3,), 8**0.5).double())
    assert torch.isfinite(LocalLipschitz().score(case).values).all()
    with pytest.raises(InputError, match="one input"):
        Continuity(neighbours="translation").score(case)
    with pytest.raises(InputError, match="a dict by name"):
        Continuity(neighbours=a).score(case)


class Tokens(nn.Module):
    """Tokens in, two classes out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of the mean embedding."""
        return self.head(self.table(tokens).mean(1))


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_tokens_have_no_neighbours(metric) -> None:
    with pytest.raises(InputError, match="floating-point"):
        metric.score(Case(Gradient(Tokens()), torch.tensor([[0, 1, 2], [3, 4, 0]])))


@pytest.mark.parametrize(
    ("neighbours", "message"),
    [
        (torch.zeros(2, 3), "do not fit"),
        (torch.full((2, 1, 1, 8, 8), torch.nan), "not finite"),
        ({"other": torch.zeros(2, 1, 1, 8, 8)}, "other"),
        ({}, "no input"),
        (torch.zeros(2, 0, 1, 8, 8), "do not fit"),
    ],
)
def test_neighbours_that_are_none_are_refused(neighbours, message) -> None:
    with pytest.raises(InputError, match=message):
        Continuity(neighbours=neighbours).score(Case(Gradient(shared_cnn()), images(2)))


@pytest.mark.parametrize(
    ("metric", "parameters"),
    [
        (Continuity, {"neighbours": "noisy"}),
        (Continuity, {"samples": 0}),
        (Continuity, {"noise": -1.0}),
        (Continuity, {"distribution": "gauss"}),
        (Continuity, {"directions": []}),
        (Continuity, {"directions": [(0, 0)]}),
        (Continuity, {"directions": [(0, 0.5)]}),
        (Continuity, {"fill": "zero"}),
        (Continuity, {"fill": float("nan")}),
        (Continuity, {"explained": "other"}),
        (MaxSensitivity, {"radius": 0}),
        (MaxSensitivity, {"normalize": 1}),
        (AverageSensitivity, {"seed": -1}),
        (LocalLipschitz, {"relative": "yes"}),
    ],
)
def test_parameters_are_refused_by_name(metric, parameters) -> None:
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        metric(**parameters)


@pytest.mark.parametrize("directions", [[(0, 4)], [(1,)], [(0, 0, 1)]])
def test_translations_that_do_not_fit_the_input_are_refused(directions) -> None:
    metric = Continuity(neighbours="translation", directions=directions, shifts=2)
    with pytest.raises(InputError, match="direction|shifts"):
        metric.score(Case(Gradient(shared_cnn()), images(2)))


def test_a_table_has_nothing_to_move_along() -> None:
    with pytest.raises(InputError, match="dimensions behind the channels"):
        Continuity(neighbours="translation").score(Case(Gradient(linear([[1.0, 2.0]])), torch.ones(2, 2).double()))


def test_metrics_are_found_by_name() -> None:
    x, analyzer = images(2), Gradient(shared_cnn())
    names = ["evaluation.continuity", "max_sensitivity", "avg_sensitivity", "evaluation.local_lipschitz"]
    found = evaluate(analyzer, x, names)
    assert all(torch.isfinite(scores.values).all() and not scores.higher_is_better for scores in found.values())


def test_a_sample_with_a_neighbour_that_the_method_refuses_is_undefined_alone() -> None:
    x = torch.tensor([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]).double()
    neighbours = x.unsqueeze(1) + torch.tensor([[0.5, 0.0], [-1.5, 0.0]]).double()
    case = Case(OfPositiveScores(linear([[1.0, 0.0], [0.0, 1.0]])), x, 0)
    scores = Continuity(neighbours=neighbours).score(case)
    assert scores.values.isnan().tolist() == [True, False, False]
    assert any("refuses" in note for note in scores.notes)
    with pytest.raises(TargetError):
        Continuity(neighbours=-neighbours).score(Case(case.analyzer, -x, 0))


def test_half_a_judgement_is_none() -> None:
    class Interrupted(InputTimesGradient):
        """Is stopped at its third explanation."""

        calls = 0

        def analyze(self, *args, **options):
            type(self).calls += 1
            if self.calls > 2:
                raise KeyboardInterrupt
            return super().analyze(*args, **options)

    with pytest.raises(KeyboardInterrupt):
        MaxSensitivity(samples=5).score(Case(Interrupted(shared_cnn()), images(2)))
    assert Interrupted.calls == 3
