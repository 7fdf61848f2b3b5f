"""The explained value as a function of what is varied: on graphs, at inner layers, and of anything callable."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaicore import Contrast
from xaicore.analyzers import CallableEvaluation, ExpansionAnalyzer, GraphEvaluation
from xaicore.analyzers.baselines import Constant, Data, Given
from xaicore.analyzers.expansion import Attribution
from xaicore.engine import Block, Engine
from xaicore.errors import InputError, LayerError, ParameterError

X = torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Residual(nn.Module):
    """A block with a skip connection, a layer that is used twice, and an input beside the image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 3, 3, padding=1)
        self.inner = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 4)

    def forward(self, image: Tensor, scale: Tensor) -> Tensor:
        x = torch.relu(self.stem(image))
        x = x + torch.tanh(self.inner(torch.relu(self.inner(x))))
        return self.head(x.mean((2, 3)) * scale)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.hidden = nn.Linear(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.hidden(self.embedding(ids))).mean(1))


class TwoSamplesOnly(nn.Module):
    """A model that works for one batch size."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.head(x.reshape(2, 3)))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def all_rows(evaluation: Any, steps: int) -> Block:
    return Block(0, evaluation.batch, 0, steps)


def scaled(evaluation: Any, block: Block, factors: Tensor) -> dict[str, Tensor]:
    """Rows in which what is varied is multiplied by one factor a step."""
    return {
        name: (block.cross(x) * factors.view(1, -1, *[1] * (x.ndim - 1))).flatten(0, 1)
        for name, x in evaluation.varied.items()
    }


FACTORS = torch.tensor([0.3, 1.0, -2.0], dtype=torch.float64)


@pytest.mark.parametrize("target", [None, 1, [0, 1, 2, 3, 0], Contrast(None, 2), lambda y: y.square().sum(1)])
def test_scores_and_gradients_are_those_of_the_model_at_each_row(target: Any) -> None:
    model = Residual().double()
    scale = torch.rand(5, 3, dtype=torch.float64)
    evaluation = GraphEvaluation(model, (X, scale), target, engine=Engine())
    block = all_rows(evaluation, 3)
    scores, gradients = evaluation.gradients(scaled(evaluation, block, FACTORS), block)
    assert torch.allclose(scores, evaluation.scores(scaled(evaluation, block, FACTORS), block))
    chosen = evaluation.target
    for sample in range(5):
        for step, factor in enumerate(FACTORS):
            image, by = (each[sample : sample + 1].mul(factor).requires_grad_() for each in (X, scale))
            score = chosen.take([sample], 5).score(model(image, by))
            expected = torch.autograd.grad(score.sum(), (image, by))
            row = 3 * sample + step
            assert torch.allclose(scores[row], score)
            assert torch.allclose(gradients["image"][row], expected[0][0])
            assert torch.allclose(gradients["scale"][row], expected[1][0])


@pytest.mark.parametrize("layer", ["stem", "inner@0", "inner@1", "head"])
def test_at_an_inner_layer_the_rest_of_the_model_is_run_and_other_ways_stay_as_they_are(layer: str) -> None:
    model = Residual().double()
    scale = torch.rand(5, 3, dtype=torch.float64)
    evaluation = GraphEvaluation(model, (X, scale), 2, layer=layer, engine=Engine())
    assert len(evaluation.as_input(evaluation.varied)) == 5
    block = all_rows(evaluation, 3)
    scores = evaluation.scores(scaled(evaluation, block, FACTORS), block)
    # The same by a hook that replaces what the module returned at this call.
    name, _, call = layer.partition("@")
    for step, factor in enumerate(FACTORS):
        calls = iter(range(9))

        def replace(module: nn.Module, given: Any, found: Tensor, calls: Any = calls, by: Tensor = factor) -> Tensor:
            return found * by if next(calls) == int(call or 0) else found

        handle = model.get_submodule(name).register_forward_hook(replace)
        expected = model(X, scale)[:, 2]
        handle.remove()
        assert torch.allclose(scores[step::3], expected)


def test_tokens_are_varied_at_their_embedding() -> None:
    model = Tokens().double()
    ids = torch.randint(0, 9, (4, 6))
    evaluation = GraphEvaluation(model, ids, 1, engine=Engine())
    ((name, embedded),) = evaluation.varied.items()
    assert torch.equal(embedded, model.embedding(ids))
    block = Block(1, 3, 0, 2)
    expected = model.head(torch.tanh(model.hidden(embedded[1:3] * 0.5)).mean(1))[:, 1]
    scores = evaluation.scores({name: block.repeat(embedded) * 0.5}, block)
    assert torch.allclose(scores, expected.repeat_interleave(2))
    assert evaluation.as_input({name: embedded}).shape == ids.shape


def test_baselines_of_tokens_are_other_tokens_or_stand_for_their_embedding() -> None:
    model = Tokens().double()
    ids = torch.randint(0, 9, (4, 6))
    evaluation = GraphEvaluation(model, ids, 1, engine=Engine())
    (name,) = evaluation.varied
    assert torch.equal(evaluation.baseline(Constant(0.0))[name], torch.zeros(1, 6, 4, dtype=torch.float64))
    padded = evaluation.baseline(Given(torch.zeros(6, dtype=torch.long)))[name]
    assert torch.equal(padded, model.embedding.weight[0].expand(4, 6, 4))
    data = torch.randint(0, 9, (7, 6))
    assert torch.equal(evaluation.baseline(Data(data), 3)[name][0], model.embedding(data[3]))


def test_a_baseline_is_carried_to_an_inner_layer() -> None:
    model = Residual().double()
    scale = torch.rand(5, 3, dtype=torch.float64)
    evaluation = GraphEvaluation(model, (X, scale), 1, layer="inner@1", engine=Engine())
    found = evaluation.baseline(Given({"image": torch.ones(2, 6, 6), "scale": torch.ones(3)}))
    ones = torch.relu(model.stem(torch.ones(1, 2, 6, 6, dtype=torch.float64)))
    assert torch.allclose(next(iter(found.values()))[3:4], model.inner(torch.relu(model.inner(ones))))


def test_a_graph_for_one_batch_size_serves_any_number_of_rows() -> None:
    model = TwoSamplesOnly().double()
    x = torch.randn(2, 3, dtype=torch.float64)
    evaluation = GraphEvaluation(model, x, [0, 2], engine=Engine())
    block = Block(0, 2, 0, 3)
    rows = scaled(evaluation, block, FACTORS)
    scores, gradients = evaluation.gradients(rows, block)
    source = (x[:, None] * FACTORS.view(1, 3, 1)).requires_grad_()
    expected = torch.tanh(model.head(source))[torch.arange(2)[:, None], torch.arange(3)[None], torch.tensor([[0], [2]])]
    (gradient,) = torch.autograd.grad(expected.sum(), source)
    assert torch.allclose(scores, expected.flatten()) and torch.allclose(gradients["x"], gradient.flatten(0, 1))
    assert torch.allclose(evaluation.scores(rows, block), scores)


def test_a_layer_without_the_batch_in_front_is_refused() -> None:
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.inner(x.transpose(0, 1)).mean(0))

    with pytest.raises(LayerError, match="only tensors with the batch in front"):
        GraphEvaluation(Transposed(), torch.randn(2, 5, 4), 0, layer="inner", engine=Engine())


# Callables


class Frame:
    """A table with named columns, as far as one is looked at."""

    def __init__(self, values: Any, columns: list[str]) -> None:
        self.values, self.columns = np.asarray(values), columns

    @property
    def iloc(self) -> Any:
        return self.values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.values.astype(dtype) if dtype else self.values

    def __len__(self) -> int:
        return len(self.values)


def array_function(x: Any) -> Any:
    assert isinstance(x, np.ndarray) and x.dtype == np.float32
    return np.stack([x.sum(1), -x.sum(1)], 1)


def tensor_function(x: Any) -> Any:
    assert isinstance(x, Tensor)
    return torch.stack([x.sum(1), -x.sum(1)], 1)


def frame_function(x: Any) -> Any:
    assert isinstance(x, Frame) and x.columns == ["a", "b", "c"]
    return np.stack([x.values.sum(1), -x.values.sum(1)], 1)


TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (array_function, TABLE),
        (tensor_function, torch.from_numpy(TABLE)),
        (frame_function, Frame(TABLE, ["a", "b", "c"])),
        (lambda x: x.tolist() and [[row.sum(), -row.sum()] for row in x], TABLE),
        (lambda x: {"output": array_function(x)}, TABLE),
        (lambda x: (array_function(x),), TABLE),
    ],
)
def test_a_function_is_given_what_the_user_has_and_returns_what_it_likes(function: Any, inputs: Any) -> None:
    evaluation = CallableEvaluation(function, inputs, 1, engine=Engine())
    assert evaluation.values.tolist() == [-3, -12, -21, -30]
    block = Block(0, 4, 0, 2)
    ((name, x),) = evaluation.varied.items()
    assert evaluation.scores({name: block.repeat(x) * 2}, block)[::2].tolist() == [-6, -24, -42, -60]
    assert evaluation.as_input({name: x}).dtype == torch.float32


def test_several_arguments_are_varied_by_position_or_by_name() -> None:
    def function(a: Any, b: Any) -> Any:
        return (a * b[..., None]).sum(1)

    a, b = np.ones((3, 2)), np.array([1.0, 2.0, 3.0])
    by_position = CallableEvaluation(function, (a, b), engine=Engine())
    by_name = CallableEvaluation(function, {"a": a, "b": b}, engine=Engine())
    assert list(by_position.varied) == ["input_0", "input_1"] and list(by_name.varied) == ["a", "b"]
    assert by_position.values.tolist() == by_name.values.tolist() == [2, 4, 6]


def test_a_module_runs_in_evaluation_mode_and_stays_as_it_is() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9), nn.Linear(3, 2)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluation = CallableEvaluation(model, torch.randn(4, 3), 0, engine=Engine())
    block = all_rows(evaluation, 2)
    rows = {"input": block.repeat(evaluation.varied["input"])}
    assert torch.equal(evaluation.scores(rows, block), evaluation.scores(rows, block))
    assert model.training and all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_module_that_cannot_be_captured_can_be_called() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1) if float(x.sum()) > 0 else -x.sum(1)

    evaluation = CallableEvaluation(Branching(), torch.ones(2, 3), engine=Engine())
    assert evaluation.values.tolist() == [3, 3]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.sum(), "its first dimension, like that of the inputs, must be the batch"),
        (lambda x: x[:1], "its first dimension, like that of the inputs, must be the batch"),
        (lambda x: "three", "returned no tensor or array"),
        (3, "cannot be called"),
    ],
)
def test_what_is_no_model_is_refused(function: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CallableEvaluation(function, TABLE, 0, engine=Engine())


def test_of_an_estimator_the_method_to_give_is_named() -> None:
    class Estimator:
        def predict_proba(self, x: Any) -> Any:
            return x

    with pytest.raises(InputError, match="give its method predict_proba as the model"):
        CallableEvaluation(Estimator(), TABLE, 0, engine=Engine())


# Analyzers on top


class Doubled(ExpansionAnalyzer):
    """Returns what is varied times the number of its steps: enough to see how the base runs a method."""

    def __init__(self, model: Any, *, steps: int = 4) -> None:
        super().__init__(model)
        self.steps = steps

    def attribute(self, evaluation: Any, engine: Engine) -> Attribution:
        total: Mapping[str, Tensor] = {name: torch.zeros_like(x) for name, x in evaluation.varied.items()}

        def run(block: Block) -> dict[str, Tensor]:
            rows = {name: block.repeat(x) for name, x in evaluation.varied.items()}
            evaluation.scores(rows, block)
            return {name: block.grid(row).sum(1) for name, row in rows.items()}

        sweep = engine.sweep(evaluation.batch, self.steps, run, device=evaluation.device)
        for block, found in sweep:
            for name, part in found.items():
                total[name][block.start : block.stop] += part
        return Attribution(total, reference=evaluation.values * 0, finished=sweep.finished)


@pytest.mark.parametrize("batch_size", [1, 3, 50, None, "auto"])
def test_large_batches_are_explained_in_groups_and_joined(batch_size: Any) -> None:
    x = torch.randn(70, 3)
    found = Doubled(lambda t: t).analyze(x, [1] * 70, batch_size=batch_size)
    assert torch.allclose(found.relevance, 4 * x)
    assert found.diagnostics.reference is not None and len(found.diagnostics.reference) == 70
    assert torch.equal(found.target["values"], x[:, 1])


def test_options_that_a_method_does_not_have_are_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"Doubled: analyze has no option 'ledgr'.*Did you mean 'layer'"):
        Doubled(lambda t: t).analyze(torch.ones(2, 3), ledgr=True)


def test_the_baseline_of_an_explanation_is_saved_and_loaded(tmp_path: Any) -> None:
    import xaicore

    found = Doubled(lambda t: t).analyze(torch.randn(3, 2), 1)
    found.save(tmp_path / "found.safetensors")
    loaded = xaicore.load_explanation(tmp_path / "found.safetensors")
    assert torch.equal(loaded.diagnostics.reference, found.diagnostics.reference)
    assert "at the baseline" in loaded.diagnostics.summary()


@pytest.mark.parametrize("batch_size", [1, "auto"])
def test_any_mapping_holds_inputs_by_name(batch_size: Any) -> None:
    a, b = torch.randn(3, 2), torch.randn(3, 2)
    found = Doubled(lambda a, b: a + b).analyze(UserDict(a=a, b=b), [0, 1, 0], batch_size=batch_size)
    assert torch.allclose(found.relevance["a"], 4 * a) and torch.allclose(found.relevance["b"], 4 * b)


def test_a_prediction_needs_no_target() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(Doubled(lambda t: t).predict(x), x)
    assert torch.equal(Doubled(lambda t: t[:, 0, 0]).predict(x), x[:, 0, 0])


def test_a_model_may_hold_sparse_tensors() -> None:
    class Sparse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("neighbours", torch.eye(3).to_sparse())

        def forward(self, x: Tensor) -> Tensor:
            return torch.sparse.mm(self.neighbours, x.T).T

    x = torch.randn(2, 3)
    assert torch.allclose(Doubled(Sparse()).analyze(x, 0).relevance, 4 * x)


@pytest.mark.parametrize("samples", [5, 70])
def test_there_is_one_progress_bar(samples: int, capsys: pytest.CaptureFixture[str]) -> None:
    Doubled(lambda t: t).analyze(torch.randn(samples, 3), 0, progress=True)
    shown = capsys.readouterr().err
    assert {unit for unit in ("sample/s", "row/s") if unit in shown} == {"row/s" if samples == 5 else "sample/s"}


def test_rows_of_a_graph_for_one_batch_size_share_what_belongs_to_no_sample() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, x: Tensor, order: Tensor) -> Tensor:
            return self.head(x.reshape(2, 3)) * (order.sum() + 1)

    model, x, order = Shared(), torch.randn(2, 3), torch.tensor([5])
    evaluation = GraphEvaluation(model, (x, order), 1, engine=Engine())
    scores = evaluation.scores({"x": x[1:]}, Block(1, 2, 0, 1))
    assert torch.allclose(scores, model(x, order)[1:, 1].detach())


class Weighted(nn.Module):
    """A tensor that is the same for all samples, as long as a group may be."""

    def forward(self, x: Tensor, weight: Tensor) -> Tensor:
        return (x * weight).sum(1)


@pytest.mark.parametrize("batch_size", [4, None, "auto"])
def test_what_is_the_same_for_all_samples_is_never_taken_for_theirs(batch_size: Any) -> None:
    x, weight = torch.randn(8, 4), torch.randn(4)
    evaluated = Doubled(lambda x, w: (x * w).sum(1)).analyze((x, weight), batch_size=batch_size)
    assert torch.allclose(evaluated.relevance["input_0"], 4 * x)


def test_a_position_input_that_an_embedding_looks_up_is_not_split_from_its_batch() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(9, 4), nn.Embedding(6, 4)

        def forward(self, ids: Tensor, places: Tensor) -> Tensor:
            return (self.words(ids) * self.places(places)).sum((1, 2))

    from xaicore.analyzers import PropagationAnalyzer

    ids, places = torch.randint(0, 9, (8, 4)), torch.arange(4)
    analyzer = PropagationAnalyzer(Positions())
    assert analyzer.analyze((ids, places)).relevance["places"].shape == (4,)
    with pytest.raises(InputError, match=r"'places' of shape \(4,\) does not have the batch of 8"):
        analyzer.analyze((ids, places), batch_size=4)


@pytest.mark.parametrize("batch_size", ["auto", None, 3])
def test_a_module_that_takes_one_number_of_samples_can_be_called_with_any(batch_size: Any) -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(4, 3).sum(1)

    x = torch.randn(4, 3)
    if batch_size == 3:
        with pytest.raises(InputError, match="invalid for input of size"):
            Doubled(Fixed()).analyze(x, batch_size=3)
    else:
        assert torch.allclose(Doubled(Fixed(), steps=5).analyze(x, batch_size=batch_size).relevance, 5 * x)


def test_compiling_is_refused_where_nothing_is_compiled() -> None:
    with pytest.raises(ParameterError, match="compile="):
        Doubled(lambda t: t).analyze(torch.ones(2, 3), 0, engine=Engine(compile=True))


def test_torchscript_can_be_called() -> None:
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        model = torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3))
    assert torch.allclose(Doubled(model).analyze(torch.ones(2, 3), 0).relevance, torch.full((2, 3), 4.0))
