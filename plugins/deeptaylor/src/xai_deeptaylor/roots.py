"""Root points of a neuron, and the relevance that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xai_deeptaylor.domains import Domain
from xaicore.errors import InputError


@dataclass(frozen=True)
class RootPoint:
    """Where a neuron becomes zero, and what a Taylor expansion around there says of its inputs.

    Attributes
    ----------
    point : Tensor
        The root point, shaped as ``x`` and ``weight`` together; of a neuron that does not fire, ``x`` itself.
    relevance : Tensor
        The first-order terms ``weight * (x - point)``, likewise; they sum to the activation of the neuron.
    inside : Tensor
        Whether the root point lies in the domain: one boolean a neuron.
    """

    point: Tensor
    relevance: Tensor
    inside: Tensor


def root_point(domain: Domain, x: Tensor, weight: Tensor, bias: float | Tensor = 0.0) -> RootPoint:
    """The root point of the neuron ``max(0, weight · x + bias)`` along the direction of a domain.

    For ``x`` in the domain and a bias that is not positive, the root point lies in the domain as well (of a `Box`: if
    zero lies in it). Montavon et al. 2017.

    Parameters
    ----------
    domain : Domain
    x, weight : Tensor
        Input and weights; they broadcast against each other, the last dimension counts the inputs of a neuron.
        A layer of m neurons on a batch: ``x[:, None, :]`` of shape (B, 1, n), ``weight`` of shape (m, n).
    bias : float or Tensor
        One number a neuron.

    Raises
    ------
    InputError
        The shapes do not fit, or a neuron fires because of its bias alone: then it has no root in that direction.

    Examples
    --------
    >>> import torch
    >>> from xai_deeptaylor import NonNegative, root_point
    >>> root = root_point(NonNegative(), torch.tensor([2.0, 1.0]), torch.tensor([1.0, -1.0]))
    >>> root.point, root.relevance
    (tensor([1., 1.]), tensor([1., 0.]))
    """
    try:
        activation = (x * weight).sum(-1) + bias
        contributions = weight * (direction := domain.direction(x, weight))
    except (RuntimeError, IndexError) as error:
        raise InputError(
            f"x of shape {tuple(x.shape)}, weight of shape {tuple(weight.shape)} and the bias do not fit: the last "
            f"dimension of both counts the inputs of a neuron, the others broadcast ({error})."
        ) from error
    total = contributions.sum(-1)
    fires = activation > 0
    if bool((fires & (total <= 0)).any()):
        raise InputError(
            "A neuron fires because of its bias alone: from this input it has no root in the direction of the domain. "
            "Deep Taylor decomposition asks for biases that are not positive."
        )
    step = torch.where(fires, activation / torch.where(fires, total, 1), 0).unsqueeze(-1)
    point = x - step * direction
    relevance = step * contributions + 0.0  # -0 becomes 0
    return RootPoint(point, relevance, domain.contains(point))
