"""Where a model lives: its device and the floating-point type it computes in."""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn

from xaicore.errors import InputError


def device_and_dtype(model: nn.Module) -> tuple[torch.device, torch.dtype | None]:
    """Return the device of the model and its floating-point type.

    Both follow the parameters, then the buffers. The type is that of the first floating-point tensor among them and
    None where there is none; a model without parameters and buffers is taken to be on the CPU.

    Raises
    ------
    InputError
        Where the tensors are on several devices, or on none ("meta": shapes without values).
    """
    first: dict[torch.device, str] = {}
    dtype: torch.dtype | None = None
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        first.setdefault(tensor.device, name)
        if dtype is None and tensor.is_floating_point():
            dtype = tensor.dtype
    if len(first) > 1:
        places = ", ".join(f"{name!r} on {device}" for device, name in first.items())
        raise InputError(f"The model is spread over several devices: {places}. Move it to one with model.to(device).")
    device = next(iter(first), torch.device("cpu"))
    if device.type == "meta":
        raise InputError("The model is on the device 'meta': it has shapes but no values. Load its weights first.")
    return device, dtype
