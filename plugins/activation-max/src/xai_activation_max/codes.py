"""Code space: a search among the codes of a decoder, so that whatever is found is something the decoder can make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from xai_activation_max.experts.samples import sample_batches
from xai_activation_max.parameters import check_integer, check_number, check_word
from xaicore.engine import device_and_dtype
from xaicore.errors import InputError, NotFittedError, ParameterError


class CodeSpace:
    """Inputs x = g(z) made by a decoder g, with the preference ``-strength * |z - centre|^2`` among codes z.

    A prototype of class c then maximises log p(c | g(z)) - strength |z - centre|^2 (Nguyen et al. 2016; Montavon,
    Samek and Müller 2018, section 3.3). Codes of a variational autoencoder or of a generative adversarial network are
    standard normal, for which the centre is zero and the strength 1/2 the log density up to a constant.

    The decoder runs in evaluation mode and is left as it was: its modes and buffers, and its parameters get no
    gradients.

    Parameters
    ----------
    decoder : nn.Module
        From codes (N, *code_size) to inputs of the model, (N, *shape).
    code_size : int or sequence of int
        Shape of one code: the number of its values, or several sizes, such as (100, 1, 1).
    center : {"zero", "mean"} or Tensor
        The code that is preferred: zero; the mean of the codes given to `fit`; or this one, of shape ``code_size``.
    strength : float
        In nats per squared unit of the code.
    spread : float
        Standard deviation around the centre of the normal distribution that the codes at the start are drawn from;
        0: all start at the centre. The inputs that a search would start from play no part: a decoder has no inverse.

    Attributes
    ----------
    mean_ : Tensor
        What `fit` learns, of shape ``code_size``, in double precision.
    """

    def __init__(
        self,
        decoder: nn.Module,
        code_size: int | Sequence[int],
        *,
        center: str | Tensor = "zero",
        strength: float = 1.0,
        spread: float = 1.0,
    ) -> None:
        self.decoder, self.code_size, self.center = decoder, code_size, center
        self.strength, self.spread = strength, spread
        if not isinstance(decoder, nn.Module):
            raise ParameterError(f"decoder={decoder!r} must be a torch.nn.Module that makes inputs from codes")
        for size in _sizes(code_size):
            check_integer("code_size", size, least=1)
        if isinstance(center, str):
            check_word("center", center, ("zero", "mean"), others=", or a tensor")
        elif not isinstance(center, Tensor) or tuple(center.shape) != self._code_shape:
            shown = f"of shape {tuple(center.shape)}" if isinstance(center, Tensor) else repr(center)
            raise ParameterError(
                f'center={shown} must be "zero", "mean", or a tensor of the shape of a code, {self._code_shape}'
            )
        elif not bool(torch.isfinite(center).all()):
            raise ParameterError("center holds NaN or infinity; give finite values")
        check_number("strength", strength)
        check_number("spread", spread)

    def fit(self, codes: Any) -> Self:
        """Learn the mean of codes, such as those that an encoder gives for the data.

        Parameters
        ----------
        codes : Tensor, array, or iterable of batches
            (N, *code_size), or batches of these, of which one at a time is held in memory.

        Raises
        ------
        InputError
            For codes that are of another shape, none, or hold NaN.
        """
        # The mean must be usable with autograd, wherever fit was called.
        with torch.inference_mode(False), torch.no_grad():
            count, mean = 0, torch.zeros(self._code_shape, dtype=torch.float64, device="cpu")
            for batch in sample_batches(codes):
                if tuple(batch.shape[1:]) != self._code_shape:
                    raise InputError(
                        f"codes have shape {self._code_shape}, and those given for fitting {tuple(batch.shape[1:])}"
                    )
                count += len(batch)
                mean += (batch.mean(0).cpu() - mean) * (len(batch) / count)
        self.mean_ = mean
        return self

    def leaves(self, starts: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Codes around the centre, (N, *code_size), as many as starts, in their type and on their device."""
        drawn = torch.randn(
            (len(starts), *self._code_shape), generator=generator, dtype=torch.float64, device=generator.device
        )
        codes = self._center() + self.spread * drawn.cpu()
        return [codes.to(starts.device, starts.dtype).requires_grad_()]

    def inputs(self, leaves: list[Tensor]) -> Tensor:
        """What the decoder makes of the codes, (N, *shape), differentiable; in their type and on their device."""
        (codes,) = leaves
        return self._decoded(codes).to(codes.device, codes.dtype)

    def log_prior(self, leaves: list[Tensor]) -> Tensor:
        """``-strength * |z - centre|^2`` of each code, (N,)."""
        (codes,) = leaves
        from_center = codes - self._center().to(codes.device, codes.dtype)
        return -self.strength * from_center.flatten(1).square().sum(1)

    def check(self, shape: tuple[int, ...]) -> None:
        """Run the decoder on one code and refuse it where that fails or gives no samples of this shape.

        Raises
        ------
        ParameterError
            If the decoder does not take the codes, or its output does not fit the model.
        NotFittedError
            If the centre is the mean of codes and `fit` has not been called.
        """
        code = self._center()[None]
        try:
            with torch.no_grad():
                made = self._decoded(code)
        except ParameterError:  # about what the decoder returns
            raise
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ParameterError(
                f"the decoder {type(self.decoder).__name__} does not take a code of shape {tuple(code.shape)} "
                f"(code_size={self.code_size!r}): {error}"
            ) from error
        if tuple(made.shape) != (1, *shape):
            raise ParameterError(
                f"the decoder {type(self.decoder).__name__} makes {tuple(made.shape)} of one code of size "
                f"{self.code_size!r}, and the model takes {(1, *shape)}; put what reshapes the one to the other at the "
                "end of the decoder"
            )

    def __repr__(self) -> str:
        center = self.center if isinstance(self.center, str) else f"<tensor of shape {self._code_shape}>"
        return (
            f"CodeSpace({type(self.decoder).__name__}, code_size={self.code_size!r}, center={center!r}, "
            f"strength={self.strength!r}, spread={self.spread!r})"
        )

    @property
    def _code_shape(self) -> tuple[int, ...]:
        return tuple(_sizes(self.code_size))

    def _center(self) -> Tensor:
        """In double precision and main memory."""
        if isinstance(self.center, Tensor):
            return self.center.detach().cpu().double()
        if self.center == "zero":
            return torch.zeros(self._code_shape, dtype=torch.float64, device="cpu")
        if not hasattr(self, "mean_"):
            raise NotFittedError('center="mean" is the mean of codes: call fit(codes) first, or give center=mean')
        return self.mean_

    def _decoded(self, codes: Tensor) -> Tensor:
        device, dtype = device_and_dtype(self.decoder)
        # Stand-ins, because backward() would give gradients to the decoder's own parameters, and some modules write to
        # their buffers in evaluation mode too.
        stand_ins = {name: value.detach() for name, value in self.decoder.named_parameters()}
        stand_ins |= {name: value.clone() for name, value in self.decoder.named_buffers()}
        with _evaluating(self.decoder):
            made = torch.func.functional_call(self.decoder, stand_ins, (codes.to(device, dtype or codes.dtype),))
        if not isinstance(made, Tensor):
            raise ParameterError(
                f"the decoder {type(self.decoder).__name__} returns {type(made).__name__}; it must return one tensor, "
                "the inputs of the model"
            )
        return made


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Every part of the module in evaluation mode, and then in the mode it was in."""
    before = [(part, part.training) for part in module.modules()]
    try:
        # Not module.eval(): a module may override it.
        for part, _ in before:
            part.training = False
        yield
    finally:
        for part, training in before:
            part.training = training


def _sizes(code_size: Any) -> list[Any]:
    return list(code_size) if isinstance(code_size, Sequence) and not isinstance(code_size, str) else [code_size]
