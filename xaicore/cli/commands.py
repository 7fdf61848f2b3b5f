"""What commands of plugins may use to read models, inputs and options as the core's own commands do."""

from __future__ import annotations

from xaicore.cli.engines import move
from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.inputs import INPUT_HELP, load_inputs
from xaicore.cli.models import MODEL_HELP, LoadedModel, load_model
from xaicore.cli.options import numbers, parameter, parameters_of, shape, size
from xaicore.cli.table import echo_json

__all__ = [
    "INPUT_HELP",
    "MODEL_HELP",
    "ImageOptions",
    "LoadedModel",
    "echo_json",
    "input_channels",
    "load_inputs",
    "load_model",
    "move",
    "numbers",
    "parameter",
    "parameters_of",
    "shape",
    "size",
]
