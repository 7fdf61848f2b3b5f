"""A layer that no rule knows stops the call before anything runs, and the error says how to go on."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.errors import MatchError


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(3, 4)
        self.memory = nn.LSTM(4, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.memory(torch.relu(self.project(x)))  # the call that no rule knows
        return self.head(states[:, -1])


def message_of(method: str) -> str:
    with pytest.raises(MatchError) as raised:
        xaicore.explain(Reader(), torch.randn(2, 6, 3), method=method)
    return str(raised.value)


@pytest.mark.parametrize("method", ["lrp.zero", "lrp.epsilon", "lrp.z_plus", "lrp.epsilon_plus", "lrp.alpha_2_beta_1"])
@pytest.mark.usefixtures("without_lstm")
def test_an_lstm_under_lrp_is_refused_with_its_place_and_the_plugin_that_knows_it(method: str) -> None:
    message = message_of(method)
    lines, first = inspect.getsourcelines(Reader)
    line = first + next(offset for offset, text in enumerate(lines) if "# the call" in text)
    assert "lstm" in message.lower()
    assert "memory" in message  # the module path
    assert f"{Path(__file__).name}:{line}" in message
    assert "xai-lstm" in message


@pytest.mark.usefixtures("without_lstm")
def test_the_layers_around_it_are_not_blamed() -> None:
    message = message_of("lrp.epsilon")
    assert "project" not in message.replace("self.project", "")
    assert "head" not in message


def test_gradients_pass_through_the_same_layer() -> None:
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(2, 6, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(model(x).amax(1).sum(), x)
    actual = xaicore.explain(model, x.detach(), method="gradients.saliency").relevance
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-7)


def test_a_layer_off_the_path_needs_no_rule() -> None:
    class Aside(Reader):
        def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            hidden = torch.relu(self.project(x))
            return {"logits": hidden.mean(1), "states": self.memory(hidden)[0]}

    torch.manual_seed(0)
    explanation = xaicore.explain(Aside(), torch.randn(2, 6, 3), method="lrp.epsilon")
    assert explanation.relevance.shape == (2, 6, 3)
    assert float(explanation.relevance.abs().sum()) > 0
