"""Simple Taylor decomposition: roots that can be worked out by hand, and what is said where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import create_analyzer
from xaicore.analyzers.baselines import Data
from xaicore.errors import ParameterError
from xaicore.explanation import Explanation

METHOD = "gradients.taylor"


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def doubles(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def says_no_root(explanation: Explanation) -> bool:
    return any("no root" in note for note in explanation.diagnostics.notes)


@pytest.mark.parametrize("root", ["segment", "line_search"])
def test_of_a_linear_model_it_sums_to_the_explained_value(root: str) -> None:
    model = nn.Linear(3, 2).double()
    with torch.no_grad():
        model.weight.copy_(doubles([1.0, -2.0, 0.5], [0.0, 1.0, 1.0]))
        model.bias.copy_(torch.tensor([-1.0, 0.3]))
    x = doubles([3.0, -1.0, 2.0], [2.0, 0.1, 0.4])
    explanation = xaicore.explain(model, x, method=METHOD, target=0, root=root, tolerance=1e-6)
    assert not says_no_root(explanation)
    checks = explanation.diagnostics
    torch.testing.assert_close(checks.relevance_sum, checks.explained, rtol=1e-5, atol=0)
    assert float(checks.reference.abs().max()) < 1e-5
    weight, value = model.weight[0].detach(), checks.explained[:, None]
    # The root on the segment to zero is x times (bias / (f(x) - bias)) away; along the gradient it is orthogonal.
    along = x * value / (value + 1) if root == "segment" else weight * value / weight.square().sum()
    torch.testing.assert_close(explanation.relevance, weight * along, rtol=1e-5, atol=1e-8)


def test_the_root_nearest_to_the_input_is_taken() -> None:
    """f = (x - 1)(x - 2)(x - 3) from 4 down to 0 is zero first at 3, where its slope is 2."""
    model = Function(lambda x: (x - 1) * (x - 2) * (x - 3))
    for x, target in ((4.0, 2.0), (3.5, 2.0), (2.5, -1.0)):
        explanation = xaicore.explain(model, doubles([x]), method=METHOD, target=0, tolerance=1e-7)
        nearest = 3.0 if x > 3 else 2.0
        torch.testing.assert_close(explanation.relevance, doubles([target * (x - nearest)]), rtol=1e-5, atol=0)


def test_a_negative_value_has_roots_too() -> None:
    model = Function(lambda x: x[:, :1] ** 3 - 1)
    for root in ("segment", "line_search"):
        explanation = xaicore.explain(
            model, doubles([-0.5]), method=METHOD, target=0, root=root, baseline=2.0, tolerance=1e-7
        )
        torch.testing.assert_close(explanation.relevance, doubles([3.0 * (-0.5 - 1)]), rtol=1e-5, atol=0)


def test_a_network_without_biases_is_expanded_beside_its_root() -> None:
    """Its root is the baseline itself, at a kink: seen from the input, the gradient there is that at the input."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 9, bias=False), nn.ReLU(), nn.Linear(9, 3, bias=False)).double()
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    explanation = xaicore.explain(model, x, method=METHOD, tolerance=1e-4)
    expected = xaicore.explain(model, x, method="gradients.input_x_gradient").relevance
    torch.testing.assert_close(explanation.relevance, expected, rtol=2e-4, atol=0)
    assert not says_no_root(explanation)


def test_without_a_root_the_smallest_value_is_taken_and_said() -> None:
    model = Function(lambda x: (x[:, :1] - 1) ** 2 + 0.5)
    explanation = xaicore.explain(model, doubles([2.0]), method=METHOD, target=0, points=8)
    assert says_no_root(explanation)
    torch.testing.assert_close(explanation.diagnostics.reference, torch.tensor([0.5], dtype=torch.float64))
    torch.testing.assert_close(explanation.relevance, doubles([0.0]))  # the gradient at the minimum


def test_the_note_is_given_where_one_of_several_samples_has_no_root() -> None:
    model = Function(lambda x: x[:, :1] + x[:, 1:])
    analyzer = create_analyzer(METHOD, model, baseline=1.0)
    assert says_no_root(analyzer.analyze(doubles([-2.0, -1.0], [1.0, 1.0]), 0))
    assert not says_no_root(analyzer.analyze(doubles([-2.0, -1.0]), 0))


def test_a_jump_over_zero_is_no_root() -> None:
    model = Function(lambda x: torch.sign(x[:, :1] - 1) * (2 + x[:, :1] ** 2))
    explanation = xaicore.explain(model, doubles([2.0]), method=METHOD, target=0)
    assert says_no_root(explanation)
    torch.testing.assert_close(explanation.diagnostics.reference, torch.tensor([3.0], dtype=torch.float64))


def test_an_input_that_is_a_root_has_no_relevance_and_a_flat_one_goes_nowhere() -> None:
    model = Function(lambda x: x[:, :1] * 2 - 2)
    explanation = xaicore.explain(model, doubles([1.0]), method=METHOD, target=0)
    torch.testing.assert_close(explanation.relevance, doubles([0.0]))
    assert not says_no_root(explanation)
    flat = Function(lambda x: F.relu(x[:, :1]) + 3)
    explanation = xaicore.explain(flat, doubles([-1.0]), method=METHOD, target=0, root="line_search")
    torch.testing.assert_close(explanation.relevance, doubles([0.0]))
    assert says_no_root(explanation)


@pytest.mark.parametrize(
    "root", ["zero", 0.5, torch.full((2,), 0.25, dtype=torch.float64)], ids=["zero", "0.5", "tensor"]
)
def test_a_given_point_is_where_it_is_expanded(root: Any) -> None:
    model, x = Function(lambda x: x[:, :1] ** 2 * x[:, 1:]), doubles([3.0, 2.0], [1.0, -1.0])
    explanation = xaicore.explain(model, x, method=METHOD, target=0, root=root)
    at = 0.0 if isinstance(root, str) else float(torch.as_tensor(root).max())
    gradient = doubles([2 * at * at, at * at])
    torch.testing.assert_close(explanation.relevance, gradient * (x - at))
    torch.testing.assert_close(explanation.diagnostics.reference, torch.full((2,), at**3, dtype=torch.float64))


def test_over_several_given_points_the_mean_is_taken() -> None:
    model, x, data = Function(lambda x: x**2), doubles([3.0], [1.0]), doubles([1.0], [2.0])
    explanation = xaicore.explain(model, x, method=METHOD, target=0, root=Data(data))
    torch.testing.assert_close(explanation.relevance, (2 * (x - 1) + 4 * (x - 2)) / 2)
    torch.testing.assert_close(explanation.diagnostics.reference, torch.full((2,), 2.5, dtype=torch.float64))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again, self.head = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.conv(x))
        y = y + F.relu(self.again(y))
        return self.head(self.again(y).mean((2, 3)))


@pytest.mark.parametrize("root", ["segment", "line_search", "low"])
def test_batches_do_not_matter(root: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model, x = Network().double(), torch.randn(33, 1, 6, 6, dtype=torch.float64)
    analyzer = create_analyzer(METHOD, model, root=root)
    targets = [sample % 3 for sample in range(33)]
    whole = analyzer.analyze(x, targets)
    torch.testing.assert_close(analyzer.analyze(x, targets, batch_size=7).relevance, whole.relevance)
    for sample in (0, 5):
        alone = analyzer.analyze(x[sample : sample + 1], targets[sample])
        torch.testing.assert_close(alone.relevance[0], whole.relevance[sample])
    inner = analyzer.analyze(x[:3], xaicore.Contrast(0, 1), layer="conv")
    assert inner.relevance.shape == (3, 4, 4, 4)


def test_tokens_and_several_inputs() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 2)).double()
    ids = torch.randint(0, 7, (3, 4), generator=torch.Generator().manual_seed(0))
    found = xaicore.explain(model, ids, method=METHOD, target=0, root="zero")
    weights = model[2].weight[0].detach().view(4, 3)
    torch.testing.assert_close(found.relevance, (model[0](ids).detach() * weights).sum(-1))

    class Both(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a + 2 * b - 1

    inputs = {"a": doubles([2.0], [1.0]), "b": doubles([1.0], [1.0])}
    explanation = xaicore.explain(Both(), inputs, method=METHOD, target=0, tolerance=1e-7)
    torch.testing.assert_close(explanation.diagnostics.relevance_sum, explanation.diagnostics.explained)


def test_low_precision_comes_near() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        model, x = Network(), torch.randn(4, 1, 6, 6)
    exact = xaicore.explain(model, x, method=METHOD, target=0, root="mean").relevance
    half = xaicore.explain(model.bfloat16(), x.bfloat16(), method=METHOD, target=0, root="mean").relevance
    assert half.dtype == torch.bfloat16
    assert float(F.cosine_similarity(half.float().flatten(1), exact.flatten(1)).min()) > 0.95


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"root": "segmen"}, "segment"),
        ({"points": 0}, "points=0"),
        ({"reach": -1.0}, "reach=-1.0"),
        ({"tolerance": 0}, "tolerance=0"),
        ({"baseline": "uniform"}, "variants"),
    ],
)
def test_impossible_parameters_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        create_analyzer(METHOD, nn.Linear(2, 2), **options)
