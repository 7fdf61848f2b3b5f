"""Robustness on linear models, where the change of relevance is known in closed form."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from judged import Gradient, Inputs, InputTimesGradient, images, linear, shared_cnn
from torch import Tensor

from xai_evaluation import AverageSensitivity, Continuity, LocalLipschitz, MaxSensitivity
from xaicore.scoring import Case

WEIGHT = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]], dtype=torch.float64)
X = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 0.0], [2.0, 2.0, -4.0]], dtype=torch.float64)


def around(x: Tensor, count: int = 4, seed: int = 3) -> Tensor:
    """``count`` neighbours of each sample, (B, count, ...)."""
    random = torch.Generator().manual_seed(seed)
    return x.unsqueeze(1) + 0.1 * torch.randn(len(x), count, *x.shape[1:], generator=random, dtype=x.dtype)


def expected_ratios(x: Tensor, neighbours: Tensor, weight: Tensor) -> Tensor:
    """|w * (x - x')|_1 / |x - x'|_2 for the first class of a linear model and input times gradient."""
    change = neighbours - x.unsqueeze(1)
    return (weight * change).abs().sum(-1) / change.square().sum(-1).sqrt()


@pytest.mark.parametrize("metric", [Continuity(), LocalLipschitz(), MaxSensitivity(), AverageSensitivity()])
def test_the_gradient_of_a_linear_model_does_not_change(metric) -> None:
    scores = metric.score(Case(Gradient(linear(WEIGHT)), X, 0))
    assert scores.values.tolist() == [0.0, 0.0, 0.0]
    assert not scores.notes


def test_continuity_over_given_neighbours_of_a_linear_model() -> None:
    neighbours = around(X)
    scores = Continuity(neighbours=neighbours).score(Case(InputTimesGradient(linear(WEIGHT, [1.0, 2.0])), X, 0))
    expected = expected_ratios(X, neighbours, WEIGHT[0])
    torch.testing.assert_close(scores.details["ratios"], expected)
    torch.testing.assert_close(scores.values, expected.max(1).values)


def test_continuity_by_the_relevance_of_the_sample_does_not_depend_on_its_scale() -> None:
    metric = Continuity(neighbours=around(X), normalize=True)
    found = metric.score(Case(InputTimesGradient(linear(WEIGHT)), X, 0)).values
    torch.testing.assert_close(metric.score(Case(InputTimesGradient(linear(5 * WEIGHT)), X, 0)).values, found)
    expected = expected_ratios(X, around(X), WEIGHT[0]).max(1).values / (WEIGHT[0] * X).abs().sum(1)
    torch.testing.assert_close(found, expected)


def test_one_neighbour_a_sample_may_come_without_a_dimension_of_its_own() -> None:
    neighbours = around(X, 1)
    case = Case(InputTimesGradient(linear(WEIGHT)), X, 0)
    one = Continuity(neighbours=neighbours[:, 0]).score(case)
    assert one.values.tolist() == Continuity(neighbours=neighbours).score(case).values.tolist()


def test_neighbours_from_a_function_of_the_inputs() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT)), X, 0)
    scores = Continuity(neighbours=around).score(case)
    torch.testing.assert_close(scores.values, Continuity(neighbours=around(X)).score(case).values)


def test_the_explained_class_stays_unless_the_predicted_one_is_asked_for() -> None:
    model = linear([[1.0, 0.0], [0.0, 1.0]])
    x, neighbour = torch.tensor([[2.0, 1.0]]).double(), torch.tensor([[1.0, 2.0]]).double()
    case = Case(Gradient(model), x)
    assert Continuity(neighbours=neighbour).score(case).values.tolist() == [0.0]
    # The gradient turns from (1, 0) into (0, 1): |(1, -1)|_1 / |(1, -1)|_2.
    predicted = Continuity(neighbours=neighbour, explained="predicted").score(case)
    assert predicted.values.tolist() == pytest.approx([2**0.5])


def test_the_predicted_class_is_that_of_the_sample_too() -> None:
    model = linear([[1.0, 0.0], [0.0, 1.0]])
    x, neighbour = torch.tensor([[2.0, 1.0]]).double(), torch.tensor([[3.0, 1.0]]).double()
    given = Case(Gradient(model), x, 1)  # not the predicted one, which is 0 for both
    assert Continuity(neighbours=neighbour, explained="predicted").score(given).values.tolist() == [0.0]


def test_noise_is_drawn_from_the_ball_and_gives_the_ratios_of_its_points() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT)), X, 0)
    seen: list[Tensor] = []

    def kept(varied, block, **options):
        seen.append(varied["input"] - block.repeat(X))
        return Case.relevance_of(case, varied, block, **options)

    case.relevance_of = kept  # type: ignore[method-assign]
    scores = LocalLipschitz(radius=0.5, samples=50).score(case)
    moved = torch.cat(seen)
    assert 0.45 < float(moved.abs().max()) <= 0.5
    assert abs(float(moved.mean())) < 0.1
    expected = ((WEIGHT[0] * moved).square().sum(1) / moved.square().sum(1)).sqrt().reshape(50, 3).T
    torch.testing.assert_close(scores.details["ratios"], expected, rtol=1e-6, atol=1e-6)
    # No ratio is above the largest weight, and fifty points come near it.
    assert (scores.values <= 3 + 1e-9).all()
    assert (scores.values > 2.9).all()


def test_sensitivity_is_relative_to_the_relevance_of_the_sample() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT)), X, 0)
    absolute, relative = (
        MaxSensitivity(radius=0.1, samples=6, normalize=normalize).score(case) for normalize in (False, True)
    )
    size = (WEIGHT[0] * X).square().sum(1).sqrt()
    torch.testing.assert_close(relative.values, absolute.values / size)
    torch.testing.assert_close(absolute.values, absolute.details["changes"].max(1).values)
    mean = AverageSensitivity(radius=0.1, samples=6, normalize=False).score(case)
    torch.testing.assert_close(mean.values, absolute.details["changes"].mean(1))


def test_the_lipschitz_estimate_uses_the_same_points_as_sensitivity() -> None:
    case = Case(Inputs(linear(WEIGHT)), X, 0)  # R(x) = x: the ratio is 1, and the change that of the input
    lipschitz = LocalLipschitz(radius=0.1, samples=6).score(case)
    torch.testing.assert_close(lipschitz.details["ratios"], torch.ones(3, 6, dtype=torch.float64))


def test_noise_can_be_a_share_of_the_range_of_each_sample() -> None:
    wide = Case(Inputs(linear(WEIGHT)), 10 * X, 0)
    narrow = Case(Inputs(linear(WEIGHT)), X, 0)
    changes = [MaxSensitivity(relative=True, normalize=False, radius=0.1).score(case).values for case in (wide, narrow)]
    torch.testing.assert_close(changes[0], 10 * changes[1], rtol=1e-5, atol=0)


def test_normal_noise_has_the_standard_deviation_that_is_asked_for() -> None:
    x = torch.zeros(1, 500).double()
    model = linear(torch.ones(2, 500))
    found = Continuity(noise=0.3, relative=False, samples=4, seed=1).score(Case(Inputs(model), x, 0))
    # |n|_1 / |n|_2 of normal noise: sqrt(2 F / pi), whatever its size.
    assert found.details["ratios"].mean().item() == pytest.approx((2 * 500 / torch.pi) ** 0.5, rel=0.03)
    uniform = Continuity(noise=0.3, distribution="uniform", relative=False, samples=4).score(Case(Inputs(model), x, 0))
    assert uniform.details["ratios"].mean().item() == pytest.approx((3 * 500 / 4) ** 0.5, rel=0.03)


@pytest.mark.parametrize("fill", [0.0, 0.7, "replicate", "reflect"])
def test_along_a_translation_each_position_is_compared_with_the_one_before(fill) -> None:
    x = images(2, dtype=torch.float64)
    weight = torch.randn(3, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear(weight))
    metric = Continuity(neighbours="translation", directions=[(0, 1), (-2, 0)], shifts=3, fill=fill)
    found = metric.score(Case(InputTimesGradient(model), x, 1)).details["ratios"]
    expected = []
    for down, right in [(0, 1), (-2, 0)]:
        positions = [moved(x, step * down, step * right, fill) for step in range(4)]
        for before, after in pairwise(positions):
            change = (after - before).flatten(1)
            expected.append((weight[1] * change).abs().sum(1) / change.square().sum(1).sqrt())
    torch.testing.assert_close(found, torch.stack(expected, 1))


def moved(x: Tensor, down: int, right: int, fill: float | str) -> Tensor:
    """Images moved pixel by pixel, slowly."""
    height, width = x.shape[2:]
    out = torch.empty_like(x)
    for row in range(height):
        for column in range(width):
            source = row - down, column - right
            if fill == "replicate":
                source = min(max(source[0], 0), height - 1), min(max(source[1], 0), width - 1)
            elif fill == "reflect":
                source = mirrored(source[0], height), mirrored(source[1], width)
            inside = 0 <= source[0] < height and 0 <= source[1] < width
            out[:, :, row, column] = x[:, :, source[0], source[1]] if inside else fill
    return out


def mirrored(position: int, size: int) -> int:
    return -position if position < 0 else 2 * (size - 1) - position if position >= size else position


def test_a_small_network_has_finite_values_that_grow_with_the_radius() -> None:
    case = Case(Gradient(shared_cnn()), images(4))
    small, large = (AverageSensitivity(radius=radius).score(case) for radius in (0.01, 0.5))
    assert torch.isfinite(small.values).all()
    assert small.mean < large.mean
