"""Probabilities from what a model returns, and differences between them."""

from __future__ import annotations

import torch
from torch import Tensor

from xaicore.errors import InputError

PROBABILITIES = ("auto", "softmax", "sigmoid", "given")
VALUES = ("evidence", "information", "probability")
_SUM_TOLERANCE = 1e-3


def which(how: str, outputs: Tensor) -> str:
    """What ``'auto'`` means for these outputs (B, ...): 'given' or 'softmax'; another choice stays.

    Raises
    ------
    InputError
        Where a model has one output a sample, which may be a probability, a logit or anything else.
    """
    if how != "auto":
        return how
    if outputs.ndim < 2 or outputs.shape[1] < 2:
        raise InputError(
            f"the output of shape {tuple(outputs.shape)} has one value a sample: say with probabilities='sigmoid' that "
            "it is the logit of a probability, or with probabilities='given' that it is one"
        )
    sums = outputs.double().sum(1)
    are_probabilities = (outputs >= 0).all() and ((sums - 1).abs() < _SUM_TOLERANCE).all()
    return "given" if bool(are_probabilities) else "softmax"


def probabilities(outputs: Tensor, how: str) -> Tensor:
    """Outputs (B, ...) as probabilities, in float64; classes are in dimension 1."""
    outputs = outputs.double()
    if how == "softmax":
        return outputs.softmax(1)
    return outputs.sigmoid() if how == "sigmoid" else outputs


def classes_of(outputs: Tensor, how: str) -> int:
    """K, among how many classes there is a choice; a single output is one of two, and so is each behind a sigmoid."""
    return outputs.shape[1] if how != "sigmoid" and outputs.ndim > 1 and outputs.shape[1] > 1 else 2


def difference(before: Tensor, after: Tensor, value: str, samples: int, classes: int) -> Tensor:
    """How much less probable the target has become (Robnik-Sikonja and Kononenko 2008).

    Parameters
    ----------
    before, after : Tensor
        Probabilities with and without the patch.
    value : {'evidence', 'information', 'probability'}
    samples, classes : int
        N and K of the Laplace correction, (p N + 1) / (N + K), which keeps logarithms finite.
    """
    if value == "probability":
        return before - after
    before, after = ((p * samples + 1) / (samples + classes) for p in (before, after))
    if value == "information":
        return before.log2() - after.log2()
    return torch.logit(before).sub(torch.logit(after)) / torch.log(torch.tensor(2.0, dtype=before.dtype))
