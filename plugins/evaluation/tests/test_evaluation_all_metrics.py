"""What every metric of this package keeps beyond what the conformance kit asks: streams, tokens, several inputs."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from judged import InputTimesGradient, Times, images, shared_cnn
from torch import Tensor, nn

from xaicore.analyzers import Analyzer, ExternalMethod, GivenRelevance
from xaicore.errors import InputError
from xaicore.plugins import MetricSpec, metrics, resolve
from xaicore.scoring import Metric, Scores, create_metric, evaluate

SPECS = [spec for spec in metrics() if spec.namespace == "evaluation"]
QUICK = {"samples": 3, "subsets": 12, "steps": 6, "regions": 5, "shifts": 2}
"""Fewer draws and steps where a metric has such parameters."""

EXPLAINS_AGAIN = {
    "average_sensitivity", "continuity", "input_invariance", "local_lipschitz", "max_sensitivity",
    "parameter_randomization", "random_logit", "selectivity",
}  # fmt: skip
"""Those that ask for explanations of changed inputs, of another class or of another model."""
NEEDS_A_MODULE = {"input_invariance", "parameter_randomization"}
"""Those that change the model."""
NEEDS_IMAGES = {"insertion"}
"""Those that blur, by default."""
NEEDS_REAL_NUMBERS = NEEDS_IMAGES | {
    "average_sensitivity", "continuity", "input_invariance", "local_lipschitz", "max_sensitivity", "non_sensitivity",
    "region_perturbation",
}  # fmt: skip
"""Those that add noise, by default."""

every_metric = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.bare_name)


class Words(nn.Module):
    """A model of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(7, 5), nn.Linear(5, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embedding(tokens)).mean(1))


class Pair(nn.Module):
    """A model of an image and of numbers beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.numbers = nn.Linear(64, 4), nn.Linear(3, 4)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        return self.image(image.flatten(1)) + torch.relu(self.numbers(numbers))


# Models are captured once, and not for each metric.
@pytest.fixture(scope="module")
def model() -> nn.Module:
    return shared_cnn(torch.float64)


@pytest.fixture(scope="module")
def words() -> nn.Module:
    return Words()


@pytest.fixture(scope="module")
def pair() -> nn.Module:
    return Pair()


X = images(3, dtype=torch.float64)
MASKS = torch.zeros(3, 8, 8)
MASKS[:, 2:6, 1:5] = 1


def quick(spec: MetricSpec) -> Metric:
    cls = resolve(spec.target)
    return create_metric(spec.name, **{name: QUICK[name] for name in QUICK if name in cls.parameter_names()})


def judged(spec: MetricSpec, analyzer: Analyzer, x: Any = X, masks: Any = MASKS, **options: Any) -> Scores:
    given = {"masks": masks} if spec.needs else {}
    (scores,) = evaluate(analyzer, x, quick(spec), **given, **options).values()
    return scores


def assert_within_bounds(scores: Scores) -> None:
    low, high = scores.bounds
    for value in scores.defined:
        assert low is None or value >= low - 1e-9
        assert high is None or value <= high + 1e-9


def test_every_public_metric_is_registered() -> None:
    import xai_evaluation

    assert {resolve(spec.target) for spec in SPECS} == {
        getattr(xai_evaluation, name) for name in xai_evaluation.__all__
    }


@every_metric
def test_its_definition_parameters_and_sources_are_documented(spec: MetricSpec) -> None:
    cls = resolve(spec.target)
    text = inspect.getdoc(cls) or ""
    assert "References\n----------" in text
    described = "\n".join(inspect.cleandoc(base.__doc__ or "") for base in cls.__mro__ if issubclass(base, Metric))
    for name in cls.parameter_names():
        heads = [line.partition(":")[0] for line in described.splitlines() if not line.startswith(" ")]
        assert any(name in [each.strip() for each in head.split(",")] for head in heads), name


@every_metric
@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_of_relevance_that_is_not_finite_it_gives_no_number_and_says_so(
    spec: MetricSpec, factor: float, model: nn.Module
) -> None:
    scores = judged(spec, Times(model, factor=factor))
    assert scores.undefined == 3
    assert scores.notes


@every_metric
def test_batches_of_a_stream_say_the_same_of_it_once(spec: MetricSpec, model: nn.Module) -> None:
    wrong = Times(model, factor=math.nan)
    parts = [judged(spec, wrong, X[part], MASKS[part]) for part in (slice(1), slice(1, 3))]
    assert tuple(Scores.concat(parts).notes) == tuple(parts[0].notes)


@every_metric
def test_relevance_that_is_given_is_judged_where_it_is_not_asked_for_again(spec: MetricSpec, model: nn.Module) -> None:
    target = [2, 0, 4]
    method = InputTimesGradient(model)
    given = GivenRelevance(model, relevance=method.analyze(X, target).relevance)
    if spec.bare_name in EXPLAINS_AGAIN:
        with pytest.raises(InputError, match="given for these samples alone"):
            judged(spec, given, target=target)
        return
    torch.testing.assert_close(judged(spec, given, target=target).values, judged(spec, method, target=target).values)


@every_metric
def test_tokens_are_judged_or_refused(spec: MetricSpec, words: nn.Module) -> None:
    tokens, masks = torch.tensor([[1, 4, 2, 0], [6, 6, 3, 5]]), [[1, 1, 0, 0], [0, 1, 0, 1]]
    if spec.bare_name in NEEDS_REAL_NUMBERS:
        with pytest.raises(InputError, match="floating-point|blurred"):
            judged(spec, InputTimesGradient(words), tokens, masks)
        return
    scores = judged(spec, InputTimesGradient(words), tokens, masks)
    assert scores.values.shape == (2,)
    assert_within_bounds(scores)
    assert not scores.undefined or scores.notes


@every_metric
def test_several_inputs_are_judged_or_refused(spec: MetricSpec, pair: nn.Module) -> None:
    x = {"image": X[:2].float(), "numbers": torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, -0.2]])}
    if spec.bare_name in NEEDS_IMAGES:
        with pytest.raises(InputError, match="'numbers' .* cannot be blurred"):
            judged(spec, InputTimesGradient(pair), x, {"image": MASKS[:2]})
        return
    scores = judged(spec, InputTimesGradient(pair), x, {"image": MASKS[:2]})
    assert scores.values.shape == (2,)
    assert_within_bounds(scores)
    assert not scores.undefined or scores.notes


def softmax_of_sums(x: Any) -> Any:
    """A model on arrays, as `predict_proba` is."""
    assert isinstance(x, np.ndarray)
    odds = np.exp(np.tanh(x @ np.random.default_rng(0).normal(size=(6, 3))))
    return odds / odds.sum(1, keepdims=True)


def losses(model: Any, x: Any, index: Any) -> Any:
    """What a model loses without a feature."""
    without = [np.where(np.arange(x.shape[1]) == feature, 0, x) for feature in range(x.shape[1])]
    rows = np.arange(len(x))
    return model(x)[rows, index][:, None] - np.stack([model(each)[rows, index] for each in without], 1)


@every_metric
def test_functions_on_arrays_are_judged_or_refused(spec: MetricSpec) -> None:
    x, masks = np.random.default_rng(1).normal(size=(4, 6)), [[1, 1, 0, 0, 1, 0]] * 4
    analyzer = ExternalMethod(softmax_of_sums, function=losses)
    if spec.bare_name in NEEDS_A_MODULE | NEEDS_IMAGES:
        with pytest.raises(InputError, match="needs a torch.nn.Module|cannot be blurred"):
            judged(spec, analyzer, x, masks)
        return
    scores = judged(spec, analyzer, x, masks)
    assert torch.isfinite(scores.values).all(), scores
    assert_within_bounds(scores)
    torch.testing.assert_close(judged(spec, analyzer, x, masks, batch_size=1).values, scores.values)
