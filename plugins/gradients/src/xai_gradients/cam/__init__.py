"""Grad-CAM and its relatives: feature maps of a layer, weighted by their gradients.

`positions` follows where in the input each entry of a tensor comes from; `grids` reads a tensor as feature maps by
that; `choice` finds the layer whose maps are used; `weights` has the formulas; `at_maps` runs the model at that layer;
`methods` are the analyzers.
"""

from __future__ import annotations

from xai_gradients.cam.methods import GradCam, GradCamPlusPlus, GuidedGradCam

__all__ = ["GradCam", "GradCamPlusPlus", "GuidedGradCam"]
