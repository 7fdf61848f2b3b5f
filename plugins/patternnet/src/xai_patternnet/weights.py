"""A checksum of a model's weights: patterns belong to the weights that they were learnt with."""

from __future__ import annotations

import hashlib
from itertools import chain

import torch
from torch import Tensor, nn

_ROW = 1024


def checksum_of(model: nn.Module) -> str:
    """Changes when any floating-point parameter or buffer does; the same on every device and in every process.

    It is computed where the weights are, from sums of their bits along rows and columns.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(chain(model.named_parameters(), model.named_buffers())):
        if tensor.is_floating_point():
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(_sums(tensor.detach()))
    return digest.hexdigest()


def _sums(tensor: Tensor) -> bytes:
    bits = tensor.contiguous().flatten().view(torch.uint8)
    words, rest = bits[: bits.numel() // 8 * 8], bits[bits.numel() // 8 * 8 :]
    if words.data_ptr() % 8:
        words = words.clone()
    numbers = words.view(torch.int64)
    whole, tail = numbers[: numbers.numel() // _ROW * _ROW], numbers[numbers.numel() // _ROW * _ROW :]
    rows = whole.view(-1, _ROW)
    parts = [rows.sum(0), rows.sum(1), tail]
    return b"".join(part.cpu().numpy().tobytes() for part in [*parts, rest])
