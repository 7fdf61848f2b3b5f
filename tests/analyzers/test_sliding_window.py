"""Inputs larger than what the model takes, explained window by window."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from oracles import assert_same, noise, shaken
from sklearn.base import clone
from torch import Tensor, nn

import xaicore
from xaicore import SlidingWindow, TranslationAverage
from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import InputError, ParameterError

X = noise(2, 2, 9, 11)
WINDOW = (5, 6)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """Takes images of 5 x 6 pixels and no others."""
    return shaken(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 3 * 4, 3)))


def scan(model: nn.Module, method: str = "lrp.epsilon", **params: Any) -> SlidingWindow:
    return SlidingWindow(xaicore.create_analyzer(method, model), **({"window": WINDOW} | params))


def windows(rows: list[int], columns: list[int]) -> list[tuple[slice, slice]]:
    return [(slice(row, row + 5), slice(column, column + 6)) for row, column in itertools.product(rows, columns)]


@pytest.mark.parametrize("method", ["lrp.epsilon", "lrp.alpha_2_beta_1", "gradients.saliency"])
@pytest.mark.parametrize(
    ("stride", "rows", "columns"), [(None, [0, 4], [0, 5]), (2, [0, 2, 4], [0, 2, 4, 5]), ((4, 3), [0, 4], [0, 3, 5])]
)
def test_it_is_the_sum_of_the_explanations_of_the_windows(
    model: nn.Module, method: str, stride: Any, rows: list[int], columns: list[int]
) -> None:
    expected, scores, outputs = torch.zeros_like(X), torch.zeros(2).double(), torch.zeros(2, 3).double()
    for window in windows(rows, columns):
        part = xaicore.explain(model, X[:, :, *window], method=method, target=[1, 2])
        expected[:, :, *window] += part.relevance
        scores += part.diagnostics.explained
        outputs += part.prediction
    found = scan(model, method, stride=stride).analyze(X, [1, 2])
    assert_same(found.relevance, expected)
    assert_same(found.diagnostics.explained, scores)
    assert_same(found.diagnostics.relevance_sum, expected.flatten(1).sum(1))
    assert_same(found.prediction, outputs)
    assert found.target["labels"] == ["1", "2"]


def test_the_gap_is_that_of_the_summed_score(model: nn.Module) -> None:
    checks = scan(model, "lrp.epsilon", stride=2).analyze(X, 1).diagnostics
    assert checks.conservation_gap is not None
    expected = (checks.explained - checks.relevance_sum).abs() / checks.explained.abs()
    assert_same(checks.conservation_gap, expected)
    assert scan(model, "gradients.saliency").analyze(X, 1).diagnostics.conservation_gap is None


@pytest.mark.parametrize("batch_size", [1, 3, 4, 100])
def test_the_numbers_do_not_depend_on_the_batch_size(model: nn.Module, batch_size: int) -> None:
    whole, parts = scan(model, stride=2).analyze(X), scan(model, stride=2).analyze(X, batch_size=batch_size)
    assert_same(parts.relevance, whole.relevance)  # type: ignore[arg-type]
    assert_same(parts.prediction, whole.prediction)
    assert parts.target["labels"] == whole.target["labels"]


class Watching(PropagationAnalyzer):
    """Remembers the sizes of the batches that it was given."""

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
        vars(self).setdefault("batches", []).append(len(inputs))
        return super().analyze(inputs, target, **options)


def test_no_more_windows_are_run_at_once_than_the_batch_size(model: nn.Module) -> None:
    watching = Watching(model)
    SlidingWindow(watching, window=WINDOW).analyze(X, 1, batch_size=3)
    batches = vars(watching)["batches"]
    assert max(batches) <= 3 and sum(batches) == 8 and len(batches) < 8


def test_without_a_target_one_class_a_sample_is_explained_whose_scores_sum_to_most(model: nn.Module) -> None:
    outputs = torch.stack([model(X[:, :, *window]) for window in windows([0, 4], [0, 5])]).detach()
    best = outputs.sum(0).argmax(1)
    assert bool((outputs.argmax(2) != best).any())  # so that it matters
    found = scan(model).analyze(X)
    assert found.target["index"] == best.tolist() and found.target["kind"] == "class"
    assert_same(found.relevance, scan(model).analyze(X, best).relevance)  # type: ignore[arg-type]
    assert_same(scan(model).predict(X, batch_size=3), outputs.sum(0))


def test_each_window_may_be_explained_for_its_own_class(model: nn.Module) -> None:
    expected = torch.zeros_like(X)
    for window in windows([0, 4], [0, 5]):
        expected[:, :, *window] += xaicore.explain(model, X[:, :, *window], method="lrp.epsilon").relevance
    found = scan(model, predicted="window").analyze(X, batch_size=3)
    assert_same(found.relevance, expected)
    assert found.target["labels"] == ["each window's own"] * 2
    given = scan(model, predicted="window").analyze(X, 1)
    assert given.target["labels"] == ["1", "1"]


def test_an_input_of_the_size_of_a_window_is_explained_as_it_is(model: nn.Module) -> None:
    x = X[:, :, :5, :6]
    assert_same(scan(model).analyze(x).relevance, xaicore.explain(model, x, method="lrp.epsilon").relevance)  # type: ignore


def test_series_and_volumes_have_windows_too() -> None:
    series = shaken(nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4, 2)))
    x = noise(2, 3, 10)
    expected = torch.zeros_like(x)
    for start in (0, 3, 4):
        part = xaicore.explain(series, x[:, :, start : start + 6], method="lrp.epsilon", target=1)
        expected[:, :, start : start + 6] += part.relevance
    assert_same(scan(series, window=6, stride=3).analyze(x, 1).relevance, expected)
    volume = shaken(nn.Sequential(nn.Flatten(), nn.Linear(8, 2)))
    x = noise(1, 1, 2, 3, 4)
    found = scan(volume, "gradients.saliency", window=2).analyze(x, 1).relevance
    assert isinstance(found, Tensor)
    kernel = volume[1].weight[1].detach().view(1, 1, 2, 2, 2)  # type: ignore[index,union-attr,operator]
    expected = torch.zeros_like(x)
    for row, column in itertools.product((0, 1), (0, 2)):
        expected[:, :, :, row : row + 2, column : column + 2] += kernel
    assert_same(found, expected)


def test_half_precision_is_summed_in_single(model: nn.Module) -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)).half()
    with torch.no_grad():
        linear[1].weight.fill_(0.0005)
    x = torch.ones(1, 1, 4, 600, dtype=torch.float16)
    found = scan(linear, "gradients.input_x_gradient", window=(4, 1)).analyze(x)
    assert found.relevance.dtype is torch.float16  # type: ignore[union-attr]
    assert float(found.prediction) == pytest.approx(600 * 0.002, rel=1e-3)


def test_windows_of_translations_and_translations_of_windows(model: nn.Module) -> None:
    plain = xaicore.create_analyzer("lrp.epsilon", model)
    outer = TranslationAverage(SlidingWindow(plain, window=WINDOW, stride=4), shifts=(0, 1))
    columns = [torch.arange(11).sub(shift).clamp(0, 10) for shift in (-1, 0, 1)]
    expected = torch.zeros_like(X)
    for where in columns:
        copy = SlidingWindow(plain, window=WINDOW, stride=4).analyze(X[..., where], 1).relevance
        expected.index_add_(3, where, copy / 3)  # type: ignore[operator]
    found = outer.analyze(X, 1, batch_size=5)
    assert_same(found.relevance, expected)
    assert found.method == "translation_average(sliding_window(lrp.epsilon))"
    assert found.parameters["analyzer__window"] == [5, 6] and found.parameters["analyzer__analyzer__epsilon"] == 1e-6
    assert (
        outer.analyze(X).target["labels"] == SlidingWindow(plain, window=WINDOW, stride=4).analyze(X).target["labels"]
    )

    inner = SlidingWindow(TranslationAverage(plain, shifts=(0, 1)), window=WINDOW)
    expected = torch.zeros_like(X)
    for window in windows([0, 4], [0, 5]):
        part = TranslationAverage(plain, shifts=(0, 1)).analyze(X[:, :, *window], 1).relevance
        expected[:, :, *window] += part
    assert_same(inner.analyze(X, 1).relevance, expected)
    assert clone(inner).get_params()["analyzer__analyzer__epsilon"] == 1e-6


def test_the_explanation_is_saved_with_all_parameters(model: nn.Module, tmp_path: Any) -> None:
    found = scan(model, stride=2).analyze(X)
    loaded = xaicore.load_explanation(found.save(tmp_path / "found.safetensors"))
    assert loaded.method == "sliding_window(lrp.epsilon)"
    assert loaded.parameters["window"] == [5, 6] and loaded.parameters["stride"] == 2
    assert loaded.parameters["analyzer__epsilon"] == 1e-6
    assert_same(loaded.inputs, X)


def test_the_ledger_is_the_sum_of_the_windows_ledgers(model: nn.Module) -> None:
    found = scan(model).analyze(X, 1, ledger=True, batch_size=3)
    assert found.diagnostics.ledger is not None
    assert found.diagnostics.ledger[0]["relevance_in"] == pytest.approx(float(found.diagnostics.explained.sum()))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"window": 0}, "window=0"),
        ({"window": "224"}, "window='224'"),
        ({"stride": 0}, "stride=0"),
        ({"predicted": "imgae"}, "Did you mean 'image'"),
    ],
)
def test_parameters_out_of_range_are_refused(model: nn.Module, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        scan(model, **params)


@pytest.mark.parametrize(
    ("params", "inputs", "options", "message"),
    [
        ({}, X[:, :, :4], {}, r"less than a window of \(5, 6\)"),
        ({"stride": 6}, X, {}, "leaves gaps"),
        ({"window": (5, 6, 7)}, X, {}, "has 3 entries"),
        ({"stride": (1, 2, 3)}, X, {}, "has 3 entries"),
        ({}, X, {"layer": "0"}, "layer= is not possible"),
        ({}, (X, X), {}, "2 were given"),
        ({}, X.flatten(1), {}, "at least one dimension behind the channels"),
    ],
)
def test_what_has_no_windows_is_refused(
    model: nn.Module, params: dict[str, Any], inputs: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, ParameterError), match=message):
        scan(model, **params).analyze(inputs, 1, **options)
