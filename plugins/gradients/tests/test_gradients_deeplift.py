"""DeepLIFT: published toy cases, a slow derivation by hand, and completeness wherever the graph can go."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xaicore import Contrast, create_analyzer
from xaicore.analyzers.baselines import Data, Given, UniformNoise
from xaicore.errors import ParameterError
from xaicore.explanation import Explanation

RULES = ("rescale", "reveal_cancel")


def deeplift(
    model: nn.Module, x: Any, target: Any = None, *, options: dict[str, Any] | None = None, **more: Any
) -> Explanation:
    return xaicore.create_analyzer("gradients.deeplift", model, **more).analyze(x, target, **(options or {}))


@functools.cache
def seeded(make: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> nn.Module:
    """The same model for all tests, which leave it as it is: it is captured once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make().to(dtype).eval()


@functools.cache
def widened(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    """The model of a lower precision with its weights as they are, in float64."""
    return copy.deepcopy(seeded(make, dtype)).double()


def drawn(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def assert_complete(explanation: Explanation, tolerance: float = 1e-9) -> None:
    found = explanation.diagnostics
    change = (found.explained - found.reference).double()
    assert float(change.abs().min()) > 1e-6, "nothing to explain"
    assert float((found.relevance_sum - change).abs().max()) <= tolerance * max(1.0, float(change.abs().max()))
    assert found.non_finite == 0


# Published cases


class Toy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.relu(x[:, :1] - 1) - F.relu(x[:, 1:]))


class Minimum(nn.Module):
    """``min(a, b)`` as in figure 2 of Shrikumar et al. 2017."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] - F.relu(x[:, :1] - x[:, 1:])


class Saturating(nn.Module):
    """Figure 1 there: the output does not change with either input where both are on."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 - F.relu(1 - x.sum(1, keepdim=True))


def test_toy_network_has_the_published_contributions() -> None:
    found = deeplift(Toy(), torch.tensor([[3.0, 1.0]]), 0)
    torch.testing.assert_close(found.relevance, torch.tensor([[2.0, -1.0]]))
    assert float(found.diagnostics.reference) == 0


def test_rescale_gives_all_of_a_minimum_to_one_input_and_reveal_cancel_half_to_each() -> None:
    x = torch.tensor([[3.0, 1.0], [1.0, 4.0]])
    torch.testing.assert_close(deeplift(Minimum(), x, 0).relevance, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    halves = deeplift(Minimum(), x, 0, rule="reveal_cancel").relevance
    torch.testing.assert_close(halves, torch.tensor([[0.5, 0.5], [0.5, 0.5]]))


@pytest.mark.parametrize("rule", RULES)
def test_saturated_inputs_share_the_output(rule: str) -> None:
    found = deeplift(Saturating(), torch.tensor([[1.0, 1.0]]), 0, rule=rule)
    torch.testing.assert_close(found.relevance, torch.tensor([[0.5, 0.5]]))


def test_minimum_by_a_linear_layer_is_the_same() -> None:
    class ByWeights(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.difference = nn.Linear(2, 1, bias=False)
            self.difference.weight.data = torch.tensor([[1.0, -1.0]])

        def forward(self, x: Tensor) -> Tensor:
            return x[:, :1] - torch.relu(self.difference(x))

    found = deeplift(ByWeights(), torch.tensor([[3.0, 1.0]]), 0, rule="reveal_cancel")
    torch.testing.assert_close(found.relevance, torch.tensor([[0.5, 0.5]]))


# A derivation in plain Python, from the paper's equations


def by_hand(
    model: nn.Sequential, x: list[float], x0: list[float], f: Callable[[float], float], rule: str
) -> list[float]:
    """Contributions for ``linear, f, linear`` with one output, number by number (Shrikumar et al. 2017, sec. 3.5)."""
    weight, bias = model[0].weight.tolist(), model[0].bias.tolist()
    out = model[2].weight.tolist()[0]
    contributions = [0.0] * len(x)
    for j, row in enumerate(weight):
        before = sum(w * v for w, v in zip(row, x0, strict=True)) + bias[j]
        terms = [w * (a - b) for w, a, b in zip(row, x, x0, strict=True)]
        up, down = sum(t for t in terms if t > 0), sum(t for t in terms if t < 0)
        if rule == "rescale":
            slope = (f(before + up + down) - f(before)) / (up + down)
            slopes = {True: slope, False: slope}
        else:
            rise = (f(before + up) - f(before) + f(before + up + down) - f(before + down)) / 2
            fall = (f(before + down) - f(before) + f(before + up + down) - f(before + up)) / 2
            slopes = {True: rise / up if up else 0.0, False: fall / down if down else 0.0}
        for i, term in enumerate(terms):
            contributions[i] += out[j] * slopes[term > 0] * term
    return contributions


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("module", "f"), [(nn.ReLU(), lambda v: max(v, 0.0)), (nn.Tanh(), math.tanh)])
def test_two_layers_agree_with_the_equations(rule: str, module: nn.Module, f: Callable[[float], float]) -> None:
    model = seeded(lambda: nn.Sequential(nn.Linear(5, 7), module, nn.Linear(7, 1)))
    x, x0 = drawn(3, 5), drawn(1, 5, seed=2)
    found = deeplift(model, x, 0, rule=rule, baseline=x0)
    expected = [by_hand(model, sample.tolist(), x0[0].tolist(), f, rule) for sample in x]
    torch.testing.assert_close(found.relevance, torch.tensor(expected, dtype=torch.float64))


# Networks


class Convolutional(nn.Module):
    """Strides, batch norm, overlapping and dilated pooling, functional and smooth activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.head = nn.Conv2d(6, 8, 3, stride=2), nn.Linear(8, 4)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.first(x))), 3, stride=2, padding=1)
        x = F.hardswish(self.second(F.pad(x, (1, 1, 1, 1)))) + 0.1
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Branches(nn.Module):
    """Residual sums, a gate, squeeze-and-excitation, a reused module, concatenation, interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 1)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.squeeze, self.excite = nn.Linear(4, 3), nn.Linear(3, 4)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x) * torch.sigmoid(self.gate(x))
        y = y + F.relu(self.shared(y))
        y = F.silu(y + F.gelu(self.shared(y)))
        scale = self.excite(self.squeeze(y.mean((2, 3))).relu()).sigmoid()
        y = y * scale[:, :, None, None]
        small = F.interpolate(F.avg_pool2d(y, 2), scale_factor=2.0)
        y = torch.cat([y.clamp(-0.4, 0.7), small.abs().sqrt()], 1)
        return self.head(y.amax((2, 3)))


class ByHand(nn.Module):
    """Normalization and softmax written out, quotients, powers, exponentials, minima, masks from comparisons."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x), self.second(x)
        centred = a - a.mean(1, keepdim=True)
        a = centred * torch.rsqrt(centred.pow(2).mean(1, keepdim=True) + 1e-3)
        e = (b - b.max(1, keepdim=True).values).exp()
        b = e / e.sum(1, keepdim=True)
        c = torch.minimum(a, b) + torch.maximum(a * (a > 0), torch.log1p(b * b))
        return c + 1 / (2 + b) + (a / (3 + b.square()))


class Attention(nn.Module):
    """A transformer block with fused attention and layer norm, sequence first, the batch in the middle."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.embed = nn.Linear(3, 8)
        self.place = nn.Parameter(torch.randn(5, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation="gelu", batch_first=batch_first)
        self.head = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place
        x = self.block(x if self.batch_first else x.transpose(0, 1))
        x = x if self.batch_first else x.transpose(0, 1)
        return self.head(x.mean(1))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(3, 6, batch_first=True), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.log_softmax(self.head(F.group_norm(self.lstm(x)[0][:, -1], 2)).tanh() * 3, 1) + 0.0


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(3, 6)
        self.head = nn.Linear(6, 2)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(torch.tanh(self.a(left)) * F.softplus(self.b(right)))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.conv, self.head = nn.Embedding(11, 5), nn.Conv1d(5, 6, 3, padding=1), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = F.relu(self.conv(self.embed(tokens).transpose(1, 2)))
        return self.head(x.amax(2))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "convolutional": (Convolutional, (2, 9, 9)),
    "branches": (Branches, (2, 6, 6)),
    "by hand": (ByHand, (6,)),
    "attention": (Attention, (5, 3)),
    "sequence first": (lambda: Attention(batch_first=False), (5, 3)),
    "recurrent": (Recurrent, (5, 3)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETWORKS)
def test_relevance_is_the_difference_to_the_reference(name: str, rule: str) -> None:
    make, shape = NETWORKS[name]
    model, x, x0 = seeded(make), drawn(3, *shape), 0.3 * drawn(1, *shape, seed=5)
    found = deeplift(model, x, [0, 1, 2], rule=rule, baseline=x0)
    assert_complete(found)
    with torch.no_grad():
        expected = model(x0.expand_as(x))[torch.arange(3), torch.arange(3)]
    torch.testing.assert_close(found.diagnostics.reference, expected)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NETWORKS)
def test_single_precision_is_complete_and_near_double(name: str, rule: str) -> None:
    make, shape = NETWORKS[name]
    x = drawn(3, *shape)
    single = deeplift(seeded(make, torch.float32), x.float(), 1, rule=rule)
    assert_complete(single, 1e-4)
    double = deeplift(widened(make, torch.float32), x.float().double(), 1, rule=rule).relevance
    torch.testing.assert_close(single.relevance.double(), double, rtol=1e-3, atol=1e-4 * float(double.abs().max()))


def test_half_precision_keeps_type_and_nearly_the_sum() -> None:
    model, x = seeded(Convolutional, torch.bfloat16), drawn(3, 2, 9, 9, dtype=torch.bfloat16)
    found = deeplift(model, x, 1)
    assert found.relevance.dtype == torch.bfloat16
    exact = deeplift(widened(Convolutional, torch.bfloat16), x.double(), 1).relevance
    assert float((found.relevance.double() - exact).norm() / exact.norm()) < 0.1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["convolutional", "branches", "sequence first"])
def test_samples_do_not_depend_on_their_batch_nor_on_how_it_is_split(name: str, rule: str) -> None:
    make, shape = NETWORKS[name]
    model, x = seeded(make), drawn(16, *shape)
    references = Data(drawn(2, *shape, seed=7))
    targets = [number % 3 for number in range(16)]
    whole = deeplift(model, x, targets, rule=rule, baseline=references).relevance
    for size in (1, 7) if name == "convolutional" else (7,):
        split = deeplift(model, x, targets, rule=rule, baseline=references, options={"batch_size": size}).relevance
        torch.testing.assert_close(split, whole, rtol=1e-7, atol=1e-9)
    alone = deeplift(model, x[12:13], targets[12], rule=rule, baseline=references).relevance
    torch.testing.assert_close(alone, whole[12:13], rtol=1e-7, atol=1e-9)


def test_several_references_are_averaged() -> None:
    model, x, data = seeded(Branches), drawn(2, 2, 6, 6), drawn(3, 2, 6, 6, seed=4)
    single = [deeplift(model, x, 1, baseline=reference[None]).relevance for reference in data]
    together = xaicore.create_analyzer("gradients.deep_shap", model, baseline=data).analyze(x, 1)
    torch.testing.assert_close(together.relevance, torch.stack(single).mean(0))
    assert_complete(together)
    with torch.no_grad():
        torch.testing.assert_close(together.diagnostics.reference, model(data)[:, 1].mean().expand(2))


def test_deep_shap_of_an_additive_model_are_its_shapley_values() -> None:
    """Of a sum of functions of one feature each, the Shapley value is that function less its mean over the data."""

    class Additive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, 0].sin(), x[:, 1] ** 3, F.relu(x[:, 2])], 1).sum(1, keepdim=True)

    x, data = drawn(4, 3), drawn(9, 3, seed=6)
    parts = lambda v: torch.stack([v[:, 0].sin(), v[:, 1] ** 3, F.relu(v[:, 2])], 1)  # noqa: E731
    found = xaicore.create_analyzer("gradients.deep_shap", Additive(), baseline=data).analyze(x, 0).relevance
    torch.testing.assert_close(found, parts(x) - parts(data).mean(0))


def test_noise_as_reference_is_the_same_for_the_same_seed() -> None:
    model, x = seeded(Convolutional), drawn(2, 2, 9, 9)
    first, second = (deeplift(model, x, 0, baseline=UniformNoise(samples=3, seed=4)) for _ in range(2))
    torch.testing.assert_close(first.relevance, second.relevance, rtol=0, atol=0)
    other = deeplift(model, x, 0, baseline=UniformNoise(samples=3, seed=5))
    assert not torch.allclose(first.relevance, other.relevance)
    assert_complete(first)


def test_contrast_is_the_difference_and_a_function_of_the_output_is_complete() -> None:
    model, x = seeded(Branches), drawn(2, 2, 6, 6)
    one, two = deeplift(model, x, 0).relevance, deeplift(model, x, 2).relevance
    torch.testing.assert_close(deeplift(model, x, Contrast(0, 2)).relevance, one - two)
    assert_complete(deeplift(model, x, lambda output: output.softmax(1)[:, 1]))


@pytest.mark.parametrize("rule", RULES)
def test_inner_layer_is_compared_with_what_the_reference_makes_of_it(rule: str) -> None:
    model, x, x0 = seeded(Convolutional), drawn(3, 2, 9, 9), drawn(1, 2, 9, 9, seed=8)
    found = deeplift(model, x, 1, rule=rule, baseline=x0, options={"layer": "second"})
    assert found.relevance.shape == (3, 8, 3, 3)
    assert_complete(found)
    torch.testing.assert_close(found.diagnostics.reference, model(x0)[:, 1].detach().expand(3))


def test_several_inputs_each_get_their_share() -> None:
    model = seeded(TwoInputs)
    inputs = {"left": drawn(3, 4), "right": drawn(3, 3, seed=2)}
    found = deeplift(model, inputs, 1, baseline={"left": torch.zeros(1, 4), "right": torch.ones(1, 3)})
    assert {name: each.shape for name, each in found.relevance.items()} == {"left": (3, 4), "right": (3, 3)}
    assert_complete(found)
    by_position = deeplift(
        model, tuple(inputs.values()), 1, baseline={"left": torch.zeros(1, 4), "right": torch.ones(1, 3)}
    )
    torch.testing.assert_close(by_position.relevance["right"], found.relevance["right"])


@pytest.mark.parametrize("rule", RULES)
def test_tokens_against_a_zero_embedding_and_against_other_tokens(rule: str) -> None:
    model, tokens = seeded(Words), torch.tensor([[1, 5, 3, 7], [2, 2, 9, 0]])
    against_zero = deeplift(model, tokens, 1, rule=rule)
    assert against_zero.relevance.shape == tokens.shape
    assert_complete(against_zero)
    padding = torch.full((1, 4), 0)
    against_padding = deeplift(model, tokens, 1, rule=rule, baseline=Given(padding))
    assert_complete(against_padding)
    assert float(against_padding.relevance[1, 3]) == 0, "a token that is the reference's own brings no difference"
    torch.testing.assert_close(against_padding.diagnostics.reference, model(padding)[:, 1].detach().expand(2))


def test_equal_sample_and_reference_give_zero_and_finite_multipliers() -> None:
    model, x = seeded(Branches, torch.float32), drawn(2, 2, 6, 6, dtype=torch.float32)
    for rule in RULES:
        found = deeplift(model, x, 0, rule=rule, baseline=Given(x))
        assert float(found.relevance.abs().max()) == 0


def test_differences_lost_in_rounding_do_not_blow_up() -> None:
    """Two contributions that cancel up to rounding: the slope there is noise, and must not scale what cancels."""

    class Cancelling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sigmoid(5 + x[:, :1] - x[:, 1:])

    x = torch.tensor([[1.0, 1.0 + 1e-6]])
    found = deeplift(Cancelling(), x, 0).relevance
    slope = float(torch.sigmoid(torch.tensor(5.0)) * torch.sigmoid(torch.tensor(-5.0)))
    torch.testing.assert_close(found, torch.tensor([[slope, -slope]]), rtol=1e-2, atol=0)


def test_reveal_cancel_says_where_it_gives_way() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.a(x) * self.b(x))

    model, x = seeded(Gated), drawn(2, 3)
    (note,) = deeplift(model, x, 0, rule="reveal_cancel").diagnostics.notes
    assert "gave way to Rescale at 1 nonlinearities" in note
    assert "tanh" in note
    assert not deeplift(model, x, 0).diagnostics.notes


def test_bad_parameters_are_refused() -> None:
    model = Toy()
    with pytest.raises(ParameterError, match=r"rule='rescal'.*rescale"):
        xaicore.create_analyzer("gradients.deeplift", model, rule="rescal")
    with pytest.raises(ParameterError, match="baseline"):
        xaicore.create_analyzer("gradients.deeplift", model, baseline="blck")
    with pytest.raises(ParameterError, match=r"baseline=0\.0: DeepSHAP takes its references from data"):
        xaicore.create_analyzer("gradients.deep_shap", model, baseline=0.0)


class Chooses(nn.Module):
    """Selections whose condition depends on the input."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.a, self.b, self.c = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "masked_fill":
            h = self.a(x)
            return h.masked_fill(h < 0, 0.0).sum(1)
        if self.how == "leaky":
            h = self.a(x)
            return torch.where(h > 0, h, 0.1 * h).sum(1)
        if self.how == "between":
            return torch.where(self.c(x) > 0, self.a(x), self.b(x)).sum(1)
        return torch.where(x[:, :1] > 0, self.a(x), -self.b(x)).sum(1)


@pytest.mark.parametrize("how", ["masked_fill", "leaky", "between", "broadcast"])
def test_a_choice_that_depends_on_the_input_loses_nothing(how: str) -> None:
    torch.manual_seed(0)
    model, x, x0 = Chooses(how).double(), torch.randn(9, 4).double(), torch.randn(4).double()
    found = create_analyzer("gradients.deeplift", model, baseline=x0).analyze(x)
    assert found.diagnostics.conservation_gap is not None
    assert float(found.diagnostics.conservation_gap.max()) < 1e-9


def test_a_relu_written_as_a_choice_is_a_relu() -> None:
    class Filled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.masked_fill(x < 0, 0.0).sum(1)

    x, x0 = torch.tensor([[2.0, -1.0]]), torch.tensor([-1.0, 1.0])
    found = create_analyzer("gradients.deeplift", Filled(), baseline=x0).analyze(x).relevance
    assert found.tolist() == [[2, -1]]


def test_indices_that_depend_on_the_input_are_told() -> None:
    class Largest(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square().gather(1, x.argmax(1, keepdim=True))[:, 0]

    found = create_analyzer("gradients.deeplift", Largest()).analyze(torch.randn(3, 4))
    assert any("selects by what it computes from the input" in note for note in found.diagnostics.notes)
