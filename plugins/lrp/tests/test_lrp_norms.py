"""Normalisation: each treatment is what its definition says, derived by autograd, and no relevance is lost."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from one_layer import jacobian, noise, passed
from torch import Tensor, nn

import xaicore
from xaicore.errors import ParameterError
from xaicore.graph import Kind

EPSILON = 1e-6


def shaken(module: nn.Module) -> nn.Module:
    """Weights, biases and running statistics that are not the neutral ones."""
    for number, (name, tensor) in enumerate([*module.named_parameters(), *module.named_buffers()]):
        if tensor.is_floating_point():
            values = noise(*tensor.shape, seed=number)
            tensor.data = values.abs() + 0.3 if name.endswith("running_var") else values
    return module.double().eval()


NORMS = {
    "layer": (nn.LayerNorm(5), (3, 4, 5), (2,), True),
    "layer over two dimensions, without weights": (
        nn.LayerNorm((4, 5), elementwise_affine=False), (3, 4, 5), (1, 2), True,
    ),
    "instance": (nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 4), (2, 3), True),
    "group of one": (nn.GroupNorm(1, 4, eps=0.1), (2, 4, 3, 3), (1, 2, 3), True),
    "batch at hand": (nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 2, 3), (0, 2, 3), True),
    "batch of features": (nn.BatchNorm1d(3, track_running_stats=False), (4, 3), (0,), True),
    "rms": (nn.RMSNorm(5, eps=0.01), (3, 4, 5), (2,), False),
    "rms of default epsilon": (nn.RMSNorm(5), (3, 4, 5), (2,), False),
}  # fmt: skip


def written_out(name: str, x: Tensor, *, centred: bool):
    """The norm as a function of x whose variance, and unless ``centred`` whose mean, are constants."""
    module, _, over, has_mean = NORMS[name]
    mean = x.mean(over, keepdim=True) if has_mean else torch.zeros(())
    variance = ((x - mean) ** 2).mean(over, keepdim=True)
    eps = torch.finfo(x.dtype).eps if module.eps is None else module.eps
    along_channels = not isinstance(module, (nn.LayerNorm, nn.RMSNorm))

    def shaped(parameter: Tensor | None, default: float) -> Tensor:
        if parameter is None:
            return torch.tensor(default)
        return parameter.detach().view(-1, *[1] * (x.ndim - 2)) if along_channels else parameter.detach()

    weight, bias = shaped(module.weight, 1.0), shaped(getattr(module, "bias", None), 0.0)

    def function(z: Tensor) -> Tensor:
        taken = z.mean(over, keepdim=True) if centred and has_mean else mean
        return (z - taken) / (variance + eps).sqrt() * weight + bias

    return function


@pytest.mark.parametrize("treatment", ["constant", "centred"])
@pytest.mark.parametrize("name", NORMS)
def test_a_norm_is_shared_as_the_linear_layer_that_it_is_with_constant_statistics(name: str, treatment: str) -> None:
    module, shape, _, _ = NORMS[name]
    module, x = shaken(module), noise(*shape)
    result = passed(module, x, structure={"norm": treatment})
    function = written_out(name, x, centred=treatment == "centred")
    torch.testing.assert_close(result.y, function(x))  # the oracle's own formula is that of the layer
    y, r = result.y.flatten(), noise(*result.y.shape, seed=9).flatten()
    per_unit = r / torch.where(y < 0, y - EPSILON, y + EPSILON)
    contributions = jacobian(function, x) * x.flatten()
    torch.testing.assert_close(result.relevance.flatten(), per_unit @ contributions, rtol=1e-9, atol=1e-9)
    of_bias = per_unit @ (y - contributions.sum(1))
    assert result.bias == pytest.approx(float(of_bias), rel=1e-9, abs=1e-9)
    assert result.unaccounted == pytest.approx(0, abs=1e-9)


def test_group_norm_over_several_groups_is_one_norm_a_group() -> None:
    x, r = noise(2, 6, 3), noise(2, 6, 3, seed=3)
    for treatment in ("constant", "centred"):
        whole = passed(nn.GroupNorm(3, 6, affine=False), x, r, {"norm": treatment})
        parts = [
            passed(nn.GroupNorm(1, 2, affine=False), x[:, i : i + 2], r[:, i : i + 2], {"norm": treatment}).relevance
            for i in (0, 2, 4)
        ]
        torch.testing.assert_close(whole.relevance, torch.cat(parts, 1))


@pytest.mark.parametrize("name", NORMS)
def test_identity_hands_relevance_on_unchanged(name: str) -> None:
    module, shape, _, _ = NORMS[name]
    result = passed(module, noise(*shape), structure={"norm": "identity"})
    torch.testing.assert_close(result.relevance, noise(*shape, seed=9))


def test_without_a_choice_statistics_are_constants() -> None:
    x = noise(2, 3, 5)
    chosen = passed(nn.LayerNorm(5), x, structure={"norm": "constant"})
    torch.testing.assert_close(passed(nn.LayerNorm(5), x).relevance, chosen.relevance)


def test_an_instance_norm_by_learnt_statistics_is_a_batch_norm() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.InstanceNorm2d(3, affine=True, track_running_stats=True))
    graph = xaicore.trace(shaken(model), noise(2, 2, 4, 4))
    assert graph.find("1").kind is Kind.BATCH_NORM
    assert [layer.op_name for layer in graph.folded.layers if layer.inputs] == ["conv2d"]


def test_a_weight_and_bias_that_depend_on_the_input_keep_the_books_even() -> None:
    class Conditional(nn.Module):
        """Group norm whose weight and bias are computed, as in conditional normalisation."""

        def forward(self, x: Tensor) -> Tensor:
            weight, bias = x.mean((0, 2)), 3 * x.amax((0, 2))
            return F.group_norm(x, 2, weight, bias)

    x = noise(2, 4, 3)
    for treatment in ("constant", "centred", "identity"):
        result = passed(Conditional(), x, structure={"norm": treatment})
        assert result.unaccounted == pytest.approx(0, abs=1e-9)


# Batch norm


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])
def test_batch_norm_in_two_steps_shares_with_its_shift_by_size(name: str) -> None:
    shape = (4, 3) if name == "BatchNorm1d" else (2, 3, 4, 4)
    norm = shaken(getattr(nn, name)(3))
    x, r = noise(*shape), noise(*shape, seed=9)
    result = passed(norm, x, structure={"batch_norm": "two"})
    along = (1, 3, 1, 1)[: x.ndim]
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().view(along)
    shift = norm.bias.detach().view(along) - norm.running_mean.view(along) * scale
    signal = scale * x
    torch.testing.assert_close(result.y, signal + shift)
    share = signal.abs() / (signal.abs() + shift.abs())
    torch.testing.assert_close(result.relevance, r * share)
    assert result.bias == pytest.approx(float((r * (1 - share)).sum()))
    assert result.unaccounted == pytest.approx(0, abs=1e-10)


def test_where_the_shift_cancels_the_signal_two_steps_stay_bounded_and_one_does_not() -> None:
    norm = nn.BatchNorm1d(1).double()
    with torch.no_grad():
        norm.bias.fill_(-1.0)
    x, r = torch.full((2, 1), 1.0 + 1e-3, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    in_two = passed(norm, x, r, {"batch_norm": "two"}).relevance
    in_one = passed(norm, x, r, {"batch_norm": "one"}).relevance
    assert in_two[0].item() == pytest.approx(0.5, abs=1e-3)
    assert in_one[0].item() > 900


class DenseBlock(nn.Module):
    """Batch norm before an activation, where it cannot be folded, and after a convolution, where it can."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.norm, self.conv = nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x)).relu()
        return self.head(torch.cat([x, self.conv(self.norm(x).relu())], 1).mean((2, 3)))


@pytest.mark.parametrize("form", ["folded", "one", "two"])
@pytest.mark.parametrize("method", ["lrp.epsilon", "lrp.epsilon_plus", "lrp.zero"])
def test_methods_take_the_form_of_batch_norm_and_their_books_balance(method: str, form: str) -> None:
    model, x = shaken(DenseBlock()), noise(2, 2, 6, 6)
    result = xaicore.explain(model, x, method=method, target=1, ledger=True, structure={"batch_norm": form})
    rows = result.diagnostics.ledger
    assert all(row["unaccounted"] == pytest.approx(0, abs=1e-9) for row in rows)
    absorbed = sum(row["bias"] + row["stabilizer"] for row in rows)
    assert float(result.relevance.sum()) + absorbed == pytest.approx(float(result.diagnostics.explained.sum()))
    assert [row["layer"] for row in rows if row["kind"] == "batch_norm"] == {
        "folded": ["batch_norm_1"], "one": ["batch_norm_1", "batch_norm"], "two": [],
    }[form]  # fmt: skip


@pytest.mark.parametrize("structure", [{"batch_norm": "fold"}, {"norm": "center"}, {"norms": "constant"}])
def test_an_unknown_treatment_is_refused_with_the_choices(structure: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match="choose among"):
        xaicore.create_analyzer("lrp.epsilon", nn.Linear(2, 2), structure=structure)


# Local response normalisation

RESPONSE_NORMS = {
    "1-d": (nn.LocalResponseNorm(3, alpha=0.5), (2, 5, 4)),
    "2-d, even size": (nn.LocalResponseNorm(4, alpha=2.0, beta=0.5, k=2.0), (2, 6, 2, 3)),
    "3-d": (nn.LocalResponseNorm(5, alpha=1.0, beta=1.5), (1, 4, 2, 2, 2)),
    "more than all channels": (nn.LocalResponseNorm(9, alpha=1.0), (2, 3, 4)),
}


@pytest.mark.parametrize("name", RESPONSE_NORMS)
def test_taylor_is_the_expansion_around_the_point_where_only_the_neuron_is_not_zero(name: str) -> None:
    norm, shape = RESPONSE_NORMS[name]
    x = noise(*shape)
    result = passed(norm, x, structure={"local_response_norm": "taylor"})
    gradient = jacobian(norm, x)
    expected, left_over = torch.zeros(x.numel(), dtype=x.dtype), 0.0
    for neuron, (y, r) in enumerate(zip(result.y.flatten(), noise(*shape, seed=9).flatten(), strict=True)):
        point = torch.zeros(x.numel(), dtype=x.dtype)
        point[neuron] = x.flatten()[neuron]
        terms = gradient[neuron] * (x.flatten() - point)
        terms[neuron] += norm(point.view(shape)).flatten()[neuron]
        expected += terms / y * r
        left_over += float((y - terms.sum()) / y * r)
    torch.testing.assert_close(result.relevance.flatten(), expected)
    assert result.stabilizer == pytest.approx(left_over)
    assert result.unaccounted == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("name", RESPONSE_NORMS)
def test_local_response_norm_is_ignored_unless_a_treatment_is_chosen(name: str) -> None:
    norm, shape = RESPONSE_NORMS[name]
    torch.testing.assert_close(passed(norm, noise(*shape)).relevance, noise(*shape, seed=9))


@pytest.mark.parametrize("treatment", ["ignore", "taylor"])
def test_a_network_with_local_response_norm_is_explained(treatment: str) -> None:
    class Old(nn.Module):
        """The first layers of AlexNet, small."""

        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(2, 6, 3), nn.ReLU(), nn.LocalResponseNorm(5, alpha=0.1), nn.MaxPool2d(3, 2),
                nn.Conv2d(6, 4, 2), nn.ReLU(), nn.LocalResponseNorm(3, alpha=0.1),
            )  # fmt: skip
            self.head = nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.features(x).flatten(1))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Old().double()
    x = noise(2, 2, 9, 9)
    result = xaicore.explain(
        model, x, method="lrp.epsilon_plus", target=2, ledger=True, structure={"local_response_norm": treatment}
    )
    rows = result.diagnostics.ledger
    assert all(row["unaccounted"] == pytest.approx(0, abs=1e-10) for row in rows)
    kept = [row["stabilizer"] for row in rows if row["kind"] == "norm"]
    assert len(kept) == 2 and all((value != 0) == (treatment == "taylor") for value in kept)


class Everything(nn.Module):
    """Each of the layers above once, with values that half precision cannot square."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.MaxPool2d(2, 1), nn.BatchNorm2d(4), nn.ReLU(),
            nn.Flatten(2), nn.LocalResponseNorm(3, alpha=0.1), nn.Unflatten(2, (5, 5)),
            nn.LPPool2d(2, 2, 1), nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


TREATED = {"norm": "centred", "local_response_norm": "taylor", "max_pool": "proportional", "batch_norm": "two"}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("structure", [None, TREATED])
def test_half_precision_stays_finite(dtype: torch.dtype, structure: dict[str, str] | None) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = Everything().to(dtype), noise(2, 2, 8, 8).to(dtype) * 100
    relevance = xaicore.explain(model, x, method="lrp.epsilon_plus", target=1, structure=structure).relevance
    assert relevance.dtype == dtype and bool(relevance.isfinite().all()) and bool(relevance.any())


@pytest.mark.parametrize("dtype", [torch.bfloat16])
def test_under_autocast_relevance_stays_finite(dtype: torch.dtype) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, x = Everything(), noise(2, 2, 8, 8).float()
    with torch.autocast("cpu", dtype=dtype):
        relevance = xaicore.explain(model, x, method="lrp.epsilon_plus", target=1, structure=TREATED).relevance
    assert bool(relevance.isfinite().all()) and bool(relevance.any())


@pytest.mark.parametrize("treatment", ["constant", "centred"])
def test_an_explanation_through_norms_can_be_differentiated(treatment: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.LayerNorm(4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()
    structure = {"norm": treatment, "batch_norm": "two"}
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.1, structure=structure)

    def relevance(x: Tensor) -> Tensor:
        return analyzer.analyze(x, target=0, create_graph=True).relevance

    assert torch.autograd.gradcheck(relevance, (noise(2, 4).requires_grad_(),))


def test_an_explanation_through_local_response_norm_can_be_differentiated() -> None:
    model = nn.Sequential(nn.LocalResponseNorm(3, alpha=1.0), nn.Flatten(), nn.Linear(10, 2)).double()
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.1, structure={"local_response_norm": "taylor"})

    def relevance(x: Tensor) -> Tensor:
        return analyzer.analyze(x, target=0, create_graph=True).relevance

    assert torch.autograd.gradcheck(relevance, (noise(2, 5, 2).requires_grad_(),))
