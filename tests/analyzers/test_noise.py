"""Averaging over noisy copies of the input: the numbers, and what a user gets back."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import numpy as np
import pytest
import torch
from oracles import assert_same, noise, shaken
from sklearn.base import clone
from torch import Tensor, nn

import xaicore
from xaicore import NoiseAverage
from xaicore.analyzers import Attribution, ExpansionAnalyzer, PropagationAnalyzer
from xaicore.engine import Engine, generator
from xaicore.errors import InputError, LayerError, ParameterError

X = noise(3, 2, 5, 5)


class Gradient(PropagationAnalyzer):
    """The plain gradient, remembering how many rows it was given at a time."""

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
        first = (
            inputs
            if isinstance(inputs, Tensor)
            else next(iter(inputs.values() if isinstance(inputs, dict) else inputs))
        )
        vars(self).setdefault("batches", []).append(len(first))
        return super().analyze(inputs, target, **options)


class Net(nn.Module):
    """A residual block with a module used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.one(x))
        h = h + torch.tanh(self.two(h)) + self.two(torch.tanh(h))
        return self.head(h.mean((2, 3)))


class Two(nn.Module):
    """An image, features and a mask."""

    def forward(self, image: Tensor, extra: Tensor, mask: Tensor) -> Tensor:
        pooled = image.square().sum((1, 2, 3))
        return torch.stack([pooled * extra.sum(1), (mask * extra.exp()).sum(1)], 1)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return shaken(Net())


def draws(shape: tuple[int, ...], samples: int, seed: int = 0, number: int = 0) -> list[Tensor]:
    """The noise of each copy, as the page on the engine says it is drawn."""
    return [torch.randn(shape, generator=generator(seed, step, number)).double() for step in range(samples)]


def gradients(model: nn.Module, x: Tensor, target: Tensor, samples: int, noise: float, seed: int = 0) -> Tensor:
    """The gradients at the noisy copies, (samples, B, ...), one copy of one sample at a time."""
    found = []
    for drawn in draws(tuple(x.shape[1:]), samples, seed):
        row = []
        for sample, index in zip(x, target.tolist(), strict=True):
            scale = noise * (sample.max() - sample.min())
            copy = (sample + scale * drawn)[None].requires_grad_()
            row.append(torch.autograd.grad(model(copy)[0, index], copy)[0][0])
        found.append(torch.stack(row))
    return torch.stack(found)


REDUCED = {
    "mean": lambda each: each.mean(0),
    "abs": lambda each: each.abs().mean(0),
    "square": lambda each: each.square().mean(0),
    "variance": lambda each: each.var(0, correction=0),
}


@pytest.mark.parametrize("reduce", REDUCED)
@pytest.mark.parametrize("batch_size", ["auto", None, 1, 4, 7])
def test_it_is_the_moment_of_the_gradients_of_the_noisy_copies(model: nn.Module, reduce: str, batch_size: Any) -> None:
    average = NoiseAverage(Gradient(model), noise=0.2, samples=6, reduce=reduce, seed=5)
    found = average.analyze(X, batch_size=batch_size)
    expected = REDUCED[reduce](gradients(model, X, model(X).argmax(1), 6, 0.2, seed=5))
    assert_same(found.relevance, expected)


def test_rows_at_once_are_at_most_the_batch_size(model: nn.Module) -> None:
    watching = Gradient(model)
    NoiseAverage(watching, samples=5).analyze(X, batch_size=4)
    assert max(vars(watching)["batches"]) <= 4 and sum(vars(watching)["batches"]) == 15
    watching = Gradient(model)
    NoiseAverage(watching, samples=5).analyze(X, batch_size=None)
    assert vars(watching)["batches"] == [15]


def test_noise_is_a_share_of_the_range_of_each_sample(model: nn.Module) -> None:
    seen: list[Tensor] = []

    class Looking(PropagationAnalyzer):
        def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
            seen.append(inputs)
            return super().analyze(inputs, target, **options)

    x = torch.stack([X[0], 10 * X[0], X[1]])
    for relative, expected in ((True, x.flatten(1).amax(1) - x.flatten(1).amin(1)), (False, torch.ones(3))):
        for distribution in ("normal", "uniform"):
            seen.clear()
            average = NoiseAverage(Looking(model), noise=0.3, samples=400, relative=relative, distribution=distribution)
            average.analyze(x, 0, batch_size=None)
            copies = seen[0].unflatten(0, (3, 400))
            spread = (copies - x[:, None]).flatten(1).std(1)
            torch.testing.assert_close(spread, 0.3 * expected.double(), rtol=0.02, atol=0)
            largest = (copies - x[:, None]).flatten(1).abs().amax(1) / spread
            assert bool((largest < 1.75).all()) == (distribution == "uniform")


def test_a_sample_has_the_same_explanation_in_every_batch(model: nn.Module) -> None:
    many = noise(33, 2, 5, 5, seed=3)
    average = NoiseAverage(Gradient(model), samples=4)
    whole = average.analyze(many)
    assert isinstance(whole.relevance, Tensor)
    for number in (0, 1, 32):
        alone = average.analyze(many[number : number + 1])
        assert_same(alone.relevance, whole.relevance[number : number + 1])
        assert alone.target["index"] == whole.target["index"][number : number + 1]


def test_the_same_seed_gives_the_same_numbers_and_another_one_others(model: nn.Module) -> None:
    before = torch.get_rng_state()
    one, again, other = (NoiseAverage(Gradient(model), samples=3, seed=s).analyze(X).relevance for s in (1, 1, 2))
    assert torch.equal(one, again) and not torch.allclose(one, other)  # type: ignore[arg-type]
    assert torch.equal(before, torch.get_rng_state())


def test_without_noise_it_is_the_method_itself(model: nn.Module) -> None:
    plain = Gradient(model).analyze(X, record=["one"])
    found = NoiseAverage(Gradient(model), noise=0, samples=3).analyze(X, record=["one"])
    assert_same(found.relevance, plain.relevance)  # type: ignore[arg-type]
    assert_same(found.recorded["one"], plain.recorded["one"])
    assert not found.diagnostics.notes
    still = NoiseAverage(Gradient(model), noise=0, samples=3, reduce="variance").analyze(X)
    assert_same(still.relevance, torch.zeros_like(X))


def test_small_variances_around_large_means_are_not_lost() -> None:
    model = nn.Linear(4, 1, bias=False)
    nn.init.ones_(model.weight)

    def target(out: Tensor) -> Tensor:
        return 1e4 * out[:, 0] + 0.5 * out[:, 0].square()

    x = torch.zeros(2, 4)
    average = NoiseAverage(Gradient(model), noise=0.01, samples=40, reduce="variance", relative=False)
    found = average.analyze(x, target, batch_size=6).relevance
    assert isinstance(found, Tensor)
    sums = torch.stack([0.01 * each.sum() for each in draws((4,), 40)])
    torch.testing.assert_close(found.double(), sums.var(correction=0).expand(2, 4), rtol=0.1, atol=0)


def test_class_prediction_and_value_are_those_of_the_clean_input(model: nn.Module) -> None:
    found = NoiseAverage(Gradient(model), noise=2.0, samples=30).analyze(X)
    output = model(X).detach()
    assert_same(found.prediction, output)
    assert found.target["index"] == output.argmax(1).tolist()
    assert_same(found.target["values"], output.amax(1))
    assert_same(found.diagnostics.explained, output.amax(1))
    assert found.diagnostics.conservation_gap is None
    assert_same(found.inputs, X)
    expected = gradients(model, X, output.argmax(1), 30, 2.0).mean(0)
    assert_same(found.relevance, expected)


def test_noise_under_which_the_model_sees_another_class_is_told() -> None:
    model = nn.Linear(1, 3).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [1.0], [-1.0]]))
        model.bias.copy_(torch.tensor([0.1, 0.0, 0.0]))
    # The first is of class 0 only as long as it hardly moves.
    x = torch.tensor([[0.0], [9.0], [-9.0]], dtype=torch.float64)
    found = NoiseAverage(Gradient(model), noise=1.0, samples=20, relative=False).analyze(x, batch_size=7)
    (note,) = found.diagnostics.notes
    assert "most copies of 1 of 3 samples are predicted as another class" in note
    assert_same(found.relevance, torch.tensor([[0.0], [1.0], [-1.0]], dtype=torch.float64))
    assert not NoiseAverage(Gradient(model), noise=0.01, samples=20, relative=False).analyze(x).diagnostics.notes


def test_targets_of_every_kind(model: nn.Module) -> None:
    average = NoiseAverage(Gradient(model), samples=4)

    def at(index: list[int]) -> Tensor:
        return gradients(model, X, torch.tensor(index), 4, 0.15).mean(0)

    assert_same(average.analyze(X, [2, 0, 1], batch_size=5).relevance, at([2, 0, 1]))
    contrast = average.analyze(X, xaicore.Contrast(None, 0))
    predicted = model(X).argmax(1).tolist()
    assert_same(contrast.relevance, at(predicted) - at([0, 0, 0]))
    summed = average.analyze(X, lambda output: output.sum(1))
    assert_same(summed.relevance, at([0] * 3) + at([1] * 3) + at([2] * 3))


def test_inner_layers_and_filters_are_averaged_too(model: nn.Module) -> None:
    average = NoiseAverage(Gradient(model), samples=5, reduce="square")
    at_layer = average.analyze(X, 1, layer="one", batch_size=4)
    recorded = average.analyze(X, 1, record=["one"], batch_size=7)
    filtered = average.analyze(X, 1, layer="one", filter={"one": 2})
    expected = torch.zeros(3, 4, 5, 5, dtype=torch.float64)
    for drawn in draws((2, 5, 5), 5):
        span = X.flatten(1).amax(1) - X.flatten(1).amin(1)
        hidden = model.one(X + 0.15 * span[:, None, None, None] * drawn).detach().requires_grad_()
        h = torch.tanh(hidden)
        out = model.head((h + torch.tanh(model.two(h)) + model.two(torch.tanh(h))).mean((2, 3)))
        expected += torch.autograd.grad(out[:, 1].sum(), hidden)[0].square() / 5
    assert at_layer.layer == "one"
    assert_same(at_layer.relevance, expected)
    assert_same(recorded.recorded["one"], expected)
    only = torch.zeros_like(expected)
    only[:, 2] = expected[:, 2]
    assert_same(filtered.relevance, only)


def test_several_inputs_get_noise_of_their_own_and_integers_none() -> None:
    image, extra, mask = noise(3, 1, 2, 2), noise(3, 4, seed=2), torch.tensor([[1, 0, 1, 1]] * 3)
    given = {"image": image, "extra": extra, "mask": mask}
    average = NoiseAverage(Gradient(Two()), samples=6, noise=0.1)
    found = average.analyze(given, 0, batch_size=4).relevance
    assert isinstance(found, dict)

    def scaled(x: Tensor, number: int) -> list[Tensor]:
        span = (x.flatten(1).amax(1) - x.flatten(1).amin(1)).view(-1, *[1] * (x.ndim - 1))
        return [x + 0.1 * span * each for each in draws(tuple(x.shape[1:]), 6, number=number)]

    images, extras = scaled(image, 0), scaled(extra, 1)
    pairs = list(zip(images, extras, strict=True))
    by_hand = sum(2 * i * e.sum(1)[:, None, None, None] for i, e in pairs) / 6
    assert_same(found["image"], by_hand)  # type: ignore[arg-type]
    assert_same(found["extra"], (sum(i.square().sum((1, 2, 3)) for i in images) / 6)[:, None].expand(3, 4))  # type: ignore
    alone = NoiseAverage(Gradient(Two()), samples=6, noise=0.1, inputs=["extra"]).analyze(given, 0).relevance
    assert_same(alone["image"], sum(2 * image * e.sum(1)[:, None, None, None] for e in extras) / 6)  # type: ignore
    by_position = average.analyze((image, extra, mask), 0).relevance
    assert isinstance(by_position, dict)
    assert_same(by_position["image"], found["image"])


class Shared(nn.Module):
    """A second input that belongs to all samples."""

    def forward(self, x: Tensor, scale: Tensor) -> Tensor:
        return (x.square() * scale).sum(1, keepdim=True)


def test_an_input_of_all_samples_is_run_one_copy_of_the_batch_at_a_time() -> None:
    x, scale = noise(3, 4), noise(4, seed=2)
    watching = Gradient(Shared())
    found = NoiseAverage(watching, samples=3, reduce="square").analyze((x, scale)).relevance
    assert vars(watching)["batches"] == [3, 3, 3]
    span = x.amax(1) - x.amin(1)
    copies = [x + 0.15 * span[:, None] * each for each in draws((4,), 3)]
    assert_same(found["x"], sum((2 * c * scale).square() for c in copies) / 3)  # type: ignore[index, arg-type]
    assert_same(found["scale"], sum(c.square().sum(0).square() for c in copies) / 3)  # type: ignore[index, arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_stay_near_the_exact_numbers_and_keep_their_type(dtype: torch.dtype) -> None:
    exact = NoiseAverage(Gradient(shaken(Net())), samples=20).analyze(X, 1).relevance
    found = NoiseAverage(Gradient(shaken(Net()).to(dtype)), samples=20).analyze(X.to(dtype), 1).relevance
    assert isinstance(found, Tensor) and isinstance(exact, Tensor) and found.dtype == dtype
    error = float((found.double() - exact).norm() / exact.norm())
    assert error < (1e-5 if dtype is torch.float32 else 0.1)
    mixed = NoiseAverage(Gradient(shaken(Net()).float()), samples=20).analyze(X, 1).relevance
    assert isinstance(mixed, Tensor) and mixed.dtype == torch.float64


def test_half_precision_sums_do_not_stall() -> None:
    """Four thousand ones and more, added in bfloat16, would stop at 256."""
    model = nn.Linear(2, 1, bias=False).to(torch.bfloat16)
    nn.init.ones_(model.weight)
    found = NoiseAverage(Gradient(model), samples=600).analyze(torch.tensor([[0.0, 1.0]]), batch_size=1).relevance
    assert_same(found, torch.ones(1, 2), 1e-6)


class Halved(ExpansionAnalyzer):
    """The value at the inputs and at half of them, through a graph or a function; counts the rows it ran."""

    needs_gradient = True

    def attribute(self, evaluation: Any, engine: Engine) -> Attribution:
        total = {name: torch.zeros_like(tensor) for name, tensor in evaluation.varied.items()}

        def run(block: Any) -> Any:
            steps = torch.tensor([1.0 / (1 + step) for step in block.steps], dtype=torch.float64)
            rows = {
                name: (block.cross(x) * steps.view(-1, *[1] * (x.ndim - 1))).flatten(0, 1)
                for name, x in evaluation.varied.items()
            }
            return {n: block.grid(g).sum(1) for n, g in evaluation.gradients(rows, block)[1].items()}

        sweep = engine.sweep(evaluation.batch, 2, run, device=evaluation.device, footprint=evaluation.footprint)
        for block, found in sweep:
            for name, each in found.items():
                block.of(total[name]).add_(each)
        return Attribution(total, finished=sweep.finished)


@pytest.mark.parametrize("batch_size", ["auto", 1, 5])
def test_it_wraps_methods_that_run_the_model_many_times(model: nn.Module, batch_size: Any) -> None:
    found = NoiseAverage(Halved(model), samples=3).analyze(X, 2, batch_size=batch_size)
    span = (X.flatten(1).amax(1) - X.flatten(1).amin(1))[:, None, None, None]
    expected = torch.zeros_like(X)
    for drawn in draws((2, 5, 5), 3):
        copies = X + 0.15 * span * drawn
        for factor in (1.0, 0.5):
            point = (copies * factor).requires_grad_()
            expected += torch.autograd.grad(model(point)[:, 2].sum(), point)[0] / 3
    assert_same(found.relevance, expected)
    assert found.method == "noise_average(Halved)"


class Slope(ExpansionAnalyzer):
    """Differences of any callable, input by input."""

    def attribute(self, evaluation: Any, engine: Engine) -> Attribution:
        (name,) = evaluation.varied
        x = evaluation.varied[name]
        eye = torch.eye(x.shape[1], dtype=x.dtype)

        def run(block: Any) -> Tensor:
            rows = (block.cross(x) + eye[list(block.steps)]).flatten(0, 1)
            return block.grid(evaluation.scores({name: rows}, block) - block.repeat(evaluation.values))

        found = torch.zeros_like(x)
        for block, each in engine.sweep(len(x), x.shape[1], run):
            found[block.start : block.stop, block.first : block.last] = each
        return Attribution({name: found})


def test_it_wraps_methods_on_functions_of_arrays() -> None:
    seen: list[type] = []

    def predict(x: np.ndarray) -> np.ndarray:
        seen.append(type(x))
        return np.stack([x.sum(1), (x**2).sum(1)], 1)

    x = np.arange(6.0).reshape(2, 3)
    found = NoiseAverage(Slope(predict), samples=4, noise=0.5).analyze(x, 1)
    assert set(seen) == {np.ndarray}
    copies = [torch.tensor(x) + 0.5 * 2.0 * each for each in draws((3,), 4)]
    assert_same(found.relevance, sum(2 * c + 1 for c in copies) / 4)  # type: ignore[arg-type]


def test_it_wraps_itself_and_translations_and_is_wrapped(model: nn.Module) -> None:
    once = NoiseAverage(Gradient(model), samples=2, seed=1)
    twice = NoiseAverage(once, samples=3, seed=0).analyze(X, 1)
    span = (X.flatten(1).amax(1) - X.flatten(1).amin(1))[:, None, None, None]
    outer = [X + 0.15 * span * drawn for drawn in draws((2, 5, 5), 3)]
    expected = sum(gradients(model, each, torch.tensor([1] * 3), 2, 0.15, seed=1).mean(0) for each in outer) / 3
    assert_same(twice.relevance, expected)  # type: ignore[arg-type]
    assert twice.method == "noise_average(noise_average(Gradient))"
    moved = xaicore.TranslationAverage(Gradient(model), shifts=1)
    assert_same(
        NoiseAverage(moved, samples=2).analyze(X, 1, batch_size=5).relevance,
        sum(moved.analyze(each, 1).relevance for each in [X + 0.15 * span * d for d in draws((2, 5, 5), 2)]) / 2,  # type: ignore
    )
    around = xaicore.TranslationAverage(once, shifts=0).analyze(X, 1).relevance
    assert_same(around, once.analyze(X, 1).relevance)  # type: ignore[arg-type]


def test_streams_are_explained_batch_by_batch(model: nn.Module) -> None:
    average = NoiseAverage(Gradient(model), samples=3)
    streamed = average.analyze(iter([X[:2], X[2:]]))
    whole = average.analyze(X)
    assert_same(streamed.relevance, whole.relevance)  # type: ignore[arg-type]
    assert streamed.target["index"] == whole.target["index"]


@pytest.mark.parametrize(
    ("batch_size", "samples", "call", "done"),
    [(2, 8, 2, [2, 2]), (9, 8, 2, [6, 6, 6]), (2, 2, 3, [2, 2, 1])],
    ids=["some samples", "all samples", "some finished"],
)
def test_ctrl_c_returns_the_averages_over_the_copies_that_are_done(
    model: nn.Module, batch_size: int, samples: int, call: int, done: list[int]
) -> None:
    class Interrupted(PropagationAnalyzer):
        def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
            found = super().analyze(inputs, target, **options)
            vars(self)["calls"] = vars(self).get("calls", 0) + 1
            if vars(self)["calls"] == call:
                os.kill(os.getpid(), signal.SIGINT)
            return found

    found = NoiseAverage(Interrupted(model), samples=samples).analyze(X, 1, batch_size=batch_size)
    assert isinstance(found.relevance, Tensor) and len(found) == len(done)
    for number, copies in enumerate(done):
        expected = gradients(model, X[number : number + 1], torch.tensor([1]), copies, 0.15).mean(0)
        assert_same(found.relevance[number : number + 1], expected)
    (note,) = [note for note in found.diagnostics.notes if "interrupted" in note]
    finished = done.count(samples)
    assert f"{finished} of 3 samples are averages over all {samples} copies" in note
    assert f"{len(done) - finished} over {min(done)} or more, and {3 - len(done)} are left out" in note


def test_a_constant_sample_has_no_range_and_is_told(model: nn.Module) -> None:
    x = torch.cat([X[:1], torch.full_like(X[:1], 0.5)])
    found = NoiseAverage(Gradient(model), samples=3).analyze(x, 1)
    assert any("no noise in 1 of 2 samples" in note for note in found.diagnostics.notes)
    assert_same(found.relevance[1:], Gradient(model).analyze(x[1:], 1).relevance)  # type: ignore


def test_notes_of_the_method_are_kept_once() -> None:
    model = nn.Sequential(shaken(Net()), nn.Softmax(1))
    found = NoiseAverage(Gradient(model), samples=5).analyze(X, batch_size=2)
    assert len([note for note in found.diagnostics.notes if "softmax" in note]) == 1


def test_parameters_are_those_of_a_meta_estimator(model: nn.Module) -> None:
    average = NoiseAverage(xaicore.create_analyzer("lrp.epsilon", model), noise=0.1)
    average.set_params(samples=3, analyzer__epsilon=0.5)
    assert (average.samples, average.noise, average.analyzer.get_params()["epsilon"]) == (3, 0.1, 0.5)
    found = average.analyze(X)
    assert found.method == "noise_average(lrp.epsilon)"
    expected = {"analyzer": "lrp.epsilon", "samples": 3, "noise": 0.1, "reduce": "mean", "analyzer__epsilon": 0.5}
    assert found.parameters | expected == found.parameters
    assert clone(average).get_params(deep=False).keys() == average.get_params(deep=False).keys()


def test_the_report_counts_each_copy_once(model: nn.Module) -> None:
    engine = Engine(6)
    NoiseAverage(Gradient(model), samples=5).analyze(X, 1, engine=engine)
    assert engine.report.rows == 3 + 15  # the prediction, and five copies of three samples


def test_a_memory_limit_gives_smaller_blocks_and_the_same_numbers(model: nn.Module) -> None:
    watching = Gradient(model)
    average = NoiseAverage(watching, samples=8)
    whole = average.analyze(X, batch_size=None)
    vars(watching)["batches"] = []
    limited = average.analyze(X, engine=Engine(memory_limit=30_000))
    assert max(vars(watching)["batches"]) < 24
    assert_same(limited.relevance, whole.relevance)  # type: ignore[arg-type]


def test_blocks_for_which_memory_runs_out_are_halved(model: nn.Module) -> None:
    class Narrow(PropagationAnalyzer):
        def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
            if len(relevance) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory: at most 5 rows fit")
            return relevance

    engine = Engine(None)
    found = NoiseAverage(Narrow(model), samples=8).analyze(X, 1, engine=engine)
    assert engine.report.too_large and max(engine.report.batches) <= 5
    assert_same(found.relevance, NoiseAverage(Gradient(model), samples=8).analyze(X, 1).relevance)  # type: ignore


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_callers_gradient_mode_changes_nothing(model: nn.Module, mode: Any) -> None:
    average = NoiseAverage(Gradient(model), samples=3)
    expected = average.analyze(X, 1).relevance
    with mode():
        found = average.analyze(noise(3, 2, 5, 5), 1).relevance
    assert isinstance(found, Tensor) and not found.is_inference()
    assert_same(found, expected)  # type: ignore[arg-type]


def test_the_inputs_and_the_model_stay_as_they_are(model: nn.Module) -> None:
    x = X.clone().requires_grad_()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = NoiseAverage(Gradient(model), samples=3).analyze(x, 1).relevance
    assert isinstance(found, Tensor) and not found.requires_grad and x.grad is None
    assert torch.equal(x, X)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"noise": -0.1}, "noise=-0.1"),
        ({"noise": math.nan}, "noise=nan"),
        ({"noise": True}, "noise=True"),
        ({"noise": "much"}, "noise='much'"),
        ({"samples": 0}, "samples=0"),
        ({"samples": 1, "reduce": "variance"}, "at least 2"),
        ({"reduce": "varience"}, "Did you mean 'variance'"),
        ({"distribution": "gaussian"}, "normal, uniform"),
        ({"seed": -1}, "seed=-1"),
        ({"inputs": "image"}, "give a list"),
    ],
)
def test_parameters_are_checked_when_it_is_made(model: nn.Module, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        NoiseAverage(Gradient(model), **params)


def test_what_noise_cannot_be_added_to_is_refused() -> None:
    tokens = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(InputError, match="nothing to add noise to"):
        NoiseAverage(PropagationAnalyzer(tokens)).analyze(torch.tensor([[1, 2]]))
    given = {"image": noise(2, 1, 2, 2), "extra": noise(2, 4), "mask": torch.ones(2, 4, dtype=torch.long)}
    with pytest.raises(InputError, match=r"cannot be added to 'mask'"):
        NoiseAverage(Gradient(Two()), inputs=["mask"]).analyze(given)
    with pytest.raises(ParameterError, match="Did you mean 'image'"):
        NoiseAverage(Gradient(Two()), inputs=["imag"]).analyze(given)


def test_options_that_belong_to_one_walk_are_refused_and_unknown_ones_too(model: nn.Module) -> None:
    average = NoiseAverage(Gradient(model), samples=2)
    for option in ("ledger", "create_graph"):
        with pytest.raises(ParameterError, match=f"{option}=True"):
            average.analyze(X, **{option: True})
        average.analyze(X, **{option: False})
    with pytest.raises(ParameterError, match="no option 'leyer'"):
        average.analyze(X, leyer="one")


class Turned(nn.Module):
    """Puts the batch behind."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(0, 1)).transpose(0, 1).sum(1)


def test_a_layer_without_the_batch_in_front_is_averaged_batch_by_batch() -> None:
    model, x = shaken(Turned()), noise(2, 5, 4)
    average = NoiseAverage(Gradient(model), samples=3)
    with pytest.raises(LayerError, match="Give batch_size=2"):
        average.analyze(x, 1, record=["inner"])
    found = average.analyze(x, 1, record=["inner"], batch_size=2).recorded["inner"]
    assert_same(found, torch.eye(4, dtype=torch.float64)[1].expand(5, 2, 4).contiguous())
