"""What every metric of axioms promises: batches, types, undefined values, refusals, an untouched model."""

from __future__ import annotations

import copy
from typing import Any, Self

import pytest
import torch
from judged import Gradient, InputTimesGradient, Times, images, linear, shared_cnn
from torch import nn

from xai_evaluation import Completeness, InputInvariance, NonSensitivity
from xaicore.analyzers import NoiseAverage
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, Scores, evaluate

METRICS = [
    Completeness(),
    Completeness(baseline="uniform"),
    NonSensitivity(patch=4, fill=0.3),
    NonSensitivity(patch=4),
    InputInvariance(),
]
NAMES = [f"{type(metric).__name__}-{number}" for number, metric in enumerate(METRICS)]


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_a_sample_has_the_same_value_in_every_batch(metric) -> None:
    x, analyzer = images(5, dtype=torch.float64), InputTimesGradient(shared_cnn(torch.float64))
    whole = metric.score(Case(analyzer, x))
    for size in (1, 7):
        split = metric.score(Case(analyzer, x, engine=Engine(batch_size=size)))
        torch.testing.assert_close(split.values, whole.values)
    alone = Scores.concat([metric.score(Case(analyzer, x[number : number + 1])) for number in (0, 3)])
    torch.testing.assert_close(alone.values, whole.values[[0, 3]])


@pytest.mark.parametrize("metric", [Completeness(), Completeness(baseline=0.3), InputInvariance()])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 0.2)])
def test_types_of_lower_precision_give_about_the_same(metric, dtype, tolerance) -> None:
    exact = metric.score(Case(InputTimesGradient(shared_cnn(torch.float64)), images(3, dtype=torch.float64), 0))
    found = metric.score(Case(InputTimesGradient(shared_cnn(dtype)), images(3, dtype=dtype), 0))
    torch.testing.assert_close(found.values, exact.values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_rounds_to_nothing_is_no_influence_in_any_type(dtype) -> None:
    weight = torch.tensor([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
    x = torch.tensor([[1.0, 2.0, 3.0, 1.0], [-1.0, 0.5, 0.5, 2.0]], dtype=dtype)
    assert NonSensitivity().score(Case(Gradient(linear(weight, dtype=dtype)), x, 0)).values.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("metric", [*METRICS, InputInvariance(compensation="bias")])
def test_the_model_stays_as_it_was(metric) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout(0.5), nn.Flatten(), nn.Linear(72, 3)).train()
    before, bias = copy.deepcopy(model.state_dict()), model[0].bias
    metric.score(Case(Gradient(model), images(2)))
    assert model.training
    assert model[0].bias is bias
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize("factor", [torch.nan, torch.inf])
def test_relevance_that_is_not_finite_leaves_the_sample_undefined(metric, factor) -> None:
    scores = metric.score(Case(Times(shared_cnn(), factor=factor), images(2)))
    assert scores.undefined == 2
    assert any("finite" in note for note in scores.notes)


def test_a_change_by_no_relevance_is_undefined() -> None:
    scores = InputInvariance().score(Case(Times(shared_cnn(), factor=0.0), images(2)))
    assert scores.undefined == 2
    assert any("relevance is 0" in note for note in scores.notes)


class TwoInputs(nn.Module):
    """A function of two inputs, of two classes."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The first feature of each, and the sum of their products."""
        return torch.stack([a[:, 0] + 2 * b[:, 0], (a * b).sum(1)], 1)


@pytest.mark.parametrize("order", ["positions", "names", "names the other way round"])
def test_several_inputs_by_position_and_by_name(order) -> None:
    a, b = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    given: Any = (a, b) if order == "positions" else {"a": a, "b": b} if order == "names" else {"b": b, "a": a}
    case = Case(InputTimesGradient(TwoInputs()), given, 0)
    shift = InputInvariance(shift=1.0).score(case)
    size = (a[:, 0].square() + (2 * b[:, 0]).square()).sqrt()
    torch.testing.assert_close(shift.values, 5**0.5 / size)
    assert NonSensitivity().score(case).values.tolist() == [0.0] * 3
    torch.testing.assert_close(Completeness(baseline=0.0).score(case).values, torch.zeros(3).double())


class Tokens(nn.Module):
    """Tokens in, two classes out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Scores of the first embedding."""
        return self.head(self.table(tokens)[:, 0])


def test_tokens_are_features_that_a_token_replaces() -> None:
    case = Case(InputTimesGradient(Tokens()), torch.tensor([[1, 2, 3], [3, 4, 1]]), 0)
    assert NonSensitivity(fill=0).score(case).values.tolist() == [0.0, 0.0]
    assert torch.isfinite(Completeness(baseline=0).score(case).values).all()
    with pytest.raises(InputError, match="floating-point"):
        InputInvariance().score(case)
    with pytest.raises(InputError, match="floating-point"):
        NonSensitivity().score(case)


def test_a_bias_that_cannot_take_the_shift_back_is_refused() -> None:
    metric = InputInvariance(compensation="bias")
    with pytest.raises(InputError, match="compensation='layer'"):
        metric.score(Case(Gradient(shared_cnn()), images(2)))  # its convolution pads with zeros
    shared = linear([[1.0, 2.0], [0.0, 1.0]])
    with pytest.raises(InputError, match="used once"):
        metric.score(Case(Gradient(nn.Sequential(shared, nn.ReLU(), shared)), torch.ones(2, 2).double()))


class Mean(InputTimesGradient):
    """Input less a mean that is learnt from data, times the gradient."""

    def fit(self, data: Any = None) -> Self:
        """Learn the mean."""
        whole = data if isinstance(data, torch.Tensor) else torch.cat([batch.inputs for batch in data])
        self.mean_ = whole.mean(0)
        return self

    def readout(self, relevance: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The difference to the mean, times the gradient."""
        return relevance * (value - self.mean_)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_method_that_learns_is_fitted_on_shifted_data(wrapped) -> None:
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).double()
    analyzer: Any = Mean(linear([[1.0, 2.0], [0.0, 1.0]]))
    if wrapped:
        analyzer = NoiseAverage(analyzer, noise=0.1, samples=2, relative=False)
    analyzer.fit(x)
    learnt = analyzer.wrapped.mean_ if wrapped else analyzer.mean_
    with pytest.raises(ParameterError, match="data="):
        InputInvariance().score(Case(analyzer, x, 0))
    found = InputInvariance(shift=3.0, data=x).score(Case(analyzer, x, 0))
    torch.testing.assert_close(found.values, torch.zeros(4).double(), atol=1e-9, rtol=0)
    stream = InputInvariance(shift=3.0, data=iter(x.split(3))).score(Case(analyzer, x, 0))
    torch.testing.assert_close(stream.values, found.values)
    assert (analyzer.wrapped.mean_ if wrapped else analyzer.mean_) is learnt


def test_functions_are_refused_where_a_model_is_changed() -> None:
    class Constant(Gradient):
        """Is never asked."""

    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        InputInvariance().score(Case(Constant(lambda x: x), torch.ones(2, 2).numpy(), 0))


@pytest.mark.parametrize(
    ("metric", "parameters"),
    [
        (Completeness, {"baseline": "nothing"}),
        (Completeness, {"relative": 1}),
        (NonSensitivity, {"patch": 0}),
        (NonSensitivity, {"fill": "nothing"}),
        (NonSensitivity, {"epsilon": 0}),
        (NonSensitivity, {"epsilon": 1.5}),
        (InputInvariance, {"shift": "mean"}),
        (InputInvariance, {"compensation": "weights"}),
        (InputInvariance, {"shift": [1.0, 2.0], "compensation": "bias"}),
    ],
)
def test_parameters_are_refused_by_name(metric, parameters) -> None:
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        metric(**parameters)


def test_metrics_are_found_by_name() -> None:
    names = ["evaluation.completeness", "conservation_gap", "non_sensitivity", "InputInvariance"]
    found = evaluate(Gradient(shared_cnn()), images(2), names)
    assert all(torch.isfinite(scores.values).all() and not scores.higher_is_better for scores in found.values())


class TwoBranches(nn.Module):
    """A linear layer for each input, one of them behind a flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.Linear(4, 2), nn.Linear(4, 2, bias=False)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The product of both."""
        return self.first(a.flatten(1)) * self.second(b)


def test_every_layer_that_reads_an_input_takes_the_shift_back() -> None:
    torch.manual_seed(0)
    model = TwoBranches().double()
    inputs = torch.randn(3, 2, 2).double(), torch.randn(3, 4).double()
    case = Case(InputTimesGradient(model), inputs, 1)
    both = [InputInvariance(shift=2.0, compensation=how).score(case).values for how in ("layer", "bias")]
    torch.testing.assert_close(*both)
    gradient = InputInvariance(compensation="bias").score(Case(Gradient(model), inputs, 1))
    torch.testing.assert_close(gradient.values, torch.zeros(3).double())
