"""Faithfulness on images, series, tokens and several inputs; ties, constant maps, NaN, types, and what is refused."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
from judged import Gradient, InputTimesGradient, images, linear, shared_cnn, small_cnn
from torch import Tensor, nn

from xai_evaluation import (
    Deletion,
    FaithfulnessCorrelation,
    Infidelity,
    Insertion,
    PixelFlipping,
    RegionPerturbation,
    Selectivity,
    SensitivityN,
    Sufficiency,
)
from xai_evaluation.faithfulness.imputation import LinearImputation
from xaicore.analyzers import GivenRelevance
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, Metric, Scores

ALL: list[Metric] = [
    PixelFlipping(steps=5),
    RegionPerturbation(regions=3, fill="low"),
    Selectivity(steps=3),
    Deletion(steps=5),
    Insertion(steps=5),
    SensitivityN(n=[2, 9], subsets=6),
    FaithfulnessCorrelation(subsets=6),
    Infidelity(samples=6),
    Sufficiency(),
]


class Total(nn.Module):
    """The sum of all entries, as one output."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).sum(1, keepdim=True)


def flipped(relevance: Any, x: Any, **parameters: Any) -> list[float]:
    """The curve of one sample of the sum of all entries."""
    model = Total()
    maps, given = (torch.as_tensor(each, dtype=torch.float64)[None] for each in (relevance, x))
    found = PixelFlipping(**parameters).score(Case(GivenRelevance(model, relevance=maps), given, 0))
    assert found.curve is not None
    curve: list[float] = found.curve.y[0].tolist()
    return curve


def test_patches_span_channels_and_are_smaller_at_the_border() -> None:
    x = np.ones((2, 3, 5))  # 2 channels, 3 x 5 positions in patches of 2: 2 x 3 of them
    relevance = np.zeros((2, 3, 5))
    relevance[0, 2, 4] = 3  # the last patch, 1 x 1
    relevance[1, 0, 4] = 2  # the last of the first row, 2 x 1
    assert flipped(relevance, x, patch=2) == [30, 28, 24, 16, 8, 4, 0]
    assert len(flipped(relevance, x, patch=(2, 2, 2))) == 7
    assert len(flipped(relevance, x, patch=(1, 2, 2))) == 13
    assert len(flipped(relevance, x, patch=(3, 1))) == 6


def test_patches_of_equal_relevance_go_in_order_of_position() -> None:
    x = [1.0, 10.0, 100.0, 1000.0]
    for order in ("most", "least"):
        assert flipped([0.5] * 4, x, order=order) == [1111, 1110, 1100, 1000, 0]
    assert flipped([0, 1, 1, 0], x) == [1111, 1101, 1001, 1000, 0]
    assert flipped([0, 1, 1, 0], x, order="least") == [1111, 1110, 110, 100, 0]


def test_signed_relevance_is_ranked_with_its_sign() -> None:
    assert flipped([-5.0, 0.0, 1.0], [1.0, 10.0, 100.0]) == [111, 11, 1, 0]


def test_by_default_images_have_eight_patches_along_each_side() -> None:
    assert len(flipped(np.zeros((3, 30, 20)), np.zeros((3, 30, 20)), steps=None)) == 8 * 7 + 1
    assert len(flipped(np.zeros((2, 1000)), np.zeros((2, 1000)), steps=None)) == 63 + 1
    assert len(flipped(np.zeros(100), np.zeros(100), steps=None)) == 100 + 1


def test_patches_of_several_inputs_are_ranked_together() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, table: Tensor) -> Tensor:
            return image.flatten(1).sum(1, keepdim=True) + table.sum(1, keepdim=True)

    inputs = {"image": torch.full((1, 1, 2, 2), 10.0), "table": torch.ones(1, 2)}
    relevance = {"image": torch.tensor([[[[1.0, 4.0], [0.0, 0.0]]]]), "table": torch.tensor([[3.0, 2.0]])}
    case = Case(GivenRelevance(Two(), relevance=relevance), inputs, 0)
    found = PixelFlipping(patch=1).score(case)
    assert found.curve is not None
    assert found.curve.y[0].tolist() == [42, 32, 31, 30, 20, 10, 0]
    rows = PixelFlipping(patch={"image": 2, "table": 1}).score(case)
    assert rows.curve is not None
    assert rows.curve.y[0].tolist() == [42, 2, 1, 0]
    for metric in (SensitivityN(n=2), FaithfulnessCorrelation(), Infidelity(size=1), Sufficiency(quantity="output")):
        assert len(metric.score(case)) == 1
    with pytest.raises(ParameterError, match="'tabel'"):
        PixelFlipping(patch={"tabel": 1}).score(case)


class Tokens(nn.Module):
    """A mean of embeddings where the mask is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        seen = torch.relu(self.embedding(ids)) * mask[..., None]
        return self.head(seen.sum(1) / mask.sum(1, keepdim=True))


@functools.cache
def tokens() -> Tokens:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tokens().eval()


@pytest.mark.parametrize(
    "metric",
    [
        PixelFlipping(fill=1),
        Selectivity(fill=1),
        Deletion(fill=1),
        SensitivityN(n=2, fill=1, subsets=8),
        FaithfulnessCorrelation(fill=1, subsets=8),
        Infidelity(fill=1, samples=8),
        Sufficiency(fill=1),
    ],
    ids=repr,
)
def test_tokens_are_replaced_by_a_token(metric: Metric) -> None:
    model, ids = tokens(), torch.randint(2, 20, (3, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]])

    def scores(rows: slice) -> Tensor:
        return metric.score(Case(Gradient(model), {"ids": ids[rows], "mask": mask[rows]}, 1)).values

    whole = scores(slice(None))
    assert bool(whole.isfinite().all())
    torch.testing.assert_close(torch.cat([scores(slice(at, at + 1)) for at in range(3)]), whole, rtol=1e-3, atol=1e-6)


def test_a_token_flipped_is_the_token_given() -> None:
    model = tokens()
    ids, mask = torch.tensor([[3, 4, 5]]), torch.ones(1, 3, dtype=torch.long)
    relevance = {"ids": torch.tensor([[0.0, 2.0, 1.0]])}
    found = PixelFlipping(fill=9).score(Case(GivenRelevance(model, relevance=relevance), {"ids": ids, "mask": mask}, 2))
    rows = torch.tensor([[3, 4, 5], [3, 9, 5], [3, 9, 9], [9, 9, 9]])
    assert found.curve is not None
    torch.testing.assert_close(found.curve.y[0].float(), model(rows, mask.expand(4, 3))[:, 2].detach())


@pytest.mark.parametrize("metric", ALL, ids=repr)
def test_relevance_that_is_not_finite_has_no_score_and_others_keep_theirs(metric: Metric) -> None:
    x, model = images(3), shared_cnn()
    relevance = InputTimesGradient(model).analyze(x, 1).relevance
    assert isinstance(relevance, Tensor)
    broken = relevance.clone()
    broken[1, 0, 3, 3] = torch.nan

    class Broken(InputTimesGradient):
        def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
            found = super().readout(relevance, value)
            return torch.where(value == x[1, 0, 3, 3], torch.nan, found)

    whole = metric.score(Case(InputTimesGradient(model), x, 1))
    found = metric.score(Case(Broken(model), x, 1))
    assert found.values.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(found.values[[0, 2]], whole.values[[0, 2]])
    assert found.notes == ["undefined where relevance is not finite"] and not whole.notes


@pytest.mark.parametrize("metric", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_give_about_the_same(metric: Metric, dtype: torch.dtype) -> None:
    exact = metric.score(Case(InputTimesGradient(shared_cnn(torch.float64)), images(dtype=torch.float64), 1))
    found = metric.score(Case(InputTimesGradient(shared_cnn(dtype)), images(dtype=dtype), 1))
    near = {"rtol": 1e-3, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 0.2, "atol": 0.25}
    torch.testing.assert_close(found.values, exact.values, **near)
    assert found.values.dtype == torch.float64


@pytest.mark.parametrize("metric", ALL, ids=repr)
def test_the_model_stays_as_it_was_and_the_same_seed_gives_the_same(metric: Metric) -> None:
    model, x = small_cnn(), images()
    model.train()
    before = copy.deepcopy(model.state_dict())
    case = Case(InputTimesGradient(model), x)
    first, second = metric.score(case), metric.score(Case(InputTimesGradient(model), x, engine=Engine(3)))
    torch.testing.assert_close(first.values, second.values)
    assert all(torch.equal(each, model.state_dict()[name]) for name, each in before.items())
    assert model.training and all(each.requires_grad and each.grad is None for each in model.parameters())


def test_a_constant_map_has_no_correlation_and_says_so() -> None:
    model = linear(torch.randn(2, 9))
    case = Case(GivenRelevance(model, relevance=torch.full((2, 9), 0.1)), torch.randn(2, 9, dtype=torch.float64), 0)
    for metric in (SensitivityN(subsets=10), FaithfulnessCorrelation(subsets=10)):
        found = metric.score(case)
        assert found.undefined == 2
        assert found.notes == [
            "undefined where all subsets have the same relevance, or the output loses as much without any of them"
        ]


def test_a_model_that_looks_at_nothing_has_no_correlation() -> None:
    case = Case(
        GivenRelevance(linear(torch.zeros(2, 9), [0.1, 0.2]), relevance=torch.randn(2, 9)), torch.randn(2, 9), 0
    )
    assert SensitivityN(subsets=10).score(case).undefined == 2
    assert PixelFlipping().score(case).values.tolist() == pytest.approx([0.1, 0.1])


def test_a_curve_that_starts_at_zero_cannot_be_normalized() -> None:
    model = linear([[1.0, -1.0]])
    x = torch.tensor([[1.0, 1.0], [2.0, 1.0]], dtype=torch.float64)
    found = PixelFlipping(normalize=True).score(Case(InputTimesGradient(model), x, 0))
    assert found.values.isnan().tolist() == [True, False]
    assert found.notes == ["undefined where the first value of the curve is 0"]


def test_a_function_without_a_graph_can_be_judged() -> None:
    def function(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.stack([x @ np.array([1.0, 2.0, 3.0]), 0 * x[:, 0]], 1)

    x = np.ones((2, 3))
    found = PixelFlipping().score(Case(GivenRelevance(function, relevance=x * [1.0, 2.0, 3.0]), x, 0))
    assert found.curve is not None
    assert found.curve.y.tolist() == [[6, 3, 1, 0]] * 2


def dense_imputation(x: Tensor, gone: Tensor) -> Tensor:
    """Each unknown position is the weighted mean of its neighbours: as one dense system for a picture (H, W)."""
    height, width = x.shape
    matrix, known = np.eye(height * width), x.numpy().ravel().copy()
    for row in range(height):
        for column in range(width):
            if not gone[row, column]:
                continue
            weights = {
                (row + down) * width + column + right: (1 / 6 if down == 0 or right == 0 else 1 / 12)
                for down in (-1, 0, 1)
                for right in (-1, 0, 1)
                if (down or right) and 0 <= row + down < height and 0 <= column + right < width
            }
            at = row * width + column
            known[at] = 0
            for other, weight in weights.items():
                matrix[at, other] -= weight / sum(weights.values())
    return torch.from_numpy(np.linalg.solve(matrix, known)).view(height, width)


def test_linear_imputation_solves_for_the_mean_of_the_neighbours() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 1, 3, 6, 5, generator=random, dtype=torch.float64)
    gone = torch.rand(2, 4, 1, 6, 5, generator=random) < torch.tensor([0.1, 0.5, 0.9, 0.0]).view(1, 4, 1, 1, 1)
    found = LinearImputation(noise=0).impute("x", x, gone)
    for sample in range(2):
        for step in range(4):
            for channel in range(3):
                expected = dense_imputation(x[sample, 0, channel], gone[sample, step, 0])
                torch.testing.assert_close(found[sample, step, channel], expected)


def test_linear_imputation_of_everything_is_the_mean_and_noise_is_added_to_what_is_gone_only() -> None:
    x = torch.arange(8.0).view(1, 1, 2, 4)
    whole = LinearImputation(noise=0).impute("x", x, torch.ones(1, 1, 1, 4, dtype=torch.bool))
    torch.testing.assert_close(whole[0, 0], torch.tensor([1.5, 5.5])[:, None].expand(2, 4))
    gone = torch.tensor([True, False, True, False]).view(1, 1, 1, 4)
    noisy, plain = (LinearImputation(noise=each, seed=1).impute("x", x, gone) for each in (0.1, 0.0))
    moved = (noisy - plain)[0, 0]
    assert bool((moved[:, [1, 3]] == 0).all()) and bool((moved[:, [0, 2]] != 0).all())


def test_flipping_with_linear_imputation_of_a_ramp_changes_little() -> None:
    # Along a ramp the mean of the neighbours is the value itself, but for the ends.
    ramp = torch.linspace(0, 1, 20, dtype=torch.float64).expand(1, 1, 20)
    model = nn.Sequential(nn.Flatten(), linear(torch.ones(1, 20)))
    given = torch.zeros(1, 1, 20)
    given[..., 5:9] = 1
    case = Case(GivenRelevance(model, relevance=given), ramp, 0)
    found = PixelFlipping(patch=1, until=0.2, fill=LinearImputation(noise=0)).score(case)
    assert found.curve is not None
    torch.testing.assert_close(found.curve.y, torch.full((1, 5), 10.0, dtype=torch.float64))


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
def test_linear_imputation_does_not_depend_on_blocks(batch_size: Any) -> None:
    metric = PixelFlipping(fill="linear", patch=2, steps=4)
    whole = metric.score(Case(InputTimesGradient(shared_cnn()), images(), 1, engine=Engine(None)))
    found = metric.score(Case(InputTimesGradient(shared_cnn()), images(), 1, engine=Engine(batch_size)))
    torch.testing.assert_close(found.values, whole.values, rtol=1e-4, atol=1e-6)


REFUSED: list[tuple[type[Metric], dict[str, Any], str]] = [
    (PixelFlipping, {"order": "random"}, "order='random'"),
    (PixelFlipping, {"patch": 0}, "patch=0"),
    (PixelFlipping, {"patch": (2, 0)}, r"patch=\(2, 0\)"),
    (PixelFlipping, {"patch": {"x": -1}}, r"patch\['x'\]=-1"),
    (PixelFlipping, {"fill": "meen"}, "mean.*'linear'"),
    (PixelFlipping, {"steps": 0}, "steps=0"),
    (PixelFlipping, {"until": 1.5}, "until=1.5"),
    (PixelFlipping, {"quantity": "logit"}, "quantity='logit'"),
    (PixelFlipping, {"recompute": 1}, "recompute=1"),
    (PixelFlipping, {"draws": 0}, "draws=0"),
    (RegionPerturbation, {"regions": 0}, "regions=0"),
    (RegionPerturbation, {"order": "both"}, "order='both'"),
    (Selectivity, {"patch": "4"}, "patch='4'"),
    (Deletion, {"steps": -1}, "steps=-1"),
    (Insertion, {"fill": None}, "fill=None"),
    (SensitivityN, {"n": 0}, "n=0"),
    (SensitivityN, {"n": []}, r"n=\[\]"),
    (SensitivityN, {"subsets": 1}, "subsets=1"),
    (FaithfulnessCorrelation, {"size": 1.0}, "size=1"),
    (FaithfulnessCorrelation, {"seed": -1}, "seed=-1"),
    (Infidelity, {"perturbation": "circle"}, "perturbation='circle'"),
    (Infidelity, {"perturbation": "gaussian"}, "relevance='slope'"),
    (Infidelity, {"size": 0}, "size=0"),
    (Infidelity, {"noise": 0}, "noise=0"),
    (Sufficiency, {"shares": [0.1, 0.0]}, "shares=0.0"),
    (Sufficiency, {"shares": ()}, r"shares=\(\)"),
    (LinearImputation, {"noise": -1}, "noise=-1"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("metric", "parameters", "message"), REFUSED, ids=lambda each: str(each)[:40])
def test_bad_parameters_are_refused_when_a_metric_is_made(
    metric: type[Metric], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        metric(**parameters)


def scored(metric: Metric, x: Tensor, features: int = 12) -> Scores:
    return metric.score(Case(InputTimesGradient(nn.Sequential(nn.Flatten(), linear(torch.ones(2, features)))), x, 0))


def test_what_does_not_fit_the_inputs_is_refused() -> None:
    table, image = torch.ones(2, 12, dtype=torch.float64), torch.ones(2, 3, 2, 2, dtype=torch.float64)
    with pytest.raises(ParameterError, match=r"patch=\(2, 2\) does not fit.*\(12,\)"):
        scored(PixelFlipping(patch=(2, 2)), table)
    with pytest.raises(InputError, match="no positions"):
        scored(PixelFlipping(fill="mean"), table)
    with pytest.raises(InputError, match="cannot be blurred"):
        scored(Insertion(), table)
    with pytest.raises(InputError, match="fill='linear' needs.*positions"):
        scored(PixelFlipping(fill="linear"), table)
    with pytest.raises(InputError, match="leave the channels out"):
        scored(PixelFlipping(fill="linear", patch=(1, 1, 1)), image)
    with pytest.raises(ParameterError, match="n=12: there are 12 features"):
        scored(SensitivityN(n=12), table)
    with pytest.raises(ParameterError, match="one patch of all inputs"):
        scored(FaithfulnessCorrelation(patch=12), table)
    with pytest.raises(ParameterError, match="several classes"):
        Deletion().score(Case(InputTimesGradient(linear(torch.ones(1, 12))), table, 0))


class Root(nn.Module):
    """NaN where the entries sum to less than nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True).sqrt()


@pytest.mark.parametrize(
    "metric",
    [
        PixelFlipping(),
        SensitivityN(n=1),
        FaithfulnessCorrelation(),
        Infidelity(),
        Deletion(quantity="output"),
    ],
    ids=repr,
)
def test_an_output_that_is_not_finite_leaves_its_sample_undefined(metric: Metric) -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [-3.0, 1.0, 4.0]])  # without the third entry the second sums to -2
    found = metric.score(Case(GivenRelevance(Root(), relevance=torch.tensor([[1.0, 2.0, 3.0]] * 2)), x, 0))
    assert found.values.isnan().tolist() == [False, True]
    assert found.notes == ["undefined where the model's output is not finite"]


def test_a_new_heatmap_that_is_not_finite_leaves_its_sample_undefined() -> None:
    class Inverse(InputTimesGradient):
        def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
            return relevance / value

    x = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    case = Case(Inverse(linear([[1.0, 1.0, 1.0]])), x, 0)
    assert not PixelFlipping().score(case).undefined
    found = Selectivity().score(case)
    assert found.undefined == 1 and found.notes == ["undefined where relevance is not finite"]
