"""The two methods: the walk by hand, on models of several forms, and what they refuse."""

from __future__ import annotations

from collections import OrderedDict

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
    with pytest.raises(InputError, match="xaicore.batches"):
        PatternNet(model).fit(loader)


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


def test_signals_of_a_deep_network_do_not_overflow() -> None:
    x = random(60, 1, 6, 6, dtype=torch.float32)
    plain, levelled = (PatternNet(Deep(40), normalize=each).fit(x).analyze(x) for each in (False, "auto"))
    assert plain.diagnostics.non_finite
    assert not levelled.diagnostics.non_finite
    assert not any("direction" in note for note in plain.diagnostics.notes)
    assert sum("direction of the signal counts" in note for note in levelled.diagnostics.notes) == 1
    assert 1e-20 < float(levelled.relevance.abs().max()) < 1e20


def test_normalizing_changes_the_size_of_a_signal_alone() -> None:
    model, x = Deep(3).double(), random(60, 1, 6, 6)
    analyzer = PatternNet(model).fit(x)
    plain = relevance(analyzer, x)
    torch.testing.assert_close(relevance(analyzer.set_params(normalize=False), x), plain)  # as 'auto' in a short one
    levelled = relevance(analyzer.set_params(normalize=True), x)
    factor = float((plain * levelled).sum() / levelled.square().sum())
    assert factor > 10
    torch.testing.assert_close(factor * levelled, plain)


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
    ],
    ids=["nothing", "no batch", "no sample", "nan", "another shape"],
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
    with pytest.raises(ParameterError, match="normalize='always' must be"):
        PatternNet(Mlp(), normalize="always")


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
