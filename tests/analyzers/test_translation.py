"""Averaging over translations of the input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, noise, shaken
from sklearn.base import clone
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore import TranslationAverage
from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import InputError, ParameterError, TargetError

X = noise(2, 2, 6, 7)


def network(bias: bool = True) -> nn.Module:
    return shaken(
        nn.Sequential(nn.Conv2d(2, 4, 3, bias=bias), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 5, 3, bias=bias))
    )


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return network()


def averaged(model: nn.Module, method: str = "lrp.epsilon", **params: Any) -> TranslationAverage:
    return TranslationAverage(xaicore.create_analyzer(method, model), **params)


def moved(x: Tensor, rows: int, columns: int, mode: str, value: float = 0.0) -> Tensor:
    """A copy of the image moved by so many rows and columns, by padding and cutting."""
    reach = max(abs(rows), abs(columns))
    if not reach:
        return x
    padded = F.pad(x, (reach,) * 4, mode=mode, **({"value": value} if mode == "constant" else {}))
    height, width = x.shape[2:]
    return padded[:, :, reach - rows : reach - rows + height, reach - columns : reach - columns + width]


@pytest.mark.parametrize("mode", ["replicate", "reflect", "constant"])
def test_the_averaged_gradient_is_the_gradient_of_the_averaged_score(model: nn.Module, mode: str) -> None:
    x = X.clone().requires_grad_()
    shifts = [(rows, columns) for rows in range(-1, 2) for columns in range(-2, 3)]
    mean = torch.stack([model(moved(x, *shift, mode, 0.5))[:, 1] for shift in shifts]).mean(0)
    (expected,) = torch.autograd.grad(mean.sum(), x)
    found = averaged(model, "gradients.saliency", shifts=(1, 2), mode=mode, value=0.5).analyze(X, 1)
    assert_same(found.relevance, expected)
    assert_same(found.diagnostics.explained, mean.detach())
    assert_same(found.target["values"], mean.detach())


@pytest.mark.parametrize("mode", ["replicate", "reflect"])
def test_borders_that_copy_the_input_keep_the_sum(mode: str) -> None:
    found = averaged(network(bias=False), "lrp.zero", shifts=2, mode=mode).analyze(X)
    assert found.diagnostics.conservation_gap is not None
    assert float(found.diagnostics.conservation_gap.max()) < 1e-6


def test_what_falls_on_a_constant_border_is_told() -> None:
    found = averaged(network(bias=False), "lrp.zero", shifts=2, mode="constant", value=1.0).analyze(X, 1)
    checks = found.diagnostics
    (note,) = [note for note in checks.notes if "constant border" in note]
    told = float(note.split(": ")[1].split(",")[0])
    assert told == pytest.approx(float((checks.explained - checks.relevance_sum).sum()), rel=1e-3)
    assert abs(told) > 0.01


def test_without_a_shift_it_is_the_method_itself(model: nn.Module) -> None:
    plain = xaicore.explain(model, X, method="lrp.epsilon")
    found = averaged(model, shifts=0).analyze(X)
    assert_same(found.relevance, plain.relevance)  # type: ignore[arg-type]
    assert_same(found.prediction, plain.prediction)
    assert found.target["index"] == plain.target["index"]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 100])
def test_the_numbers_do_not_depend_on_the_batch_size(model: nn.Module, batch_size: int) -> None:
    whole = averaged(model, samples=7, mode="reflect").analyze(X)
    parts = averaged(model, samples=7, mode="reflect").analyze(X, batch_size=batch_size)
    assert_same(parts.relevance, whole.relevance)  # type: ignore[arg-type]
    assert_same(parts.prediction, whole.prediction)
    assert_same(parts.diagnostics.explained, whole.diagnostics.explained)
    assert parts.target["labels"] == whole.target["labels"]


class Watching(PropagationAnalyzer):
    """Remembers the sizes of the batches that it was given."""

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
        vars(self).setdefault("batches", []).append(len(inputs))
        return super().analyze(inputs, target, **options)


def test_no_more_copies_are_run_at_once_than_the_batch_size(model: nn.Module) -> None:
    watching = Watching(model)
    TranslationAverage(watching, shifts=1).analyze(X, batch_size=5)
    batches = vars(watching)["batches"]
    assert max(batches) <= 5 and sum(batches) == 18 and len(batches) < 18
    watching = Watching(model)
    TranslationAverage(watching, shifts=1).analyze(X)
    assert vars(watching)["batches"] == [2] * 9


def test_the_class_is_that_of_the_input_as_it_is(model: nn.Module) -> None:
    found = averaged(model, shifts=3).analyze(X)
    predicted = model(X).argmax(1)
    assert found.target["index"] == predicted.tolist()
    copies = torch.stack([model(moved(X, r, c, "replicate")) for r in range(-3, 4) for c in range(-3, 4)])
    assert bool((copies.argmax(2) != predicted).any())  # so that it matters
    assert_same(found.target["values"], copies.mean(0).gather(1, predicted[:, None])[:, 0].detach())
    contrast = averaged(model, shifts=3).analyze(X, xaicore.Contrast(None, 0))
    assert contrast.target["labels"] == [f"{each} - 0" for each in predicted.tolist()]


@pytest.mark.parametrize("target", [1, [2, 0], xaicore.Contrast([0, 1], 2), lambda output: output.square().sum(1)])
def test_a_target_that_is_given_is_explained_in_all_copies(model: nn.Module, target: Any) -> None:
    copies = [
        xaicore.explain(model, moved(X, r, 0, "reflect"), method="lrp.epsilon", target=target) for r in (-1, 0, 1)
    ]
    found = averaged(model, shifts=(1, 0), mode="reflect").analyze(X, target, batch_size=3)
    assert found.target["labels"] == copies[0].target["labels"]
    assert_same(found.target["values"], torch.stack([each.target["values"] for each in copies]).mean(0))


def test_shifts_by_a_stride_lie_around_none_and_a_sample_of_them_is_seeded(model: nn.Module) -> None:
    analyzer = averaged(model, shifts=(5, 2), stride=2)
    assert analyzer.translations((1, 2, 9, 9))[:4] == [(-4, -2), (-4, 0), (-4, 2), (-2, -2)]
    assert len(analyzer.translations((1, 2, 9, 9))) == 15
    some = averaged(model, shifts=3, samples=6, seed=1)
    chosen = some.translations(X.shape)
    assert len(set(chosen)) == 6 and chosen == averaged(model, shifts=3, samples=6, seed=1).translations(X.shape)
    assert chosen != averaged(model, shifts=3, samples=6, seed=2).translations(X.shape)
    assert len(averaged(model, shifts=1, samples=100).translations(X.shape)) == 9


def test_a_series_is_moved_along_time() -> None:
    model = shaken(nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8, 2)))
    x = noise(2, 3, 10).requires_grad_()
    positions = [(torch.arange(10) - by).clamp(0, 9) for by in (-2, -1, 0, 1, 2)]
    (expected,) = torch.autograd.grad(sum(model(x[:, :, where])[:, 1].sum() for where in positions) / 5, x)
    assert_same(averaged(model, "gradients.saliency", shifts=2).analyze(x.detach(), 1).relevance, expected)


@pytest.mark.parametrize("form", [lambda x: (x,), lambda x: {"input": x}, lambda x: x.numpy()])
def test_the_one_input_may_come_as_models_take_it(model: nn.Module, form: Any) -> None:
    expected = averaged(model, shifts=1).analyze(X, 1).relevance
    assert_same(averaged(model, shifts=1).analyze(form(X), 1).relevance, expected)  # type: ignore[arg-type]


def test_parameters_are_those_of_a_meta_estimator(model: nn.Module) -> None:
    analyzer = averaged(model, shifts=1)
    assert analyzer.get_params()["analyzer__epsilon"] == 1e-6 and analyzer.get_params()["shifts"] == 1
    assert "analyzer__epsilon" not in analyzer.get_params(deep=False)
    copy = clone(analyzer).set_params(analyzer__epsilon=0.5, shifts=2)
    assert copy.analyzer is not analyzer.analyzer and copy.model is model
    assert copy.get_params()["analyzer__epsilon"] == 0.5 and copy.shifts == 2
    assert analyzer.get_params()["analyzer__epsilon"] == 1e-6 and analyzer.shifts == 1
    with pytest.raises(ParameterError, match="Did you mean 'epsilon'"):
        copy.set_params(shifts=3, analyzer__epsilom=1.0)
    with pytest.raises(ParameterError, match="Did you mean 'shifts'"):
        copy.set_params(shift=3)
    with pytest.raises(ParameterError, match="mode='mirror'"):
        copy.set_params(analyzer__epsilon=0.75, mode="mirror")
    assert copy.shifts == 2 and copy.get_params()["analyzer__epsilon"] == 0.5


class Learning(PropagationAnalyzer):
    """Learns the mean of its data and returns the gradient times that."""

    def fit(self, data: Any = None) -> Learning:
        self.mean_ = float(data.mean())
        return self

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * self.mean_


def test_fitting_fits_a_clone_and_a_fitted_method_is_used_as_it_is(model: nn.Module) -> None:
    method = Learning(model)
    analyzer = TranslationAverage(method, shifts=0).fit(torch.full((3,), 2.0))
    assert not hasattr(method, "mean_")
    gradient = xaicore.explain(model, X, method="gradients.saliency", target=1).relevance
    assert_same(analyzer.analyze(X, 1).relevance, 2 * gradient)  # type: ignore[operator]
    fitted = TranslationAverage(Learning(model).fit(torch.full((3,), 3.0)), shifts=0)
    assert_same(fitted.analyze(X, 1).relevance, 3 * gradient)  # type: ignore[operator]


def test_the_explanation_is_saved_with_all_parameters(model: nn.Module, tmp_path: Any) -> None:
    found = averaged(model, shifts=(1, 2), samples=3).analyze(X)
    loaded = xaicore.load_explanation(found.save(tmp_path / "found.safetensors"))
    assert loaded.method == "translation_average(lrp.epsilon)"
    assert loaded.parameters["analyzer"] == "lrp.epsilon" and loaded.parameters["analyzer__epsilon"] == 1e-6
    assert loaded.parameters["shifts"] == [1, 2] and loaded.parameters["samples"] == 3
    assert_same(loaded.relevance, found.relevance)  # type: ignore[arg-type]


def test_it_takes_its_place_among_methods_that_are_compared(model: nn.Module) -> None:
    plain = xaicore.create_analyzer("lrp.epsilon", model)
    found = xaicore.compare(model, X, methods=[plain, TranslationAverage(plain, shifts=1)], target=1)
    assert list(found) == ["lrp.epsilon", "translation_average(lrp.epsilon)"]


def test_the_ledger_is_the_mean_of_the_copies_ledgers(model: nn.Module) -> None:
    found = averaged(model, shifts=1).analyze(X, 1, ledger=True)
    assert found.diagnostics.ledger is not None
    assert found.diagnostics.ledger[0]["relevance_in"] == pytest.approx(float(found.diagnostics.explained.sum()))


def test_it_can_be_differentiated(model: nn.Module) -> None:
    x = X.clone().requires_grad_()
    found = averaged(model, "gradients.input_x_gradient", shifts=1).analyze(x, 1, create_graph=True).relevance
    assert isinstance(found, Tensor)
    (slope,) = torch.autograd.grad(found.square().sum(), x)
    assert float(slope.abs().max()) > 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"shifts": -1}, "shifts=-1"),
        ({"shifts": 1.5}, "shifts=1.5"),
        ({"shifts": [1, -1]}, "shifts=-1"),
        ({"stride": 0}, "stride=0"),
        ({"samples": 0}, "samples=0"),
        ({"mode": "reflct"}, "Did you mean 'reflect'"),
    ],
)
def test_parameters_out_of_range_are_refused(model: nn.Module, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        averaged(model, **params)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (noise(2, 5), {}, r"shape \(2, 5\)"),
        (torch.zeros(2, 2, 6, 7, dtype=torch.long), {}, "int64"),
        (torch.zeros(2, 2, 0, 7), {}, r"\(2, 2, 0, 7\)"),
        ((X, X), {}, "2 were given"),
        (noise(2, 2, 6, 2), {}, "cannot be moved by 2 positions"),
        (X, {"layer": "0"}, "layer= is not possible"),
        (X, {"record": ["0"]}, "record= is not possible"),
        (X * float("nan"), {}, "NaN"),
    ],
)
def test_inputs_that_cannot_be_moved_are_refused(
    model: nn.Module, inputs: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((InputError, ParameterError), match=message):
        averaged(model, shifts=2).analyze(inputs, 1, **options)


def test_shifts_of_other_dimensions_and_unknown_targets_are_refused(model: nn.Module) -> None:
    with pytest.raises(InputError, match="shifts=\\(1, 1, 1\\) has 3 entries"):
        averaged(model, shifts=(1, 1, 1)).analyze(X)
    with pytest.raises(TargetError, match="valid values are 0 to 2"):
        averaged(model).analyze(X, 3)
    with pytest.raises(TargetError, match="3 targets for a batch of 2"):
        averaged(model).analyze(X, [0, 1, 2])
    with pytest.raises(ParameterError, match="wraps an analyzer"):
        TranslationAverage("lrp.epsilon")  # type: ignore[arg-type]
