"""The discrete Fourier transform of the inputs, and decorrelated colours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_activation_max.parameters import check_number
from xai_activation_max.parametrizations.box import Box
from xaicore.errors import ParameterError


class Fourier:
    """The search changes the spectrum of the input, each frequency in proportion to how strong it is in nature.

    Steps in the spectrum divided by ``1 / f`` reach low frequencies as soon as high ones, which leaves less of the
    noise that the gradients of networks have (Olah et al. 2017, "preconditioning and parameterization"). The inputs
    that can be reached are the same; so is the optimum of a concave objective.

    Parameters
    ----------
    bounds : (low, high), optional
        As in `Pixels`; kept by a sigmoid.
    decay : float
        Amplitudes are scaled by ``f ** -decay``: 1 as in natural images, 0 for none.
    colour : Tensor or array (C, C), optional
        A root of the covariance of the channels, such as `colour_of` of images of the data: what is optimised then are
        colours that are not correlated in it.
    """

    def __init__(self, bounds: Any = None, *, decay: float = 1.0, colour: Any = None) -> None:
        check_number("decay", decay)
        self.bounds, self.decay, self.colour = bounds, decay, colour
        self._box = None if bounds is None else Box(bounds)
        self._colour = None if colour is None else torch.as_tensor(colour, dtype=torch.float64)
        if self._colour is not None:
            square = self._colour.ndim == 2 and self._colour.shape[0] == self._colour.shape[1]
            if not square or not bool(torch.isfinite(self._colour).all()) or _is_singular(self._colour):
                raise ParameterError(
                    "colour= must be an invertible matrix (C, C) of finite numbers; got one of shape "
                    f"{tuple(self._colour.shape)}"
                )

    def leaves(self, starts: Tensor, generator: torch.Generator) -> list[Tensor]:
        begin = starts.detach()
        if self._box is not None:
            begin = self._box.unsquashed(begin)
        if self._colour is not None:
            begin = _mixed(torch.linalg.inv(self._colour), begin)
        return [(_hartley(begin) / self._scale(begin)).requires_grad_()]

    def inputs(self, leaves: list[Tensor]) -> Tensor:
        x = _hartley(leaves[0] * self._scale(leaves[0]))
        if self._colour is not None:
            x = _mixed(self._colour, x)
        return x if self._box is None else self._box.squashed(x)

    def log_prior(self, leaves: list[Tensor]) -> Tensor:
        return leaves[0].new_zeros(len(leaves[0]))

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) < 2:
            raise ParameterError(
                f"samples of shape {shape} have no dimension behind the channels, and so no frequencies: "
                "parametrization='fourier' is for images (C, H, W), series (C, T) and volumes. Choose 'pixels'"
            )
        if self._colour is not None and len(self._colour) != shape[0]:
            raise ParameterError(
                f"colour= is for {len(self._colour)} channels; samples of shape {shape} have {shape[0]}"
            )
        if self._box is not None:
            self._box.check(shape)

    @property
    def box(self) -> Box | None:
        """The bounds, ready for use."""
        return self._box

    def _scale(self, x: Tensor) -> Tensor:
        """What the amplitude of each frequency is multiplied by, to be broadcast against inputs (N, C, ...)."""
        lengths = x.shape[2:]
        squares = torch.zeros((), dtype=torch.float64)
        for place, length in enumerate(lengths):
            along = [-1 if each == place else 1 for each in range(len(lengths))]
            squares = squares + torch.fft.fftfreq(length, dtype=torch.float64).view(along).square()
        # A constant input has no frequency; it counts like the longest wave.
        scale = squares.sqrt().clamp_min(1 / max(lengths)).pow(-self.decay)
        return (scale / scale.square().mean().sqrt()).to(x.device, x.dtype)

    def __repr__(self) -> str:
        bounds = "" if self._box is None else f"bounds={self._box!r}, "
        colour = "" if self._colour is None else ", colour=<matrix>"
        return f"Fourier({bounds}decay={self.decay!r}{colour})"


def colour_of(images: Any) -> Tensor:
    """A root of the covariance of the channels over all positions of images (N, C, ...), for ``Fourier(colour=)``.

    Divided by its largest eigenvalue, so that steps stay in the units of the input.
    """
    channels = torch.as_tensor(images).double().transpose(0, 1).flatten(1)
    if len(channels) < 2 or channels.shape[1] < 2:
        raise ParameterError("the covariance of channels needs images (N, C, ...) of at least two channels")
    values, vectors = torch.linalg.eigh(torch.cov(channels))
    values = values.clamp_min(1e-6 * float(values[-1]))
    root: Tensor = vectors * values.sqrt() @ vectors.T
    return root / float(values[-1].sqrt())


def _hartley(x: Tensor) -> Tensor:
    """The spectrum of real inputs (N, C, ...) as real numbers, as many as there are entries.

    The real part of the Fourier transform less the imaginary one (Hartley 1942); with this norm its own inverse.
    """
    spectrum = torch.fft.fftn(x, dim=tuple(range(2, x.ndim)), norm="ortho")
    hartley: Tensor = spectrum.real - spectrum.imag
    return hartley


def _mixed(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("dc,nc...->nd...", matrix.to(x.device, x.dtype), x)


def _is_singular(matrix: Tensor) -> bool:
    return bool(torch.linalg.matrix_rank(matrix) < len(matrix))
