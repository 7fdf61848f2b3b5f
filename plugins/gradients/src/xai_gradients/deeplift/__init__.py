"""DeepLIFT and DeepSHAP: how the differences of activations to those of a reference make up that of the output."""

from __future__ import annotations

from xai_gradients.deeplift.analyzers import DeepLift, DeepShap

__all__ = ["DeepLift", "DeepShap"]
