"""A density as a prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from xai_activation_max.parameters import check_number
from xaicore.errors import ParameterError


class Density:
    """``strength * log p(x)``: the *expert* (Nguyen et al. 2016; Montavon et al. 2018, sec. 3.2).

    Together with the log probability of a class and a strength of 1, what is maximised is the log of
    ``p(class | x) p(x)``: the most likely input of the class, where p is the density of the data.

    Parameters
    ----------
    log_p : Expert or callable
        A fitted `Expert`, or a function from inputs, (N, ...), to the log of their density up to a constant, (N,), made
        of torch operations.
    strength : float
    """

    def __init__(self, log_p: Any, strength: float = 1.0) -> None:
        check_number("strength", strength)
        if not callable(log_p) and not hasattr(log_p, "log_density"):
            raise ParameterError(
                f"log_p={log_p!r} is neither a function that gives the log of a density nor an expert with log_density"
            )
        self.log_p, self.strength = log_p, strength

    def log_prior(self, x: Tensor) -> Tensor:
        found = self._function(x)
        if not isinstance(found, Tensor) or found.shape != x.shape[:1]:
            shown = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ParameterError(
                f"the density {self._name} returned {shown} for inputs of shape {tuple(x.shape)}; it must return the "
                f"log of the density of each: a tensor of shape ({len(x)},)"
            )
        return self.strength * found.to(x.dtype)

    def check(self, shape: tuple[int, ...]) -> None:
        check = getattr(self.log_p, "check", None)
        if check is not None:
            check(shape)

    @property
    def _function(self) -> Callable[[Tensor], Any]:
        function: Callable[[Tensor], Any] = getattr(self.log_p, "log_density", None) or self.log_p
        return function

    @property
    def _name(self) -> str:
        return str(getattr(self.log_p, "__name__", type(self.log_p).__name__))

    def __repr__(self) -> str:
        return f"Density({self._name}, strength={self.strength!r})"
