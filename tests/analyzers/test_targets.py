"""What a target may be, what it is worth, and how it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from xaicore.analyzers.targets import Contrast, resolve_target
from xaicore.errors import TargetError

SCORES = torch.tensor([[0.1, 2.0, -1.0], [3.0, 0.0, 1.0], [-1.0, -3.0, -2.0], [0.5, 0.2, 0.9]])
MAPS = torch.arange(24.0).reshape(2, 3, 4)


def first_two(output: torch.Tensor) -> torch.Tensor:
    return (output[:, :2] ** 2).sum(1)


CASES: dict[str, tuple[Any, torch.Tensor, list[float]]] = {
    "predicted class": (None, SCORES, [2.0, 3.0, -1.0, 0.9]),
    "class": (1, SCORES, [2.0, 0.0, -3.0, 0.2]),
    "class from the end": (-1, SCORES, [-1.0, 1.0, -2.0, 0.9]),
    "numpy integer": (np.int16(1), SCORES, [2.0, 0.0, -3.0, 0.2]),
    "0-d tensor": (torch.tensor(1), SCORES, [2.0, 0.0, -3.0, 0.2]),
    "list": ([0, 1, 2, -1], SCORES, [0.1, 0.0, -2.0, 0.9]),
    "range": (range(-3, 1), SCORES, [0.1, 0.0, -2.0, 0.5]),
    "array": (np.array([0, 1, 2, 2]), SCORES, [0.1, 0.0, -2.0, 0.9]),
    "tensor": (torch.tensor([0, 1, 2, 2]), SCORES, [0.1, 0.0, -2.0, 0.9]),
    "list of 0-d tensors": ([torch.tensor(k) for k in (0, 1, 2, 2)], SCORES, [0.1, 0.0, -2.0, 0.9]),
    "tuple": ((1, -1), MAPS, [7.0, 19.0]),
    "list of tuples": ([(0, 0), (2, 3)], MAPS, [0.0, 23.0]),
    "matrix of indices": (torch.tensor([[0, 0], [2, 3]]), MAPS, [0.0, 23.0]),
    "contrast": (Contrast(0, 1), SCORES, [-1.9, 3.0, 2.0, 0.3]),
    "contrast with the prediction": (Contrast(None, [0, 1, 2, 0]), SCORES, [1.9, 3.0, 1.0, 0.4]),
    "contrast of indices": (Contrast((0, 0), (1, 1)), MAPS, [-5.0, -5.0]),
    "callable": (first_two, SCORES, [4.01, 9.0, 10.0, 0.29]),
    "one value a sample": (None, torch.tensor([1.0, -2.0]), [1.0, -2.0]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_score_is_the_value_of_the_target_for_each_sample(case: str) -> None:
    target, output, expected = CASES[case]
    torch.testing.assert_close(resolve_target(target).score(output), torch.tensor(expected))


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_that_of_automatic_differentiation(case: str, create_graph: bool) -> None:
    target, output, expected = CASES[case]
    tracked = output.clone().requires_grad_()
    resolved = resolve_target(target)
    (wanted,) = torch.autograd.grad(resolved.score(tracked).sum(), tracked)
    scores, gradient = resolved.gradient(output.clone().requires_grad_(create_graph), create_graph)
    torch.testing.assert_close(gradient.detach(), wanted)
    torch.testing.assert_close(scores.detach(), torch.tensor(expected))
    assert scores.requires_grad == create_graph


def test_a_function_is_differentiable_twice_on_request() -> None:
    output = SCORES.clone().requires_grad_()
    _, gradient = resolve_target(first_two).gradient(output, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), output)
    torch.testing.assert_close(second, torch.tensor([2.0, 2.0, 0.0]).expand(4, 3))


@pytest.mark.parametrize("case", CASES)
def test_splitting_a_batch_changes_nothing(case: str) -> None:
    target, output, expected = CASES[case]
    total = len(output)
    parts = [resolve_target(target).chunk(k, k + 1, total).score(output[k : k + 1]) for k in range(total)]
    torch.testing.assert_close(torch.cat(parts), torch.tensor(expected))


@pytest.mark.parametrize("target", [[0, 1], Contrast(None, [0, 1])])
def test_as_many_targets_as_samples_are_asked_for_before_the_batch_is_split(target: Any) -> None:
    with pytest.raises(TargetError, match="2 targets for a batch of 4"):
        resolve_target(target).chunk(0, 2, 4)
    with pytest.raises(TargetError, match="2 targets for a batch of 4"):
        resolve_target(target).score(SCORES)


@pytest.mark.parametrize(
    ("case", "kind", "labels", "index"),
    [
        ("predicted class", "class", ["1", "0", "0", "2"], [1, 0, 0, 2]),
        ("class from the end", "class", ["2"] * 4, [2] * 4),
        ("tuple", "index", ["(1, 3)"] * 2, [(1, 3)] * 2),
        ("contrast with the prediction", "contrast", ["1 - 0", "0 - 1", "0 - 2", "2 - 0"], [None] * 4),
        ("callable", "callable", ["first_two"] * 4, [None] * 4),
        ("one value a sample", "output", ["output"] * 2, [None] * 2),
    ],
)
def test_a_description_names_what_was_explained_for_each_sample(
    case: str, kind: str, labels: list[str], index: list[Any]
) -> None:
    target, output, expected = CASES[case]
    description = resolve_target(target).describe(output.clone().requires_grad_())
    values = description.pop("values")
    assert description == {"kind": kind, "labels": labels, "index": index}
    torch.testing.assert_close(values, torch.tensor(expected))
    assert not values.requires_grad


@pytest.mark.parametrize("target", [True, 1.0, "cat", torch.tensor([1.0]), [True, False], [1, "a"], [None], {}])
def test_what_is_no_integer_is_refused_at_once(target: Any) -> None:
    with pytest.raises(TargetError, match="must be an integer"):
        resolve_target(target)


@pytest.mark.parametrize("target", [[], (), [()]])
def test_empty_targets_are_refused(target: Any) -> None:
    with pytest.raises(TargetError, match="empty"):
        resolve_target(target)


@pytest.mark.parametrize(
    ("target", "output", "message"),
    [
        (3, SCORES, "valid values are 0 to 2, or -3 to -1"),
        (-4, SCORES, "valid values are 0 to 2"),
        ([0, 0, 9, 0], SCORES, r"Target 9 \(sample 2\)"),
        ((1, 4), MAPS, "in dimension 2 are 0 to 3"),
        (1, MAPS, "a tuple of 2 integers"),
        ((1, 1), SCORES, "one integer"),
        (None, MAPS, "no one predicted class"),
        (0, torch.ones(3), "leave the target out"),
        (None, torch.tensor(1.0), "no batch dimension"),
        (0, SCORES.long(), "floating-point"),
        (lambda output: output.sum(), SCORES, r"must return one value a sample: shape \(4,\)"),
        (lambda output: 1.0, SCORES, "float, not a tensor"),
    ],
)
def test_a_target_that_the_output_does_not_have_is_refused(target: Any, output: torch.Tensor, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        resolve_target(target).gradient(output)


@pytest.mark.parametrize(
    "function", [lambda output: output.argmax(1).float(), lambda output: torch.ones(4).requires_grad_()]
)
def test_a_function_that_does_not_depend_on_the_output_is_refused(function: Any) -> None:
    with pytest.raises(TargetError, match="do not depend on the model's output"):
        resolve_target(function).gradient(SCORES)


def test_a_contrast_is_between_elements_of_the_output() -> None:
    with pytest.raises(TargetError, match="neither"):
        Contrast(0, first_two)


def test_one_output_is_chosen_by_name_or_because_there_is_no_doubt() -> None:
    assert resolve_target(0).select({"scores": SCORES}) == "scores"
    assert resolve_target(0).select({"aux": MAPS, "logits": SCORES}) == "logits"
    assert resolve_target(0, output="aux").select({"aux": MAPS, "logits": SCORES}) == "aux"
    assert resolve_target(Contrast(0, 1), output=1).select({"0": MAPS, "1": SCORES}) == "1"


def test_an_unclear_or_unknown_output_is_refused_with_a_list_of_them() -> None:
    with pytest.raises(TargetError, match=r"'0' of shape \(2, 3, 4\), '1' of shape \(4, 3\)"):
        resolve_target(0).select({"0": MAPS, "1": SCORES})
    with pytest.raises(TargetError, match="Did you mean 'logits'"):
        resolve_target(0, output="logit").select({"aux": MAPS, "logits": SCORES})
    with pytest.raises(TargetError, match="name of an output"):
        resolve_target(0, output=1.5)  # type: ignore[arg-type]
