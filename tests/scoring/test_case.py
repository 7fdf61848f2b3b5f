"""What a metric is given: an explanation, masks, and a model that it may ask about changed inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from judging import InputTimesGradient, Scaling, Tokens, Two, images, small_model
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from xaicore import Contrast, Engine
from xaicore.analyzers import Analyzer, Attribution, ExpansionAnalyzer
from xaicore.engine import Block
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case


def counting(model: nn.Module) -> list[int]:
    """How many samples each call of the model had, from now on."""
    calls: list[int] = []
    model.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    return calls


def test_what_looks_at_relevance_alone_runs_the_model_for_the_explanation_alone() -> None:
    model = small_model()
    explanation = InputTimesGradient(model).analyze(images())
    calls = counting(model)
    case = Case(InputTimesGradient(model), images(), explanation=explanation)
    assert case.relevance["input"].shape == (6, 2, 6, 6)
    assert not calls


def test_relevance_is_in_double_precision_whatever_the_model_has() -> None:
    model = small_model(dtype=torch.float32)
    case = Case(InputTimesGradient(model), images(dtype=torch.float32), 2)
    (relevance,) = case.relevance.values()
    assert relevance.dtype == torch.float64
    expected = InputTimesGradient(model).analyze(images(dtype=torch.float32), 2).relevance
    torch.testing.assert_close(relevance, expected.double())


@pytest.mark.parametrize(
    ("target", "value"),
    [
        (None, lambda y: y.amax(1)),
        (3, lambda y: y[:, 3]),
        ([0, 1, 2, 3, 0, 1], lambda y: y[range(6), [0, 1, 2, 3, 0, 1]]),
        (Contrast(0, 2), lambda y: y[:, 0] - y[:, 2]),
        (lambda y: y.square().sum(1), lambda y: y.square().sum(1)),
    ],
    ids=["predicted", "one class", "a class a sample", "contrast", "function"],
)
def test_values_are_those_of_the_target(target: Any, value: Callable[[Tensor], Tensor]) -> None:
    model = small_model()
    case = Case(InputTimesGradient(model), images(), target)
    with torch.no_grad():
        outputs = model.eval()(images())
    torch.testing.assert_close(case.values(), value(outputs))


def test_a_changed_sample_is_asked_for_the_class_that_was_predicted_before() -> None:
    model = small_model()
    case = Case(InputTimesGradient(model), images())
    block = Block(0, 6, 0, 1)
    with torch.no_grad():
        before, after = model.eval()(images()), model(-images())
    assert (before.argmax(1) != after.argmax(1)).any()
    found = case.scores({"input": -images()}, block)
    torch.testing.assert_close(found, after[range(6), before.argmax(1)])
    relevance = case.relevance_of({"input": -images()}, block)["input"]
    expected = InputTimesGradient(model).analyze(-images(), before.argmax(1)).relevance
    torch.testing.assert_close(relevance, expected)


def test_rows_of_a_block_keep_the_classes_of_their_samples() -> None:
    model, classes = small_model(), [3, 1, 0, 2, 2, 1]
    case = Case(InputTimesGradient(model), images(), classes)
    block = Block(1, 4, 5, 7)  # two steps of three samples
    rows = block.repeat(images()) * torch.tensor([1.0, 0.5] * 3)[:, None, None, None]
    with torch.no_grad():
        expected = model.eval()(rows)[range(6), [1, 1, 0, 0, 2, 2]]
    torch.testing.assert_close(case.scores({"input": rows}, block), expected)


@pytest.mark.parametrize("softmax", [False, True])
def test_probabilities_are_those_of_the_classes_and_made_once(softmax: bool) -> None:
    model = small_model()
    last = nn.Sequential(model, nn.Softmax(1)) if softmax else model
    case = Case(InputTimesGradient(last), images(), 1)
    with torch.no_grad():
        expected = torch.softmax(model.eval()(images()), 1)[:, 1]
    torch.testing.assert_close(case.values("probability"), expected)


def test_probabilities_need_classes() -> None:
    case = Case(InputTimesGradient(nn.Linear(3, 1)), torch.rand(2, 3))
    with pytest.raises(ParameterError, match="needs an output of several classes"):
        case.values("probability")
    with pytest.raises(ParameterError, match="quantity='logit' must be one of output, probability"):
        case.values("logit")


def test_masks_fit_the_relevance_or_are_refused() -> None:
    model = small_model()
    masks = torch.zeros(6, 6, 6)
    masks[:, 2:4, 1:5] = 7  # what is not zero is inside
    case = Case(InputTimesGradient(model), images(), masks=masks)
    assert case.masks.shape == (6, 1, 6, 6)
    assert case.masks.dtype == torch.bool
    torch.testing.assert_close(Case(InputTimesGradient(model), images(), boxes=[(1, 2, 5, 4)] * 6).masks, case.masks)
    with pytest.raises(InputError, match="do not fit"):
        _ = Case(InputTimesGradient(model), images(), masks=masks[:5]).masks
    with pytest.raises(InputError, match="5 samples have boxes"):
        _ = Case(InputTimesGradient(model), images(), boxes=[(1, 2, 5, 4)] * 5).masks
    with pytest.raises(InputError, match="needs to know where the object is"):
        _ = Case(InputTimesGradient(model), images()).masks
    with pytest.raises(ParameterError, match="give masks= or boxes=, not both"):
        Case(InputTimesGradient(model), images(), masks=masks, boxes=[])


def test_masks_of_one_of_several_inputs() -> None:
    x = {"image": torch.rand(2, 1, 4, 4), "numbers": torch.rand(2, 4)}
    masks = torch.ones(2, 4, 4)
    assert Case(InputTimesGradient(Two()), x, masks={"image": masks}).located == "image"
    with pytest.raises(InputError, match="the model has 'image', 'numbers': say which"):
        _ = Case(InputTimesGradient(Two()), x, masks=masks).masks
    with pytest.raises(InputError, match="given for 'image', 'numbers'; give them for one"):
        _ = Case(InputTimesGradient(Two()), x, masks={"image": masks, "numbers": masks}).masks


def test_several_inputs_have_relevance_and_are_changed_by_name() -> None:
    model = Two()
    x = (torch.rand(2, 1, 4, 4), torch.rand(2, 4))
    case = Case(InputTimesGradient(model), x, 1)
    assert {name: tuple(each.shape) for name, each in case.relevance.items()} == {
        "image": (2, 1, 4, 4),
        "numbers": (2, 4),
    }
    found = case.scores({"image": x[0], "numbers": 0 * x[1]}, Block(0, 2, 0, 1))
    torch.testing.assert_close(found, model(x[0], 0 * x[1])[:, 1].double())
    relevance = case.relevance_of({"image": x[0], "numbers": 0 * x[1]}, Block(0, 2, 0, 1))
    assert not relevance["numbers"].any()


def test_tokens_have_one_value_each_and_can_be_replaced() -> None:
    tokens = torch.tensor([[1, 4, 2], [9, 9, 0]])
    case = Case(InputTimesGradient(Tokens()), tokens, 0)
    (name,) = case.relevance
    assert case.relevance[name].shape == (2, 3)
    replaced = case.scores({name: torch.zeros_like(tokens)}, Block(0, 2, 0, 1))
    torch.testing.assert_close(replaced[0], replaced[1])


class Differences(ExpansionAnalyzer):
    """What the output loses without a feature, of anything that can be called."""

    def attribute(self, evaluation: Any, engine: Engine) -> Attribution:
        (name,) = evaluation.varied
        x = evaluation.varied[name].double()
        block = Block(0, evaluation.batch, 0, 1)
        without = [x * (torch.arange(x.shape[1]) != feature) for feature in range(x.shape[1])]
        scores = torch.stack([evaluation.scores({name: each}, block) for each in without], 1)
        return Attribution({name: evaluation.values[:, None] - scores})


def test_functions_on_arrays_are_judged_too() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 3))
    fitted = LogisticRegression().fit(x, x[:, 0] + 0.2 * x[:, 1] > 0)
    seen: list[type] = []

    def predict(given: Any) -> Any:
        seen.append(type(given))
        return fitted.predict_proba(given)

    case = Case(Differences(predict), x[:5], 1)
    np.testing.assert_allclose(case.values("probability"), fitted.predict_proba(x[:5])[:, 1])
    scores = Scaling(steps=3).score(case)
    half = fitted.predict_proba(x[:5] / 2)[:, 1]
    assert scores.curve is not None
    np.testing.assert_allclose(scores.curve.y[:, 1], half)
    again = Scaling(steps=3, explains=True).score(case)
    assert torch.isfinite(again.values).all()
    assert set(seen) == {np.ndarray}


@pytest.mark.parametrize("make", [InputTimesGradient, Differences])
def test_relevance_of_inner_layers_is_not_judged(make: Callable[..., Analyzer]) -> None:
    with pytest.raises(ParameterError, match="leave layer= out"):
        Case(make(small_model()), images(), options={"layer": "0"})


def test_relevance_that_is_shaped_like_no_input_is_refused() -> None:
    class Coarse(InputTimesGradient):
        def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Any:
            found = super().analyze(inputs, target, **options)
            found.relevance = found.relevance[..., ::2]
            return found

    with pytest.raises(InputError, match=r"relevance of shape \(6, 2, 6, 3\) fits none of the inputs"):
        _ = Case(Coarse(small_model()), images()).relevance


@pytest.mark.parametrize("batch_size", [1, 4, 7, None])
def test_how_the_work_is_split_changes_nothing(batch_size: int | None) -> None:
    model = small_model()
    expected = Scaling(steps=5).score(Case(InputTimesGradient(model), images()))
    engine = Engine(batch_size=batch_size)
    found = Scaling(steps=5).score(Case(InputTimesGradient(model), images(), engine=engine))
    torch.testing.assert_close(found.values, expected.values, rtol=1e-12, atol=1e-12)
    assert engine.report.rows == 6 + 6 * 5  # the explanation, and the sweep
    assert max(engine.report.batches) <= (batch_size or 30)
    explained = Scaling(steps=2, explains=True).score(Case(InputTimesGradient(model), images(), engine=engine))
    once = Scaling(steps=2, explains=True).score(Case(InputTimesGradient(model), images()))
    torch.testing.assert_close(explained.values, once.values, rtol=1e-12, atol=1e-12)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: each.clone() for name, each in model.state_dict().items()}


def test_the_model_stays_as_it_is() -> None:
    model = small_model().train()
    model[0].weight.requires_grad_(False)
    before, flags = state(model), [p.requires_grad for p in model.parameters()]
    case = Case(InputTimesGradient(model), images())
    Scaling().score(case)
    Scaling(explains=True).score(case)
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)
    assert model.training
    assert model[3].training
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


class Softmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x[:, :1] > 5, torch.nan, self.linear(x).softmax(1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_probabilities_are_known_as_such_in_any_precision_and_batch(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model, x = Softmax().to(dtype), torch.randn(64, 8).to(dtype)
    x[0] = 9  # what is no number for one sample says nothing of the others
    found = Case(InputTimesGradient(model), x, 3)
    values = found.values("probability")
    torch.testing.assert_close(values, found.values(), rtol=0, atol=0, equal_nan=True)
    assert values[0].isnan() and values[1:].isfinite().all()
    alone = torch.cat([Case(InputTimesGradient(model), x[i : i + 1], 3).values("probability") for i in range(1, 64)])
    torch.testing.assert_close(alone, values[1:], rtol=0.02, atol=0)


def test_a_softmax_over_the_wrong_dimension_is_not_taken() -> None:
    texts = nn.Linear(4, 7)  # (B, T, words): the classes stand last
    with pytest.raises(ParameterError, match=r"\(B, classes\); this has shape \(2, 5, 7\)"):
        Case(InputTimesGradient(texts), torch.randn(2, 5, 4), (0, 3)).values("probability")
