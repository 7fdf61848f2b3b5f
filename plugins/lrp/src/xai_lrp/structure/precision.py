"""Half precision: what does not fit into it is worked out in float32."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """The same values, in float32 where they are in half precision: squares, powers and long sums leave its range."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
