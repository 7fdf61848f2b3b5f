"""What a prior is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Prior(Protocol):
    """What is preferred among inputs, in nats, like a log density up to a constant: larger is better."""

    def log_prior(self, x: Tensor) -> Tensor:
        """The preference for each input, (N, *shape) -> (N,), differentiable; on the device and in the type of x."""
        ...

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples of a shape, without the batch, that the prior has no meaning for.

        Raises
        ------
        ParameterError
        """
        ...
