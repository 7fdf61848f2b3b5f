"""The rule against its own equation over the matrix of a layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from xaicore.testing.affine import Affine
from xaicore.testing.backward.place import Place
from xaicore.testing.backward.subject import gap
from xaicore.testing.checks import Skip, require, science
from xaicore.testing.rules.layers import RECTIFIED, module_of
from xaicore.testing.rules.subject import RuleSubject


@science
def agrees_with_jacobian_form(subject: RuleSubject) -> str:
    """Each output's relevance goes to the inputs by the shares that `jacobian_form` says, on all linear layers."""
    if subject.jacobian_form is None:
        raise Skip("it has no jacobian_form(weight, bias, x)")
    worst = 0.0
    for place in subject.places():
        affine, x = matrix_of(place), place.values()[0][0].flatten()
        shares = subject.jacobian_form(affine.weight.clone(), affine.bias.clone(), x.clone())
        require(
            isinstance(shares, Tensor) and shares.shape == affine.weight.shape,
            f"jacobian_form returned {_told(shares)} for a layer with {len(affine.bias)} outputs and {len(x)} inputs: "
            f"it must be of shape {tuple(affine.weight.shape)}",
        )
        off = gap(shares_of(subject, place), shares)
        worst = max(worst, off)
        require(
            off <= place.tolerance,
            f"at {place.name} relevance of single outputs goes elsewhere than jacobian_form says (relative difference "
            f"{off:.2g}): one of the two is wrong",
        )
        together = place.relevance()[0]
        assert together is not None
        alone = place.walk(subject.mapping, [together[:1]], tensors=place.model.repeated(1)).total
        off = gap(alone, together[0].flatten() @ shares)
        require(
            off <= place.tolerance,
            f"at {place.name} the relevance of all outputs of one sample goes elsewhere ({off:.2g})",
        )
    return f"off by {worst:.1g} at most"


def shares_of(subject: RuleSubject, place: Place) -> Tensor:
    """What each output's relevance, were it one, gives to each input, (J, I): found from one batch of J samples."""
    (y,) = place.outputs()
    count = y[0].numel()
    seeds = torch.eye(count, dtype=y.dtype).reshape(count, *y.shape[1:])
    found = place.walk(subject.mapping, [seeds], tensors=place.model.repeated(count)).relevance[0]
    return torch.zeros(count, 0) if found is None else found.reshape(count, -1)


@cache
def matrix_of(place: Place) -> Affine:
    """The layer as a matrix."""
    layer: Callable[[Tensor], Tensor] = module_of(place)
    shape = tuple(place.values()[0].shape[1:])
    return Affine.of(layer, shape)


def behind_relu(place: Place) -> bool:
    """Whether the layer's inputs are known not to be negative."""
    return place.name.endswith(RECTIFIED)


def _told(value: object) -> str:
    return f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
