"""Autocast: which part of the work follows the caller's, and which part does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_DEVICES = ("cpu", "cuda", "mps", "xpu")


def autocast_state() -> tuple[tuple[str, torch.dtype], ...]:
    """On which devices autocast is on, and in which type."""
    return tuple((device, torch.get_autocast_dtype(device)) for device in _DEVICES if torch.is_autocast_enabled(device))


@contextlib.contextmanager
def without_autocast() -> Iterator[None]:
    """Operators in the types of their arguments, for this block.

    The forward that is explained follows the caller's autocast. Captures, derived weights and backward walks do not:
    they are remembered for other calls, or have the types that the forward chose.
    """
    with contextlib.ExitStack() as stack:
        for device, _ in autocast_state():
            stack.enter_context(torch.autocast(device, enabled=False))
        yield
