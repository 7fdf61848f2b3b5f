"""Axioms on models where sums, influences and shifts are known in closed form."""

from __future__ import annotations

import pytest
import torch
from judged import Gradient, Inputs, InputTimesGradient, Times, images, linear
from torch import Tensor, nn

from xai_evaluation import Completeness, InputInvariance, NonSensitivity
from xaicore import baselines
from xaicore.analyzers import Attribution, ExpansionAnalyzer
from xaicore.scoring import Case

WEIGHT = torch.tensor([[1.0, -2.0, 3.0, 0.0], [0.5, 0.25, -1.0, 2.0]], dtype=torch.float64)
BIAS = torch.tensor([0.5, -1.0], dtype=torch.float64)
X = torch.tensor([[1.0, 2.0, 2.5, 1.0], [-1.0, 0.5, 1.5, 2.0], [2.0, 2.0, -4.0, -1.0]], dtype=torch.float64)


class FromBaseline(ExpansionAnalyzer):
    """Weights times the difference to a baseline of ones, of a linear model: complete in exact arithmetic."""

    needs_gradient = True

    def attribute(self, evaluation, engine) -> Attribution:
        """The exact contributions, and the value at the baseline."""
        (name,) = evaluation.varied
        x = evaluation.varied[name]
        classes = [int(row) for row in evaluation.target.positions(evaluation.prediction)[:, 0]]
        weight = self.model.weight[classes].detach()
        value = (weight.sum(1) + self.model.bias[classes]).detach()
        return Attribution({name: weight * (x - 1)}, reference=value, conserving=True)


def test_input_times_gradient_of_a_linear_model_misses_its_bias() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 0)
    scores = Completeness().score(case)
    output = X @ WEIGHT[0] + BIAS[0]
    torch.testing.assert_close(scores.values, BIAS[0].abs() / output.abs())
    torch.testing.assert_close(Completeness(relative=False).score(case).values, torch.full((3,), 0.5).double())
    assert scores.notes == ["relevance is compared with the explained value itself"]


def test_it_is_complete_where_there_is_no_bias_and_against_a_baseline_of_zero() -> None:
    without = Completeness().score(Case(InputTimesGradient(linear(WEIGHT)), X, 1))
    zero = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(without.values, zero)
    against = Completeness(baseline=0).score(Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 1))
    torch.testing.assert_close(against.values, zero)


@pytest.mark.parametrize("given", [2.0, torch.full((1, 4), 2.0), torch.full((3, 4), 2.0)])
def test_the_gap_to_another_baseline_is_what_the_model_makes_of_it(given) -> None:
    case = Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 0)
    scores = Completeness(baseline=given, relative=False).score(case)
    torch.testing.assert_close(scores.values, torch.full((3,), abs(2.0 * float(WEIGHT[0].sum()))).double())
    relative = Completeness(baseline=given).score(case)
    torch.testing.assert_close(relative.values, scores.values / ((X - 2) @ WEIGHT[0]).abs())


def test_of_several_baselines_the_mean_counts() -> None:
    data = torch.tensor([[1.0, 0, 0, 0], [3.0, 0, 0, 0]]).double()
    case = Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 0)
    scores = Completeness(baseline=baselines.Data(data), relative=False).score(case)
    torch.testing.assert_close(scores.values, torch.full((3,), 2.0).double())


def test_a_method_with_a_baseline_of_its_own_is_held_to_that() -> None:
    scores = Completeness().score(Case(FromBaseline(linear(WEIGHT, BIAS)), X, 1))
    torch.testing.assert_close(scores.values, torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    assert "own baseline" in scores.notes[0]


def test_a_softmax_model_is_measured_at_its_logits() -> None:
    model = nn.Sequential(linear(WEIGHT, BIAS), nn.Softmax(1))
    plain = Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 0)
    for metric in (Completeness(), Completeness(baseline=1.0)):
        found = metric.score(Case(InputTimesGradient(model), X, 0))
        torch.testing.assert_close(found.values, metric.score(plain).values)


def test_where_nothing_is_to_be_explained_a_share_of_it_is_undefined() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT)), torch.stack([X[0], X[0] * 0]), 0)
    scores = Completeness().score(case)
    assert scores.values.isnan().tolist() == [False, True]
    assert any("value to explain is 0" in note for note in scores.notes)
    assert Completeness(relative=False).score(case).values.tolist() == pytest.approx([0.0, 0.0])


def test_features_without_weight_have_neither_relevance_nor_influence() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 0)
    assert NonSensitivity().score(case).values.tolist() == [0.0, 0.0, 0.0]


def test_relevance_without_influence_is_counted_as_a_share_of_features() -> None:
    case = Case(Inputs(linear(WEIGHT, BIAS)), X, 0)  # relevance everywhere; the fourth weight is 0
    scores = NonSensitivity().score(case)
    assert scores.values.tolist() == [0.25, 0.25, 0.25]
    assert scores.details["relevance_without_influence"].tolist() == [0.25, 0.25, 0.25]


def test_influence_without_relevance_is_counted_too() -> None:
    scores = NonSensitivity().score(Case(Times(linear(WEIGHT, BIAS), factor=0.0), X, 0))
    assert scores.values.tolist() == [0.75, 0.75, 0.75]
    assert scores.details["influence_without_relevance"].tolist() == [0.75, 0.75, 0.75]


def test_a_fill_that_is_there_already_shows_no_influence() -> None:
    x = torch.tensor([[1.0, 2.0, 0.0, 1.0]]).double()
    scores = NonSensitivity(fill=0.0).score(Case(Gradient(linear(WEIGHT, BIAS)), x, 0))
    assert scores.values.tolist() == [0.25]


def test_patches_of_an_image_are_features() -> None:
    weight = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    weight[..., :4, 4:] = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), linear(torch.cat([weight.flatten(1), -weight.flatten(1)])))
    x = images(3, dtype=torch.float64)
    for patch, share in ((4, 3 / 4), (2, 12 / 16), (8, 0.0)):
        assert NonSensitivity(patch=patch).score(Case(Inputs(model), x, 0)).values.tolist() == [share] * 3
        assert NonSensitivity(patch=patch).score(Case(Gradient(model), x, 0)).values.tolist() == [0.0] * 3


def test_rounding_is_no_influence() -> None:
    class Offset(nn.Module):
        """An output of about a thousand, to which the fourth feature adds what rounding does."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([1000 + x[:, 0] + 1e-9 * x[:, 3], x[:, 1]], 1)

    scores = NonSensitivity().score(Case(Gradient(Offset()), X.float(), 0))
    assert scores.values.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("compensation", ["layer", "bias"])
def test_the_gradient_does_not_follow_a_shift(compensation) -> None:
    case = Case(Gradient(linear(WEIGHT, BIAS)), X, 0)
    assert InputInvariance(compensation=compensation).score(case).values.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("compensation", ["layer", "bias"])
@pytest.mark.parametrize("bias", [BIAS, None])
def test_input_times_gradient_follows_it_by_weight_times_shift(compensation, bias) -> None:
    case = Case(InputTimesGradient(linear(WEIGHT, bias)), X, 0)
    scores = InputInvariance(shift=-0.5, compensation=compensation).score(case)
    expected = (0.5 * WEIGHT[0]).norm() / (WEIGHT[0] * X).norm(dim=1)
    torch.testing.assert_close(scores.values, expected)


def test_a_shift_has_a_number_for_each_channel() -> None:
    x = images(2, channels=2, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), linear(torch.ones(2, 128)))
    scores = InputInvariance(shift=[1.0, 0.0]).score(Case(InputTimesGradient(model), x, 0))
    torch.testing.assert_close(scores.values, 8 / x.flatten(1).norm(dim=1))


@pytest.mark.parametrize(("padding_mode", "groups"), [("circular", 1), ("replicate", 2), ("reflect", 1)])
def test_a_convolution_takes_a_shift_back_by_its_bias(padding_mode, groups) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, padding_mode=padding_mode, groups=groups, bias=False, dtype=torch.float64),
        nn.Tanh(),
        nn.Conv2d(4, 3, 3, padding=1, dtype=torch.float64),
        nn.Flatten(),
        nn.Linear(192, 2, dtype=torch.float64),
    )
    case = Case(InputTimesGradient(model), images(2, channels=2, dtype=torch.float64), 0)
    both = [InputInvariance(compensation=how).score(case).values for how in ("layer", "bias")]
    torch.testing.assert_close(*both)
    gradient = Case(Gradient(model), images(2, channels=2, dtype=torch.float64), 0)
    torch.testing.assert_close(InputInvariance(compensation="bias").score(gradient).values, torch.zeros(2).double())


def test_relevance_of_a_method_that_shows_the_input_changes_by_the_shift() -> None:
    scores = InputInvariance(shift=2.0).score(Case(Inputs(linear(WEIGHT)), X, 0))
    torch.testing.assert_close(scores.values, 4 / X.norm(dim=1))
    torch.testing.assert_close(scores.details["change"], torch.full((3,), 4.0).double())
