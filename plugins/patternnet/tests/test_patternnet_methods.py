"""The two methods: the walk by hand, on models of several forms, and what they refuse."""

from __future__ import annotations

import functools
import re
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from pattern_oracle import random
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xai_patternnet import PatternAttribution, PatternNet, Patterns, learn_patterns
from xaicore.errors import InputError, NotFittedError, ParameterError

METHODS = [PatternNet, PatternAttribution]
ESTIMATORS = ["linear", "positive", "negative"]


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.first(x)))


class Residual(nn.Module):
    """Batch norm behind convolutions, before one and alone; a skip connection, a branch, max pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem, self.stem_norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.inner, self.inner_norm = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.before, self.side = nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)
        self.head = nn.Linear(7, 3)
        for norm in (self.stem_norm, self.inner_norm, self.before):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(x)))
        x = F.relu(x + self.inner_norm(self.inner(x)))
        side = self.side(self.before(x))
        return self.head(torch.cat([F.max_pool2d(x, 2), F.max_pool2d(side, 2)], 1).mean((2, 3)))


def relevance(analyzer: PatternNet | PatternAttribution, x: Tensor, target: int = 1) -> Tensor:
    return analyzer.analyze(x, target).relevance


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_walk_by_hand(estimator: str) -> None:
    model, x = Mlp().double(), random(50, 6)
    signal = PatternNet(model, estimator=estimator).fit(x)
    attribution = PatternAttribution(model, estimator=estimator, patterns=signal.patterns_)
    first = signal.patterns_.layers["linear"].by_estimator[estimator]
    second = signal.patterns_.layers["linear_1"].by_estimator["linear"]  # no ReLU behind it
    hidden = model.first(x).detach()
    score = model(x)[:, 1:2].detach()
    expected = ((score * second[1]) * (hidden > 0)) @ first
    torch.testing.assert_close(relevance(signal, x), expected)
    shares = second[1] * model.second.weight[1].detach()
    expected = ((score * shares) * (hidden > 0)) @ (first * model.first.weight.detach())
    torch.testing.assert_close(relevance(attribution, x), expected)


def test_attribution_of_one_layer_sums_to_the_score() -> None:
    model, x = nn.Linear(5, 3).double(), random(40, 5)
    explanation = PatternAttribution(model).fit(x).analyze(x, 2)
    torch.testing.assert_close(explanation.relevance.sum(1), model(x)[:, 2].detach())


def test_of_a_relu_network_the_sum_lacks_what_closed_units_were_given() -> None:
    model, x = Mlp().double(), random(40, 6)
    analyzer = PatternAttribution(model).fit(x)
    explanation = analyzer.analyze(x, 0, record=["linear"])
    given = explanation.recorded["linear"] * (model.first(x) > 0)
    torch.testing.assert_close(explanation.relevance.sum(1), given.sum(1).detach())


def test_a_signal_in_units_of_the_input_is_passed_through_scalings_by_their_inverse() -> None:
    class Pixels(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.inner, self.factor = Mlp(), factor

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x / self.factor)

    x = random(40, 6)
    plain, scaled = Pixels(1.0).double(), Pixels(255.0).double()
    for method, factor in ((PatternNet, 255), (PatternAttribution, 1)):
        first, second = method(plain).fit(x), method(scaled).fit(255 * x)
        torch.testing.assert_close(relevance(second, 255 * x), factor * relevance(first, x))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_batch_norm_is_part_of_the_layer_beside_it(method: type[PatternNet], estimator: str) -> None:
    model = Residual().double()
    folded = Residual().double()
    for conv, norm in (("stem", "stem_norm"), ("inner", "inner_norm")):
        merged = torch.nn.utils.fuse_conv_bn_eval(getattr(model, conv), getattr(model, norm))
        setattr(folded, conv, merged)
        setattr(folded, norm, nn.Identity())
    scale = model.before.weight / torch.sqrt(model.before.running_var + model.before.eps)
    shift = model.before.bias - model.before.running_mean * scale
    with torch.no_grad():
        folded.side.weight.copy_(model.side.weight * scale.view(1, -1, 1, 1))
        folded.side.bias.copy_(model.side.bias + model.side.weight[:, :, 0, 0] @ shift)
    x = random(30, 2, 6, 6)
    # The norm in front of the side branch also stands beside a max pooling in neither model.
    folded.before = nn.Identity()
    torch.testing.assert_close(model(x), folded(x))
    first, second = (method(each, estimator=estimator).fit(x) for each in (model, folded))
    torch.testing.assert_close(relevance(first, x), relevance(second, x), rtol=1e-7, atol=1e-9)


def test_a_batch_norm_that_stands_alone_has_one_input_a_unit() -> None:
    class Alone(nn.Module):
        def __init__(self, norm: nn.Module) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.norm, self.head = norm, nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.norm(x)))

    norm = nn.BatchNorm1d(4)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    norm.weight.data[:] = torch.tensor([2.0, -0.5, 0.0, 1.0])
    model, x = Alone(norm).eval().double(), random(30, 4)
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    inverse = torch.where(scale == 0, 0.0, 1 / scale)
    for method, factor in ((PatternNet, inverse), (PatternAttribution, (scale != 0).double())):
        explanation = method(model).fit(x).analyze(x, 0, record=["relu"])
        mask = norm(x).detach() > 0
        torch.testing.assert_close(explanation.relevance, explanation.recorded["relu"] * mask * factor)


@pytest.mark.parametrize("method", METHODS)
def test_a_skip_connection_shares_the_sum_instead_of_doubling_it(method: type[PatternNet]) -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.inner(x))

    model, x = Skip().double(), random(60, 4)
    analyzer = method(model, estimator="linear").fit(x)
    explanation = analyzer.analyze(x, 1, record=["add", "linear"])
    shares = analyzer.patterns_.layers["add"].by_estimator["linear"]
    torch.testing.assert_close(shares.sum(0), torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(explanation.recorded["linear"], explanation.recorded["add"] * shares[1])
    pattern = analyzer.patterns_.layers["linear"].by_estimator["linear"]
    back = pattern if method is PatternNet else pattern * model.inner.weight.detach()
    expected = explanation.recorded["add"] * shares[0] + explanation.recorded["linear"] @ back
    torch.testing.assert_close(explanation.relevance, expected)
    if method is PatternAttribution:  # no ReLU, no padding: nothing is lost, nothing doubled
        torch.testing.assert_close(explanation.relevance.sum(1), model(x)[:, 1].detach())


def test_a_module_that_is_called_twice_is_two_layers() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.inner(F.relu(self.inner(x)))))

    model, x = Twice().double(), random(60, 4)
    layers = learn_patterns(model, x).layers
    assert [each.module for each in layers.values()] == ["inner", "inner", "head"]
    alone = nn.Sequential(OrderedDict(inner=model.inner, relu=nn.ReLU()))
    for name, seen in (("linear", x), ("linear_1", F.relu(model.inner(x)).detach())):
        (expected,) = learn_patterns(alone, seen).layers.values()
        torch.testing.assert_close(layers[name].by_estimator["positive"], expected.by_estimator["positive"])


@pytest.mark.parametrize("method", METHODS)
def test_several_inputs_and_tokens(method: type[PatternNet]) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words, self.text = nn.Embedding(10, 4), nn.Linear(4, 5)
            self.image, self.head = nn.Conv2d(1, 5, 3), nn.Linear(5, 3)

        def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
            text = F.relu(self.text(self.words(tokens))).mean(1)
            return self.head(text + F.relu(self.image(image)).mean((2, 3)))

    model = Both()
    inputs = {"image": torch.rand(9, 1, 6, 6), "tokens": torch.randint(10, (9, 7))}
    explanation = method(model).fit(inputs).analyze(inputs)
    assert explanation.relevance["image"].shape == (9, 1, 6, 6)
    assert explanation.relevance["tokens"].shape == (9, 7)
    assert all(bool(each.abs().sum() > 0) for each in explanation.relevance.values())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_batch_is_explained_as_its_samples_one_by_one(method: type[PatternNet], dtype: torch.dtype) -> None:
    model, x = Residual().to(dtype), random(33, 2, 6, 6, dtype=dtype)
    analyzer = method(model).fit(x)
    whole = analyzer.analyze(x).relevance
    assert (whole.dtype, whole.shape) == (dtype, x.shape)
    single = torch.cat([analyzer.analyze(x[number : number + 1]).relevance for number in range(33)])
    torch.testing.assert_close(single, whole)


@pytest.mark.parametrize("method", METHODS)
def test_half_precision(method: type[PatternNet]) -> None:
    exact, x = Residual(), random(64, 2, 6, 6, dtype=torch.float32)
    half = Residual().bfloat16()
    reference = relevance(method(exact).fit(x), x)
    analyzer = method(half).fit(x.bfloat16())
    found = analyzer.analyze(x.bfloat16(), 1).relevance
    assert found.dtype == torch.bfloat16
    similarity = F.cosine_similarity(found.float().flatten(1), reference.flatten(1))
    assert float(similarity.median()) > 0.98


def test_relevance_at_an_inner_layer() -> None:
    model, x = Residual(), random(5, 2, 6, 6, dtype=torch.float32)
    analyzer = PatternNet(model).fit(x)
    recorded = analyzer.analyze(x, 0, record=["relu_1"]).recorded["relu_1"]
    torch.testing.assert_close(analyzer.analyze(x, 0, layer="relu_1").relevance, recorded)


def test_the_walk_starts_from_the_score_and_from_both_of_a_difference() -> None:
    model, x = Mlp(), random(5, 6, dtype=torch.float32)
    analyzer = PatternNet(model).fit(x)
    first, second = relevance(analyzer, x, 0), relevance(analyzer, x, 2)
    torch.testing.assert_close(analyzer.analyze(x, xaicore.Contrast(0, 2)).relevance, first - second)


def test_one_fit_serves_all_estimators_and_survives_other_parameters() -> None:
    model, x = Mlp(), random(40, 6, dtype=torch.float32)
    analyzer = PatternAttribution(model).fit(x)
    learnt = analyzer.patterns_
    for estimator in ESTIMATORS:
        analyzer.set_params(estimator=estimator)
        assert analyzer.patterns_ is learnt
        anew = PatternAttribution(model, estimator=estimator).fit(x)
        torch.testing.assert_close(relevance(analyzer, x), relevance(anew, x))


def test_the_estimators_differ_and_so_do_both_methods_and_the_gradient() -> None:
    model, x = Mlp(), random(40, 6, dtype=torch.float32)
    results = [relevance(method(model, estimator=each).fit(x), x) for method in METHODS for each in ESTIMATORS]
    for number, one in enumerate(results):
        assert not any(torch.allclose(one, other, rtol=1e-2) for other in results[number + 1 :])


def test_the_model_stays_as_it_is() -> None:
    model = Residual().train()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    x = random(8, 2, 6, 6, dtype=torch.float32)
    PatternNet(model).fit(x).analyze(x)
    assert model.training
    assert all(each.requires_grad and each.grad is None for each in model.parameters())
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)


def test_data_come_from_a_loader_with_labels() -> None:
    model, x = Mlp(), random(40, 6, dtype=torch.float32)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.arange(40)), batch_size=16)
    found = PatternNet(model).fit(xaicore.batches(loader, inputs=0))
    torch.testing.assert_close(relevance(found, x), relevance(PatternNet(model).fit(x), x))
    torch.testing.assert_close(relevance(PatternNet(model).fit(loader), x), relevance(found, x))


@pytest.mark.parametrize(
    "labels",
    [torch.arange(40), torch.arange(40)[:, None], np.arange(40, dtype=np.uint8)],
    ids=["1-d", "column", "numpy"],
)
def test_labels_beside_the_inputs_are_left_out(labels: object) -> None:
    model, x = Mlp(), random(40, 6, dtype=torch.float32)
    torch.testing.assert_close(relevance(PatternNet(model).fit((x, labels)), x), relevance(PatternNet(model).fit(x), x))


def test_a_second_input_is_not_taken_for_labels() -> None:
    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words, self.head = nn.Embedding(5, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor, word: Tensor) -> Tensor:
            return self.head(x + self.words(word))

    model, inputs = Embedded(), (random(40, 6, dtype=torch.float32), torch.arange(40) % 5)
    analyzer = PatternNet(model).fit(inputs)
    assert len(analyzer.analyze(inputs, 0).relevance) == 2
    with pytest.raises(InputError, match="xaicore.batches"):
        PatternNet(Mlp()).fit((inputs[0], torch.rand(40)))


def test_images_of_several_sizes_can_be_learnt_from() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.conv(x)).mean((2, 3)))

    model = Pooled()
    analyzer = PatternNet(model).fit(iter([torch.rand(8, 1, 6, 6), torch.rand(8, 1, 9, 7)]))
    assert analyzer.analyze(torch.rand(2, 1, 12, 5)).relevance.shape == (2, 1, 12, 5)


class Deep(nn.Sequential):
    def __init__(self, depth: int) -> None:
        torch.manual_seed(0)
        hidden = [each for _ in range(depth) for each in (nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())]
        super().__init__(nn.Conv2d(1, 16, 3), nn.ReLU(), *hidden, nn.Flatten(), nn.Linear(16 * 16, 2))
        for each in self:
            if isinstance(each, nn.Conv2d):
                nn.init.kaiming_normal_(each.weight, nonlinearity="relu")


class Skips(nn.Module):
    """Blocks with skip connections, two outputs of a layer, a scaling, and a second input that comes later."""

    def __init__(self, depth: int, late_at: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.late_at = late_at
        self.stem, self.late = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(1, 8, 1)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth))
        self.after = nn.Conv2d(8, 4, 3, padding=1)
        self.head = nn.Linear(4 * 36, 2)

    def forward(self, image: Tensor, late: Tensor) -> Tensor:
        x = F.relu(self.stem(image / 255))
        for number, block in enumerate(self.blocks):
            x = F.relu(x + block(x))
            if number == self.late_at:
                x = x + self.late(late)
        first, second = x.split(4, 1)
        x = first + F.relu(self.after(torch.cat([first, 2 * second], 1)))
        return self.head(x.flatten(1))


def similarities(first: Tensor, second: Tensor) -> Tensor:
    """The cosines of two maps of each sample, however small their numbers are."""
    one, other = (F.normalize(each.double().flatten(1), eps=1e-300) for each in (first, second))
    return (one * other).sum(1)


@functools.cache
def of_deep(depth: int) -> PatternNet:
    """What float64 learns of a deep network; learnt once."""
    return PatternNet(Deep(depth).double()).fit(random(60, 1, 6, 6))


@pytest.mark.parametrize("depth", [40, 80])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1 - 1e-5), (torch.bfloat16, 0.95)], ids=str)
def test_signals_beyond_all_numbers_keep_their_direction(depth: int, dtype: torch.dtype, close: float) -> None:
    x = random(60, 1, 6, 6)
    exact = of_deep(depth)
    assert float(relevance(exact, x).abs().max()) > torch.finfo(dtype).max
    narrow = PatternNet(Deep(depth).to(dtype), patterns=exact.patterns_, check_weights=False)
    found = narrow.analyze(x.to(dtype), 1)
    assert not found.diagnostics.warnings()
    assert not any("too large" in note for note in found.diagnostics.notes)
    alike = similarities(found.relevance, relevance(exact, x))
    # In bfloat16, a unit that is nearly closed may open, in a few samples.
    assert float(alike.min() if dtype == torch.float32 else alike.median()) > close


def test_what_is_taken_out_is_told_exactly() -> None:
    x = random(60, 1, 6, 6)
    exact = of_deep(40)
    assert not any("powers of two" in note for note in exact.analyze(x, 1).diagnostics.notes)
    found = PatternNet(Deep(40), patterns=exact.patterns_, check_weights=False).analyze(x.float(), 1)
    (note,) = [note for note in found.diagnostics.notes if "powers of two" in note]
    (power,) = map(int, re.findall(r"2\*\*(-?\d+)", note))
    torch.testing.assert_close(found.relevance.double() * 2.0**power, relevance(exact, x), rtol=1e-3, atol=2.0**power)


@pytest.mark.parametrize(("late_at", "comparable"), [(10, True), (59, False)])
def test_of_branches_and_of_several_inputs_each_keeps_its_direction(late_at: int, comparable: bool) -> None:
    inputs = {"image": 255 * random(60, 1, 6, 6), "late": random(60, 1, 6, 6, seed=1)}
    exact = PatternNet(Skips(60, late_at).double()).fit(inputs)
    narrow = PatternNet(Skips(60, late_at), patterns=exact.patterns_, check_weights=False)
    few = {name: value[:9] for name, value in inputs.items()}
    expected = exact.analyze(few, 1, record=["relu_9"])
    found = narrow.analyze({name: value.float() for name, value in few.items()}, 1, record=["relu_9"])
    (note,) = [note for note in found.diagnostics.notes if "powers of two" in note]
    factors = []
    for first, second in [
        *zip(found.relevance.values(), expected.relevance.values(), strict=True),
        (found.recorded["relu_9"], expected.recorded["relu_9"]),
    ]:
        assert float(similarities(first, second).min()) > 1 - 1e-5
        factors.append(float(first.double().norm() / second.norm()))
    powers = [2.0 ** -int(power) for power in re.findall(r"2\*\*(-?\d+)", note)]
    assert factors[:2] == pytest.approx(powers * 2 if comparable else powers, rel=1e-4)
    assert ("for late" in note) != comparable
    at_layer = narrow.analyze({name: value.float() for name, value in few.items()}, 1, layer="relu_9")
    torch.testing.assert_close(at_layer.relevance, found.recorded["relu_9"])


def test_samples_one_by_one_have_the_powers_of_their_batch() -> None:
    x = random(33, 1, 6, 6, dtype=torch.float32)
    analyzer = PatternNet(Deep(40)).fit(x)
    single = torch.cat([relevance(analyzer, x[number : number + 1]) for number in range(3)])
    torch.testing.assert_close(single, relevance(analyzer, x)[:3], rtol=1e-3, atol=1e-5 * float(single.abs().max()))


def test_numbers_that_are_too_large_all_the_same_are_told_of() -> None:
    x = random(40, 6, dtype=torch.float32)
    patterns = PatternNet(Mlp()).fit(x).patterns_
    large = {
        name: replace(each, by_estimator={key: 1e5 * value for key, value in each.by_estimator.items()})
        for name, each in patterns.layers.items()
    }  # by more than growth tells of
    half = PatternNet(Mlp().half(), patterns=replace(patterns, layers=large), check_weights=False)
    notes = half.analyze(x.half(), 1).diagnostics.notes
    assert any("too large for float16" in note and "float32" in note for note in notes)


def test_the_growth_of_a_layer_is_that_of_random_signals() -> None:
    layers = {
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2): (4, 16, 16),
        nn.ConvTranspose2d(4, 6, 3, stride=2): (4, 16, 16),
        nn.Conv1d(3, 5, 2): (3, 40),
        nn.Linear(9, 5): (9,),
    }
    for layer, shape in layers.items():
        x = random(20, *shape, dtype=torch.float32)
        (known,) = learn_patterns(nn.Sequential(layer, nn.Flatten()), x).layers.values()
        with torch.no_grad():
            layer.weight.copy_(known.by_estimator["linear"])
        y = layer(x.requires_grad_())
        (back,) = torch.autograd.grad(y, x, torch.randn(y.shape))
        ratio = float(back.square().mean().sqrt()) / known.growth["linear"]
        assert 0.8 < ratio < 1.2


def test_dead_units_are_told_of_and_pass_nothing() -> None:
    model, x = Mlp(), random(40, 6, dtype=torch.float32)
    with torch.no_grad():
        model.first.bias[3] = -100.0
        model.first.weight[5] = 0.0
    explanation = PatternNet(model).fit(x).analyze(x)
    (note,) = [note for note in explanation.diagnostics.notes if "pattern" in note]
    # The unit that never varies has no part in the output either, so that the patterns of that layer have all units.
    assert "2 of 11 units" in note
    assert "'linear': 2" in note
    assert bool(torch.isfinite(explanation.relevance).all())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", ["one sample", "constant", "one layer", "some units"])
def test_a_useless_fit_is_told_of(method: type[PatternNet], case: str) -> None:
    model, x = Mlp(), random(40, 6, dtype=torch.float32)
    with torch.no_grad():
        if case == "one layer":
            model.first.bias[:] = -100.0
        elif case == "some units":
            model.first.bias[:2] = -100.0
    data = {"one sample": x[:1], "constant": x[:1].repeat(20, 1)}.get(case, x)
    diagnostics = method(model).fit(data).analyze(x).diagnostics
    (note,) = [note for note in diagnostics.notes if "pattern" in note]
    useless = case != "some units"
    assert (note in diagnostics.warnings()) == useless
    assert note.startswith("do not trust this explanation") == useless
    assert ("call fit again with many different samples" in note) == useless
    assert ("all of 'linear'" in note) == useless


def test_without_fit_it_says_what_to_call_before_any_work() -> None:
    model, x = Mlp(), random(4, 6, dtype=torch.float32)
    for method, name in zip(METHODS, ("signal", "attribution"), strict=True):
        with pytest.raises(NotFittedError, match=rf"patternnet.{name} .*fit\(data\)"):
            method(model).analyze(x)
    with pytest.raises(NotFittedError, match=r"fit\(data\)"):
        xaicore.compare(model, x, methods=["patternnet.signal"])


def test_who_handles_which_layer_is_known_before_fit() -> None:
    matching = PatternAttribution(Residual()).match(torch.rand(2, 2, 6, 6))
    mapped = {row["layer"]: row["mapping"] for row in matching.rows()}
    assert mapped["conv2d"] == mapped["add"] == "weights times patterns (positive)"
    assert mapped["conv2d_1"] == mapped["linear"] == "weights times patterns (linear)"  # no ReLU right behind them
    assert mapped["relu"] == mapped["cat"] == "as_the_gradient"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "fit needs data"),
        (iter([]), "holds no batch"),
        (torch.zeros(0, 6), "empty"),
        (torch.full((3, 6), torch.nan), "NaN"),
        (torch.rand(3, 5), "does not take these inputs"),
        ([torch.rand(3, 6), torch.rand(3, 6)], r"iter\(batches\)"),
    ],
    ids=["nothing", "no batch", "no sample", "nan", "another shape", "a list of batches"],
)
def test_data_that_cannot_be_learnt_from_are_refused(data: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PatternNet(Mlp()).fit(data)


def test_infinite_values_inside_the_model_are_refused() -> None:
    class Overflow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.exp(100 * x))

    with pytest.raises(InputError, match="NaN or infinity in the layer linear in module 'head'"):
        PatternNet(Overflow()).fit(torch.tensor([[0.1, 0.2], [5.0, 0.0]]))


def test_a_model_without_weights_has_nothing_to_learn() -> None:
    with pytest.raises(InputError, match="nothing that has patterns"):
        PatternNet(nn.Sequential(nn.ReLU(), nn.Flatten())).fit(torch.rand(3, 2))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": "postive"}, "Did you mean 'positive'"),
        ({"estimator": None}, "choose 'linear'"),
        ({"patterns": 3}, "path of a file"),
        ({"check_weights": "no"}, "True or False"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, object], message: str) -> None:
    for method in METHODS:
        with pytest.raises(ParameterError, match=message):
            method(Mlp(), **parameters)


@pytest.mark.parametrize(
    ("familiar", "name"),
    [
        ("pattern.net", "patternnet.signal"),
        ("pattern.attribution", "patternnet.attribution"),
        ("PatternNet", "patternnet.signal"),
        ("pattern_attribution", "patternnet.attribution"),
    ],
)
def test_familiar_names(familiar: str, name: str) -> None:
    assert xaicore.find_method(familiar).name == name


def test_patterns_say_what_they_are() -> None:
    found = learn_patterns(Mlp(), torch.rand(5, 6))
    assert isinstance(found, Patterns)
    assert repr(found) == "Patterns(2 layers, 5 samples)"
