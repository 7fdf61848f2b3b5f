"""Explaining many targets of the same inputs costs one forward."""

from __future__ import annotations

import pytest
import torch
from oracles import OperatorCounter
from torch import Tensor, nn

import xaicore


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.two, self.head = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.one(x)).relu()
        return self.head((h + self.two(h).relu()).mean((2, 3)))


@pytest.mark.parametrize("method", ["lrp.epsilon", "lrp.zero", "gradients.saliency"])
def test_ten_targets_run_each_convolution_forward_once_and_give_what_ten_calls_give(method: str) -> None:
    model = Net().eval()
    x = torch.rand(2, 2, 6, 6)
    analyzer = xaicore.create_analyzer(method, model)
    expected = [analyzer.analyze(x, target).relevance for target in range(10)]
    with OperatorCounter() as counter:
        found = analyzer.analyze_targets(x, range(10))
    assert counter.of(["convolution", "convolution_backward"]) == [2, 20]
    for explanation, alone in zip(found, expected, strict=True):
        torch.testing.assert_close(explanation.relevance, alone, rtol=0, atol=0)


def test_rules_with_weights_of_their_own_add_no_forward_of_the_model() -> None:
    """Each walk of z-plus applies the positive weights once a layer; the model itself runs once for all of them."""
    model = Net().eval()
    x = torch.rand(2, 2, 6, 6)
    analyzer = xaicore.create_analyzer("lrp.z_plus", model)
    analyzer.analyze(x, 0)
    counts = []
    for targets in (1, 10):
        with OperatorCounter() as counter:
            analyzer.analyze_targets(x, range(targets))
        counts.append(counter.of(["convolution"])[0])
    per_walk = (counts[1] - counts[0]) / 9
    assert counts[0] - per_walk == 2
