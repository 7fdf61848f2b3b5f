"""The methods of this package: what becomes of the gradient on its way, and how it is read at the input."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from xai_gradients.mappings import deconvolved, guided, rectifier
from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import ParameterError, nearest
from xaicore.propagation import Composite

_POSTPROCESS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda gradient: gradient,
    "abs": torch.abs,
    "square": torch.square,
}


class Saliency(PropagationAnalyzer):
    """Gradient of the explained output with respect to the input (Simonyan et al. 2014, section 3).

    Parameters
    ----------
    postprocess : {None, 'abs', 'square'}
        The signed gradient, its size, or its square.
    """

    family = "gradient"

    def __init__(self, model: nn.Module, *, postprocess: str | None = None) -> None:
        super().__init__(model)
        self.postprocess = postprocess
        if postprocess not in _POSTPROCESS:
            hint = nearest(str(postprocess), ["abs", "square"])
            raise ParameterError(f"postprocess={postprocess!r} is not known: choose None, 'abs' or 'square'.{hint}")

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """The gradient, its size, or its square."""
        return _POSTPROCESS[self.postprocess](relevance)


class Sensitivity(PropagationAnalyzer):
    """Squared gradient: how strongly the output reacts to each input (Simonyan et al. 2014, section 3)."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """The squared gradient."""
        return relevance.square()


class InputXGradient(PropagationAnalyzer):
    """Input times gradient (Shrikumar et al. 2016, section 2.3).

    For a ReLU network without biases it equals LRP-0 and sums to the output.
    """

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """Gradient times the value there."""
        return relevance * value


class GuidedBackprop(PropagationAnalyzer):
    """Gradient that passes a ReLU only where its input and the gradient are positive (Springenberg et al. 2015).

    ReLU and ReLU6 are changed. All other layers pass the plain gradient: on a model without ReLU (a
    transformer with GELU, a sigmoid network) this equals saliency.
    """

    family = "gradient"

    def build_composite(self) -> Composite:
        """Rectifiers let only what is positive pass."""
        return Composite([(rectifier, guided)], family="gradient", name="gradients.guided_backprop")


class Deconvnet(PropagationAnalyzer):
    """Gradient that passes a ReLU only where the gradient is positive, whatever its input was (Zeiler and Fergus 2014).

    ReLU and ReLU6 are changed. All other layers pass the plain gradient, max pooling through its switches: on a
    model without ReLU this equals saliency.
    """

    family = "gradient"

    def build_composite(self) -> Composite:
        """Rectifiers rectify what comes back instead of what went forward."""
        return Composite([(rectifier, deconvolved)], family="gradient", name="gradients.deconvnet")
