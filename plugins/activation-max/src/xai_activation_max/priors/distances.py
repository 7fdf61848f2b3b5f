"""Priors that are distances: from zero, from the mean of a class, from a reference point."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_activation_max.parameters import check_number
from xaicore.errors import ParameterError


class L2:
    """``-strength * |x|^2``: a normal density around zero (Simonyan et al. 2014, eq. 1; Montavon et al. 2018, eq. 2).

    Parameters
    ----------
    strength : float
        In nats per squared unit of the input; ``1 / (2 variance)`` of the normal density.
    """

    def __init__(self, strength: float = 0.01) -> None:
        check_number("strength", strength)
        self.strength = strength

    def log_prior(self, x: Tensor) -> Tensor:
        return -self.strength * x.flatten(1).square().sum(1)

    def check(self, shape: tuple[int, ...]) -> None:
        pass

    def __repr__(self) -> str:
        return f"L2(strength={self.strength!r})"


class Lp:
    """``-strength * sum |x|^p``: for large p a soft limit on the size of values (Mahendran & Vedaldi 2015, sec. 3.1).

    Parameters
    ----------
    strength : float
    p : float
        At least 1.
    """

    def __init__(self, strength: float = 0.01, p: float = 6.0) -> None:
        check_number("strength", strength)
        check_number("p", p, least=1)
        self.strength, self.p = strength, p

    def log_prior(self, x: Tensor) -> Tensor:
        return -self.strength * x.flatten(1).abs().pow(self.p).sum(1)

    def check(self, shape: tuple[int, ...]) -> None:
        pass

    def __repr__(self) -> str:
        return f"Lp(strength={self.strength!r}, p={self.p!r})"


class _Distance:
    """``-strength * |x - centre|^2``."""

    _name = ""

    def __init__(self, strength: float, centre: Any) -> None:
        check_number("strength", strength)
        self.strength = strength
        try:
            self._centre = torch.as_tensor(centre)
        except (TypeError, ValueError, RuntimeError):
            raise ParameterError(
                f"{self._name}={centre!r} of {type(self).__name__} must be a tensor or array of finite numbers"
            ) from None
        if not self._centre.is_floating_point():
            self._centre = self._centre.to(torch.get_default_dtype())
        if not bool(torch.isfinite(self._centre).all()):
            raise ParameterError(f"{self._name} of {type(self).__name__} holds NaN or infinity; give finite values")

    def log_prior(self, x: Tensor) -> Tensor:
        return -self.strength * (x - self._centres(x)).flatten(1).square().sum(1)

    def _centres(self, x: Tensor) -> Tensor:
        """The centre of each input; several restarts of a prototype, which come one after the other, share its own."""
        centre = self._centre.to(x.device, x.dtype)
        if centre.ndim < x.ndim or len(centre) == 1:
            return centre
        if len(x) % len(centre):
            raise ParameterError(
                f"{self._name} of {type(self).__name__} holds {len(centre)} tensors, which cannot be shared out among "
                f"{len(x)} attempts: give one of the shape of a sample, or one for each prototype"
            )
        return centre.repeat_interleave(len(x) // len(centre), dim=0)

    def check(self, shape: tuple[int, ...]) -> None:
        own = tuple(self._centre.shape)
        if own != shape and own[1:] != shape and own != ():
            raise ParameterError(
                f"{self._name} of {type(self).__name__} has shape {own}; the inputs have samples of shape {shape}. "
                f"Give one tensor of that shape, or one for each prototype, (N, {', '.join(map(str, shape))})"
            )

    def __repr__(self) -> str:
        shape = tuple(self._centre.shape)
        return f"{type(self).__name__}(strength={self.strength!r}, {self._name}=<tensor of shape {shape}>)"


class ToMean(_Distance):
    """``-strength * |x - mean|^2``: near the mean of the data, or of a class (Montavon et al. 2018, sec. 3.1).

    Parameters
    ----------
    strength : float
        In nats per squared unit of the input.
    mean : Tensor or array
        Of the shape of a sample, or one for each sample or prototype of a search, (N, ...).
    """

    _name = "mean"

    def __init__(self, strength: float, mean: Any) -> None:
        super().__init__(strength, mean)

    @property
    def mean(self) -> Tensor:
        """As given."""
        return self._centre


class Locality(_Distance):
    """``-strength * |x - reference|^2``: what would make a given input more of the class (Montavon et al. 2018).

    Parameters
    ----------
    strength : float
        In nats per squared unit of the input.
    reference : Tensor or array
        Of the shape of a sample, or one for each sample or prototype of a search, (N, ...).
    """

    _name = "reference"

    def __init__(self, strength: float, reference: Any) -> None:
        super().__init__(strength, reference)

    @property
    def reference(self) -> Tensor:
        """As given."""
        return self._centre
