"""Prediction difference analysis: exact cases, loops over draws, and the normal distribution of patches."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_perturbation import PredictionDifference
from xai_perturbation.prediction_difference.gaussian import PatchMoments
from xai_perturbation.prediction_difference.replacements import GivenSurroundings
from xai_perturbation.windows import Windows
from xaicore import Contrast, Engine, create_analyzer
from xaicore.errors import InputError, NotFittedError, ParameterError, TargetError

WEIGHTS = torch.tensor([0.1, 0.2, 0.05, 0.3], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    """Probabilities of two classes, linear in inputs between 0 and 1."""
    p = x @ WEIGHTS + 0.1
    return torch.stack([1 - p, p], 1)


def table(batch: int, seed: int = 0) -> Tensor:
    return torch.rand(batch, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def images(batch: int, channels: int = 2, seed: int = 0) -> Tensor:
    """Smooth noise, so that neighbours tell about each other."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, channels, 10, 9, generator=random, dtype=torch.float64)
    return nn.functional.avg_pool2d(x, 3, 1)  # 8 x 7


def network(outputs: int = 3) -> nn.Module:
    torch.manual_seed(1)
    layers = [nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 6 * 5, outputs)]
    return nn.Sequential(*layers).double().eval()


def linear_on_images(x: Tensor) -> Tensor:
    p = 0.5 + 0.01 * (x * weights_on_images(x)).flatten(1).sum(1)
    return torch.stack([1 - p, p], 1)


def weights_on_images(x: Tensor) -> Tensor:
    return torch.linspace(-1, 1, x[0].numel(), dtype=torch.float64).view(x.shape[1:])


# Values of the data


def test_with_all_samples_of_the_data_a_linear_probability_loses_the_difference_to_their_mean() -> None:
    x, data = table(5), table(30, seed=1)
    analyzer = PredictionDifference(linear, conditional=False, samples=None, value="probability").fit(data)
    found = analyzer.analyze(x, target=1).relevance
    torch.testing.assert_close(found, (x - data.mean(0)) * WEIGHTS)


@pytest.mark.parametrize("value", ["evidence", "information"])
def test_the_evidence_is_that_of_a_loop(value: str) -> None:
    x, data = table(3), table(12, seed=1)
    found = PredictionDifference(linear, conditional=False, samples=None, value=value).fit(data).analyze(x, target=0)

    def corrected(p: float) -> float:
        return (p * 12 + 1) / (12 + 2)

    for sample, column in itertools.product(range(3), range(4)):
        rows = x[sample].repeat(12, 1)
        rows[:, column] = data[:, column]
        after = corrected(float(linear(rows)[:, 0].mean()))
        before = corrected(float(linear(x[sample : sample + 1])[0, 0]))
        if value == "evidence":
            expected = math.log2(before / (1 - before)) - math.log2(after / (1 - after))
        else:
            expected = math.log2(before) - math.log2(after)
        assert float(found.relevance[sample, column]) == pytest.approx(expected, rel=1e-9)


def test_certain_predictions_have_finite_evidence() -> None:
    def certain(x: Tensor) -> Tensor:
        p = (x[:, 0] > 0).double()
        return torch.stack([1 - p, p], 1)

    data = -table(9)
    found = PredictionDifference(certain, conditional=False).fit(data).analyze(table(1), target=1).relevance
    # p = 1 becomes (9 + 1) / (9 + 2), p = 0 becomes 1 / 11: odds of ten to one, and one to ten.
    torch.testing.assert_close(found, torch.tensor([[2 * math.log2(10), 0, 0, 0]], dtype=torch.float64))


def test_patches_of_images_get_the_values_that_samples_of_the_data_have_there() -> None:
    x, data = images(2), images(6, seed=1)
    analyzer = PredictionDifference(
        linear_on_images, window=3, stride=3, conditional=False, samples=None, value="probability"
    )
    found = analyzer.fit(data).analyze(x, target=1).relevance
    total, covered = torch.zeros_like(x), torch.zeros_like(x)
    lost = 0.01 * (x - data.mean(0)) * weights_on_images(x)
    for row, column in itertools.product((0, 3, 5), (0, 3, 4)):
        box = (slice(None), slice(None), slice(row, row + 3), slice(column, column + 3))
        total[box] += lost[box].flatten(1).sum(1).view(2, 1, 1, 1)
        covered[box] += 1
    torch.testing.assert_close(found, total / covered)


def test_tokens_get_tokens_of_the_data() -> None:
    def f(tokens: Tensor) -> Tensor:
        p = tokens.double().sum(1) / 100
        return torch.stack([1 - p, p], 1)

    tokens, data = torch.tensor([[5, 7]]), torch.tensor([[1, 2], [3, 4]])
    analyzer = PredictionDifference(f, samples=None, value="probability").fit(data)
    torch.testing.assert_close(
        analyzer.analyze(tokens, target=1).relevance.double(), torch.tensor([[0.03, 0.04]]).double()
    )


# The normal distribution of patches


def patches_of(x: Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """All patches, one after the other: (patches, C, entries)."""
    found = []
    for image in x:
        for row in range(0, x.shape[2] - size[0] + 1, stride[0]):
            for column in range(0, x.shape[3] - size[1] + 1, stride[1]):
                found.append(image[:, row : row + size[0], column : column + size[1]].flatten(1))
    return torch.stack(found)


def test_mean_and_covariance_are_those_of_all_patches() -> None:
    x = images(20)
    moments = PatchMoments((4, 3), (2, 1))
    for part in x.split([1, 7, 12]):
        moments.add(part)
    patches = patches_of(x, (4, 3), (2, 1))
    assert moments.count == len(patches)
    torch.testing.assert_close(moments.mean, patches.mean(0))
    for channel in range(2):
        expected = torch.cov(patches[:, channel].T, correction=0)
        torch.testing.assert_close(moments.covariance()[channel], expected)


def test_moments_far_from_zero_are_exact() -> None:
    x = images(10) * 1e-3 + 1e4
    moments = PatchMoments((2, 2), (1, 1))
    for part in x.split(3):
        moments.add(part)
    expected = torch.cov(patches_of(x, (2, 2), (1, 1))[:, 0].T, correction=0)
    torch.testing.assert_close(moments.covariance()[0], expected, rtol=1e-4, atol=0)


def test_a_box_given_its_surroundings_has_the_conditional_normal_distribution() -> None:
    x = images(30)
    moments = PatchMoments((4, 4), (1, 1))
    moments.add(x)
    conditional = moments.given_surroundings(((1, 3), (0, 2)))
    patches = patches_of(x, (4, 4), (1, 1))
    own = [4, 5, 8, 9]
    around = [entry for entry in range(16) if entry not in own]
    for channel in range(2):
        covariance, mean = torch.cov(patches[:, channel].T, correction=0), patches[:, channel].mean(0)
        cross = covariance[own][:, around]
        inverse = torch.linalg.inv(covariance[around][:, around])
        expected = mean[own] + (patches[0, channel, around] - mean[around]) @ inverse.T @ cross.T
        torch.testing.assert_close(conditional.means(patches[:1])[0, channel], expected, rtol=1e-6, atol=1e-8)
        left = covariance[own][:, own] - cross @ inverse @ cross.T
        root = conditional.root[channel]
        torch.testing.assert_close(root @ root.T, left, rtol=1e-6, atol=1e-8)


def test_draws_have_the_mean_and_covariance_of_their_distribution() -> None:
    moments = PatchMoments((4, 4), (1, 1))
    moments.add(images(30))
    moments.low, moments.high = torch.full((2,), -99.0), torch.full((2,), 99.0)
    x = images(1, seed=5)
    windows = Windows.sliding(2, 2, "x", (2, 8, 7), inside=True)
    number = 5  # rows 2 to 4, columns 2 to 4: the patch lies around it, rows 1 to 5, columns 1 to 5
    draws = GivenSurroundings(moments, (1, 1)).draws(x, windows, number, range(4000), 0)[0].flatten(2)
    conditional = moments.given_surroundings(((1, 3), (1, 3)))
    mean = conditional.means(x[:, :, 1:5, 1:5].flatten(2))[0]
    for channel in range(2):
        root = conditional.root[channel]
        spread = root.square().sum(1).sqrt()
        assert bool(((draws[:, channel].mean(0) - mean[channel]).abs() < 5 * spread / math.sqrt(4000)).all())
        torch.testing.assert_close(
            torch.cov(draws[:, channel].T), root @ root.T, rtol=0.15, atol=0.1 * float(spread.max()) ** 2
        )


def test_draws_stay_in_the_range_of_the_data() -> None:
    data = images(20)
    moments = PatchMoments((4, 4), (1, 1))
    moments.add(data)
    windows = Windows.sliding(2, 2, "x", (2, 8, 7), inside=True)
    draws = GivenSurroundings(moments, (1, 1)).draws(10 * images(3), windows, 0, range(50), 0)
    for channel in range(2):
        assert data[:, channel].min() - 1e-12 <= draws[:, :, channel].min()
        assert draws[:, :, channel].max() <= data[:, channel].max() + 1e-12


def test_a_patch_that_its_surroundings_foretell_has_no_evidence() -> None:
    flat = torch.rand(40, 2, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(40, 2, 8, 7)
    x = flat[:2].contiguous()
    parameters: dict[str, Any] = {"window": 2, "context": 1, "value": "probability"}
    knowing = PredictionDifference(linear_on_images, **parameters).fit(flat).analyze(x, target=1).relevance
    marginal = PredictionDifference(linear_on_images, conditional=False, **parameters).fit(flat)
    assert float(knowing.abs().max()) < 1e-6 < 1e-4 < float(marginal.analyze(x, target=1).relevance.abs().max())


def test_a_linear_probability_loses_about_the_difference_to_the_mean_given_the_surroundings() -> None:
    x, data = images(1, seed=3) * 0.5, images(40)
    analyzer = PredictionDifference(linear_on_images, window=2, stride=2, context=1, samples=1000, value="probability")
    found = analyzer.fit(data).analyze(x, target=1).relevance
    conditional = analyzer.learnt_.moments["input"].given_surroundings(((1, 3), (1, 3)))
    mean = conditional.means(x[:, :, 1:5, 1:5].flatten(2))[0].view(2, 2, 2)
    expected = 0.01 * ((x[0, :, 2:4, 2:4] - mean) * weights_on_images(x)[:, 2:4, 2:4]).sum()
    assert float(found[0, 0, 2, 2]) == pytest.approx(float(expected), abs=4e-4)


# Logits and probabilities


@pytest.mark.parametrize("value", ["evidence", "probability"])
def test_logits_become_probabilities_by_a_softmax_unless_they_are_some(value: str) -> None:
    x, data = images(3), images(20, seed=1)
    logits, probabilities = network(), nn.Sequential(network(), nn.Softmax(1)).eval()
    first, second = (
        PredictionDifference(model, window=3, context=1, value=value).fit(data).analyze(x, target=2)
        for model in (logits, probabilities)
    )
    torch.testing.assert_close(first.relevance, second.relevance)
    assert "probabilities: the softmax of the outputs" in first.diagnostics.notes
    assert "probabilities: the outputs themselves" in second.diagnostics.notes


def test_a_single_logit_becomes_a_probability_by_a_sigmoid() -> None:
    x, data = images(2), images(20, seed=1)
    one = network(1)
    two = nn.Sequential(one, nn.ConstantPad1d((1, 0), 0.0)).eval()  # logits 0 and z
    first = (
        PredictionDifference(one, window=3, context=1, probabilities="sigmoid").fit(data).analyze(x, target=0).relevance
    )
    second = PredictionDifference(two, window=3, context=1).fit(data).analyze(x, target=1).relevance
    torch.testing.assert_close(first, second)


def test_behind_a_sigmoid_other_outputs_do_not_change_the_evidence_for_one() -> None:
    x, data, alone = images(2), images(20, seed=1), network(1)
    beside = nn.Sequential(alone, nn.ConstantPad1d((0, 50), 0.0)).eval()  # fifty more labels
    first, second = (
        PredictionDifference(model, window=3, context=1, probabilities="sigmoid").fit(data).analyze(x, target=0)
        for model in (alone, beside)
    )
    torch.testing.assert_close(first.relevance, second.relevance)


def test_a_single_output_needs_to_be_told_what_it_is() -> None:
    with pytest.raises(InputError, match="say with probabilities='sigmoid'"):
        PredictionDifference(network(1), window=3, context=1).fit(images(9)).analyze(images(1))


def test_a_target_that_is_no_probability_has_no_evidence() -> None:
    x, model = images(1), network()
    highest, lowest = int(model(x).argmax()), int(model(x).argmin())
    analyzer = PredictionDifference(model, window=3, context=1).fit(images(9))
    with pytest.raises(TargetError, match=r"outside of \[0, 1\]"):
        analyzer.analyze(x, target=Contrast(lowest, highest))


# Batches, streams, several inputs


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_results_do_not_depend_on_the_batch_size(conditional: bool, batch_size: Any) -> None:
    x = images(3)
    analyzer = PredictionDifference(network(), window=3, context=1, samples=3, conditional=conditional).fit(
        images(20, seed=1)
    )
    expected = analyzer.analyze(x, target=0).relevance
    torch.testing.assert_close(analyzer.analyze(x, target=0, batch_size=batch_size).relevance, expected)


@pytest.mark.parametrize("conditional", [False, True])
def test_samples_of_a_batch_of_33_are_explained_as_one_by_one(conditional: bool) -> None:
    x = images(33)
    analyzer = PredictionDifference(network(), window=3, context=1, samples=2, conditional=conditional).fit(
        images(20, seed=1)
    )
    targets = [number % 3 for number in range(33)]
    together = analyzer.analyze(x, target=targets).relevance
    for number in (0, 16, 32):
        alone = analyzer.analyze(x[number : number + 1], target=targets[number]).relevance
        torch.testing.assert_close(together[number : number + 1], alone)


def test_the_same_seed_gives_the_same_result_and_another_seed_another() -> None:
    x, data = images(2), images(20, seed=1)
    first, again, other = (
        PredictionDifference(network(), window=3, context=1, seed=seed).fit(data).analyze(x, target=0).relevance
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other)


@pytest.mark.parametrize("conditional", [False, True])
def test_fit_learns_the_same_from_a_stream_of_batches(conditional: bool) -> None:
    x, data = images(2), images(23, seed=1)
    first, second = (
        PredictionDifference(network(), window=3, context=1, conditional=conditional, pool=9)
        .fit(each)
        .analyze(x, target=0)
        for each in (data, iter(data.split(5)))
    )
    torch.testing.assert_close(first.relevance, second.relevance)


def test_fitting_again_forgets_the_data_before() -> None:
    x, data = images(2), images(20, seed=1)
    analyzer = PredictionDifference(network(), window=3, context=1).fit(10 * images(9, seed=2)).fit(data)
    expected = PredictionDifference(network(), window=3, context=1).fit(data).analyze(x, target=0).relevance
    assert torch.equal(analyzer.analyze(x, target=0).relevance, expected)


def test_images_beside_a_table_are_replaced_given_their_surroundings_and_the_table_by_the_data() -> None:
    def f(image: Tensor, columns: Tensor) -> Tensor:
        return linear_on_images(image) + 0.1 * linear(columns) - 0.05

    x, data = (images(2), table(2)), (images(15, seed=1), table(15, seed=1))
    analyzer = PredictionDifference(
        f, window={"input_0": 3, "input_1": 1}, context=1, samples=15, value="probability", probabilities="given"
    ).fit(data)
    found = analyzer.analyze(x, target=1).relevance
    torch.testing.assert_close(found["input_1"], 0.1 * (x[1] - data[1].mean(0)) * WEIGHTS)
    assert set(analyzer.learnt_.moments) == {"input_0"} and float(found["input_0"].std()) > 0


@pytest.mark.parametrize("shape", [(2, 12), (1, 5, 6, 4)])
def test_series_and_volumes_have_patches_too(shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    data = torch.randn(30, *shape, generator=random, dtype=torch.float64).cumsum(-1)
    context = 2 if len(shape) == 2 else (0, 1, 0)
    analyzer = PredictionDifference(linear_on_images, window=3, context=context, value="probability").fit(data)
    found = analyzer.analyze(data[:2], target=1)
    assert found.relevance.shape == (2, *shape) and float(found.relevance.std()) > 0


def test_a_classifier_of_scikit_learn_is_explained() -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    data = random.normal(size=(50, 3))
    model = LogisticRegression().fit(data, data[:, 0] > 0)
    found = PredictionDifference(model.predict_proba, samples=None, value="probability").fit(data)
    relevance = found.analyze(data[:4], target=1).relevance.numpy()
    for column in range(3):
        for sample in range(4):
            rows = np.repeat(data[sample : sample + 1], 50, 0)
            rows[:, column] = data[:, column]
            before = model.predict_proba(data[sample : sample + 1])[0, 1]
            assert relevance[sample, column] == pytest.approx(before - model.predict_proba(rows)[:, 1].mean())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_relevance_has_the_type_of_the_input(dtype: torch.dtype) -> None:
    data = images(20, seed=1)
    found, exact = (
        PredictionDifference(
            network().to(kind), window=3, context=1, samples=None, conditional=False, value="probability"
        )
        .fit(data.to(kind))
        .analyze(images(2).to(kind), target=0)
        .relevance
        for kind in (dtype, torch.float64)
    )
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-6 if dtype == torch.float32 else 0.02)


def test_the_model_runs_once_for_each_window_and_draw() -> None:
    engine = Engine()
    PredictionDifference(linear, samples=6, conditional=False).fit(table(9)).analyze(table(2), engine=engine)
    assert engine.report.rows == 2 * 4 * 6


def test_the_method_has_its_name() -> None:
    assert create_analyzer("pda", network()).method == "perturbation.prediction_difference"


# Errors


def test_before_fit_there_is_nothing_to_draw_from() -> None:
    with pytest.raises(NotFittedError, match=r"analyzer\.fit\(data\)"):
        PredictionDifference(network()).analyze(images(1))


def test_inner_layers_and_other_shapes_are_refused() -> None:
    analyzer = PredictionDifference(network(), window=3, context=1).fit(images(9))
    with pytest.raises(InputError, match="leave layer= out"):
        analyzer.analyze(images(1), target=0, layer="1")
    small = PredictionDifference(linear_on_images, window=3, context=1).fit(images(9))
    with pytest.raises(InputError, match="the data of fit had"):
        small.analyze(images(1)[..., :5], target=0)


def test_too_few_patches_for_their_covariance_are_refused() -> None:
    with pytest.raises(InputError, match="fit had 20 patches of 8 x 7 = 56 positions in input 'input'"):
        PredictionDifference(network(), window=4, context=2).fit(images(20))


def test_all_samples_of_the_data_cannot_be_drawn_from_a_normal_distribution() -> None:
    with pytest.raises(ParameterError, match="needs conditional=False"):
        PredictionDifference(network(), samples=None).fit(images(9))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"window": 0}, "window=0"),
        ({"context": -1}, "context=-1"),
        ({"samples": 0}, "samples=0"),
        ({"value": "evidense"}, "Did you mean 'evidence'"),
        ({"probabilities": "logits"}, "probabilities='logits'"),
        ({"seed": -1}, "seed=-1"),
        ({"pool": True}, "pool=True"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        PredictionDifference(network(), **parameters)


def test_a_context_for_other_dimensions_is_refused() -> None:
    with pytest.raises(ParameterError, match="2 dimensions behind the channels"):
        PredictionDifference(network(), context=(1, 1, 1)).fit(images(9))
