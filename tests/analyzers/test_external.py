"""Relevance that is made elsewhere: functions as analyzers, and relevance that is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from judging import InputTimesGradient, Largest, Scaling, Tokens, Two, images, small_model
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import xaicore
from xaicore import Contrast, Engine, ExternalMethod, GivenRelevance
from xaicore.errors import InputError, ParameterError, TargetError
from xaicore.scoring import evaluate


def input_times_gradient(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return x * torch.autograd.grad(model(x)[range(len(x)), index].sum(), x)[0]


def external(model: Any, **params: Any) -> ExternalMethod:
    return ExternalMethod(model, function=input_times_gradient, **params)


@pytest.mark.parametrize("target", [None, 2, [0, 3, 3, 1, 2, 0]])
@pytest.mark.parametrize("batch_size", [1, 4, None, "auto"])
def test_a_function_explains_like_the_method_that_it_is(target: Any, batch_size: Any) -> None:
    model = small_model()
    expected = InputTimesGradient(model).analyze(images(), target)
    found = external(model).analyze(images(), target, batch_size=batch_size)
    torch.testing.assert_close(found.relevance, expected.relevance)
    assert found.target["labels"] == expected.target["labels"]
    torch.testing.assert_close(found.prediction, expected.prediction)
    assert not found.relevance.requires_grad
    assert found.method == "input_times_gradient"


def test_it_can_be_given_a_name() -> None:
    assert external(small_model(), name="captum.ixg").analyze(images()).method == "captum.ixg"


@pytest.mark.parametrize("metric", [Largest(), Scaling(), Scaling(explains=True)], ids=repr)
def test_it_is_judged_like_the_method_that_it_is(metric: Any) -> None:
    model = small_model()
    (expected,) = evaluate(InputTimesGradient(model), images(), metric).values()
    (found,) = evaluate(external(model), images(), metric).values()
    torch.testing.assert_close(found.values, expected.values)


def test_streams_are_explained_batch_by_batch() -> None:
    model = small_model()
    whole = external(model).analyze(images()).relevance
    found = external(model).analyze(iter(images().split(4)))
    torch.testing.assert_close(found.relevance, whole)


def test_several_inputs_come_as_they_are_given_and_go_back_as_tuple_or_dict() -> None:
    model, x = Two(), {"image": torch.rand(2, 1, 4, 4), "numbers": torch.rand(2, 4)}
    seen: list[Any] = []

    def tuples(model: nn.Module, given: Any, index: Tensor) -> Any:
        seen.append(given)
        return tuple(given.values()) if isinstance(given, dict) else given

    by_name = ExternalMethod(model, function=tuples).analyze(x, 0).relevance
    by_position = ExternalMethod(model, function=tuples).analyze(tuple(x.values()), 0).relevance
    assert isinstance(by_name, dict)
    assert isinstance(by_position, dict)
    for name, each in x.items():
        torch.testing.assert_close(by_name[name], each)
        torch.testing.assert_close(by_position[name], each)
    assert isinstance(seen[0], dict)
    assert isinstance(seen[1], tuple)
    partly = ExternalMethod(model, function=lambda m, x, i: {"numbers": x["numbers"]}).analyze(x, 0).relevance
    assert list(partly) == ["numbers"]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x[:, :, :3], r"returned relevance of shape \(6, 2, 3, 6\) for 'input'; it must be \(6, 2, 6, 6\)"),
        (lambda x: (x, x), "returned 2 tensors; the inputs are 'input'"),
        (lambda x: {"inputs": x}, "returned relevance of 'inputs'; the inputs are 'input'. Did you mean 'input'"),
        (lambda x: None, "function returned a NoneType for 'input'; it must be a tensor or an array"),
        (lambda x: x + 0j, "function returned complex relevance for 'input'"),
        (lambda x: x.sum(), "it must be"),
    ],
)
def test_what_is_no_relevance_is_refused(returned: Any, message: str) -> None:
    def function(model: nn.Module, x: Tensor, index: Tensor) -> Any:
        return returned(x)

    with pytest.raises(InputError, match=message):
        ExternalMethod(small_model(), function=function).analyze(images())


@pytest.mark.parametrize("shape", [(6, 1, 6, 6), (6, 6, 6)])
def test_maps_without_channels_are_spread_over_them(shape: tuple[int, ...]) -> None:
    maps = torch.randn(shape, dtype=torch.float64)
    relevance = ExternalMethod(small_model(), function=lambda m, x, i: maps.numpy()).analyze(images()).relevance
    assert relevance.shape == (6, 2, 6, 6)
    torch.testing.assert_close(relevance.sum(1), maps.reshape(6, 6, 6))


def test_tokens_get_one_number_each() -> None:
    tokens = torch.tensor([[1, 4, 2], [9, 9, 0]])
    relevance = ExternalMethod(Tokens(), function=lambda m, x, i: x * i[:, None]).analyze(tokens, [1, 2]).relevance
    assert relevance.tolist() == [[1, 4, 2], [18, 18, 0]]
    assert relevance.is_floating_point()


@pytest.mark.parametrize("target", [Contrast(0, 1), lambda y: y[:, 0]])
def test_a_target_that_has_no_index_cannot_be_passed_on(target: Any) -> None:
    with pytest.raises(TargetError, match="cannot be told of a target of kind"):
        external(small_model()).analyze(images(), target)


def test_elements_of_larger_outputs_are_tuples_and_single_values_none() -> None:
    seen: list[Any] = []

    def function(model: Any, x: Any, index: Any) -> Any:
        seen.append(index)
        return x

    ExternalMethod(nn.Unflatten(1, (2, 2)), function=function).analyze(torch.rand(2, 4), (1, 0))
    ExternalMethod(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)), function=function).analyze(torch.rand(2, 4))
    assert seen == [[(1, 0), (1, 0)], None]


def test_functions_on_arrays_get_arrays() -> None:
    def model(x: Any) -> Any:
        return np.stack([x.sum(1), -x.sum(1)], 1)

    def function(model: Any, x: Any, index: Any) -> Any:
        assert isinstance(x, np.ndarray)
        assert isinstance(index, np.ndarray)
        return x * np.where(index == 0, 1, -1)[:, None]

    x = np.array([[1.0, 2.0], [-1.0, -2.0]])
    assert ExternalMethod(model, function=function).analyze(x).relevance.tolist() == [[1, 2], [1, 2]]


def test_the_model_is_as_before_whatever_the_function_does() -> None:
    model = small_model().train()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[5].bias.requires_grad_(False)
    before = {name: each.clone() for name, each in model.state_dict().items()}
    random, x = torch.get_rng_state(), images()
    given = x.clone()

    def careless(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
        assert not model.training
        assert torch.is_grad_enabled()
        model[1].running_mean += 1
        model.requires_grad_(True)
        x.requires_grad_()
        (model(x).sum() + torch.rand(())).backward()
        with torch.no_grad():
            x.zero_()
        return x.grad

    with torch.no_grad():
        ExternalMethod(model, function=careless).analyze(x)
    for name, each in model.state_dict().items():
        assert torch.equal(each, before[name]), name
    assert model.training
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert model[5].weight.grad is None
    assert not model[5].bias.requires_grad
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(x, given)


def test_parameters_are_checked_and_copied() -> None:
    with pytest.raises(ParameterError, match="function='ig' must be a function"):
        ExternalMethod(small_model(), function="ig")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="leave layer= out"):
        external(small_model()).analyze(images(), layer="0")
    method = external(small_model(), name="ours")
    assert type(method)(**method.get_params()).method == "ours"


def test_relevance_that_is_given_is_judged_where_it_is_not_asked_for_again() -> None:
    model = small_model()
    relevance = InputTimesGradient(model).analyze(images(), 1).relevance
    given = GivenRelevance(model, relevance=relevance, name="stored")
    assert given.analyze(images(), 1).method == "stored"
    for metric in (Largest(), Scaling()):
        (expected,) = evaluate(InputTimesGradient(model), images(), metric, target=1).values()
        for engine in (Engine(), Engine(batch_size=4)):
            (found,) = evaluate(given, images(), metric, target=1, engine=engine).values()
            torch.testing.assert_close(found.values, expected.values)
    with pytest.raises(InputError, match=r"stored: relevance was given for these samples alone.*ExternalMethod"):
        evaluate(given, images(), Scaling(explains=True), target=1)


def test_relevance_of_other_samples_is_refused() -> None:
    given = GivenRelevance(small_model(), relevance=images()[:5])
    with pytest.raises(InputError, match="relevance of 5 samples was given, and 6 are explained"):
        given.analyze(images())
    with pytest.raises(InputError, match="relevance of 5 samples was given, and 2 are explained"):
        given.analyze(iter(images().split(2)))


def test_relevance_is_given_for_several_inputs_by_name() -> None:
    x = {"image": torch.rand(2, 1, 4, 4), "numbers": torch.rand(2, 4)}
    relevance = GivenRelevance(Two(), relevance={"image": x["image"][:, 0]}).analyze(x, 0).relevance
    assert list(relevance) == ["image"]
    torch.testing.assert_close(relevance["image"], x["image"])


def test_they_are_public() -> None:
    assert xaicore.ExternalMethod is ExternalMethod
    assert xaicore.GivenRelevance is GivenRelevance


def test_arrays_that_are_turned_round_are_taken() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    model = nn.Linear(3, 2)
    turned = x.numpy()[:, ::-1]
    for analyzer in (
        GivenRelevance(model, relevance=turned),
        ExternalMethod(model, function=lambda model, x, index: x.numpy()[:, ::-1]),
    ):
        torch.testing.assert_close(analyzer.analyze(x).relevance, x.flip(1))


def test_statistics_that_a_function_updates_are_put_back_after_failure_too() -> None:
    x = torch.randn(40, 2, 4, 4)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def trains(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
        model.train()
        model(x)
        if x.mean() > 10:
            raise RuntimeError("no")
        return x

    analyzer = ExternalMethod(model, function=trains)
    analyzer.analyze(x)
    with pytest.raises(RuntimeError, match="no"):
        analyzer.analyze(x + 100)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_model_that_updates_its_own_statistics_is_left_as_it_is() -> None:
    class Adapting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            norm = self.norm
            return self.head(nn.functional.batch_norm(x, norm.running_mean, norm.running_var, training=True))

    model, x = Adapting().eval(), torch.randn(6, 4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    GivenRelevance(model, relevance=x).analyze(x)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_methods_of_a_classifier_are_compared_on_it() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    classifier = LogisticRegression().fit(x, x[:, 0] > 0)
    other = LogisticRegression().fit(x, x[:, 1] > 0)

    def weights(model: Any, x: Any, index: Any) -> Any:
        return x * classifier.coef_

    analyzer = ExternalMethod(classifier.predict_proba, function=weights)
    found = xaicore.compare(classifier.predict_proba, x, methods=[analyzer], metrics="evaluation.gini")
    assert list(found) == ["weights"]
    with pytest.raises(ParameterError, match="another model"):
        xaicore.compare(other.predict_proba, x, methods=[analyzer])
