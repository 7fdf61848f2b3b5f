"""The relevant pattern: what is left of an input where only its most relevant positions are kept."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, noise
from PIL import Image
from torch import Tensor

from xaicore import Diagnostics, Explanation
from xaicore.errors import InputError, ParameterError
from xaicore.visualization import plot_pattern


def explanation(relevance: Any, inputs: Any = None, **fields: Any) -> Explanation:
    tensors = list(relevance.values()) if isinstance(relevance, dict) else [relevance]
    samples = len(tensors[0])
    values = torch.ones(samples)
    target = {"kind": "class", "labels": ["0"] * samples, "index": [0] * samples, "values": values}
    checks = Diagnostics.measure(relevance, values, conserving=False)
    return Explanation(relevance, torch.ones(samples, 2), target, checks, "lrp.epsilon", inputs=inputs, **fields)


def image(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows)[None, None]


def kept(rows: list[list[float]], *arguments: Any, **options: Any) -> list[list[float]]:
    relevance = image(rows)
    pattern = explanation(relevance, torch.ones_like(relevance)).relevant_pattern(*arguments, **options)
    assert isinstance(pattern, Tensor)
    found: list[list[float]] = pattern[0, 0].tolist()
    return found


ROWS = [[4.0, 3.0, 2.0], [1.0, -5.0, 0.0]]  # 10 positive in all


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (0.4, [[1, 0, 0], [0, 0, 0]]),
        (0.41, [[1, 1, 0], [0, 0, 0]]),
        (0.7, [[1, 1, 0], [0, 0, 0]]),
        (0.9, [[1, 1, 1], [0, 0, 0]]),
        (1.0, [[1, 1, 1], [1, 0, 0]]),
    ],
)
def test_the_smallest_set_that_carries_the_share_is_kept(keep: float, expected: Any) -> None:
    assert kept(ROWS, keep) == expected


@pytest.mark.parametrize(
    ("quantile", "expected"),
    [(0.8, [[1, 1, 0], [0, 0, 0]]), (0.5, [[1, 1, 1], [0, 0, 0]]), (0.0, [[1, 1, 1], [1, 0, 0]])],
)
def test_or_what_reaches_a_quantile(quantile: float, expected: Any) -> None:
    assert kept(ROWS, quantile=quantile) == expected


def test_of_equals_all_are_kept() -> None:
    assert kept([[2.0, 1.0], [1.0, 1.0]], 0.5) == [[1, 1], [1, 1]]
    assert kept([[2.0, 1.0], [1.0, 0.5]], 0.6) == [[1, 1], [1, 0]]
    assert kept([[1.0, 1.0], [1.0, 0.0]], quantile=0.75) == [[1, 1], [1, 0]]


def test_thirds_of_the_relevance_are_not_lost_to_rounding() -> None:
    assert kept([[0.1, 0.1 - 1e-5], [0.1 - 2e-5, -1.0]], 2 / 3) == [[1, 1], [0, 0]]


@pytest.mark.parametrize("options", [{}, {"keep": 1.0}, {"quantile": 0.0}])
def test_without_positive_relevance_nothing_is_kept(options: Any) -> None:
    assert kept([[0.0, 0.0], [0.0, 0.0]], **options) == [[0, 0], [0, 0]]
    assert kept([[-1.0, -2.0], [0.0, -3.0]], **options) == [[0, 0], [0, 0]]


def test_channels_of_a_pixel_stay_together_and_samples_are_apart() -> None:
    relevance = torch.zeros(2, 2, 1, 3)
    relevance[0, :, 0, 0] = torch.tensor([5.0, -1.0])
    relevance[0, :, 0, 1] = torch.tensor([5.0, -5.0])
    relevance[1, 1, 0, 2] = 0.001
    x = noise(2, 2, 1, 3)
    pattern = explanation(relevance, x).relevant_pattern(1.0, fill=7.0)
    expected = torch.full_like(x, 7.0)
    expected[0, :, 0, 0], expected[1, :, 0, 2] = x[0, :, 0, 0], x[1, :, 0, 2]
    assert_same(pattern, expected)


def test_blurring_lets_neighbours_of_relevant_pixels_stay() -> None:
    rows = [[0.0] * 9 for _ in range(9)]
    rows[4][4] = 1.0
    pattern = torch.tensor(kept(rows, 0.5, blur=1.0))
    assert pattern[4, 4] == 1 and pattern[4, 3] == 1 and pattern[3, 4] == 1 and pattern[0, 0] == 0
    assert torch.equal(pattern, pattern.flip(0)) and torch.equal(pattern, pattern.T)
    assert torch.tensor(kept(rows, 0.5)).sum() == 1


def test_a_blur_keeps_constants_and_is_a_gaussian() -> None:
    from xaicore.explanation.patterns import blurred

    assert_same(blurred(torch.full((1, 1, 4, 5), 3.0).double(), 2.0), torch.full((1, 1, 4, 5), 3.0).double(), 1e-6)
    line = torch.zeros(1, 1, 41).double()
    line[0, 0, 20] = 1
    found = blurred(line, 2.0)[0, 0]
    spread = (found * (torch.arange(41) - 20.0) ** 2).sum().sqrt()
    assert float(found.sum()) == pytest.approx(1) and float(spread) == pytest.approx(2.0, rel=0.02)


def test_what_is_not_kept_is_filled() -> None:
    relevance, x = torch.zeros(1, 2, 2, 2), noise(1, 2, 2, 2)
    relevance[0, 0, 0, 0] = 1
    found = explanation(relevance, x)
    gone = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    gone[..., 0, 0] = False
    fill = noise(2, 1, 1, seed=5)
    for given, expected in [
        (0.5, torch.full_like(x, 0.5)), (fill, fill.expand_as(x)), ("mean", x.mean((2, 3), keepdim=True).expand_as(x)),
    ]:  # fmt: skip
        assert_same(found.relevant_pattern(fill=given), torch.where(gone, expected, x))
    hazy = found.relevant_pattern(fill="blur")
    assert isinstance(hazy, Tensor)
    assert_same(hazy[~gone], x[~gone])
    assert float(hazy[gone].std()) < float(x[gone].std())
    assert_same(found.inputs, x)  # is left as it was


def test_tables_series_and_tokens_have_patterns() -> None:
    table = explanation(torch.tensor([[1.0, 5.0, -2.0]]), torch.tensor([[7.0, 8.0, 9.0]]))
    assert_same(table.relevant_pattern(0.8), torch.tensor([[0.0, 8.0, 0.0]]))
    series = explanation(torch.tensor([[[1.0, 5.0, 0.0], [3.0, -5.0, 0.0]]]), torch.ones(1, 2, 3))
    assert_same(series.relevant_pattern(0.8), torch.tensor([[[1.0, 0, 0], [1.0, 0, 0]]]))
    tokens = explanation(torch.tensor([[1.0, 5.0, -2.0]]), torch.tensor([[11, 12, 13]]))
    assert torch.equal(tokens.relevant_pattern(0.8, fill=103), torch.tensor([[103, 12, 103]]))  # type: ignore[arg-type]


def test_several_inputs_share_one_threshold_and_others_stay_as_they_are() -> None:
    relevance = {"image": torch.tensor([[[[6.0, 1.0]]]]), "table": torch.tensor([[3.0, -1.0]])}
    inputs = {"image": torch.ones(1, 1, 1, 2), "table": torch.ones(1, 2), "mask": torch.tensor([[True, False]])}
    found = explanation(relevance, inputs).relevant_pattern(0.9, fill={"table": 9.0})
    assert isinstance(found, dict)
    assert found["image"].flatten().tolist() == [1, 0]
    assert found["table"].tolist() == [[1, 9]]
    assert found["mask"].tolist() == [[True, False]]


def test_half_precision_is_ranked_and_the_type_of_the_input_is_kept() -> None:
    relevance = torch.full((1, 1, 100, 100), 0.01, dtype=torch.float16)
    relevance[..., :50, :] = 0.02
    pattern = explanation(relevance, torch.ones_like(relevance)).relevant_pattern(0.66)
    assert isinstance(pattern, Tensor)
    assert pattern.dtype is torch.float16 and int(pattern.sum()) == 5000


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"keep": 0.0}, "keep=0.0"),
        ({}, {"keep": 1.5}, "keep=1.5"),
        ({}, {"quantile": 1.0}, "quantile=1.0"),
        ({}, {"blur": -1.0}, "blur=-1.0"),
        ({}, {"fill": "men"}, "Did you mean 'mean'"),
        ({}, {"fill": torch.ones(3)}, r"fill= has shape \(3,\)"),
        ({"inputs": None}, {}, "give them as inputs="),
        ({"inputs": torch.ones(1, 1, 3, 2)}, {}, r"shape \(1, 1, 3, 2\), its relevance \(1, 1, 2, 2\)"),
        ({"relevance": torch.full((1, 1, 2, 2), float("nan"))}, {}, "NaN"),
        ({"layer": "conv"}, {}, "that of layer 'conv'"),
        ({"inputs": torch.ones(1, 1, 2, 2, dtype=torch.long)}, {"fill": "mean"}, "cannot be averaged"),
        ({"inputs": torch.ones(1, 1, 2, 2, dtype=torch.long)}, {"fill": 0.5}, "give an integer"),
        ({"relevance": torch.ones(1), "inputs": torch.ones(1)}, {}, "no positions"),
    ],
)
def test_what_tells_no_pattern_is_refused(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    fields = {"relevance": torch.ones(1, 1, 2, 2), "inputs": torch.ones(1, 1, 2, 2)} | change
    with pytest.raises((InputError, ParameterError), match=message):
        explanation(**fields).relevant_pattern(**options)


def test_a_figure_shows_images_beside_their_patterns(tmp_path: Any) -> None:
    found = explanation(noise(3, 3, 6, 6), torch.rand(3, 3, 6, 6))
    figure = plot_pattern(found, 0.5, fill="mean", mean=0.5, std=0.5, limit=2, labels=["cat", "dog"])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["explained: cat", "relevant pattern"] * 2
    figure.savefig(tmp_path / "pattern.png")
    with Image.open(tmp_path / "pattern.png") as picture:
        assert min(picture.size) > 100
    with pytest.raises(InputError, match="draws images"):
        plot_pattern(explanation(noise(3, 6), noise(3, 6)))
