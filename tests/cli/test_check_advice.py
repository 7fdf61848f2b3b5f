"""What `xaicore check` says of a model's structure; each method decides on its own advice."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import xaicore
from xaicore.analyzers import Advice, PropagationAnalyzer
from xaicore.cli.main import cli
from xaicore.propagation import Matching

MODELS = """
import torch
from torch import nn

def network(*, bias, pool, dense, activation=nn.ReLU):
    layers = [nn.Conv2d(1, 4, 3, bias=bias), activation(), pool(2), nn.Flatten()]
    for _ in range(dense - 1):
        layers += [nn.Linear(36, 36, bias=False), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(36, 3, bias=False))
    if bias:
        with torch.no_grad():
            model[0].bias.copy_(torch.tensor([0.5, 0.0, -1.0, 2.0]))
    return model

def advised():
    return network(bias=True, pool=nn.MaxPool2d, dense=3)

def good():
    return network(bias=False, pool=nn.AvgPool2d, dense=2)

def sigmoid():
    return network(bias=False, pool=nn.AvgPool2d, dense=1, activation=nn.Sigmoid)

class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 2)
        nn.init.ones_(self.head.bias)

    def forward(self, x):
        return self.head(torch.cumprod(x, 1))
"""
SHAPE = ("--shape", "1,1,8,8")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("advised_models.py").write_text(MODELS)
    yield
    sys.modules.pop("advised_models", None)


def advice(model: str, *arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["check", f"advised_models:{model}", *SHAPE, *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return {each["about"]: each for each in json.loads(result.stdout)["advice"]}


def test_positive_biases_max_pooling_and_many_dense_layers_are_told_of() -> None:
    found = advice("advised", "--method", "lrp.epsilon")
    assert set(found) == {"positive biases", "max pooling", "dense layers"}
    assert found["positive biases"]["layers"] == ["0 (2 of 4 units)"]
    assert found["max pooling"]["layers"] == ["2"]
    assert found["dense layers"]["layers"] == ["4", "6", "8"]
    assert all(each["reason"] and each["fix"] for each in found.values())


def test_a_model_as_the_tutorial_asks_for_gets_no_advice() -> None:
    for method in ("lrp.epsilon", "deeptaylor.unbounded"):
        assert advice("good", "--method", method) == {}


def test_activations_that_are_not_zero_at_zero_are_told_of() -> None:
    assert advice("sigmoid", "--method", "lrp.z_plus")["activations"]["layers"] == ["1"]


def test_advice_depends_on_what_the_method_does_with_biases() -> None:
    assert "positive biases" not in advice("advised", "--method", "lrp.z_plus", "-p", "bias=ignore")
    assert "positive biases" not in advice("advised", "--method", "lrp.flat")
    assert advice("advised", "--method", "gradients.saliency") == {}


def test_biases_are_those_of_now() -> None:
    layer = nn.Linear(2, 3)
    nn.init.constant_(layer.bias, -1.0)
    analyzer = xaicore.create_analyzer("lrp.epsilon", nn.Sequential(layer))
    x = torch.rand(2, 2)
    assert not analyzer.advise(analyzer.match(x))
    nn.init.constant_(layer.bias, 1.0)
    (found,) = analyzer.advise(analyzer.match(x))
    assert found.layers == ("0 (3 of 3 units)",)


def test_the_bias_of_a_folded_batch_norm_counts() -> None:
    norm = nn.BatchNorm1d(3)
    nn.init.constant_(norm.bias, 1.0)
    analyzer = xaicore.create_analyzer("lrp.epsilon", nn.Sequential(nn.Linear(2, 3, bias=False), norm).eval())
    (found,) = analyzer.advise(analyzer.match(torch.rand(2, 2)))
    assert found.layers == ("0 (3 of 3 units)",)


def test_advice_is_printed_after_the_layers_and_changes_no_exit_status() -> None:
    result = CliRunner().invoke(cli, ["check", "advised_models:advised", "-m", "deep_taylor", *SHAPE])
    assert result.exit_code == 0, result.output
    layers, told = result.stdout.split("This model would be easier to explain by deep_taylor:")
    assert "handles all" in layers
    assert "in   0 (2 of 4 units)\n    fix  train with biases" in told


def test_a_model_that_cannot_be_explained_is_not_advised_on() -> None:
    result = CliRunner().invoke(cli, ["check", "advised_models:Product", "-m", "lrp.epsilon", "--shape", "1,6"])
    assert result.exit_code == 1
    assert "cannot explain" in result.stdout and "easier to explain" not in result.stdout


def test_a_method_of_ones_own_decides_on_its_advice() -> None:
    class Own(PropagationAnalyzer):
        def advise(self, matching: Matching) -> list[Advice]:
            return [Advice.on(matching.matches, about="layers", reason="there are some", fix="take fewer")]

    own = Own(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)))
    (found,) = own.advise(own.match(torch.rand(1, 2)))
    assert found.layers == ("0", "1", "2")
    assert not PropagationAnalyzer.advise(own, own.match(torch.rand(1, 2)))
