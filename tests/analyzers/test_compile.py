"""`compile=True`: the same numbers from one compiled function."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import compiled
from xaicore.errors import ParameterError, TargetError, XaicoreError


class Net(nn.Module):
    """A residual sum, a batch norm, overlapping pooling and a dense head."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.two = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.one(x)).relu()
        h = nn.functional.max_pool2d(h + self.two(h).relu(), 3, 2)
        return self.head(h.mean((2, 3)))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x).relu())


@pytest.fixture(autouse=True)
def one_seed() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def made(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model.eval()


@pytest.fixture
def traced_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traced function as it is: for what the compiler has no part in."""
    original = torch.compile

    def compile(module: Any, **options: Any) -> Any:
        return original(module, backend="aot_eager", fullgraph=True, dynamic=False)

    monkeypatch.setattr(torch, "compile", compile)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def count_programs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with every compilation."""
    compilations: list[int] = []
    original = compiled._Program.__init__

    def counting(self: Any, *arguments: Any) -> None:
        compilations.append(1)
        original(self, *arguments)

    monkeypatch.setattr(compiled._Program, "__init__", counting)
    return compilations


def test_one_compiled_function_serves_all_classes_inputs_and_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    compilations = count_programs(monkeypatch)
    model = made(Net())
    analyzer = xaicore.create_analyzer("lrp.epsilon_plus", model)
    for target in (1, [0, 2], torch.tensor([1, 1])):
        x = torch.randn(2, 2, 7, 7)
        expected, found = analyzer.analyze(x, target), analyzer.analyze(x, target, compile=True)
        same(found.relevance, expected.relevance)
        same(found.prediction, expected.prediction)
        assert found.target["labels"] == expected.target["labels"]
    with torch.no_grad():
        model.one.weight.mul_(-1)
        model.head.bias.data.add_(1)
    for _ in range(2):
        same(analyzer.analyze(x, 1, compile=True).relevance, analyzer.analyze(x, 1).relevance)
    same(xaicore.explain(model, x, method="lrp.epsilon_plus", target=1, compile=True).relevance,
         analyzer.analyze(x, 1).relevance)  # fmt: skip
    assert len(compilations) == 1


@pytest.mark.usefixtures("traced_only")
def test_predicted_classes_and_contrasts_follow_the_inputs() -> None:
    model = Dense()
    analyzer = xaicore.create_analyzer("gradients.input_x_gradient", model)
    for target in (None, xaicore.Contrast(None, 1)):
        for _ in range(2):
            x = torch.randn(4, 3)
            expected, found = analyzer.analyze(x, target), analyzer.analyze(x, target, compile=True)
            same(found.relevance, expected.relevance)
            assert found.target["labels"] == expected.target["labels"]


@pytest.mark.usefixtures("traced_only")
def test_other_parameters_and_shapes_compile_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    compilations = count_programs(monkeypatch)
    model, x = Dense(), torch.randn(2, 3)
    for epsilon in (0.25, 2.5, 0.25):
        analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=epsilon)
        same(analyzer.analyze(x, 1, compile=True).relevance, analyzer.analyze(x, 1).relevance)
    assert len(compilations) == 2
    same(analyzer.analyze(x[:1], 1, compile=True).relevance, analyzer.analyze(x[:1], 1).relevance)
    assert len(compilations) == 3


@pytest.mark.usefixtures("traced_only")
def test_several_targets_layers_and_filters_in_one_function() -> None:
    model, x = Dense(), torch.randn(2, 3)
    analyzer = xaicore.create_analyzer("lrp.z_plus", model)
    options: dict[str, Any] = {"record": ["one"], "filter": {"one": [0, 2]}}
    expected = analyzer.analyze_targets(x, [0, 2], **options)
    for mine, other in zip(analyzer.analyze_targets(x, [0, 2], compile=True, **options), expected, strict=True):
        same(mine.relevance, other.relevance)
        same(mine.recorded["one"], other.recorded["one"])


@pytest.mark.usefixtures("traced_only")
def test_only_the_first_call_after_an_update_of_the_weights_runs_without_the_compiled_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, x, plain_runs = Dense(), torch.randn(2, 3), []
    original = compiled._Program._observe

    def counting(self: Any, *arguments: Any) -> Any:
        plain_runs.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(compiled._Program, "_observe", counting)
    analyzer = xaicore.create_analyzer("lrp.gamma", model)
    for runs in (1, 2):
        for _ in range(3):
            same(analyzer.analyze(x, 1, compile=True).relevance, analyzer.analyze(x, 1).relevance)
        assert len(plain_runs) == runs
        with torch.no_grad():
            model.one.weight.mul_(2)


@pytest.mark.usefixtures("traced_only")
def test_the_callers_autocast_is_compiled_apart() -> None:
    model, x = Dense(), torch.randn(2, 3)
    analyzer = xaicore.create_analyzer("lrp.z_plus", model)
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            expected, found = analyzer.analyze(x, 1), analyzer.analyze(x, 1, compile=True)
        assert found.prediction.dtype == expected.prediction.dtype == torch.bfloat16
        torch.testing.assert_close(found.relevance, expected.relevance, rtol=0.05, atol=1e-3)
        same(analyzer.analyze(x, 1, compile=True).relevance, analyzer.analyze(x, 1).relevance)


@pytest.mark.usefixtures("traced_only")
def test_notes_about_values_belong_to_the_inputs_of_the_call() -> None:
    analyzer = xaicore.create_analyzer("lrp.z_box", Dense(), low=0.0, high=1.0)
    inside, outside = torch.rand(2, 3), torch.rand(2, 3) + 3
    for x in (inside, outside, inside):
        expected, found = analyzer.analyze(x, 1), analyzer.analyze(x, 1, compile=True)
        same(found.relevance, expected.relevance)
        assert found.diagnostics.notes == expected.diagnostics.notes
    assert analyzer.analyze(outside, 1, compile=True).diagnostics.notes != found.diagnostics.notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ledger": True}, "ledger"),
        ({"create_graph": True}, "create_graph"),
        ({"filter": {"one": lambda r: r}}, "'one'"),
        ({"compile": "reduce_overhead"}, "Did you mean 'reduce-overhead'"),
    ],
)
def test_what_cannot_be_compiled_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        xaicore.explain(Dense(), torch.randn(2, 3), method="lrp.epsilon", target=1, **({"compile": True} | options))


def test_functions_as_targets_are_refused() -> None:
    with pytest.raises(TargetError, match="compile takes targets"):
        xaicore.explain(Dense(), torch.randn(2, 3), method="lrp.epsilon", target=lambda y: y.sum(1), compile=True)


def test_a_machine_without_a_compiler_gets_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: Any) -> Any:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", lambda *arguments, **options: failing)
    with pytest.raises(XaicoreError, match=r"g\+\+"):
        xaicore.explain(Dense(), torch.randn(2, 3), method="lrp.epsilon", target=1, compile=True)


class Patches(nn.Module):
    """Positions become tokens, and a pointwise convolution: what arrives at the layers is not contiguous."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.widen = nn.Conv2d(2, 4, 2, 2), nn.Conv2d(4, 8, 1)
        self.mix, self.head = nn.Linear(4, 4), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.embed(x).relu()
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = (tokens + self.mix(tokens.flip(1)).transpose(1, 2).relu().transpose(1, 2)).transpose(1, 2)
        return self.head(self.widen(tokens.unflatten(2, patches.shape[2:])).relu().mean((2, 3)))


@pytest.mark.parametrize("method", ["lrp.epsilon", "lrp.z_plus", "lrp.alpha_2_beta_1"])
def test_tensors_that_are_not_contiguous_compile(method: str, traced_only: None) -> None:
    analyzer, x = xaicore.create_analyzer(method, Patches()), torch.rand(2, 2, 8, 8)
    same(analyzer.analyze(x, target=1, compile=True).relevance, analyzer.analyze(x, target=1).relevance)


def test_an_engine_asks_for_it_wherever_it_is_passed() -> None:
    analyzer, x = xaicore.create_analyzer("gradients.input_x_gradient", Dense()), torch.randn(2, 3)
    runs = (
        lambda engine: analyzer.analyze(x, 0, engine=engine),
        lambda engine: analyzer.analyze_targets(x, [0, 1], engine=engine),
        lambda engine: xaicore.compare(analyzer.model, x, methods=[analyzer], engine=engine),
    )
    for run in runs:
        with pytest.raises(ParameterError, match="compile='nonsense'"):
            run(xaicore.Engine(compile="nonsense"))
