"""Whatever a model takes and returns, and however it is written inside, the gradient is autograd's."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils._python_dispatch import TorchDispatchMode

import xaicore
from xaicore.errors import TargetError


def images(batch: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(batch, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def vectors(batch: int = 3, features: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(batch, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        return kind().double().eval()


def assert_same(actual: Tensor, expected: Tensor) -> None:
    assert float(expected.abs().max()) > 1e-9
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.first(x)))
        return self.head(F.relu(self.second(F.max_pool2d(x, 2))).mean((2, 3)))


# What a model may do inside.


class Residual(ConvNet):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.head((x + self.second(x)).relu().mean((2, 3)))


class SelfSum(ConvNet):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.head((x + x).mean((2, 3)))


class Reused(ConvNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(3):
            x = F.relu(self.second(x))
        return self.head(x.mean((2, 3)))


class InPlaceOnViews(ConvNet):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x[:, 0].mul_(2.0)
        left = x[:, :, :, :4]
        left.mul_(-0.5)
        x[:, 1:3, ::2] += 0.5
        x.transpose(2, 3)[:, 3, 0].zero_()
        return self.head(F.relu_(self.second(x)).mean((2, 3)))


class Functional(ConvNet):
    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.first.weight, self.first.bias, stride=2)
        gate = torch.sigmoid(x.mean((2, 3), keepdim=True))
        x = torch.cat([F.gelu(x * gate)[:, :2], F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)[:, 2:]], 1)
        return F.linear(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1), self.head.weight, self.head.bias)


class Attending(ConvNet):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = F.layer_norm(self.first(x).flatten(2).transpose(1, 2), (4,))
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        weights = torch.softmax(tokens @ mixed.transpose(1, 2) / 2, -1)
        return self.head((weights @ tokens + mixed).mean(1))


class Thresholded(ConvNet):
    """Comparisons lie on the way from input to output, and carry neither gradient nor relevance."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = torch.where(x > 0, x, torch.zeros_like(x)).masked_fill(x > 2, 0.0)
        return self.head(self.second(x).relu().mean((2, 3)))


class Parametrised(ConvNet):
    """The weights that act are computed from the parameters in each forward."""

    def __init__(self) -> None:
        super().__init__()
        parametrizations.weight_norm(self.first)
        parametrizations.spectral_norm(self.second)


INSIDE = [ConvNet, Residual, SelfSum, Reused, InPlaceOnViews, Functional, Attending, Thresholded, Parametrised]


@pytest.mark.parametrize("kind", INSIDE)
def test_saliency_is_autograds_gradient_whatever_the_model_does_inside(kind: type[nn.Module]) -> None:
    model, x = seeded(kind), images()
    point = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(point * 1.0).amax(1).sum(), point)
    explanation = xaicore.explain(model, x, method="gradients.saliency")
    assert_same(explanation.relevance, expected)
    assert torch.equal(x, images())  # in-place operations of the model did not reach the input


@pytest.mark.parametrize("kind", [ConvNet, Residual, SelfSum, Reused, InPlaceOnViews, Thresholded, Parametrised])
def test_the_zero_rule_loses_and_doubles_nothing(kind: type[nn.Module]) -> None:
    model, x = seeded(kind), images()
    explanation = xaicore.explain(model, x, method="lrp.zero", ledger=True)
    absorbed = sum(row["bias"] + row["stabilizer"] for row in explanation.diagnostics.ledger)
    explained = float(explanation.diagnostics.explained.sum())
    assert float(explanation.relevance.sum()) + absorbed == pytest.approx(explained, rel=1e-6)


def test_an_input_changed_in_place_is_left_as_it_was() -> None:
    class Overwrites(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            x.mul_(2.0)
            return super().forward(x)

    model, x = seeded(Overwrites), images()
    explanation = xaicore.explain(model, x, method="gradients.saliency")
    assert torch.equal(x, images())
    point = images().requires_grad_()
    (expected,) = torch.autograd.grad(model(point * 1.0).amax(1).sum(), point)
    assert_same(explanation.relevance, expected)


# What a model may take.


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Linear(3, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(torch.relu(self.left(a) * 2 + self.right(b)))


def two_gradients(model: nn.Module, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    return torch.autograd.grad(model(a, b).amax(1).sum(), (a, b))


def by_name(explanation: Any) -> tuple[Tensor, Tensor]:
    assert set(explanation.relevance) == {"a", "b"}
    return explanation.relevance["a"], explanation.relevance["b"]


@pytest.mark.parametrize("form", ["tuple", "dict", "dict in another order"])
def test_several_inputs_are_each_explained_under_their_name(form: str) -> None:
    model, a, b = seeded(TwoInputs), vectors(), vectors(features=3, seed=1)
    inputs: Any = {"tuple": (a, b), "dict": {"a": a, "b": b}, "dict in another order": {"b": b, "a": a}}[form]
    actual = by_name(xaicore.explain(model, inputs, method="gradients.saliency"))
    for got, expected in zip(actual, two_gradients(model, a, b), strict=True):
        assert_same(got, expected)


def test_relevance_of_several_inputs_adds_up_together() -> None:
    model, a, b = seeded(TwoInputs), vectors(), vectors(features=3, seed=1)
    explanation = xaicore.explain(model, (a, b), method="lrp.zero", ledger=True)
    absorbed = sum(row["bias"] + row["stabilizer"] for row in explanation.diagnostics.ledger)
    total = sum(float(each.sum()) for each in by_name(explanation))
    assert total + absorbed == pytest.approx(float(explanation.diagnostics.explained.sum()), rel=1e-6)


def test_trace_takes_positional_and_keyword_inputs() -> None:
    model, a, b = seeded(TwoInputs), vectors(), vectors(features=3, seed=1)
    graph = xaicore.trace(model, a, b=b)
    assert len(graph.inputs) == 2
    with torch.no_grad():
        assert_same(graph(a, b=b), model(a, b))


def test_numpy_inputs_are_taken_as_they_are() -> None:
    model, x = seeded(ConvNet), images()
    actual = xaicore.explain(model, x.numpy(), method="gradients.saliency").relevance
    assert_same(torch.as_tensor(actual), xaicore.explain(model, x, method="gradients.saliency").relevance)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lookup = nn.Embedding(20, 6)
        self.mix = nn.Linear(6, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.relu(self.mix(self.lookup(tokens))).mean(1))


def test_integer_inputs_get_one_value_a_token() -> None:
    model = seeded(Words)
    tokens = torch.randint(0, 20, (3, 7), generator=torch.Generator().manual_seed(2))
    looked_up = model.lookup(tokens).detach().requires_grad_()
    logits = model.head(torch.relu(model.mix(looked_up)).mean(1))
    (gradient,) = torch.autograd.grad(logits.amax(1).sum(), looked_up)

    saliency = xaicore.explain(model, tokens, method="gradients.saliency").relevance
    assert saliency.shape == tokens.shape
    assert saliency.dtype == torch.float64
    assert_same(saliency, gradient.sum(-1))
    product = xaicore.explain(model, tokens, method="gradients.input_x_gradient").relevance
    assert_same(product, (gradient * looked_up).sum(-1).detach())

    relevance = xaicore.explain(model, tokens, method="lrp.zero", ledger=True)
    absorbed = sum(row["bias"] + row["stabilizer"] for row in relevance.diagnostics.ledger)
    assert relevance.relevance.shape == tokens.shape
    explained = float(relevance.diagnostics.explained.sum())
    assert float(relevance.relevance.sum()) + absorbed == pytest.approx(explained, rel=1e-6)


# What a model may return.


class Pair(NamedTuple):
    logits: Tensor
    extra: Tensor


def returns(form: str) -> nn.Module:
    class Returning(ConvNet):
        def forward(self, x: Tensor) -> Any:
            logits = super().forward(x)
            extra = torch.stack([logits[:, 0] * 2, logits[:, 1].square()], 1)
            if form == "tuple":
                return logits, extra
            if form == "named tuple":
                return Pair(logits, extra)
            if form == "ordered dict":
                return OrderedDict(logits=logits, extra=extra)
            return {"extra": extra, "logits": logits}

    return seeded(Returning)


def expected_gradient(model: nn.Module, x: Tensor, output: Any) -> Tensor:
    point = x.clone().requires_grad_()
    return torch.autograd.grad(model(point)[output].amax(1).sum(), point)[0]


@pytest.mark.parametrize("form", ["dict", "ordered dict"])
@pytest.mark.parametrize("output", [None, "logits", "extra"])
def test_an_output_of_a_dict_is_chosen_by_name_and_logits_by_default(form: str, output: str | None) -> None:
    model, x = returns(form), images()
    explanation = xaicore.explain(model, x, method="gradients.saliency", output=output)
    assert_same(explanation.relevance, expected_gradient(model, x, output or "logits"))


@pytest.mark.parametrize("output", [0, 1])
def test_an_output_of_a_tuple_is_chosen_by_position(output: int) -> None:
    model, x = returns("tuple"), images()
    explanation = xaicore.explain(model, x, method="gradients.saliency", output=output)
    assert_same(explanation.relevance, expected_gradient(model, x, output))


@pytest.mark.parametrize("output", ["logits", "extra"])
def test_an_output_of_a_named_tuple_is_chosen_by_name(output: str) -> None:
    model, x = returns("named tuple"), images()
    explanation = xaicore.explain(model, x, method="gradients.saliency", output=output)
    assert_same(explanation.relevance, expected_gradient(model, x, Pair._fields.index(output)))


def test_several_outputs_without_a_choice_are_refused_with_their_names() -> None:
    with pytest.raises(TargetError, match="output="):
        xaicore.explain(returns("tuple"), images(), method="gradients.saliency")
    with pytest.raises(TargetError, match="Did you mean 'extra'"):
        xaicore.explain(returns("dict"), images(), method="gradients.saliency", output="exta")


def test_a_softmax_head_is_explained_at_its_logits_and_said_so() -> None:
    class Probabilities(ConvNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).softmax(1)

    x = images()
    explanation = xaicore.explain(seeded(Probabilities), x, method="gradients.saliency")
    assert_same(explanation.relevance, xaicore.explain(seeded(ConvNet), x, method="gradients.saliency").relevance)
    assert any("softmax" in note.lower() for note in explanation.diagnostics.notes)


# What may change between calls.


@pytest.mark.parametrize("method", ["gradients.saliency", "lrp.epsilon_plus", "lrp.gamma"])
def test_a_sample_gets_the_same_explanation_in_any_batch(method: str) -> None:
    model, x = seeded(ConvNet), images(33)
    together = xaicore.explain(model, x, method=method).relevance
    fresh = seeded(ConvNet)  # captured from a batch of one
    for sample in (0, 32):
        alone = xaicore.explain(fresh, x[sample : sample + 1], method=method).relevance
        assert_same(alone, together[sample : sample + 1])
    assert_same(xaicore.explain(fresh, x, method=method).relevance, together)


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_chunks_give_what_the_whole_batch_gives(size: int) -> None:
    model, x = seeded(ConvNet), images(10)
    targets = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    whole = xaicore.create_analyzer("lrp.epsilon", model).analyze(x, target=targets)
    chunked = xaicore.create_analyzer("lrp.epsilon", model).analyze(x, target=targets, batch_size=size)
    assert_same(chunked.relevance, whole.relevance)
    assert_same(chunked.prediction, whole.prediction)
    assert_same(chunked.diagnostics.explained, whole.diagnostics.explained)
    assert chunked.target["index"] == whole.target["index"] == targets


@pytest.mark.parametrize("method", ["gradients.saliency", "lrp.epsilon_plus", "lrp.gamma", "lrp.w_square"])
def test_a_weight_update_is_seen_by_the_next_call(method: str) -> None:
    model, x = seeded(ConvNet), images()
    analyzer = xaicore.create_analyzer(method, model)
    before = analyzer.analyze(x, target=1).relevance.clone()
    with torch.no_grad():
        model.first.weight.mul_(torch.linspace(-1, 2, 27, dtype=torch.float64).view(3, 3, 3))
        model.norm.running_var.mul_(3.0)
        model.head.weight[1].add_(torch.tensor([1.0, -0.5, 0.25, 2.0]))
    after = analyzer.analyze(x, target=1).relevance
    assert not torch.allclose(before, after)
    fresh = ConvNet().double().eval()
    fresh.load_state_dict(model.state_dict())
    assert_same(after, xaicore.explain(fresh, x, method=method, target=1).relevance)


def test_an_update_of_what_weights_are_computed_from_is_seen_by_the_next_call() -> None:
    model, x = seeded(Parametrised), images()
    analyzer = xaicore.create_analyzer("lrp.z_plus", model)
    before = analyzer.analyze(x, target=1).relevance.clone()
    with torch.no_grad():
        model.first.parametrizations.weight.original0.mul_(torch.tensor([1.0, 2.0, 0.5, 3.0]).view(4, 1, 1, 1))
    after = analyzer.analyze(x, target=1).relevance
    fresh = Parametrised().double().eval()
    fresh.load_state_dict(model.state_dict())
    assert not torch.allclose(before, after)
    assert_same(after, xaicore.explain(fresh, x, method="lrp.z_plus", target=1).relevance)


def test_weights_loaded_from_a_state_dict_are_seen_by_the_next_call() -> None:
    model, x = seeded(ConvNet), images()
    analyzer = xaicore.create_analyzer("lrp.z_plus", model)
    analyzer.analyze(x, target=0)
    torch.manual_seed(5)
    other = ConvNet().double().eval()
    model.load_state_dict(other.state_dict())
    expected = xaicore.explain(other, x, method="lrp.z_plus", target=0).relevance
    assert_same(analyzer.analyze(x, target=0).relevance, expected)


def test_a_replaced_module_is_seen_by_the_next_call() -> None:
    model, x = seeded(ConvNet), images()
    analyzer = xaicore.create_analyzer("gradients.saliency", model)
    analyzer.analyze(x, target=1)
    torch.manual_seed(6)
    model.second = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Tanh()).double()
    point = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(point)[:, 1].sum(), point)
    assert_same(analyzer.analyze(x, target=1).relevance, expected)


def test_a_replaced_parameter_is_seen_by_the_next_call() -> None:
    model, x = seeded(ConvNet), images()
    analyzer = xaicore.create_analyzer("lrp.epsilon", model)
    analyzer.analyze(x, target=1)
    model.head.weight = nn.Parameter(model.head.weight.detach() * torch.tensor([1.0, 2.0, 3.0, -1.0]))
    fresh = ConvNet().double().eval()
    fresh.load_state_dict(model.state_dict())
    expected = xaicore.explain(fresh, x, method="lrp.epsilon", target=1).relevance
    assert_same(analyzer.analyze(x, target=1).relevance, expected)


def test_another_image_size_is_seen_by_the_next_call() -> None:
    model = seeded(ConvNet)
    analyzer = xaicore.create_analyzer("lrp.epsilon_plus", model)
    for size in (8, 12, 8):
        x = torch.randn(2, 3, size, size, dtype=torch.float64)
        assert analyzer.analyze(x).relevance.shape == x.shape


def test_a_model_moved_to_another_precision_is_seen_by_the_next_call() -> None:
    model, x = seeded(ConvNet), images()
    analyzer = xaicore.create_analyzer("lrp.epsilon_plus", model)
    exact = analyzer.analyze(x).relevance
    model.float()
    single = analyzer.analyze(x.float()).relevance
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-4)


# What a call costs.


class ConvolutionCounter(TorchDispatchMode):
    """Counts the convolutions that really run, forwards and backwards apart."""

    def __init__(self) -> None:
        super().__init__()
        self.forward = self.backward = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if "convolution_backward" in name:
            self.backward += 1
        elif "convolution" in name or "conv2d" in name:
            self.forward += 1
        return func(*args, **(kwargs or {}))


GRADIENTS = ["gradients.saliency", "gradients.input_x_gradient", "gradients.guided_backprop"]


def test_analyzers_that_are_compared_share_one_forward() -> None:
    model, x = seeded(ConvNet), images()
    alone = {method: xaicore.explain(model, x, method=method).relevance for method in GRADIENTS}
    with ConvolutionCounter() as counter:
        compared = xaicore.compare(model, x, methods=GRADIENTS)
    assert list(compared) == GRADIENTS
    for method in GRADIENTS:
        assert_same(compared[method].relevance, alone[method])
    assert counter.forward == 2  # the two convolutions of the model, once for all three methods


def test_a_gradient_never_runs_a_convolution_forward_again() -> None:
    model, x = seeded(ConvNet), images()
    xaicore.explain(model, x, method="gradients.saliency")
    with ConvolutionCounter() as counter:
        xaicore.explain(model, x, method="gradients.saliency")
    assert counter.forward == 2
    assert counter.backward == 2
