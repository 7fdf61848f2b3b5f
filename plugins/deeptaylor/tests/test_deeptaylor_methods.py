"""Deep Taylor decomposition as a method: closed forms, conservation, and what it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore.errors import ParameterError, TargetError

METHODS = {
    "deeptaylor.unbounded": {},
    "deeptaylor.bounded": {"low": 0.0, "high": 1.0},
    "deeptaylor.nonnegative": {},
}


def max_network() -> nn.Module:
    """``relu(x1 - x2) / 2 + relu(x2 - x1) / 2 + relu(x1 + x2) / 2``: the larger of two numbers, none negative."""
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
        second.weight.fill_(0.5)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU()).double()


class Residual(nn.Module):
    """Convolutions with batch norm, a skip connection, both kinds of pooling; its scores are positive."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.inner = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 3, bias=False)
        with torch.no_grad():
            self.inner.bias.sub_(0.2)
            self.head.weight.abs_()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.stem(x))), 3, stride=2, padding=1)
        return self.head(F.avg_pool2d(F.relu(x + self.inner(x)), 2).mean((2, 3)))


def residual() -> nn.Module:
    torch.manual_seed(1)
    model = Residual().double()
    for _ in range(20):
        model(torch.rand(8, 3, 8, 8, dtype=torch.float64))
    return model.eval()


def images() -> Tensor:
    return torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def points() -> Tensor:
    ticks = torch.linspace(0, 1, 9, dtype=torch.float64)
    return torch.cartesian_prod(ticks, ticks)


def test_the_max_network_has_the_closed_form_of_its_derivation() -> None:
    # By hand: the neurons hold (x1 - x2)+ / 2, (x2 - x1)+ / 2 and (x1 + x2) / 2. Z-plus gives the first to x1, the
    # second to x2, and shares the third by x1 : x2.
    x = points()
    one, two = x.unbind(1)
    by_hand = torch.stack([one + (one - two).clamp(min=0), two + (two - one).clamp(min=0)], dim=1) / 2
    found = xaicore.explain(max_network(), x, method="deeptaylor.nonnegative").relevance
    torch.testing.assert_close(found, by_hand)
    # The lower bound of zero is the only one that counts for positive weights, the upper one for negative.
    boxed = xaicore.explain(max_network(), x, method="deeptaylor.bounded", low=0.0, high=1.0).relevance
    total = torch.where((x > 0).any(1), boxed.sum(1), x.amax(1))
    torch.testing.assert_close(total, x.amax(1), atol=1e-5, rtol=1e-5)
    real = xaicore.explain(max_network(), x, method="deeptaylor.unbounded").relevance
    torch.testing.assert_close(real, x.amax(1, keepdim=True).expand(-1, 2) / 2)


def test_relevance_of_the_max_network_does_not_jump_where_the_inputs_are_equal() -> None:
    step = 1e-6
    beside = torch.tensor([[0.7 + step, 0.7], [0.7, 0.7 + step]], dtype=torch.float64)
    deep = xaicore.explain(max_network(), beside, method="deeptaylor.nonnegative").relevance
    assert (deep[0] - deep[1]).abs().max() < 10 * step
    x = beside.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(max_network()(x).sum(), x)
    jumps = (gradient.square(), gradient * beside)  # sensitivity; Taylor expansion around the root point 0
    assert [float((each[0] - each[1]).abs().max()) > 0.5 for each in jumps] == [True, True]


@pytest.mark.parametrize("method", METHODS)
def test_relevance_is_positive_and_sums_to_the_score(method: str) -> None:
    explanation = xaicore.explain(residual(), images(), method=method, target=1, ledger=True, **METHODS[method])
    relevance = explanation.relevance
    assert float(relevance.min()) >= -1e-9 and float(relevance.max()) > 0
    torch.testing.assert_close(relevance.sum((1, 2, 3)), residual()(images())[:, 1], rtol=1e-4, atol=0)
    assert not explanation.diagnostics.fallbacks


def test_deep_taylor_in_hidden_layers_is_z_plus_without_bias() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 4), nn.ReLU()).double()
    x = torch.rand(6, 5, dtype=torch.float64)
    deep = xaicore.explain(model, x, method="deeptaylor.nonnegative")
    z_plus = xaicore.explain(model, x, method="lrp.z_plus", bias="ignore")
    torch.testing.assert_close(deep.relevance, z_plus.relevance)


def test_a_sum_shares_by_the_positive_parts_of_its_terms() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return F.relu(x - 2 * y).sum(1, keepdim=True)

    x = torch.tensor([[3.0, 3.0, -1.0]], dtype=torch.float64)
    y = torch.tensor([[-1.0, 1.0, -1.0]], dtype=torch.float64)
    found = xaicore.explain(Sum(), (x, y), method="deeptaylor.unbounded").relevance
    torch.testing.assert_close(found["x"], torch.tensor([[3.0, 1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(found["y"], torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64))


def test_the_structure_that_a_user_chooses_comes_before_the_defaults() -> None:
    # Of [3, 1] in one window all goes to the winner, or three quarters.
    model = nn.Sequential(nn.MaxPool1d(2), nn.Flatten()).double()
    x = torch.tensor([[[3.0, 1.0]]], dtype=torch.float64)
    for choice, expected in (("winner", [3.0, 0.0]), ("proportional", [2.25, 0.75])):
        found = xaicore.explain(model, x, method="deeptaylor.nonnegative", structure={"max_pool": choice})
        torch.testing.assert_close(found.relevance.flatten(), torch.tensor(expected, dtype=torch.float64))


def test_a_batch_norm_that_stands_alone_hands_relevance_on() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(3)
    with torch.no_grad():
        norm.bias.fill_(4.0)
    model = nn.Sequential(norm, nn.ReLU()).double().eval()
    x = torch.rand(2, 3, dtype=torch.float64)
    found = xaicore.explain(model, x, method="deeptaylor.unbounded", target=1)
    torch.testing.assert_close(found.relevance[:, 1], model(x)[:, 1])


@pytest.mark.parametrize("target", [None, 0])
def test_a_negative_score_is_refused_with_the_samples_and_what_to_do(target: int | None) -> None:
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0, 0.0], [-2.0, 0.0]]))
    x = torch.tensor([[-1.0, 0.0], [0.5, 0.0], [0.25, 0.0], [-3.0, 1.0]])
    with pytest.raises(TargetError, match=r"negative score.*-0.5 of sample 1, -0.25 of sample 2 .*Explain a class"):
        xaicore.explain(model, x, method="deeptaylor.unbounded", target=target)


def test_many_negative_scores_are_counted() -> None:
    model = nn.Linear(2, 2, bias=False)
    nn.init.ones_(model.weight)
    with pytest.raises(TargetError, match=r"sample 4 and 15 more \(in a batch of 20\)"):
        xaicore.explain(model, -torch.ones(20, 2), method="deeptaylor.unbounded", target=0)


def test_an_output_without_classes_is_refused_where_it_is_negative() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Flatten(0))
    nn.init.ones_(model[0].weight)
    assert xaicore.explain(model, torch.ones(3, 2), method="deeptaylor.unbounded").relevance.sum() == 6
    with pytest.raises(TargetError, match=r"-2 of sample 0, -2 of sample 1 \(in a batch of 2\)"):
        xaicore.explain(model, -torch.ones(2, 2), method="deeptaylor.unbounded")


def test_the_explanation_can_be_differentiated() -> None:
    x = images()[:1].requires_grad_()
    analyzer = xaicore.create_analyzer("deeptaylor.unbounded", residual())
    assert torch.autograd.gradcheck(
        lambda each: analyzer.analyze(each, 1, create_graph=True).relevance, (x,), fast_mode=True, atol=1e-4
    )


def test_a_score_of_zero_has_no_relevance() -> None:
    found = xaicore.explain(max_network(), torch.zeros(1, 2).double(), method="deeptaylor.nonnegative")
    assert found.relevance.tolist() == [[0.0, 0.0]]


def test_a_difference_of_scores_is_refused() -> None:
    with pytest.raises(TargetError, match="subtracts one.*Explain one class at a time"):
        xaicore.explain(residual(), images(), method="deeptaylor.unbounded", target=xaicore.Contrast(0, 1))


def test_a_positive_sum_of_scores_is_the_sum_of_their_explanations() -> None:
    model, x = residual(), images()
    both = xaicore.explain(model, x, method="deeptaylor.unbounded", target=lambda y: y[:, 0] + 2 * y[:, 2])
    one, other = (xaicore.explain(model, x, method="deeptaylor.unbounded", target=t).relevance for t in (0, 2))
    torch.testing.assert_close(both.relevance, one + 2 * other)


def test_inputs_outside_the_domain_are_told_of() -> None:
    model, x = residual(), images() - 0.1
    for method in ("deeptaylor.nonnegative", "deeptaylor.bounded"):
        notes = xaicore.explain(model, x, method=method, target=0, **METHODS[method]).diagnostics.notes
        assert any("outside the" in note for note in notes), notes
    inside = xaicore.explain(model, images(), method="deeptaylor.nonnegative", target=0).diagnostics.notes
    assert not any("outside the" in note for note in inside)


def test_bounds_are_asked_for() -> None:
    with pytest.raises(ParameterError, match=r"high is missing.*deeptaylor.unbounded"):
        xaicore.create_analyzer("deeptaylor.bounded", residual(), low=0.0)


def test_bounds_in_pixels_are_normalised() -> None:
    model, x = residual(), images()
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    low = [(0.0 - m) / s for m, s in zip(mean, std, strict=True)]
    high = [(2.0 - m) / s for m, s in zip(mean, std, strict=True)]
    one = xaicore.explain(model, x, method="deeptaylor.bounded", target=0, low=0.0, high=2.0, mean=mean, std=std)
    other = xaicore.explain(model, x, method="deeptaylor.bounded", target=0, low=low, high=high)
    torch.testing.assert_close(one.relevance, other.relevance)


@pytest.mark.parametrize(
    ("familiar", "name"),
    [
        ("deep_taylor", "deeptaylor.unbounded"),
        ("deep_taylor.bounded", "deeptaylor.bounded"),
        ("deep_taylor.nonnegative", "deeptaylor.nonnegative"),
    ],
)
def test_a_familiar_name_finds_its_method(familiar: str, name: str) -> None:
    assert xaicore.find_method(familiar).name == name


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, xai_deeptaylor, xai_deeptaylor._plugin; assert 'torch' not in sys.modules; xai_deeptaylor.Box"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there() -> None:
    import xai_deeptaylor

    assert all(getattr(xai_deeptaylor, name) is not None for name in xai_deeptaylor.__all__)


class Departing(nn.Module):
    """Everything that deep Taylor decomposition is not derived for."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.one = nn.Linear(4 * 9, 8)
        self.two = nn.Linear(8, 8, bias=False)
        self.three = nn.Linear(8, 2, bias=False)
        with torch.no_grad():
            self.one.bias.copy_(torch.tensor([1.0, 1, 1, -1, -1, -1, -1, -1]))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(x).relu(), 2).flatten(1)
        return self.three(torch.tanh(self.two(self.one(x).relu())))


def test_advice_names_what_the_method_is_not_derived_for() -> None:
    analyzer = xaicore.create_analyzer("deeptaylor.unbounded", Departing())
    found = {each.about: each for each in analyzer.advise(analyzer.match(torch.rand(2, 3, 8, 8)))}
    assert set(found) == {"activations", "signs", "positive biases", "max pooling", "dense layers"}
    assert found["positive biases"].layers == ("one (3 of 8 units)",)
    assert found["signs"].layers == ("three",)
    assert "tanh" in found["activations"].reason


def test_a_model_as_the_tutorial_asks_for_needs_no_advice() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 2, bias=False)
    )
    analyzer = xaicore.create_analyzer("deeptaylor.unbounded", model)
    assert not analyzer.advise(analyzer.match(torch.rand(2, 3, 8, 8)))
