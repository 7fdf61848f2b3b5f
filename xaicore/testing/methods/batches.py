"""Whether the explanation of a sample is its own: whatever batch it comes in, and for its own target."""

from __future__ import annotations

import inspect

import torch

from xaicore.testing.checks import Skip, interface, require
from xaicore.testing.examples import Example
from xaicore.testing.methods.comparing import EXACT, difference, found_in, joined, require_same, rows
from xaicore.testing.methods.subject import MethodSubject

CHANGED = 1e-6
"""From which difference on, as a share of the largest value, two explanations count as different."""


@interface
def batch_makes_no_difference(subject: MethodSubject) -> None:
    """A sample is explained alike alone, in a batch, and in another order."""
    example = subject.example
    analyzer, x = subject.analyzer(example), example.inputs()
    whole = found_in(analyzer.analyze(x))
    alone = joined([found_in(analyzer.analyze(_picked(x, [place]))) for place in range(3)])
    require_same(
        alone,
        whole,
        f"{example.name}: samples are explained otherwise alone than in a batch; take no mean, extreme or random "
        "number over the batch",
    )
    turned = found_in(analyzer.analyze(_picked(x, [2, 1, 0])))
    require_same(rows(turned, [2, 1, 0]), whole, f"{example.name}: the order of the samples changes their explanations")


@interface
def batch_size_makes_no_difference(subject: MethodSubject) -> None:
    """The option `batch_size`, which says how much is run at once, does not change the result."""
    example = subject.smallest
    analyzer, x = subject.analyzer(example), example.inputs()
    known = inspect.signature(type(analyzer).analyze).parameters
    if "batch_size" not in known and not any(each.kind is each.VAR_KEYWORD for each in known.values()):
        raise Skip("its analyze has no option batch_size")
    whole = found_in(analyzer.analyze(x))
    for size in (1, 2, None):
        found = found_in(analyzer.analyze(x, batch_size=size))
        require_same(found, whole, f"{example.name}: batch_size={size} gives another explanation")


@interface
def each_sample_has_its_target(subject: MethodSubject) -> None:
    """A list of targets explains each sample for its own, as that target alone does, and targets matter."""
    example = subject.smallest
    analyzer, x = subject.analyzer(example), example.inputs()
    targets = [0, 1, 2]
    each = [found_in(analyzer.analyze(x, target)) for target in targets]
    expected = joined([rows(found, [place]) for place, found in enumerate(each)])
    advice = "every sample has a target of its own"
    for given in (targets, torch.tensor(targets)):
        require_same(
            found_in(analyzer.analyze(x, given)),
            expected,
            f"{example.name}: target={given!r} explains some sample for another target than its own; {advice}",
        )
    require(
        any(_depends_on_the_target(subject, other) for other in subject.examples),
        "targets 0 and 1 have the same explanations on all models of the kit: the target is ignored",
    )


@interface
def repeats_itself(subject: MethodSubject) -> None:
    """The same call gives the same result, whatever random numbers others drew; another `seed` gives another."""
    example = subject.smallest
    x = example.inputs()
    first = found_in(subject.analyzer(example).analyze(x))
    again = found_in(subject.analyzer(example).analyze(x))
    require_same(again, first, f"{example.name}: a second call gives another explanation: the first left something")
    _draw()
    anew = found_in(subject.create(example.model(), example.inputs(8)).analyze(x))
    seeded = "seed" in subject.cls.parameter_names()
    advice = (
        "draw from a generator made from the seed, as by xaicore.engine.generator(self.seed, step)"
        if seeded
        else "what is random needs a parameter `seed`"
    )
    require_same(anew, first, f"{example.name}: other random numbers drawn before change the explanation; {advice}")
    if seeded:
        require(
            any(_depends_on_the_seed(subject, other) for other in subject.examples),
            "two seeds give the same explanation on all models of the kit: the seed is ignored, or with these "
            "parameters nothing is random; then give others in an `example`",
        )


def _picked(inputs: torch.Tensor | tuple[torch.Tensor, ...], which: list[int]) -> object:
    return tuple(each[which] for each in inputs) if isinstance(inputs, tuple) else inputs[which]


def _draw() -> None:
    """Use up random numbers of all generators that a process has; the runner of checks puts their states back."""
    import random

    import numpy as np

    torch.rand(7)
    np.random.random(5)
    random.random()


def _depends_on_the_target(subject: MethodSubject, example: Example) -> bool:
    one, other = (found_in(subject.explain(example, target=target)) for target in (0, 1))
    return difference(one, other) > CHANGED


def _depends_on_the_seed(subject: MethodSubject, example: Example) -> bool:
    seed = subject.analyzer(example).get_params()["seed"]
    other = subject.create(example.model(), example.inputs(8), seed=(seed or 0) + 1)
    x = example.inputs()
    return difference(found_in(subject.analyzer(example).analyze(x)), found_in(other.analyze(x))) > EXACT
