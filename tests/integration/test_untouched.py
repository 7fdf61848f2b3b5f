"""The user's model, inputs and process state are the same after a call, and after a call that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.errors import CaptureError, MatchError, TargetError

METHODS = ["gradients.saliency", "gradients.guided_backprop", "lrp.zero", "lrp.epsilon_plus", "lrp.gamma"]


class Everything(nn.Module):
    """In-place activation, dropout, batch norm, a residual sum, a buffer, a frozen parameter, a hook, mixed modes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)
        self.register_buffer("shift", torch.tensor(0.25))

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        x = self.relu(x + self.second(x)) + self.shift
        return self.head(self.drop(x.mean((2, 3))))


class Branching(Everything):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if y.sum() > 0 else -y


class Remembering(Everything):
    """Ends in a layer that no LRP rule of xai-lrp knows."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(5, 5, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.memory(super().forward(x)[:, None])[0][:, 0]


def prepare(model: nn.Module) -> nn.Module:
    """Leave a mixture of modes, frozen weights and hooks behind, as a user in the middle of training would."""
    model.train()
    model.norm.eval()  # type: ignore[union-attr]
    model.first.weight.requires_grad_(False)  # type: ignore[union-attr]
    model.head.register_forward_hook(lambda module, arguments, output: None)  # type: ignore[union-attr]
    model.head.register_full_backward_hook(lambda module, grad_input, grad_output: None)  # type: ignore[union-attr]
    return model


def build(kind: type[nn.Module] = Everything) -> nn.Module:
    torch.manual_seed(3)
    return prepare(kind())


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything about a model that a caller could see change: identities, versions, flags, hooks, attributes."""
    state: dict[str, Any] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        state[name] = (
            id(tensor), tensor.data_ptr(), tensor._version, tensor.requires_grad, tensor.grad is None,
            tensor.dtype, type(tensor), tensor.detach().flatten().tolist(), list(tensor._backward_hooks or ()),
        )  # fmt: skip
    for path, module in model.named_modules():
        hooks = {key: list(value) for key, value in vars(module).items() if key.endswith("_hooks")}
        attributes = sorted(vars(module))
        children = {name: id(child) for name, child in module.named_children()}
        state[f"module {path}"] = (type(module), module.training, hooks, attributes, children)
    return state


def state_of_process() -> dict[str, Any]:
    return {
        "random": torch.random.get_rng_state().tolist(),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def assert_untouched(model: nn.Module, images: Tensor, call: Callable[[], Any]) -> None:
    before, process, pixels = state_of(model), state_of_process(), images.clone()
    call()
    assert state_of(model) == before
    assert state_of_process() == process
    assert torch.equal(images, pixels)
    assert images.grad is None


@pytest.mark.parametrize("method", METHODS)
def test_model_and_process_are_the_same_after_a_call(method: str, images: Tensor) -> None:
    model = build()
    assert_untouched(model, images, lambda: xaicore.explain(model, images, method=method))
    assert_untouched(model, images, lambda: xaicore.explain(model, images, method=method))  # from the cached graph


def test_inputs_that_require_a_gradient_keep_theirs(images: Tensor) -> None:
    model = build()
    images.requires_grad_()
    assert_untouched(model, images, lambda: xaicore.explain(model, images, method="gradients.saliency"))
    assert images.requires_grad
    assert images.is_leaf


@pytest.mark.parametrize("enabled", [True, False])
def test_a_call_works_in_either_gradient_mode_and_leaves_it(enabled: bool, images: Tensor) -> None:
    model = build()
    expected = xaicore.explain(model, images, method="gradients.saliency").relevance
    with torch.set_grad_enabled(enabled):
        assert_untouched(model, images, lambda: xaicore.explain(model, images, method="gradients.saliency"))
        actual = xaicore.explain(model, images, method="gradients.saliency").relevance
    assert torch.equal(actual, expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_call_in_inference_mode_gives_the_same_explanation(method: str, images: Tensor) -> None:
    model = build()
    expected = xaicore.explain(model, images, method=method).relevance
    with torch.inference_mode():
        actual = xaicore.explain(model, images.clone(), method=method).relevance
    assert torch.equal(actual, expected)


def test_gradients_that_training_collected_stay(images: Tensor) -> None:
    model = build()
    model(images).sum().backward()
    before = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.requires_grad}
    xaicore.explain(model, images, method="lrp.epsilon")
    after = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(torch.equal(after[name], before[name]) for name in before)


def explain_and_fail(model: nn.Module, images: Tensor, error: type[Exception], **options: Any) -> Callable[[], None]:
    def call() -> None:
        with pytest.raises(error):
            xaicore.explain(model, images, **options)

    return call


@pytest.mark.parametrize("method", ["gradients.saliency", "lrp.epsilon"])
def test_model_is_the_same_after_a_target_that_does_not_exist(method: str, images: Tensor) -> None:
    model = build()
    assert_untouched(model, images, explain_and_fail(model, images, TargetError, method=method, target=99))


@pytest.mark.usefixtures("without_lstm")
def test_model_is_the_same_after_a_layer_without_a_rule(images: Tensor) -> None:
    model = build(Remembering)
    assert_untouched(model, images, explain_and_fail(model, images, MatchError, method="lrp.epsilon"))


def test_model_is_the_same_after_a_capture_that_failed(images: Tensor) -> None:
    model = build(Branching)
    assert_untouched(model, images, explain_and_fail(model, images, CaptureError, method="gradients.saliency"))


def test_model_is_the_same_after_inputs_it_cannot_take(images: Tensor) -> None:
    model = build()
    wrong = images[:, :2].contiguous()
    call = explain_and_fail(model, wrong, xaicore.XaicoreError, method="gradients.saliency")
    assert_untouched(model, wrong, call)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_in_training_mode_is_explained_as_in_evaluation(method: str, images: Tensor) -> None:
    training = build()
    evaluating = build().eval()
    actual = xaicore.explain(training, images, method=method)
    expected = xaicore.explain(evaluating, images, method=method)
    assert torch.equal(actual.relevance, expected.relevance)
    with torch.no_grad():
        torch.testing.assert_close(actual.prediction, evaluating(images))


def test_training_goes_on_as_if_nothing_had_happened(images: Tensor) -> None:
    def train(explained: bool) -> Tensor:
        model = build()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(7)
        for _ in range(3):
            if explained:
                xaicore.explain(model, images, method="lrp.epsilon_plus")
            optimizer.zero_grad()
            model(images).square().sum().backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    assert torch.equal(train(explained=True), train(explained=False))
