"""Occlusion against analytic cases and against loops that cover one window after the other."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_perturbation import Occlusion
from xai_perturbation.windows import Windows
from xaicore import Contrast, Engine, create_analyzer
from xaicore.analyzers.baselines import Data, UniformNoise
from xaicore.errors import InputError, ParameterError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(channels: int = 2) -> nn.Module:
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip
    model(torch.zeros(1, channels, 9, 8))
    return model.double().eval()


def images(batch: int = 3, channels: int = 2) -> Tensor:
    return torch.randn(batch, channels, 9, 8, generator=seeded(2), dtype=torch.float64)


def slow(
    score: Callable[[Tensor], float], x: Tensor, window: tuple[int, ...], stride: tuple[int, ...], fill: Tensor
) -> Tensor:
    """Cover one window after the other in one sample (...): written from the definition."""
    total, covered = torch.zeros_like(x), torch.zeros_like(x)
    ranges = []
    for size, step, length in zip(window, stride, x.shape, strict=True):
        starts = [0]
        while starts[-1] + size < length:
            starts.append(starts[-1] + step)
        ranges.append(starts)
    for corner in itertools.product(*ranges):
        box = tuple(slice(start, start + size) for start, size in zip(corner, window, strict=True))
        changed = x.clone()
        changed[box] = fill[box]
        total[box] += score(x) - score(changed)
        covered[box] += 1
    assert bool((covered > 0).all())
    return total / covered


@pytest.mark.parametrize("with_array", [False, True])
def test_the_published_toy_case(with_array: bool) -> None:
    def f(x: Any) -> Any:
        above = (x[:, 0] - 1).clip(min=0) - x[:, 1].clip(min=0)
        return above.clip(min=0)

    x = np.array([[3.0, 1.0]]) if with_array else torch.tensor([[3.0, 1.0]])
    assert Occlusion(f).analyze(x).relevance.tolist() == [[1.0, -1.0]]


def test_a_linear_model_loses_weight_times_difference_to_the_fill() -> None:
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    x = torch.randn(5, 4, generator=seeded(), dtype=torch.float64)
    found = Occlusion(lambda x: x @ weights + 7, fill=0.5).analyze(x).relevance
    torch.testing.assert_close(found, (x - 0.5) * weights)


@pytest.mark.parametrize(
    ("window", "stride", "full_window", "full_stride"),
    [
        (3, 2, (2, 3, 3), (2, 2, 2)),
        ((2, 4), (2, 3), (2, 2, 4), (2, 2, 3)),
        ((1, 3, 3), 3, (1, 3, 3), (1, 3, 3)),
        ((1, 4, 3), (1, 3, 2), (1, 4, 3), (1, 3, 2)),
        (5, None, (2, 5, 5), (2, 3, 3)),
        (100, None, (2, 9, 8), (2, 9, 8)),
        (None, None, (2, 2, 1), (2, 1, 1)),
        (None, 1, (2, 2, 1), (2, 1, 1)),
    ],
)
def test_windows_of_any_size_and_stride_agree_with_a_loop(
    window: Any, stride: Any, full_window: tuple[int, ...], full_stride: tuple[int, ...]
) -> None:
    model, x = network(), images()
    fill = torch.full_like(x[0], 0.25)
    found = Occlusion(model, window=window, stride=stride, fill=0.25).analyze(x, target=1).relevance
    for sample in range(len(x)):
        expected = slow(lambda each: float(model(each[None])[0, 1].detach()), x[sample], full_window, full_stride, fill)
        torch.testing.assert_close(found[sample], expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 11), (2, 5, 4, 6), (7,)])
def test_series_volumes_and_tables_agree_with_a_loop(shape: tuple[int, ...]) -> None:
    weights = torch.randn(shape, generator=seeded(3), dtype=torch.float64)
    x = torch.randn(2, *shape, generator=seeded(4), dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        return torch.tanh((x * weights).flatten(1)).sum(1)

    found = Occlusion(f, window=3, stride=2).analyze(x).relevance
    full = (3,) if len(shape) == 1 else (shape[0], *[3] * (len(shape) - 1))
    step = (2,) if len(shape) == 1 else (shape[0], *[2] * (len(shape) - 1))
    for sample in range(2):
        expected = slow(lambda each: float(f(each[None])), x[sample], full, step, torch.zeros_like(x[0]))
        torch.testing.assert_close(found[sample], expected)


@pytest.mark.parametrize("inside", [False, True])
def test_the_mask_of_a_window_is_its_slices(inside: bool) -> None:
    windows = Windows.sliding((2, 3, 4), (1, 2, 3), "x", (3, 6, 7), inside=inside)
    masks = windows.masks(torch.arange(windows.count)).expand(-1, 3, 6, 7)
    for number in range(windows.count):
        expected = torch.zeros(3, 6, 7, dtype=torch.bool)
        expected[windows.slices(number)] = True
        assert torch.equal(masks[number], expected)
        assert not inside or int(expected.sum()) == 24


def test_superpixels_and_labels_lose_their_group() -> None:
    model, x = network(), images()
    labels = torch.zeros(9, 8, dtype=torch.long)
    labels[4:], labels[:, 5:] = 1, 2
    found = Occlusion(model, features=labels).analyze(x, target=0).relevance
    before = model(x)[:, 0]
    for label in range(3):
        lost = before - model(x * (labels != label))[:, 0]
        expected = lost.detach()[:, None, None, None].expand_as(x)
        torch.testing.assert_close(found[:, :, labels == label], expected[:, :, labels == label])


def test_superpixels_of_a_sample_do_not_depend_on_its_batch() -> None:
    model, x = network(3), images(3, 3)
    analyzer = Occlusion(model, features="slic")
    together = analyzer.analyze(x, target=0).relevance
    for sample in range(3):
        alone = analyzer.analyze(x[sample : sample + 1], target=0).relevance
        torch.testing.assert_close(together[sample : sample + 1], alone)


@pytest.mark.parametrize("fill", [0.0, [1.0, -1.0], "mean", "low", "blur"])
def test_any_fill_covers(fill: Any) -> None:
    x = images()
    values: dict[Any, Callable[[], Tensor]] = {
        0.0: lambda: torch.zeros_like(x),
        "mean": lambda: x.mean((2, 3), keepdim=True).expand_as(x),
        "low": lambda: x.amin((2, 3), keepdim=True).expand_as(x),
    }
    found = Occlusion(lambda x: x.flatten(1).sum(1), window=(1, 1, 1), fill=fill).analyze(x).relevance
    if isinstance(fill, list):
        torch.testing.assert_close(found, x - torch.tensor(fill, dtype=torch.float64).view(1, 2, 1, 1))
    elif fill == "blur":
        assert float(found.std()) > 0 and not torch.allclose(found, x)
    else:
        torch.testing.assert_close(found, x - values[fill]())


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
def test_of_a_fill_with_variants_the_mean_is_taken(batch_size: Any) -> None:
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    data = torch.randn(4, 3, generator=seeded(1), dtype=torch.float64)
    x = torch.randn(5, 3, generator=seeded(), dtype=torch.float64)
    analyzer = Occlusion(lambda x: x @ weights, fill=Data(data))
    found = analyzer.analyze(x, batch_size=batch_size).relevance
    torch.testing.assert_close(found, (x - data.mean(0)) * weights)


def test_random_fills_are_the_same_for_the_same_seed_and_differ_for_others() -> None:
    model, x = network(), images()
    first, again, other = (
        Occlusion(model, window=4, fill=UniformNoise(seed=seed)).analyze(x, target=0).relevance for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other)


@pytest.mark.parametrize("batch_size", [1, 7, None, "auto"])
@pytest.mark.parametrize("features", [None, 4])
def test_results_do_not_depend_on_the_batch_size(batch_size: Any, features: Any) -> None:
    model, x = network(), images(33)
    analyzer = Occlusion(model, window=None if features else 5, features=features)
    found = analyzer.analyze(x, batch_size=batch_size).relevance
    torch.testing.assert_close(found, analyzer.analyze(x, batch_size=64).relevance, rtol=1e-10, atol=1e-12)


def test_samples_of_a_batch_of_33_are_explained_as_one_by_one() -> None:
    model, x = network(), images(33)
    targets = [number % 3 for number in range(33)]
    together = Occlusion(model, window=4).analyze(x, target=targets)
    for number in (0, 1, 31, 32):
        alone = Occlusion(model, window=4).analyze(x[number : number + 1], target=targets[number])
        torch.testing.assert_close(together.relevance[number : number + 1], alone.relevance)


def test_labels_of_each_sample_are_kept_apart_where_a_batch_is_explained_in_parts() -> None:
    x = torch.rand(40, 3, generator=seeded(), dtype=torch.float64)
    labels = torch.randint(0, 2, (40, 3), generator=seeded(1))
    found = Occlusion(lambda x: x.sum(1), features=labels).analyze(x, batch_size=7).relevance
    for sample in range(40):
        for column in range(3):
            group = labels[sample] == labels[sample, column]
            assert float(found[sample, column]) == pytest.approx(float(x[sample, group].sum()))


def test_fills_of_each_sample_are_kept_apart_where_a_batch_is_explained_in_parts() -> None:
    random = seeded()
    x, fill = (torch.rand(70, 3, generator=random, dtype=torch.float64) for _ in range(2))
    found = Occlusion(lambda x: x.sum(1), fill=fill).analyze(x).relevance
    torch.testing.assert_close(found, x - fill)


def test_a_contrast_is_covered() -> None:
    model, x = network(), images()
    found = Occlusion(model, window=3).analyze(x, target=Contrast(0, 2)).relevance
    parts = [Occlusion(model, window=3).analyze(x, target=target).relevance for target in (0, 2)]
    torch.testing.assert_close(found, parts[0] - parts[1])


def test_an_inner_layer_is_covered_in_its_own_values() -> None:
    model, x = network(), images()
    found = Occlusion(model, window=(1, 2, 2), stride=2, fill=0.1).analyze(x, target=1, layer="2").relevance
    inner = model[:3](x).detach()
    tail = model[3:]
    for sample in range(len(x)):
        expected = slow(
            lambda each: float(tail(each[None])[0, 1].detach()), inner[sample], (1, 2, 2), (1, 2, 2),
            torch.full_like(inner[0], 0.1),
        )  # fmt: skip
        torch.testing.assert_close(found[sample], expected)


def test_a_classifier_of_scikit_learn_is_explained_without_a_warning() -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    x = random.normal(size=(60, 4))
    model = LogisticRegression().fit(x, (x[:, 0] - x[:, 2] > 0).astype(int))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explanation = Occlusion(model.predict_proba).analyze(x[:5], target=1)
    expected = np.empty((5, 4))
    for column in range(4):
        covered = x[:5].copy()
        covered[:, column] = 0
        expected[:, column] = model.predict_proba(x[:5])[:, 1] - model.predict_proba(covered)[:, 1]
    np.testing.assert_allclose(explanation.relevance.numpy(), expected, atol=1e-12)


class Frame:
    """What a data frame is taken to be: an array with columns and `iloc`."""

    def __init__(self, values: Any, columns: list[str]) -> None:
        self.values, self.columns, self.iloc = np.asarray(values), columns, None

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype=dtype)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, column: str) -> Any:
        return self.values[:, self.columns.index(column)]


def test_a_data_frame_keeps_its_columns() -> None:
    x = Frame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "b"])
    found = Occlusion(lambda frame: 2 * frame["a"] - frame["b"]).analyze(x).relevance
    assert found.tolist() == [[2.0, -2.0], [6.0, -4.0]]


def test_several_inputs_are_covered_one_after_the_other() -> None:
    x = torch.randn(2, 1, 4, 4, generator=seeded(), dtype=torch.float64)
    table = torch.randn(2, 3, generator=seeded(1), dtype=torch.float64)

    def f(image: Tensor, table: Tensor) -> Tensor:
        return image.flatten(1).sum(1) * table[:, 0] + table[:, 1]

    found = Occlusion(f, window={"input_0": 2, "input_1": 1}, stride={"input_0": 2}).analyze((x, table)).relevance
    sums = x.view(2, 1, 2, 2, 2, 2).sum((3, 5)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(found["input_0"], sums * table[:, :1, None, None])
    expected = torch.stack([x.flatten(1).sum(1) * table[:, 0], table[:, 1], torch.zeros(2)], 1)
    torch.testing.assert_close(found["input_1"], expected)
    only = Occlusion(f, window={"input_1": 1}).analyze((x, table)).relevance
    assert not only["input_0"].any()
    torch.testing.assert_close(only["input_1"], expected)


def test_inputs_by_keyword_keep_their_names() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (a * b).sum(1)

    a, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, -1.0]])
    found = Occlusion(Two(), features={"b": None}).analyze({"a": a, "b": b}).relevance
    assert found["b"].tolist() == [[3.0, -2.0]] and found["a"].tolist() == [[0.0, 0.0]]


def test_tokens_are_replaced_by_the_token_that_is_given() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(12, 4), nn.Flatten(), nn.Linear(20, 3)).double().eval()
    tokens = torch.randint(12, (3, 5), generator=seeded())
    found = Occlusion(model, fill=11).analyze(tokens, target=2).relevance
    assert found.is_floating_point() and found.shape == (3, 5)
    for place in range(5):
        masked = tokens.clone()
        masked[:, place] = 11
        torch.testing.assert_close(found[:, place], (model(tokens) - model(masked))[:, 2].detach().to(found.dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_relevance_has_the_type_of_the_input(dtype: torch.dtype) -> None:
    model, x = network().to(dtype), images().to(dtype)
    found = Occlusion(model, window=4).analyze(x, target=0).relevance
    exact = Occlusion(network(), window=4).analyze(images(), target=0).relevance
    assert found.dtype == dtype
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.05}[dtype]
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)


def test_the_model_runs_once_for_each_window_and_the_input() -> None:
    rows = []

    def f(x: Tensor) -> Tensor:
        rows.append(len(x))
        return x.flatten(1).sum(1)

    engine = Engine(batch_size=10)
    Occlusion(f, window=3, stride=3).analyze(torch.rand(1, 1, 9, 9), engine=engine)
    assert sum(rows) == 1 + 9 and engine.report.rows == 9


def test_memory_for_masks_does_not_grow_with_the_number_of_windows() -> None:
    sizes = []

    def f(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.flatten(1).sum(1)

    Occlusion(f, window=2, stride=1).analyze(torch.rand(2, 1, 20, 20), batch_size=16)
    assert max(sizes) <= 16


def test_the_method_has_its_name() -> None:
    analyzer = create_analyzer("perturbation.occlusion", network(), window=3)
    assert isinstance(analyzer, Occlusion) and analyzer.method == "perturbation.occlusion"
    assert isinstance(create_analyzer("feature_ablation", network()), Occlusion)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"window": 0}, "window=0 must be a positive integer"),
        ({"window": {}}, "names no input"),
        ({"window": (2, -1)}, "window="),
        ({"stride": 1.5}, "stride=1.5"),
        ({"fill": "black"}, "fill='black'"),
        ({"features": "quick"}, "features='quick'"),
        ({"window": 2, "features": 3}, "not both"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        Occlusion(network(), **parameters)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"window": 2, "stride": 3}, "stride=3 is larger than the window of 2"),
        ({"window": (1, 2, 3, 4)}, "a tuple of 2, or of 3 with the channels"),
        ({"window": {"x": 2}}, "no input 'x'; there are 'input'"),
        ({"stride": {"inputs": 2}}, "no input 'inputs'.*Did you mean 'input'"),
    ],
)
def test_windows_that_do_not_fit_the_inputs_are_refused(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises((ParameterError, InputError), match=named):
        Occlusion(network(), **parameters).analyze(images())


def test_after_ctrl_c_the_samples_that_were_finished_are_returned() -> None:
    calls = []
    x = torch.rand(4, 50, generator=seeded(), dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        calls.append(len(x))
        if sum(calls) > 130:  # of four samples with 50 windows each, and the samples themselves
            raise KeyboardInterrupt
        return x.sum(1)

    explanation = Occlusion(f, window=1).analyze(x, batch_size=1)
    torch.testing.assert_close(explanation.relevance, x[:2])


@pytest.mark.parametrize("limit", ["3 KB", "20 KB"])
def test_little_memory_makes_smaller_blocks_with_the_same_values(limit: str) -> None:
    x = images(3)
    engine = Engine(memory_limit=limit)
    score = lambda x: x.flatten(1).square().sum(1)  # noqa: E731
    found = Occlusion(score, window=3).analyze(x, engine=engine).relevance
    torch.testing.assert_close(found, Occlusion(score, window=3).analyze(x).relevance)
    assert max(engine.report.batches) < 3
