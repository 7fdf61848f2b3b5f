"""Runs explanations: puts inputs where the model is, splits batches, shows progress."""

from __future__ import annotations

from xaicore.engine.engine import Engine
from xaicore.engine.inputs import Inputs
from xaicore.engine.placement import device_and_dtype
from xaicore.engine.preparation import prepare
from xaicore.engine.progress import progress_bar

__all__ = ["Engine", "Inputs", "device_and_dtype", "prepare", "progress_bar"]
