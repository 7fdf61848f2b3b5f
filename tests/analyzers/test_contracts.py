"""What comes back looks like what went in: shape, type, mode, batches, layers, outputs."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
from oracles import assert_same, eager, input_gradient, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import CaptureError, InputError, LayerError, TargetError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.two, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.one(x)).relu()
        h = h + self.two(h).relu()
        return self.head(h.mean((2, 3)))


X = noise(5, 2, 4, 4)
METHODS = ["gradients.saliency", "lrp.epsilon", "lrp.epsilon_plus"]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return shaken(Net())


def relevance(model: nn.Module, x: Any, method: str = "gradients.saliency", **options: Any) -> Any:
    return xaicore.explain(model, x, method=method, **options).relevance


@pytest.mark.parametrize(("given", "computed"), [(torch.float64, torch.float32), (torch.float32, torch.float64)])
def test_relevance_has_the_type_of_the_input_whatever_the_model_computes_in(
    given: torch.dtype, computed: torch.dtype
) -> None:
    model, x = shaken(Net()).to(computed), X.to(given)
    explanation = xaicore.explain(model, x, method="gradients.saliency", target=1)
    assert isinstance(explanation.relevance, Tensor)
    assert explanation.relevance.dtype == given and explanation.prediction.dtype == computed
    torch.testing.assert_close(
        explanation.relevance.double(), input_gradient(shaken(Net()), X, 1), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_finite_relevance_near_the_exact_one(method: str, dtype: torch.dtype) -> None:
    exact = relevance(shaken(Net()), X, method, target=1)
    found = relevance(shaken(Net()).to(dtype), X.to(dtype), method, target=1)
    assert found.dtype == dtype and bool(torch.isfinite(found).all())
    assert float((found.double() - exact).norm() / exact.norm()) < 0.2


def test_arrays_and_lists_are_taken_and_give_the_same(model: nn.Module) -> None:
    expected = relevance(model, X, target=1)
    assert_same(relevance(model, X.numpy(), target=1), expected)
    assert_same(relevance(model, X.numpy()[:, ::-1][:, ::-1], target=1), expected)
    single = relevance(model, X.numpy().astype(np.float32), target=1)
    assert isinstance(single, Tensor)
    torch.testing.assert_close(single.double(), expected, rtol=1e-3, atol=1e-5)
    assert_same(relevance(model, X.tolist(), target=1).double(), expected)


def test_an_input_that_is_not_contiguous(model: nn.Module) -> None:
    turned = X.transpose(2, 3).contiguous().transpose(2, 3)
    assert_same(relevance(model, turned, target=1), input_gradient(model, X, 1))


@pytest.mark.parametrize("mode", [contextlib.nullcontext, torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("method", METHODS)
def test_the_callers_gradient_mode_changes_nothing(method: str, mode: Any) -> None:
    expected = relevance(shaken(Net()), X, method, target=1)
    fresh = shaken(Net())
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        inside = noise(5, 2, 4, 4)  # made under the caller's mode
        for _ in range(2):
            found = relevance(fresh, inside, method, target=1)
            assert_same(found.clone(), expected)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    again = relevance(fresh, X, method, target=1)
    assert_same(again, expected)
    assert not again.is_inference()


def test_a_model_whose_weights_were_made_in_inference_mode_is_refused_with_the_reason() -> None:
    with torch.inference_mode():
        model = shaken(Net())
    with pytest.raises(CaptureError, match="Inference tensors .* make a clone"):
        relevance(model, X, target=1)


@pytest.mark.parametrize("method", METHODS)
def test_inputs_and_parameters_that_require_gradients_collect_none(method: str) -> None:
    model, x = shaken(Net()), X.clone().requires_grad_()
    found = relevance(model, x, method, target=1)
    assert x.grad is None and x.requires_grad and x.is_leaf
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not found.requires_grad


def test_an_input_that_is_the_result_of_a_computation(model: nn.Module) -> None:
    source = X.clone().requires_grad_()
    computed = source * 1.0
    assert_same(relevance(model, computed, target=1), input_gradient(model, X, 1))
    assert source.grad is None and computed.grad_fn is not None


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("method", ["gradients.saliency", "lrp.epsilon"])
def test_batches_give_what_the_whole_gives(model: nn.Module, method: str, size: int) -> None:
    options: dict[str, Any] = {"target": [0, 1, 2, 1, 0], "record": ["one"], "ledger": True}
    whole = xaicore.explain(model, X, method=method, **options)
    parts = xaicore.explain(model, X, method=method, batch_size=size, **options)
    assert_same(parts.relevance, whole.relevance)  # type: ignore[arg-type]
    assert_same(parts.recorded["one"], whole.recorded["one"])
    assert_same(parts.prediction, whole.prediction)
    assert_same(parts.diagnostics.explained, whole.diagnostics.explained)
    assert parts.target["labels"] == whole.target["labels"] == list("01210")
    rows = [{row["layer"]: row["relevance_in"] for row in each.diagnostics.ledger or []} for each in (parts, whole)]
    assert rows[0] == pytest.approx(rows[1])


@pytest.mark.parametrize("name", ["one", "norm", "two", "conv2d", "add"])
def test_at_an_inner_layer_the_gradient_is_that_of_the_rest(model: nn.Module, name: str) -> None:
    graph = xaicore.trace(model, X)
    rest = graph.cut(name)
    explanation = xaicore.explain(model, X, method="gradients.saliency", target=1, layer=name)
    assert isinstance(explanation.relevance, Tensor) and explanation.layer == name
    values = inner_values(model, X)
    starts = [values[layer.name].clone() for layer in rest.inputs]
    step, direction = 1e-6, noise(*starts[0].shape, seed=9)

    def at(offset: float) -> Tensor:
        result = rest(starts[0] + offset * direction, *starts[1:])
        assert isinstance(result, Tensor)
        return result[:, 1].sum()

    slope = (at(step) - at(-step)) / (2 * step)
    assert float((explanation.relevance * direction).sum()) == pytest.approx(float(slope), rel=1e-4, abs=1e-7)


def inner_values(model: Any, x: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        one = model.one(x)
        norm = model.norm(one)
        relu = norm.relu()
        two = model.two(relu)
        return {"conv2d": one, "batch_norm": norm, "relu": relu, "conv2d_1": two, "add": relu + two.relu()}


def test_recorded_relevance_is_that_of_the_layer_itself(model: nn.Module) -> None:
    names = ["one", "two", "add"]
    explanation = xaicore.explain(model, X, method="lrp.epsilon", target=1, record=names)
    assert list(explanation.recorded) == names
    for name in names:
        at_layer = xaicore.explain(model, X, method="lrp.epsilon", target=1, layer=name)
        assert_same(explanation.recorded[name], at_layer.relevance)  # type: ignore[arg-type]


def test_one_name_is_enough_for_record(model: nn.Module) -> None:
    explanation = xaicore.explain(model, X, method="gradients.saliency", target=1, record="one")
    assert list(explanation.recorded) == ["one"]


@pytest.mark.parametrize("option", ["layer", "record", "filter"])
def test_unknown_layers_are_refused_with_the_nearest(model: nn.Module, option: str) -> None:
    value: Any = {"layer": "hed", "record": ["hed"], "filter": {"hed": 0}}[option]
    with pytest.raises(LayerError, match="Did you mean 'head'"):
        xaicore.explain(model, X, method="gradients.saliency", target=1, **{option: value})


class Several(Net):
    def forward(self, x: Tensor) -> Any:
        h = self.one(x)
        return {"maps": self.two(h), "logits": self.head(h.mean((2, 3))), "constant": self.head.bias, "count": h.long()}


def test_an_output_is_chosen_by_name_and_only_its_path_is_walked() -> None:
    model = shaken(Several())
    explanation = xaicore.explain(model, X, method="gradients.saliency", output="maps", target=(1, 2, 3))
    x = X.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model(x)["maps"][:, 1, 2, 3].sum(), x)
    assert_same(explanation.relevance, expected)
    assert_same(explanation.prediction, eager(model, X)["maps"])
    with pytest.raises(LayerError, match="does not lie between"):
        xaicore.explain(model, X, method="gradients.saliency", output="maps", target=(1, 2, 3), record=["head"])


@pytest.mark.parametrize(
    ("output", "error", "message"),
    [
        ("logit", TargetError, "Did you mean 'logits'"),
        ("constant", InputError, "does not depend on"),
        ("count", (InputError, TargetError), "derivative|floating-point"),
    ],
)
def test_outputs_that_cannot_be_explained_are_refused(output: str, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        xaicore.explain(shaken(Several()), X, method="gradients.saliency", output=output, target=0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (X * float("nan"), "NaN"),
        (X[:0], "empty"),
        (torch.tensor(1.0), "single number"),
        ((X, X), "cannot be called"),
        ({"y": X}, "cannot be called"),
        ("image.png", "load that first"),
        (None, "nothing to explain"),
    ],
)
def test_inputs_that_the_model_cannot_take_are_refused(model: nn.Module, inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        relevance(model, inputs)


class Stateful(nn.Module):
    """A recurrent network whose second input, the state, has its layers in front and not the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.head = nn.GRU(4, 5, num_layers=3, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        return self.head(self.cells(x, state)[0][:, -1])


def test_an_input_without_the_batch_in_front_is_explained_too() -> None:
    model, x, state = shaken(Stateful()), noise(2, 6, 4), noise(3, 2, 5)
    explanation = xaicore.explain(model, (x, state), method="gradients.saliency", target=1)
    one, two = x.clone().requires_grad_(), state.clone().requires_grad_()
    expected = torch.autograd.grad(model(one, two)[:, 1].sum(), (one, two))
    assert isinstance(explanation.relevance, dict)
    assert_same(explanation.relevance["x"], expected[0])
    assert_same(explanation.relevance["state"], expected[1])
    assert len(explanation) == 2


def test_what_belongs_to_all_samples_together_is_not_split() -> None:
    inputs = noise(2, 6, 4), noise(3, 2, 5)
    with pytest.raises(InputError, match=r"'state' of shape \(3, 2, 5\).*Leave batch_size= out"):
        xaicore.explain(shaken(Stateful()), inputs, method="gradients.saliency", target=1, batch_size=1)


def test_samples_cannot_be_picked_where_an_input_has_no_batch_in_front() -> None:
    inputs = noise(2, 6, 4), noise(3, 2, 5)
    explanation = xaicore.explain(shaken(Stateful()), inputs, method="gradients.saliency", target=1)
    with pytest.raises(InputError, match="of input 'state' has no batch dimension in front"):
        explanation[0]


def test_the_same_for_all_samples_is_explained_too() -> None:
    class Shared(nn.Module):
        def forward(self, x: Tensor, weight: Tensor) -> Tensor:
            return x @ weight

    x, weight = noise(4, 3), noise(3, 2)
    explanation = xaicore.explain(Shared(), (x, weight), method="gradients.saliency", target=1)
    assert isinstance(explanation.relevance, dict)
    assert_same(explanation.relevance["x"], weight[:, 1].expand(4, 3))
    expected = torch.zeros_like(weight)
    expected[:, 1] = x.sum(0)
    assert_same(explanation.relevance["weight"], expected)


def test_a_target_function_of_a_model_that_ends_in_softmax_is_told_what_it_was_given() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    explanation = xaicore.explain(model, torch.randn(2, 4), method="gradients.saliency", target=lambda out: out[:, 1])
    torch.testing.assert_close(explanation.relevance, model[0].weight[1].expand(2, 4).detach())
    assert explanation.diagnostics.notes[-1] == "the target function was given these logits, not probabilities"
