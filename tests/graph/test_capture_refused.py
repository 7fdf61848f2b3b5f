"""Models that cannot be captured are refused with the reason and the line; a wrong graph is never handed out."""

from __future__ import annotations

import inspect
from typing import ClassVar

import pytest
import torch
from oracles import noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import CaptureError, InputError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(4, 3)


class Noisy(Net):
    """Draws random numbers in evaluation mode too."""

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x + torch.randn_like(x))


class BranchesOnValue(Net):
    def forward(self, x: Tensor) -> Tensor:
        h = self.dense(x)
        if h.sum() > 0:  # the offending line
            return h
        return -h


class SizeFromValues(Net):
    def forward(self, x: Tensor) -> Tensor:
        h = self.dense(x)
        return h[h > 0]  # the offending line


class NumberFromNumpy(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x) * float(x.detach().numpy().max())  # the offending line


class Failing(Net):
    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("no such thing")


def offending_line(kind: type[nn.Module]) -> int:
    lines, start = inspect.getsourcelines(kind)
    return start + next(number for number, line in enumerate(lines) if "the offending line" in line)


@pytest.mark.parametrize("kind", [BranchesOnValue, SizeFromValues, NumberFromNumpy])
def test_the_message_names_the_line_and_what_still_works(kind: type[nn.Module]) -> None:
    with pytest.raises(CaptureError) as caught:
        xaicore.trace(shaken(kind()), noise(3, 4))
    text = str(caught.value)
    assert f"test_capture_refused.py:{offending_line(kind)}" in text
    assert "perturbation" in text


def test_the_models_own_error_is_told() -> None:
    with pytest.raises(InputError, match="Failing itself does not take these inputs: KeyError: 'no such thing'"):
        xaicore.trace(Failing(), noise(3, 4))


def test_a_model_that_is_random_in_evaluation_is_refused_and_the_random_state_is_kept() -> None:
    model = shaken(Noisy())
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    with pytest.raises(CaptureError, match="draws random numbers"):
        xaicore.trace(model, noise(3, 4))
    assert torch.equal(torch.rand(4), expected)


def test_a_model_is_as_it_was_after_a_refusal() -> None:
    model = shaken(BranchesOnValue()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CaptureError):
        xaicore.trace(model, noise(3, 4))
    assert model.training and model.dense.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model._forward_hooks and "forward" not in vars(model)


def test_a_model_that_overflows_where_its_graph_does_too_is_no_difference() -> None:
    class Overflows(Net):
        def forward(self, x: Tensor) -> Tensor:
            return (self.dense(x) * 1e200) ** 3

    x = noise(3, 4)
    assert xaicore.trace(shaken(Overflows()), x)(x).shape == (3, 3)


def test_a_graph_that_gives_nan_where_the_model_does_not_is_refused() -> None:
    class Remembers(Net):
        """Gives NaN in every other call, so that the graph's answer and the model's must differ at some time."""

        state: ClassVar[list[int]] = [0]

        def forward(self, x: Tensor) -> Tensor:
            type(self).state[0] += 1
            h = self.dense(x)
            return h * float("nan") if self.state[0] % 2 else h

    for _ in range(2):
        with pytest.raises(CaptureError, match="depends on"):
            xaicore.trace(shaken(Remembers()), noise(3, 4))
        Remembers.state[0] += 1


def test_a_forward_that_uses_an_object_that_is_no_tensor_is_refused_with_its_type() -> None:
    class OwnGenerator(Net):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(x + torch.randn(4, generator=self.generator, dtype=x.dtype))

    with pytest.raises(CaptureError, match="uses a Generator"):
        xaicore.trace(shaken(OwnGenerator()), noise(3, 4))
