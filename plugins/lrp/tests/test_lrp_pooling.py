"""Pooling: each treatment is what its definition says over windows listed one by one, and no relevance is lost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from one_layer import jacobian, noise, passed
from torch import Tensor

import xaicore

Windows = list[list[tuple[int, ...]]]  # for each output, in order, the positions of its inputs


def boxes(shape, outputs, kernel, stride=None, padding=0, dilation=1) -> Windows:
    """The windows of a sliding box over the last dimensions; each argument one number, or one a dimension."""
    dims = len(outputs)

    def each(value):
        return value if isinstance(value, tuple) else (value,) * dims

    options = zip(each(kernel), each(kernel if stride is None else stride), each(padding), each(dilation), strict=True)
    axes = []
    for size, count, (k, s, p, d) in zip(shape[-dims:], outputs, options, strict=True):
        starts = [o * s - p for o in range(count)]
        axes.append([[i for i in range(start, start + k * d, d) if 0 <= i < size] for start in starts])
    return in_front(shape[:-dims], axes)


def adaptive(shape, outputs) -> Windows:
    axes = [
        [list(range(math.floor(o * n / count), math.ceil((o + 1) * n / count))) for o in range(count)]
        for n, count in zip(shape[-len(outputs) :], outputs, strict=True)
    ]
    return in_front(shape[: -len(outputs)], axes)


def in_front(leading, axes) -> Windows:
    """One window for each leading position and each choice of an interval on every axis."""
    return [
        [(*front, *position) for position in itertools.product(*intervals)]
        for front in itertools.product(*map(range, leading))
        for intervals in itertools.product(*axes)
    ]


def over_dims(shape, dims) -> Windows:
    kept = [range(1) if dim in dims else range(size) for dim, size in enumerate(shape)]
    inner = [range(size) if dim in dims else range(1) for dim, size in enumerate(shape)]
    return [
        [tuple(map(sum, zip(base, offset, strict=True))) for offset in itertools.product(*inner)]
        for base in itertools.product(*kept)
    ]


MAX_POOLS: dict[str, tuple[Callable[[Tensor], Tensor], Windows, tuple[int, ...]]] = {
    "apart": (lambda x: F.max_pool2d(x, 2), boxes((2, 3, 4, 6), (2, 3), 2), (2, 3, 4, 6)),
    "overlapping": (lambda x: F.max_pool2d(x, 3, 1), boxes((2, 1, 5, 5), (3, 3), 3, 1), (2, 1, 5, 5)),
    "padded": (lambda x: F.max_pool2d(x, 3, 2, 1), boxes((2, 1, 7, 6), (4, 3), 3, 2, 1), (2, 1, 7, 6)),
    "dilated": (lambda x: F.max_pool2d(x, 2, 1, dilation=2), boxes((2, 1, 5, 5), (3, 3), 2, 1, 0, 2), (2, 1, 5, 5)),
    "dilated and padded": (
        lambda x: F.max_pool2d(x, 3, 2, 1, dilation=2), boxes((2, 1, 7, 8), (3, 3), 3, 2, 1, 2), (2, 1, 7, 8),
    ),
    "rounded up": (
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), boxes((2, 1, 6, 7), (3, 3), 3, 2), (2, 1, 6, 7),
    ),
    "with gaps": (lambda x: F.max_pool2d(x, 1, 2), boxes((2, 1, 4, 4), (2, 2), 1, 2), (2, 1, 4, 4)),
    "uneven": (
        lambda x: F.max_pool2d(x, (3, 2), (1, 2), (1, 0)), boxes((2, 1, 4, 6), (4, 3), (3, 2), (1, 2), (1, 0)),
        (2, 1, 4, 6),
    ),
    "1-d": (lambda x: F.max_pool1d(x, 3, 2, 1), boxes((2, 2, 7), (4,), 3, 2, 1), (2, 2, 7)),
    "3-d": (lambda x: F.max_pool3d(x, 2, 1), boxes((2, 1, 3, 3, 3), (2, 2, 2), 2, 1), (2, 1, 3, 3, 3)),
    "with indices": (
        lambda x: F.max_pool2d(x, 2, return_indices=True)[0], boxes((2, 1, 4, 4), (2, 2), 2), (2, 1, 4, 4),
    ),
    "adaptive": (lambda x: F.adaptive_max_pool2d(x, (3, 2)), adaptive((2, 2, 7, 5), (3, 2)), (2, 2, 7, 5)),
    "adaptive 1-d": (lambda x: F.adaptive_max_pool1d(x, 3), adaptive((2, 2, 8), (3,)), (2, 2, 8)),
    "amax": (lambda x: x.amax((2, 3)), over_dims((2, 3, 2, 4), (2, 3)), (2, 3, 2, 4)),
    "amax that keeps dimensions": (lambda x: x.amax(-1, keepdim=True), over_dims((2, 3, 4), (2,)), (2, 3, 4)),
    "max over a dimension": (lambda x: x.max(1)[0], over_dims((2, 3, 4), (1,)), (2, 3, 4)),
}  # fmt: skip


def winner(x: Tensor, window: list[tuple[int, ...]]) -> list[float]:
    values = [float(x[position]) for position in window]
    return [float(value == max(values)) for value in values]


def by_activation(x: Tensor, window: list[tuple[int, ...]]) -> list[float]:
    values = [max(float(x[position]), 0.0) for position in window]
    return [value / sum(values) for value in values] if sum(values) > 0 else winner(x, window)


def shared(x: Tensor, windows: Windows, r: Tensor, shares: Callable[..., list[float]]) -> Tensor:
    """Each window's relevance to its inputs."""
    relevance = torch.zeros_like(x)
    for window, amount in zip(windows, r.flatten().tolist(), strict=True):
        for position, share in zip(window, shares(x, window), strict=True):
            relevance[position] += share * amount
    return relevance


@pytest.mark.parametrize("treatment", ["winner", "proportional"])
@pytest.mark.parametrize("name", MAX_POOLS)
def test_max_pooling_shares_within_each_window(name: str, treatment: str) -> None:
    pool, windows, shape = MAX_POOLS[name]
    x = noise(*shape) - 0.8  # so that some windows have no positive entry
    result = passed(pool, x, structure={"max_pool": treatment})
    assert [max(float(x[place]) for place in window) for window in windows] == result.y.flatten().tolist()
    shares = winner if treatment == "winner" else by_activation
    expected = shared(x, windows, noise(*result.y.shape, seed=9), shares)
    torch.testing.assert_close(result.relevance, expected, rtol=1e-10, atol=1e-12)
    assert result.unaccounted == pytest.approx(0, abs=1e-10) and result.bias == result.stabilizer == 0


def test_the_cases_above_have_windows_with_and_without_positive_entries() -> None:
    pool, _, shape = MAX_POOLS["apart"]
    y = pool(noise(*shape) - 0.8)
    assert bool((y > 0).any()) and bool((y <= 0).any())


def test_the_winner_takes_all_unless_a_treatment_is_chosen() -> None:
    pool, _, shape = MAX_POOLS["padded"]
    chosen = passed(pool, noise(*shape), structure={"max_pool": "winner"})
    torch.testing.assert_close(passed(pool, noise(*shape)).relevance, chosen.relevance)


@pytest.mark.parametrize("treatment", ["winner", "proportional"])
@pytest.mark.parametrize("name", MAX_POOLS)
def test_ties_and_windows_of_zeros_lose_nothing(name: str, treatment: str) -> None:
    pool, windows, shape = MAX_POOLS[name]
    for value in (0.0, 2.0):
        x = torch.full(shape, value, dtype=torch.float64)
        result = passed(pool, x, structure={"max_pool": treatment})
        assert float(result.relevance.sum()) == pytest.approx(float(noise(*result.y.shape, seed=9).sum()))
        if value and treatment == "proportional":
            expected = shared(x, windows, noise(*result.y.shape, seed=9), by_activation)
            torch.testing.assert_close(result.relevance, expected)


AVERAGES: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "average": (lambda x: F.avg_pool2d(x, 3, 2, 1), (2, 2, 7, 6)),
    "average of what is there": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (2, 2, 7, 6)),
    "average, rounded up": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), (2, 2, 6, 6)),
    "average 1-d": (lambda x: F.avg_pool1d(x, 3, 1), (2, 2, 6)),
    "average 3-d": (lambda x: F.avg_pool3d(x, 2, 1), (2, 1, 3, 3, 3)),
    "sum pooling": (lambda x: F.avg_pool2d(x, 2, divisor_override=1), (2, 2, 4, 6)),
    "adaptive average": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), (2, 2, 7, 5)),
    "global mean": (lambda x: x.mean((2, 3)), (2, 3, 4, 4)),
    "global sum": (lambda x: x.sum(-1), (2, 3, 4)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_and_sums_share_in_proportion_to_contributions(name: str) -> None:
    pool, shape = AVERAGES[name]
    x = noise(*shape)
    result = passed(pool, x)
    r, y = noise(*result.y.shape, seed=9).flatten(), result.y.flatten()
    expected = (r / y) @ (jacobian(pool, x) * x.flatten())
    torch.testing.assert_close(result.relevance.flatten(), expected)
    assert result.unaccounted == pytest.approx(0, abs=1e-9) and result.bias == 0


LP_POOLS: dict[str, tuple[Callable[[Tensor], Tensor], float, Windows, tuple[int, ...]]] = {
    "square root of squares": (lambda x: F.lp_pool2d(x, 2, 3, 2), 2, boxes((2, 2, 7, 7), (3, 3), 3, 2), (2, 2, 7, 7)),
    "cubes, not square": (lambda x: F.lp_pool2d(x, 3, (2, 3)), 3, boxes((2, 1, 4, 6), (2, 2), (2, 3)), (2, 1, 4, 6)),
    "rounded up": (
        lambda x: F.lp_pool2d(x, 2, 3, 2, ceil_mode=True), 2, boxes((2, 1, 6, 6), (3, 3), 3, 2), (2, 1, 6, 6),
    ),
    "broken power": (lambda x: F.lp_pool1d(x, 1.5, 3, 1), 1.5, boxes((2, 2, 6), (4,), 3, 1), (2, 2, 6)),
    "3-d": (lambda x: F.lp_pool3d(x, 2, 2), 2, boxes((2, 1, 4, 4, 4), (2, 2, 2), 2), (2, 1, 4, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", LP_POOLS)
def test_lp_pooling_shares_in_proportion_to_powers(name: str) -> None:
    pool, power, windows, shape = LP_POOLS[name]
    x = noise(*shape) if power == 2 else noise(*shape).abs()

    def by_power(x: Tensor, window: list[tuple[int, ...]]) -> list[float]:
        values = [abs(float(x[position])) ** power for position in window]
        return [value / sum(values) for value in values]

    result = passed(pool, x)
    expected = shared(x, windows, noise(*result.y.shape, seed=9), by_power)
    torch.testing.assert_close(result.relevance, expected, rtol=1e-10, atol=1e-12)
    assert result.unaccounted == pytest.approx(0, abs=1e-10)


def test_the_relevance_of_a_window_of_zeros_in_lp_pooling_is_in_the_ledger() -> None:
    x = noise(2, 1, 4, 4).abs()
    x[:, :, :2, :2] = 0
    r = torch.ones(2, 1, 2, 2, dtype=torch.float64)
    result = passed(lambda x: F.lp_pool2d(x, 2, 2), x, r)
    assert result.stabilizer == pytest.approx(2.0) and result.unaccounted == pytest.approx(0, abs=1e-10)
    assert not result.relevance[:, :, :2, :2].any()


def test_a_soft_maximum_shares_by_softmax() -> None:
    x = noise(2, 3, 4)
    result = passed(lambda x: torch.logsumexp(x, 2), x)
    torch.testing.assert_close(result.relevance, x.softmax(2) * noise(2, 3, seed=9).unsqueeze(2))


def test_a_method_takes_the_treatment_and_its_books_balance() -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(2, 4, 3, padding=1)
            self.head = torch.nn.Linear(36, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.max_pool2d(self.conv(x).relu(), 3, 2).flatten(1))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Model().double()
    x, found = noise(2, 2, 7, 7), {}
    for treatment in ("winner", "proportional"):
        result = xaicore.explain(
            model, x, method="lrp.epsilon_plus", target=1, ledger=True, structure={"max_pool": treatment}
        )
        assert all(row["unaccounted"] == pytest.approx(0, abs=1e-10) for row in result.diagnostics.ledger)
        found[treatment] = result.relevance
    assert not torch.allclose(found["winner"], found["proportional"])


def test_an_explanation_through_proportional_pooling_can_be_differentiated() -> None:
    model = torch.nn.Sequential(torch.nn.MaxPool2d(2, 1), torch.nn.Flatten(), torch.nn.Linear(9, 2)).double()
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, structure={"max_pool": "proportional"})

    def relevance(x: Tensor) -> Tensor:
        return analyzer.analyze(x, target=0, create_graph=True).relevance

    x = noise(2, 1, 4, 4).abs().requires_grad_()
    assert torch.autograd.gradcheck(relevance, (x,))
