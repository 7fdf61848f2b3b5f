"""Whether what a metric says is well formed, and says nothing of the batch, the engine or the order of calls."""

from __future__ import annotations

import inspect
import random

import numpy as np
import torch

from xaicore.scoring import Scores
from xaicore.testing.checks import interface, require
from xaicore.testing.methods.descriptions import check_summary
from xaicore.testing.metrics.judged import Broken, Everywhere, InputTimesGradient, Noise
from xaicore.testing.metrics.subject import MetricSubject, quarter
from xaicore.testing.watching import changes, process_put_back, state_of, state_of_process


@interface
def one_number_a_sample(subject: MetricSubject) -> None:
    """It says one float64 number a sample, finite or NaN, and what it adds has one entry a sample too."""
    scores, count = subject.usual, 3
    require(
        scores.values.shape == (count,) and scores.values.dtype == torch.float64,
        f"of {count} samples it returned values of shape {tuple(scores.values.shape)} and type {scores.values.dtype}; "
        f"return ({count},) of float64, as `self.scores(values)` makes them.",
    )
    require(not bool(torch.isinf(scores.values).any()), f"it returned infinity: {scores.values.tolist()}; return NaN.")
    require(scores.metric == subject.name, f"its scores are called {scores.metric!r}, not {subject.name!r}.")
    short = [name for name, detail in scores.details.items() if len(detail) != count]
    require(not short, f"its details {', '.join(short)} do not have one entry a sample.")
    curve = scores.curve
    require(
        curve is None or curve.y.shape == (count, len(curve.x)),
        f"its curve has y of shape {() if curve is None else tuple(curve.y.shape)}; (samples, points of x) is right.",
    )


@interface
def as_described(subject: MetricSubject) -> None:
    """Direction, bounds and needs are those of its description, which says in a line what it is, and whence."""
    metric, spec = subject.cls(**_required(subject)), subject.spec
    if spec is None:
        require(isinstance(metric.higher_is_better, bool), "it does not say higher_is_better: set it to True or False.")
        return
    check_summary(spec.summary)
    require(any(source.strip() for source in spec.sources), "its description names no sources: say where it is defined")
    for field in ("higher_is_better", "bounds", "needs"):
        own, said = getattr(metric, field), getattr(spec, field)
        own = tuple(own) if isinstance(own, list | tuple) else own
        require(own == said, f"{field} is {own!r}, and its description says {said!r}.")


@interface
def within_bounds(subject: MetricSubject) -> None:
    """Whatever it judges, right, constant, empty or noisy, its values are within its bounds, or NaN with a note."""
    model, inputs = subject.example.model(), subject.example.inputs()
    analyzers = (
        InputTimesGradient(model), Noise(model), Everywhere(model), Everywhere(model, value=0.0),
        Everywhere(model, value=-1.0),
    )  # fmt: skip
    for analyzer in analyzers:
        scores = subject.judge(analyzer, inputs)
        low, high = scores.bounds
        for value in scores.defined.values.tolist():
            inside = (low is None or value >= low - 1e-9) and (high is None or value <= high + 1e-9)
            require(inside, f"of {analyzer!r} it says {value:.6g}; its bounds are {low} and {high}.")
        require(not bool(torch.isinf(scores.values).any()), f"of {analyzer!r} it says infinity; say NaN, with a note.")
        require(
            not scores.undefined or bool(scores.notes),
            f"of {analyzer!r} it says NaN for {scores.undefined} samples, and no note says why.",
        )


@interface
def no_number_of_what_is_none(subject: MetricSubject) -> None:
    """Of relevance that is NaN it says NaN, for that sample alone."""
    example = subject.example
    inputs = example.inputs()
    right = subject.judge(InputTimesGradient(example.model()), inputs).values
    inputs[1].flatten()[0] = -0.5
    scores = subject.judge(Broken(example.model()), inputs)
    require(
        bool(scores.values[1].isnan()),
        f"of a sample whose relevance is NaN it says {float(scores.values[1]):.6g}, a number that nothing supports.",
    )
    for number in (0, 2):
        require(
            _same(scores.values[number], right[number]),
            f"where another sample's relevance is NaN it says {float(scores.values[number]):.6g} of sample {number}, "
            f"and otherwise {float(right[number]):.6g}.",
        )


@interface
def batch_invariance(subject: MetricSubject) -> None:
    """What it says of a sample depends neither on the samples beside it nor on how many run at once."""
    analyzer, inputs, together = InputTimesGradient(subject.example.model()), subject.example.inputs(), subject.usual
    split = subject.judge(analyzer, inputs, batch_size=1).values
    require(_same(split, together.values), _differ("with batch_size=1", split, together))
    for number in (0, 2):
        alone = subject.judge(analyzer, inputs[number : number + 1], quarter(inputs)[number : number + 1])
        require(
            _same(alone.values[0], together.values[number]),
            f"of sample {number} alone it says {float(alone.values[0]):.9g}, among others "
            f"{float(together.values[number]):.9g}. Random draws must not depend on the batch: see "
            "xaicore.engine.generator.",
        )


@interface
def repeatable(subject: MetricSubject) -> None:
    """Asked again, after others drew random numbers, it says the same."""
    with process_put_back():
        torch.manual_seed(123), np.random.seed(123), random.seed(123)
        again = subject.judge(InputTimesGradient(subject.example.model()), subject.example.inputs()).values
    require(_same(again, subject.usual.values, 0.0), _differ("asked again", again, subject.usual))


@interface
def low_precision(subject: MetricSubject) -> None:
    """Models in float32 and bfloat16 are judged as well, in float64."""
    for dtype in (torch.float32, torch.bfloat16):
        analyzer = InputTimesGradient(subject.example.model(dtype))
        scores = subject.judge(analyzer, subject.example.inputs(dtype=dtype))
        require(
            scores.values.dtype == torch.float64 and not bool(torch.isinf(scores.values).any()),
            f"of a model in {dtype} it says {scores.values.tolist()} in {scores.values.dtype}.",
        )
        lost = scores.undefined - subject.usual.undefined
        require(
            lost <= 0 or bool(scores.notes),
            f"of a model in {dtype} it says NaN for {lost} samples more than in float64, and no note says why.",
        )


@interface
def model_untouched(subject: MetricSubject) -> None:
    """Model and inputs are the same afterwards: weights, modes, hooks, gradients."""
    model = subject.example.fresh_model().train()
    next(model.parameters()).requires_grad_(False)
    inputs = subject.example.inputs()
    given, before = inputs.clone(), state_of(model)
    subject.judge(InputTimesGradient(model), inputs)
    changed = changes(before, state_of(model))
    require(not changed, f"it changes the model: {'; '.join(changed[:4])}.")
    require(torch.equal(given, inputs), "it writes to the inputs: work on a copy.")


@interface
def no_global_state(subject: MetricSubject) -> None:
    """Nothing that belongs to the whole process is changed."""
    with process_put_back():
        before = state_of_process()
        subject.judge(InputTimesGradient(subject.example.model()), subject.example.inputs())
        changed = changes(before, state_of_process())
    require(not changed, f"it changes {', '.join(changed)}.")


def _required(subject: MetricSubject) -> dict[str, object]:
    """Those of the parameters that have no default."""
    signature = inspect.signature(subject.cls.__init__).parameters
    return {
        n: v for n, v in subject.parameters.items() if n in signature and signature[n].default is signature[n].empty
    }


def _same(found: torch.Tensor, right: torch.Tensor, tolerance: float = 1e-8) -> bool:
    return torch.allclose(found, right, rtol=tolerance, atol=tolerance, equal_nan=True)


def _differ(how: str, found: torch.Tensor, right: Scores) -> str:
    return f"{how} it says {found.tolist()}, else {right.values.tolist()}."
