"""A model that cannot be captured gives an error that names the user's own line and what still works."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.errors import CaptureError, InputError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)


class BranchesOnData(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        if y.sum() > 0:  # offending line
            y = -y
        return y


class BranchesInAHelper(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.choose(self.layer(x))

    def choose(self, y: Tensor) -> Tensor:
        return y if bool((y > 0).all()) else -y  # offending line


class LoopsOverValues(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        for _ in range(int(x.abs().sum())):  # offending line
            y = y * 0.5
        return y


class LeavesTorch(Net):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return torch.from_numpy(np.tanh(y.detach().numpy()))  # offending line


CASES = [BranchesOnData, BranchesInAHelper, LoopsOverValues, LeavesTorch]


def offending_line(case: type[nn.Module]) -> str:
    lines, first = inspect.getsourcelines(case)
    offset = next(offset for offset, line in enumerate(lines) if "# offending line" in line)
    return f"{Path(__file__).name}:{first + offset}"


@pytest.mark.parametrize("case", CASES)
def test_error_names_the_users_line_and_what_still_works(case: type[nn.Module]) -> None:
    model = case()
    with pytest.raises(CaptureError) as raised:
        xaicore.explain(model, torch.ones(2, 4), method="gradients.saliency")
    message = str(raised.value)
    assert case.__name__ in message
    assert offending_line(case) in message
    assert "model-agnostic methods" in message.lower()


def test_trace_raises_the_same_error() -> None:
    with pytest.raises(CaptureError, match=offending_line(BranchesOnData)):
        xaicore.trace(BranchesOnData(), torch.ones(2, 4))


def test_an_error_of_the_users_own_code_keeps_its_words() -> None:
    class Refuses(Net):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("the left sensor is not calibrated")

    with pytest.raises(InputError, match="the left sensor is not calibrated"):
        xaicore.explain(Refuses(), torch.ones(2, 4), method="gradients.saliency")


def test_inputs_of_a_wrong_shape_name_the_line_that_refused_them() -> None:
    class Plain(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)  # offending line

    with pytest.raises(xaicore.XaicoreError) as raised:
        xaicore.explain(Plain(), torch.ones(2, 5), method="gradients.saliency")
    assert offending_line(Plain) in str(raised.value)
