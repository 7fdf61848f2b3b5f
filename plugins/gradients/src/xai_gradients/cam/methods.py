"""Grad-CAM, Grad-CAM++ and Guided Grad-CAM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from xai_gradients.cam.at_maps import INTERPOLATIONS, MapsEvaluation
from xai_gradients.cam.weights import mean_gradient, positive_gradient
from xai_gradients.methods import GuidedBackprop
from xaicore.analyzers import Attribution, ExpansionAnalyzer, check_is_module
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError, nearest


class GradCam(ExpansionAnalyzer):
    """Feature maps of a layer, weighted by their mean gradient, summed and rectified (Selvaraju et al. 2017).

    The weight of a map is the mean over positions of the gradient of the explained output (equation 1); the
    class activation map is the rectified sum of the weighted maps (equation 2). At the inputs it is brought to their
    size and shared out evenly to the channels, so that the sum of the relevance over the channels is the map. Of
    several inputs, all that the maps are computed from and that have space for them show the map; others get zeros.

    The maps are those of the last layer that has an extent in space, found by following the data: of a convolutional
    network what goes into the last pooling, of a vision transformer the patches that go into the last attention. A
    note in the diagnostics names it. ``analyze(layer=...)`` uses the maps of that layer and returns them weighted, in
    its own shape: their sum over the channels, rectified, is the map.

    Only the part of the network behind the layer is run backwards: about the cost of a forward pass.

    Parameters
    ----------
    at : str, optional
        The layer or module whose maps are used. Default: the last one that has any.
    interpolation : {'bilinear', 'nearest', 'bicubic'}
        How the map is brought to the size of the inputs. ``'bilinear'`` is linear along every dimension, of series
        and volumes too; ``'bicubic'`` is for images.
    """

    family = "gradient"
    needs_gradient = True

    def __init__(self, model: nn.Module, *, at: str | None = None, interpolation: str = "bilinear") -> None:
        super().__init__(model)
        if at is not None and not isinstance(at, str):
            raise ParameterError(f"at={at!r} must name a layer or module, such as 'features.3', or be None.")
        if interpolation not in INTERPOLATIONS:
            known = list(INTERPOLATIONS)
            raise ParameterError(
                f"interpolation={interpolation!r} is not known: choose one of {', '.join(known)}."
                f"{nearest(str(interpolation), known)}"
            )
        self.at, self.interpolation = at, interpolation

    def evaluation(
        self, inputs: Any, target: Any, output: str | int | None, layer: str | None, engine: Engine
    ) -> MapsEvaluation:
        """The model at the layer whose maps are used."""
        return MapsEvaluation(
            check_is_module(self.model), inputs, target, output=output, layer=layer, at=self.at,
            interpolation=self.interpolation, engine=engine,
        )  # fmt: skip

    def weights(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """How much each map counts, (B, C), from the maps and their gradients, (B, C, ...)."""
        return mean_gradient(activations, gradients)

    def attribute(self, evaluation: MapsEvaluation, engine: Engine) -> Attribution:
        """The maps times their weights, in the shape of the layer."""
        name, grid = evaluation.name, evaluation.maps.grid
        tensor = evaluation.varied[name]
        weighted = torch.zeros_like(tensor)

        def run(block: Block) -> Tensor:
            rows = tensor[block.start : block.stop]
            _, gradients = evaluation.gradients({name: rows}, block)
            maps, slopes = (_wide(grid.maps(each)) for each in (rows, gradients[name]))
            weights = self.weights(maps, slopes)
            return grid.back(maps * weights.reshape(*weights.shape, *[1] * len(grid.extent)), rows)

        sweep = engine.sweep(
            evaluation.batch, 1, run, device=evaluation.device, footprint=evaluation.footprint, unit="sample"
        )
        for block, found in sweep:
            weighted[block.start : block.stop] = found
        return Attribution({name: weighted}, finished=sweep.finished)


class GradCamPlusPlus(GradCam):
    """Grad-CAM with weights that count positive gradients position by position (Chattopadhay et al. 2018).

    Several occurrences of an object are weighted alike, however large they are. The formulas are those for an
    explained value behind an exponential (equations 10 and 19), without the exponential itself, a factor that all maps
    of a sample share.

    Parameters
    ----------
    at : str, optional
        The layer or module whose maps are used. Default: the last one that has any, see `GradCam`.
    interpolation : {'bilinear', 'nearest', 'bicubic'}
        How the map is brought to the size of the inputs. ``'bilinear'`` is linear along every dimension, of series
        and volumes too; ``'bicubic'`` is for images.
    """

    def weights(self, activations: Tensor, gradients: Tensor) -> Tensor:
        """Sum of the positive gradients, weighted position by position."""
        return positive_gradient(activations, gradients)


class GuidedGradCam(GradCam):
    """Guided Backprop times the map of Grad-CAM: fine detail, where the map is positive (Selvaraju et al. 2017, 3.2).

    ``analyze(layer=...)`` multiplies the two at that layer. It costs Grad-CAM and one Guided Backprop.

    Parameters
    ----------
    at : str, optional
        The layer or module whose maps are used. Default: the last one that has any, see `GradCam`.
    interpolation : {'bilinear', 'nearest', 'bicubic'}
        How the map is brought to the size of the inputs. ``'bilinear'`` is linear along every dimension, of series
        and volumes too; ``'bicubic'`` is for images.
    """

    def attribute(self, evaluation: MapsEvaluation, engine: Engine) -> Attribution:
        """The map, and Guided Backprop to multiply it with."""
        found = super().attribute(evaluation, engine)
        guided = GuidedBackprop(self.model).analyze(
            evaluation.as_given, evaluation.target, output=evaluation.chosen_output, layer=evaluation.layer,
            engine=engine.within(),
        ).relevance  # fmt: skip
        if evaluation.layer is None or not isinstance(guided, Tensor):
            evaluation.guided = guided
            return found
        name, grid = evaluation.name, evaluation.maps.grid
        weighted = grid.maps(found.relevance[name])
        rectified = weighted.sum(1, keepdim=True).relu().expand_as(weighted)
        return Attribution({name: guided * grid.back(rectified, guided)}, finished=found.finished)


def _wide(tensor: Tensor) -> Tensor:
    """In at least single precision, in which sums over positions are taken."""
    return tensor if tensor.dtype.itemsize >= 4 else tensor.float()
