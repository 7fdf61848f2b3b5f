"""The gradient methods: the same as autograd, and as worked by hand where ReLU is changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xaicore.errors import ParameterError


class Network(nn.Module):
    """A residual network with normalization, gates and reuse: nothing here has a relevance rule of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm(self.conv(x)))
        y = y + torch.sigmoid(y) * F.gelu(y)
        y = F.max_pool2d(y, 3, stride=1) + F.avg_pool2d(y, 3, stride=1)
        return self.head(F.layer_norm(y.mean((2, 3)), (4,)).relu())


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network().double().eval()


@pytest.fixture
def x() -> Tensor:
    return torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def autograd(model: nn.Module, x: Tensor, target: int) -> Tensor:
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[:, target].sum(), x)[0]


READOUTS: dict[str, tuple[str, dict[str, str], Callable[[Tensor, Tensor], Tensor]]] = {
    "signed": ("gradients.saliency", {}, lambda gradient, x: gradient),
    "absolute": ("gradients.saliency", {"postprocess": "abs"}, lambda gradient, x: gradient.abs()),
    "squared": ("gradients.saliency", {"postprocess": "square"}, lambda gradient, x: gradient**2),
    "sensitivity": ("gradients.sensitivity", {}, lambda gradient, x: gradient**2),
    "input x gradient": ("gradients.input_x_gradient", {}, lambda gradient, x: gradient * x),
}


@pytest.mark.parametrize("name", READOUTS)
def test_method_equals_autograd(name: str, model: nn.Module, x: Tensor) -> None:
    method, parameters, readout = READOUTS[name]
    for target in range(3):
        explanation = xaicore.explain(model, x, method=method, target=target, **parameters)
        expected = readout(autograd(model, x, target), x)
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-9, atol=1e-12)


def test_input_x_gradient_at_an_inner_layer_uses_the_value_there() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    explanation = xaicore.explain(model, x, method="gradients.input_x_gradient", target=1, layer="1")
    torch.testing.assert_close(explanation.relevance, model[:2](x).detach() * model[2].weight[1].detach())


def test_second_derivatives_are_those_of_autograd(model: nn.Module, x: Tensor) -> None:
    x = x.requires_grad_()
    analyzer = xaicore.create_analyzer("gradients.saliency", model)
    saliency = analyzer.analyze(x, target=1, create_graph=True).relevance
    (second,) = torch.autograd.grad(saliency.square().sum(), x)
    (gradient,) = torch.autograd.grad(model(x)[:, 1].sum(), x, create_graph=True)
    (expected,) = torch.autograd.grad(gradient.square().sum(), x)
    torch.testing.assert_close(second, expected, rtol=1e-8, atol=1e-10)


def rectified(activation: nn.Module) -> tuple[nn.Module, Tensor]:
    """Two hidden units, one open and one shut, each with one positive and one negative way to the output."""
    model = nn.Sequential(nn.Linear(4, 4, bias=False), activation, nn.Linear(4, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4))
        model[2].weight.copy_(torch.tensor([[2.0, -3.0, 5.0, -7.0]]))
    return model, torch.tensor([[1.0, 1.0, -1.0, -1.0]] * 2, dtype=torch.float64)


class Clamp(nn.Module):
    def __init__(self, high: float | None = None) -> None:
        super().__init__()
        self.high = high

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, self.high)

    def extra_repr(self) -> str:
        return f"0, {self.high}"


RECTIFIERS = [
    nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(0, 4), Clamp(), Clamp(4), nn.Threshold(0, 0),
    nn.LeakyReLU(0.0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("gradients.saliency", [2.0, -3.0, 0.0, 0.0]),  # where the unit is open
        ("gradients.guided_backprop", [2.0, 0.0, 0.0, 0.0]),  # open, and the gradient positive
        ("gradients.deconvnet", [2.0, 0.0, 5.0, 0.0]),  # the gradient positive
    ],
)
@pytest.mark.parametrize("activation", RECTIFIERS, ids=repr)
def test_rectifiers_pass_what_each_method_defines(method: str, expected: list[float], activation: nn.Module) -> None:
    model, x = rectified(activation)
    explanation = xaicore.explain(model, x, method=method, target=0)
    assert explanation.relevance.tolist() == [expected, expected]


@pytest.mark.parametrize("method", ["gradients.guided_backprop", "gradients.deconvnet"])
@pytest.mark.parametrize(
    "activation", [nn.LeakyReLU(), nn.GELU(), nn.Hardtanh(-1, 1), nn.Sigmoid()], ids=lambda a: type(a).__name__
)
def test_activations_that_let_negative_values_pass_keep_their_gradient(method: str, activation: nn.Module) -> None:
    model, x = rectified(activation)
    x = x * 0.5
    explanation = xaicore.explain(model, x, method=method, target=0)
    torch.testing.assert_close(explanation.relevance, autograd(model, x, 0))


def test_functional_and_reused_rectifiers_are_changed_as_well() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            sign = torch.tensor([[1.0], [-1.0]], dtype=x.dtype)
            return self.relu(F.relu(self.relu(x) * -1) + x) @ sign[:1]

    x = torch.tensor([[2.0], [-2.0]], dtype=torch.float64)
    guided = xaicore.explain(Functional(), x, method="gradients.guided_backprop", target=0).relevance
    assert guided.tolist() == [[1.0], [0.0]]
    deconvolved = xaicore.explain(Functional(), x, method="gradients.deconvnet", target=0).relevance
    # The inner way turns the sign, and what is then negative is cut by the first rectifier.
    assert deconvolved.tolist() == [[1.0], [1.0]]


def test_postprocess_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'abs'"):
        xaicore.explain(nn.Linear(2, 2), torch.rand(2, 2), method="gradients.saliency", postprocess="abss")


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, xai_gradients, xai_gradients._plugin; assert 'torch' not in sys.modules; xai_gradients.Saliency"
    subprocess.run([sys.executable, "-c", code], check=True)
