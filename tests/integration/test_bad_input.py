"""What cannot be explained is refused before work starts, with what, where and the fix."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import xaicore
from xaicore.cli.main import cli
from xaicore.errors import (
    InputError,
    LayerError,
    MatchError,
    ParameterError,
    TargetError,
    UnknownMethodError,
    XaicoreError,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)).relu().mean((2, 3)))


class IgnoresItsInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * 2).expand(x.shape[0], 3)


class Rounds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.long().float())


X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
MODEL = Net().eval()

Call = Callable[[], Any]


def epsilon(inputs: Any = X, model: Any = MODEL, **options: Any) -> Call:
    return lambda: xaicore.explain(model, inputs, method="lrp.epsilon", **options)


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embedding(ids).mean(1))


def words(ids: list[Any]) -> Call:
    return epsilon(torch.tensor(ids), Reader())


def method(name: Any, **parameters: Any) -> Call:
    return lambda: xaicore.explain(MODEL, X, method=name, **parameters)


INF, NAN = float("inf"), float("nan")

# what is wrong: (the call, the class of the error, words that its message must have)
CASES: dict[str, tuple[Call, type[XaicoreError], list[str]]] = {
    # inputs
    "no samples": (epsilon(X[:0]), InputError, ["'x'", "empty", "(0, 3, 8, 8)"]),
    "no pixels": (epsilon(X[..., :0]), InputError, ["'x'", "empty"]),
    "a number": (epsilon(torch.tensor(1.0)), InputError, ["'x'", "single number", "batch"]),
    "too few dimensions": (epsilon(X[0, 0]), InputError, ["Net", "(8, 8)", "test_bad_input.py", "first dimension"]),
    "no batch": (epsilon(X[0]), InputError, ["4D", "(3, 8, 8)", "first dimension is the batch"]),
    "too many dimensions": (epsilon(X[None]), InputError, ["(1, 2, 3, 8, 8)", "test_bad_input.py"]),
    "channels": (epsilon(X[:, :1]), InputError, ["3 channels", "1 channels", "test_bad_input.py"]),
    "integers": (epsilon((255 * X).to(torch.uint8)), InputError, ["torch.uint8", "x.float()"]),
    "booleans": (epsilon(X > 0.5), InputError, ["torch.bool", "x.float()"]),
    "NaN": (epsilon(X.index_fill(1, torch.tensor(2), NAN)), InputError, ["'x'", "128 NaN", "(0, 2, 0, 0)"]),
    "infinity": (epsilon(X / 0), InputError, ["'x'", "NaN or infinite", "Replace"]),
    "too large for the model": (epsilon(X.double() * 1e300), InputError, ["infinite", "as torch.float32"]),
    "no values": (epsilon(X.to("meta")), InputError, ["'x'", "'meta'", "values"]),
    "sparse": (epsilon(X.to_sparse()), InputError, ["'x'", "sparse", "dense"]),
    "a list of tensors": (epsilon([X, X]), InputError, ["torch.stack"]),
    "ragged": (epsilon([[1.0, 2.0], [3.0]]), InputError, ["'x'", "list", "cannot be made a tensor"]),
    "nothing": (epsilon(None), InputError, ["nothing to explain"]),
    "text": (epsilon("cat.png"), InputError, ["'cat.png'", "no tensor or array", "load that first"]),
    "a path": (epsilon(Path("x.npy")), InputError, ["'x.npy'", "no tensor or array", "load that first"]),
    "a path as data": (
        lambda: xaicore.create_analyzer("patternnet.attribution", MODEL).fit("train.npy"),
        InputError,
        ["'train.npy'", "Inputs and data are tensors, arrays or batches", "load that first"],
    ),
    "an id too large": (words([[1, 10, 99]]), InputError, ["'embedding'", "table of 10 ids", "the largest is 99"]),
    "an id below zero": (words([[1, -2]]), InputError, ["0 to 9", "the smallest is -2"]),
    "too many arguments": (epsilon((X, X)), InputError, ["Net.forward(x", "too many"]),
    "another keyword": (epsilon({"image": X}), InputError, ["Net.forward(x", "'x'"]),
    # models
    "no model": (epsilon(model=lambda x: x), InputError, ["function", "torch.nn.Module"]),
    "no values in the model": (epsilon(model=Net().to("meta")), InputError, ["'meta'", "weights"]),
    "nothing on the path": (
        epsilon(X[:, :, 0, 0], IgnoresItsInput()),
        InputError,
        ["'output'", "does not depend on x"],
    ),
    "cut off": (epsilon(X[:, :, 0, 0], Rounds()), InputError, ["does not depend on x", "conversion to integers"]),
    # targets
    "three targets for two": (epsilon(target=[0, 1, 2]), TargetError, ["3 targets", "batch of 2"]),
    "one target for two": (epsilon(target=[0]), TargetError, ["1 targets", "batch of 2"]),
    "no such class": (epsilon(target=5), TargetError, ["Target 5", "0 to 4"]),
    "a contrast as text": (epsilon(target="1 vs 0"), TargetError, ["'1 vs 0'", "xaicore.Contrast(1, 0)"]),
    "a class by name": (epsilon(target="cat"), TargetError, ["'cat'", "by number"]),
    "half a class": (epsilon(target=1.5), TargetError, ["1.5", "integer"]),
    "an index too long": (epsilon(target=(1, 2)), TargetError, ["(1, 2)", "one integer"]),
    "no such output": (epsilon(output="logits"), TargetError, ["'logits'", "'output'"]),
    "no targets": (
        lambda: xaicore.create_analyzer("lrp.epsilon", MODEL).analyze_targets(X, []),
        TargetError,
        ["empty", "range(10)"],
    ),
    # methods and parameters
    "no such method": (method("lrp.epsilom"), UnknownMethodError, ["Did you mean 'lrp.epsilon'"]),
    "a method by number": (method(3), UnknownMethodError, ["string", "'lrp.epsilon'", "3"]),
    "no such parameter": (epsilon(epsilom=1), ParameterError, ["'epsilom'", "Did you mean 'epsilon'"]),
    "epsilon as text": (epsilon(epsilon="x"), ParameterError, ["epsilon='x'", "number", "str"]),
    "epsilon None": (epsilon(epsilon=None), ParameterError, ["epsilon=None", "number"]),
    "epsilon negative": (epsilon(epsilon=-1), ParameterError, ["epsilon=-1", "zero or positive"]),
    "epsilon infinite": (epsilon(epsilon=INF), ParameterError, ["epsilon=inf", "finite"]),
    "gamma as a list": (method("lrp.gamma", gamma=[1]), ParameterError, ["gamma=[1]", "number"]),
    "gamma infinite": (method("lrp.gamma", gamma=INF), ParameterError, ["gamma=inf", "z-plus"]),
    "alpha - beta": (method("lrp.alpha_beta", alpha=2, beta=2), ParameterError, ["alpha=2", "beta=2", "beta is 1"]),
    "alpha as text": (method("lrp.alpha_beta", alpha="2", beta=1), ParameterError, ["alpha='2'", "number"]),
    "alpha NaN": (method("lrp.alpha_beta", alpha=NAN, beta=1), ParameterError, ["alpha=nan"]),
    "beta negative": (method("lrp.alpha_beta", alpha=0.5, beta=-0.5), ParameterError, ["beta=-0.5", "positive"]),
    "low above high": (method("lrp.z_box", low=1, high=0), ParameterError, ["low must not exceed high", "low=1"]),
    "low NaN": (method("lrp.z_box", low=NAN, high=0), ParameterError, ["low", "nan"]),
    "low as text": (method("lrp.z_box", low="a", high=1), ParameterError, ["low='a'", "number"]),
    "no high": (method("lrp.z_box", low=0), ParameterError, ["high is missing", "range of the inputs"]),
    "low of two channels": (
        method("lrp.z_box", low=torch.zeros(2, 1, 1), high=1),
        InputError,
        ["(2, 1, 1)", "conv", "(3, 1, 1)"],
    ),
    "bias": (epsilon(bias="absorbe"), ParameterError, ["bias='absorbe'", "Did you mean 'absorb'"]),
    "structure": (epsilon(structure={"maxpool": "winner"}), ParameterError, ["maxpool", "Did you mean 'max_pool'"]),
    "a composite of nothing": (lambda: xaicore.Composite([(1, 2)]), ParameterError, ["entry 0", "condition"]),
    "a composite that matches nothing": (
        method("lrp.composite", composite=xaicore.Composite([])),
        MatchError,
        ["2 of", "'conv'", "'head'", "fallback='gradient'"],
    ),
    # options
    "no such layer": (epsilon(layer="cnv"), LayerError, ["'cnv'", "Did you mean 'conv'"]),
    "a layer by number": (epsilon(layer=3), LayerError, ["string", "3"]),
    "no such layer to record": (epsilon(record=["hed"]), LayerError, ["'hed'", "Did you mean 'head'"]),
    "record a number": (epsilon(record=3), ParameterError, ["record=3", "list of layers"]),
    "no such layer to filter": (epsilon(filter={"cnv": 1}), LayerError, ["'cnv'", "Did you mean 'conv'"]),
    "no such channel": (epsilon(filter={"conv": 9}), LayerError, ["'conv'", "4 channels", "9"]),
    "a filter without a layer": (epsilon(filter=["conv"]), ParameterError, ["filter=['conv']", "dict"]),
    "a mask of another shape": (epsilon(filter={"conv": torch.ones(3, 7)}), InputError, ["'conv'", "(3, 7)"]),
    "filter off the way": (epsilon(layer="head", filter={"conv": 1}), LayerError, ["conv", "does not lie between"]),
    "batches of none": (epsilon(batch_size=0), ParameterError, ["batch_size", "positive integer", "0"]),
    "no such fallback": (epsilon(fallback="grad"), ParameterError, ["fallback='grad'", "'gradient'"]),
    "nothing to compare": (lambda: xaicore.compare(MODEL, X, methods=[]), ParameterError, ["at least one method"]),
    "no such option": (
        lambda: xaicore.compare(MODEL, X, methods=["lrp.epsilon"], lyer="conv"),
        ParameterError,
        ["'lyer'", "Did you mean 'layer'"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_with_what_and_where_and_nothing_is_changed(case: str) -> None:
    call, error, words = CASES[case]
    before, x = copy.deepcopy(MODEL.state_dict()), X.clone()
    with pytest.raises(error) as raised:
        call()
    for word in words:
        assert word in str(raised.value), raised.value
    assert torch.equal(X, x) and not MODEL.training
    assert all(torch.equal(value, before[name]) for name, value in MODEL.state_dict().items())
    hooks = (module._forward_hooks or module._backward_hooks or module._forward_pre_hooks for module in MODEL.modules())
    assert not any(hooks)


@pytest.mark.parametrize("ids", [[[1, 99]], [1, 2, 3]])
def test_of_a_model_that_looks_ids_up_none_is_told_to_make_them_floats(ids: list[Any]) -> None:
    with pytest.raises(InputError) as raised:
        words(ids)()
    assert "float()" not in str(raised.value) and "torch.int64" in str(raised.value)


def test_the_model_still_works_after_all_of_these() -> None:
    for call, error, _ in CASES.values():
        with pytest.raises(error):
            call()
    assert epsilon(target=1)().relevance.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-m", "lrp.epsilom"], "Did you mean 'lrp.epsilon'"),
        (["-m", "lrp.epsilon", "-p", "epsilon=x"], "epsilon='x' must be a number"),
        (["-m", "lrp.alpha_beta", "-p", "alpha=2", "-p", "beta=2"], "beta is 1"),
        (["-m", "lrp.z_box", "-p", "low=1", "-p", "high=0"], "low must not exceed high"),
        (["-m", "lrp.epsilon", "--layer", "linear_11"], "Did you mean 'linear_1'"),
        (["-m", "lrp.epsilon", "-t", "7"], "0 to 4"),
    ],
)
def test_the_command_line_says_the_same_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("small_model.py").write_text(
        "from torch import nn\n\ndef classifier():\n    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))\n"
    )
    np.save("x.npy", np.ones((2, 3), dtype=np.float32))
    try:
        result = CliRunner().invoke(cli, ["explain", "small_model:classifier", "x.npy", "-o", "out", *arguments])
    finally:
        sys.modules.pop("small_model", None)
    assert result.exit_code != 0
    assert words in result.output and "Traceback" not in result.output
