"""Randomised parameters and classes: what is known in advance, and what every metric promises."""

from __future__ import annotations

import copy
from typing import Any, Self

import pytest
import torch
from judged import Gradient, Inputs, InputTimesGradient, OfPositiveScores, Times, images, linear, shared_cnn, small_cnn
from torch import nn

from xai_evaluation import ParameterRandomization, RandomLogit
from xai_evaluation.randomization.layers import layers_in_order
from xai_evaluation.randomization.similarity import similarities
from xaicore.analyzers import NoiseAverage, TranslationAverage
from xaicore.engine import Engine, prepare
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, Scores, evaluate

ORDERS = ("top_down", "bottom_up", "independent")


class Reversed(nn.Linear):
    """A layer whose new parameters are known: the old ones with their sign changed and their order reversed."""

    def reset_parameters(self) -> None:
        """Turn the weight round."""
        if getattr(self, "made", False):
            self.weight.copy_(-self.weight.flip(1))
        else:
            super().reset_parameters()
            self.made = True


def chain() -> nn.Sequential:
    """Three layers without biases, of float64: the gradient is the product of their weights."""
    torch.manual_seed(0)
    sizes = [(6, 5), (5, 4), (4, 3)]
    return nn.Sequential(*[Reversed(*size, bias=False, dtype=torch.float64) for size in sizes])


def turned(layer: nn.Linear) -> torch.Tensor:
    return -layer.weight.detach().flip(1)


@pytest.mark.parametrize(
    ("order", "randomised"),
    [("top_down", [{2}, {1, 2}, {0, 1, 2}]), ("bottom_up", [{0}, {0, 1}, {0, 1, 2}]), ("independent", [{2}, {1}, {0}])],
)
def test_the_layers_are_randomised_in_order(order, randomised) -> None:
    model, x = chain(), torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).double()
    metric = ParameterRandomization(order=order, similarity="pearson", of="signed")
    scores = metric.score(Case(Gradient(model), x, 1))

    def gradient(changed: set[int]) -> torch.Tensor:
        product = torch.eye(6, dtype=torch.float64)
        for number, layer in enumerate(model):
            product = (turned(layer) if number in changed else layer.weight.detach()) @ product
        return product[1].expand(3, -1)

    expected = [similarities({"x": gradient(set())}, {"x": gradient(each)}, "pearson", "signed") for each in randomised]
    torch.testing.assert_close(scores.curve.y, torch.stack(expected, 1))
    torch.testing.assert_close(scores.values, torch.stack(expected, 1).mean(1))
    assert scores.curve.x.tolist() == [1.0, 2.0, 3.0]
    names = "0, 1, 2" if order == "bottom_up" else "2, 1, 0"
    assert scores.notes == [f"layers in this order: {names}"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("how", ["reset", "permute", "normal"])
def test_a_method_that_does_not_look_at_the_model_stays_the_same(order, how) -> None:
    scores = ParameterRandomization(order=order, how=how).score(Case(Inputs(shared_cnn()), images(3)))
    torch.testing.assert_close(scores.values, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("how", ["reset", "permute", "normal"])
def test_the_gradient_follows_the_model_down_to_no_similarity(how) -> None:
    scores = ParameterRandomization(how=how, of="signed").score(Case(Gradient(shared_cnn()), images(12)))
    assert scores.mean < 0.6
    assert abs(float(scores.curve.y[:, -1].mean())) < 0.3


def test_layers_come_in_the_order_in_which_they_run_not_in_which_they_were_made() -> None:
    class Model(nn.Module):
        """Made the other way round than it runs; one layer is never used, another by its owner alone."""

        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4, 2)
            self.never = nn.Linear(4, 4)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.scale = nn.Parameter(torch.ones(4))
            self.first = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.first(x * self.scale)
            return self.last(self.attention(h, h, h, need_weights=False)[0][:, 0])

    model = Model().eval()
    layers = layers_in_order(model, prepare(torch.ones(2, 3, 4), model))
    assert [layer.path for layer in layers] == ["model", "first", "attention", "attention.out_proj", "last"]


def test_permuted_parameters_keep_their_values_and_normal_ones_their_moments() -> None:
    model = nn.Sequential(nn.Linear(100, 50))
    (layer,) = layers_in_order(model, prepare(torch.ones(2, 100), model))
    before = layer.state()
    layer.randomise("permute", 0)
    weight = model[0].weight.detach()
    assert not torch.equal(weight, before["weight"])
    assert torch.equal(weight.flatten().sort().values, before["weight"].flatten().sort().values)
    layer.restore(before)
    assert torch.equal(model[0].weight, before["weight"])
    with torch.no_grad():
        model[0].weight.mul_(0.3).add_(2.0)
    spread = float(model[0].weight.detach().std())
    layer.randomise("normal", 0)
    assert float(model[0].weight.detach().mean()) == pytest.approx(2.0, abs=0.01)
    assert float(model[0].weight.detach().std()) == pytest.approx(spread, rel=0.05)


class Partly(nn.Module):
    """A module whose ``reset_parameters`` forgets its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 2, 12).view(4, 3) ** 3)
        self.bias = nn.Parameter(torch.ones(3))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight + self.bias


def test_parameters_that_a_reset_does_not_reach_are_random_too() -> None:
    x = torch.linspace(-1, 1, 8).view(2, 4)
    scores = ParameterRandomization(similarity="pearson", of="signed").score(Case(Gradient(Partly()), x, 0))
    assert (scores.values < 0.999).all()  # the gradient is the weight


def test_batch_norm_is_initialised_with_its_statistics_and_put_back() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 3)).double()
    model(images(20, dtype=torch.float64) * 3 + 1)
    model.eval()
    before = copy.deepcopy(model.state_dict())
    case = Case(Gradient(model), images(3, dtype=torch.float64))
    scores = ParameterRandomization(order="independent", of="signed", similarity="pearson").score(case)
    fresh = copy.deepcopy(model)
    fresh[1].reset_parameters()
    new = case.relevance_in(Gradient(fresh).analyze(case.inputs, case.target))
    torch.testing.assert_close(scores.curve.y[:, 1], similarities(case.relevance, new, "pearson", "signed"))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("metric", [*(ParameterRandomization(order=each) for each in ORDERS), RandomLogit(classes=2)])
def test_a_sample_has_the_same_value_in_every_batch(metric) -> None:
    x, analyzer = images(5, dtype=torch.float64), InputTimesGradient(shared_cnn(torch.float64))
    whole = metric.score(Case(analyzer, x))
    for size in (1, 7):
        torch.testing.assert_close(metric.score(Case(analyzer, x, engine=Engine(batch_size=size))).values, whole.values)
    alone = Scores.concat([metric.score(Case(analyzer, x[number : number + 1])) for number in (0, 3)])
    torch.testing.assert_close(alone.values, whole.values[[0, 3]])


@pytest.mark.parametrize("metric", [ParameterRandomization(), RandomLogit()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types_of_lower_precision_have_their_scores(metric, dtype) -> None:
    scores = metric.score(Case(InputTimesGradient(shared_cnn(dtype)), images(3, dtype=dtype)))
    assert scores.values.dtype == torch.float64
    assert torch.isfinite(scores.values).all()


def test_the_seed_alone_decides_and_the_model_and_the_global_generator_stay() -> None:
    model = small_cnn().train()
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    case = Case(Gradient(model), images(2))
    first, again, other = (ParameterRandomization(seed=seed).score(case).values.tolist() for seed in (0, 0, 1))
    assert first == again != other
    assert torch.equal(state, torch.random.get_rng_state())
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_the_explained_class_stays_that_of_the_model() -> None:
    torch.manual_seed(0)
    model = linear(torch.randn(3, 6))
    analyzer, asked = Gradient(model), []

    class Watched(Gradient):
        """Notes which classes it is asked for."""

        def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
            found = super().analyze(inputs, target, **options)
            asked.append(found.target["index"])
            return found

    x = torch.randn(8, 6).double()
    predicted = analyzer.analyze(x).target["index"]
    ParameterRandomization().score(Case(Watched(model), x))
    assert asked == [predicted, predicted]
    assert len(set(predicted)) > 1


@pytest.mark.parametrize("metric", [ParameterRandomization(), RandomLogit()])
@pytest.mark.parametrize("factor", [0.0, torch.nan])
def test_constant_maps_and_what_is_not_finite_are_undefined(metric, factor) -> None:
    scores = metric.score(Case(Times(shared_cnn(), factor=factor), images(2)))
    assert scores.undefined == 2
    assert any("constant" in note for note in scores.notes)


def test_wrapped_methods_are_bound_to_the_copy() -> None:
    wrapped = NoiseAverage(TranslationAverage(Gradient(shared_cnn()), shifts=1), noise=0.1, samples=2)
    model = wrapped.analyzer.analyzer.model
    scores = ParameterRandomization(of="signed").score(Case(wrapped, images(2)))
    assert scores.mean < 0.9
    assert wrapped.analyzer.analyzer.model is model


class Centred(Gradient):
    """The gradient, plus a number that is learnt: the mean output of the model for the data."""

    def fit(self, data: Any = None) -> Self:
        """Run the model."""
        self.mean_ = self.model(data).detach().mean()
        return self

    def readout(self, relevance: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The mean output in the first feature, 0 elsewhere."""
        return torch.cat([self.mean_.expand(len(value), 1), torch.ones_like(value[:, 1:])], 1)


def test_a_method_that_learns_is_fitted_for_every_randomised_model() -> None:
    model, x = chain(), torch.randn(3, 6, generator=torch.Generator().manual_seed(1)).double()
    analyzer = Centred(model).fit(x)
    learnt = analyzer.mean_
    with pytest.raises(ParameterError, match="data="):
        ParameterRandomization().score(Case(analyzer, x, 1))
    found = ParameterRandomization(data=x, similarity="cosine", of="signed").score(Case(analyzer, x, 1)).curve.y
    product, expected = x.T, []
    for changed in ({2}, {1, 2}, {0, 1, 2}):
        product = x.T
        for number, layer in enumerate(model):
            product = (turned(layer) if number in changed else layer.weight.detach()) @ product
        maps = [torch.tensor([[float(mean), 1, 1, 1, 1, 1]]).double() for mean in (learnt, product.mean())]
        expected.append(similarities({"x": maps[0]}, {"x": maps[1]}, "cosine", "signed"))
    torch.testing.assert_close(found, torch.stack(expected, 1).expand(3, -1))
    assert analyzer.mean_ is learnt


def test_the_heatmap_of_another_class_of_a_linear_model_is_its_weight() -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores = RandomLogit(classes=3).score(Case(Gradient(linear(weight)), x, [0, 1, 2, 3, 3]))
    for row, explained in enumerate([0, 1, 2, 3, 3]):
        classes = scores.details["classes"][row].tolist()
        assert sorted([*classes, explained]) == [0, 1, 2, 3]
        for column, other in enumerate(classes):
            expected = similarities({"x": weight[[explained]]}, {"x": weight[[other]]}, "spearman", "signed")
            assert scores.details["similarity"][row, column] == pytest.approx(float(expected))
    torch.testing.assert_close(scores.values, scores.details["similarity"].mean(1))
    assert scores.values[3] == scores.values[4]  # of one class, with one weight


def test_a_method_that_ignores_the_class_is_always_alike() -> None:
    scores = RandomLogit(classes=99).score(Case(Inputs(shared_cnn()), images(3)))
    assert scores.details["classes"].shape == (3, 4)
    torch.testing.assert_close(scores.values, torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("target", [lambda output: output[:, 0], (0,)])
def test_what_is_no_class_has_no_other(target) -> None:
    if callable(target):
        with pytest.raises(InputError, match="class"):
            RandomLogit().score(Case(Gradient(shared_cnn()), images(2), target))
    with pytest.raises(InputError, match="class"):
        RandomLogit().score(Case(Gradient(linear([[1.0, 2.0]])), torch.ones(2, 2).double()))


def test_models_without_parameters_and_functions_are_refused() -> None:
    with pytest.raises(InputError, match="no parameters"):
        ParameterRandomization().score(Case(Gradient(nn.Softplus()), torch.ones(2, 3)))
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        ParameterRandomization().score(Case(Gradient(lambda x: x), torch.ones(2, 2).numpy(), 0))


def test_a_model_that_cannot_be_copied_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    model.kept = model(torch.ones(1, 2))
    with pytest.raises(InputError, match="copied"):
        ParameterRandomization().score(Case(Gradient(model), torch.ones(2, 2)))


@pytest.mark.parametrize(
    ("metric", "parameters"),
    [
        (ParameterRandomization, {"order": "down"}),
        (ParameterRandomization, {"how": "zeros"}),
        (ParameterRandomization, {"similarity": "kendall"}),
        (ParameterRandomization, {"of": "both"}),
        (ParameterRandomization, {"seed": 0.5}),
        (RandomLogit, {"classes": 0}),
        (RandomLogit, {"similarity": None}),
    ],
)
def test_parameters_are_refused_by_name(metric, parameters) -> None:
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        metric(**parameters)


def test_metrics_are_found_by_name() -> None:
    found = evaluate(Gradient(shared_cnn()), images(2), ["mprt", "evaluation.random_logit"])
    assert list(found) == ["evaluation.parameter_randomization", "evaluation.random_logit"]
    assert all(-1 <= value <= 1 for scores in found.values() for value in scores)


def test_samples_whose_other_class_the_method_refuses_are_undefined_alone() -> None:
    x = torch.tensor([[1.0, 2.0], [2.0, -1.0], [3.0, 1.0], [1.0, -2.0]]).double()
    weight = [[1.0, 0.1], [0.1, 1.0]]
    scores = RandomLogit().score(Case(OfPositiveScores(linear(weight)), x, 0))
    assert scores.values.isnan().tolist() == [False, True, False, True]
    assert any("refused" in note for note in scores.notes)
