"""Runs explanations: puts inputs where the model is, splits the work into batches that fit, shows progress."""

from __future__ import annotations

from xaicore.engine.blocks import Block
from xaicore.engine.engine import Engine
from xaicore.engine.inputs import Inputs, batch_of, has_shared, samples_of, taken
from xaicore.engine.memory import Footprint
from xaicore.engine.placement import device_and_dtype
from xaicore.engine.preparation import prepare, prepare_arrays
from xaicore.engine.progress import progress_bar
from xaicore.engine.report import Report
from xaicore.engine.seeds import generator
from xaicore.engine.streams import Batch, batches, batches_of, is_stream
from xaicore.engine.sweep import Sweep

__all__ = [
    "Batch",
    "Block",
    "Engine",
    "Footprint",
    "Inputs",
    "Report",
    "Sweep",
    "batch_of",
    "batches",
    "batches_of",
    "device_and_dtype",
    "generator",
    "has_shared",
    "is_stream",
    "prepare",
    "prepare_arrays",
    "progress_bar",
    "samples_of",
    "taken",
]
