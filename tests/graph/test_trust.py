"""What must not pass without a word: a capture that is not the model, weights that changed, objects left changed."""

from __future__ import annotations

import logging
import random
import threading
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.errors import CaptureError, InputError


class Call(nn.Module):
    """A model whose forward is a function of itself and its inputs."""

    def __init__(self, function: Any, **modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def saliency(model: nn.Module, x: Tensor, **options: Any) -> Tensor:
    return xaicore.explain(model, x, method="gradients.saliency", target=0, **options).relevance


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient


def test_a_derivative_of_the_users_own_is_refused_since_export_drops_it() -> None:
    model = Call(lambda self, x: self.head(Reversal.apply(x)), head=nn.Linear(6, 3))
    with pytest.raises(CaptureError, match=r"torch\.autograd\.Function"):
        saliency(model, torch.randn(2, 6))


def test_the_gradient_passes_complex_numbers() -> None:
    model = Call(lambda self, x: self.head(torch.fft.rfft(x).abs()), head=nn.Linear(5, 3))
    x = torch.randn(2, 8, requires_grad=True)
    (expected,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    torch.testing.assert_close(saliency(model, x.detach()), expected)


def test_one_filter_set_to_zero_through_data_is_seen_by_the_next_call() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3)
    ).eval()
    x = torch.randn(2, 3, 8, 8)
    for channel in (5, 40, 63):
        xaicore.explain(model, x, method="lrp.epsilon")
        model[0].weight.data[channel].zero_()
        prediction = xaicore.explain(model, x, method="lrp.epsilon").prediction
        torch.testing.assert_close(prediction, model(x).detach())


def test_a_hook_in_the_place_of_another_is_seen() -> None:
    model, x = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(4, 6)
    for factor in (2, 7, 3):
        hook = model[1].register_forward_hook(lambda module, args, output, factor=factor: output * factor)
        prediction = xaicore.explain(model, x, method="lrp.zero").prediction
        torch.testing.assert_close(prediction, model(x).detach())
        hook.remove()
        del hook


def test_a_changed_attribute_of_a_configuration_is_seen() -> None:
    class Configuration:
        factor = 2.0

    model = Call(lambda self, x: self.head(x) * self.configuration.factor, head=nn.Linear(6, 3))
    model.configuration = Configuration()  # type: ignore[assignment]
    x = torch.randn(4, 6)
    xaicore.explain(model, x, method="lrp.zero")
    model.configuration.factor = 7.0  # type: ignore[union-attr]
    torch.testing.assert_close(xaicore.explain(model, x, method="lrp.zero").prediction, model(x).detach())


def test_one_tensor_for_two_inputs_is_explained_twice_also_when_differentiable() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.first(a) + self.second(b)

    model, x = Two(), torch.randn(4, 6)
    found = xaicore.explain(model, (x, x), method="gradients.saliency", target=0, create_graph=True).relevance
    assert list(found) == ["a", "b"]
    torch.testing.assert_close(found["b"][0], model.second.weight[0])


def test_threads_that_capture_at_once_get_in_nobodys_way() -> None:
    failures: list[Exception] = []
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)).train()

    def explain(size: int) -> None:
        try:
            saliency(model, torch.randn(2, 3, size, size))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=explain, args=(8 + number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(module.training for module in model.modules())
    assert logging.root.manager.disable == 0


def test_embeddings_that_renormalise_keep_their_weights() -> None:
    model = nn.Sequential(nn.Embedding(9, 4, max_norm=1.0), nn.Flatten(), nn.Linear(20, 3))
    before = model[0].weight.detach().clone()
    xaicore.trace(model, torch.randint(0, 9, (2, 5)))
    torch.testing.assert_close(model[0].weight.detach(), before, rtol=0, atol=0)


def test_the_random_generators_of_python_and_numpy_are_left_as_they_were() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        random.random(), np.random.rand()
        return self.head(x)

    python, numpy = random.getstate(), np.random.get_state()
    saliency(Call(forward, head=nn.Linear(6, 3)), torch.randn(4, 6))
    assert random.getstate() == python
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy, strict=True))


@pytest.mark.parametrize(("model", "shape"), [(nn.Linear(5, 3), (4, 6)), (nn.Conv2d(3, 4, 3), (4, 1, 8, 8))])
def test_inputs_that_the_model_refuses_are_named_as_the_cause(model: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="itself does not take these inputs: RuntimeError"):
        saliency(model, torch.randn(shape))


def test_torchscript_is_refused_in_plain_words() -> None:
    module, x = nn.Linear(6, 3), torch.randn(2, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(module, x)
    with pytest.raises(InputError, match="TorchScript"):
        saliency(traced, x)


def test_inputs_without_the_batch_in_front_are_refused_before_anything_runs() -> None:
    model = Call(lambda self, x: self.head(self.rnn(x)[0][-1]), rnn=nn.GRU(6, 5), head=nn.Linear(5, 3))
    with pytest.raises(InputError, match="must be the batch"):
        saliency(model, torch.randn(7, 4, 6))


def test_an_autocast_region_inside_no_grad_is_captured() -> None:
    def forward(self: nn.Module, x: Tensor) -> Tensor:
        with torch.no_grad():
            scale = x.abs().amax(1, keepdim=True)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                scale = scale + self.first(x).abs().sum(1, keepdim=True).float()
        return self.head(self.first(x / scale).relu())

    model = Call(forward, first=nn.Linear(6, 5), head=nn.Linear(5, 3))
    x = torch.randn(4, 6, requires_grad=True)
    (expected,) = torch.autograd.grad(model(x)[:, 0].sum(), x)
    torch.testing.assert_close(saliency(model, x.detach()), expected)


def test_a_failed_capture_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    model = Call(lambda self, x: self.head(x) if x.sum() > 0 else -self.head(x), head=nn.Linear(6, 3))
    with pytest.raises(CaptureError):
        saliency(model, torch.randn(4, 6))
    assert capfd.readouterr().err == ""


def test_the_inputs_of_an_explanation_are_its_own() -> None:
    x = torch.randn(4, 6)
    explanation = xaicore.explain(nn.Linear(6, 3), x, method="lrp.zero")
    before = x.clone()
    x.zero_()
    torch.testing.assert_close(explanation.inputs, before)
