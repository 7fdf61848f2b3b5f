"""How relevance is shared where a gate multiplies a signal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from xaicore.errors import ParameterError, nearest

PRODUCTS = ("signal", "proportional", "half")


def check_product(product: str) -> None:
    """Refuse a treatment of products that does not exist."""
    if product not in PRODUCTS:
        raise ParameterError(
            f"product={product!r} is not known: choose 'signal' (all relevance to the signal), 'proportional' (by the "
            f"size of gate and signal) or 'half'.{nearest(str(product), PRODUCTS)}"
        )


class GatedProduct:
    """``gate * signal`` at every step.

    Parameters
    ----------
    product : {'signal', 'proportional', 'half'}
        LRP-all of Arras et al. 2017: all to the signal; LRP-prop of Arras et al. 2019: ``|gate| / (|gate| + |signal|)``
        to the gate (there without the absolute values, which keep shares between 0 and 1), half where both are zero;
        LRP-half: equal parts.
    gate, signal : callable
        Give (time, batch, hidden); called only where sizes count.
    """

    def __init__(self, product: str, gate: Callable[[], Tensor], signal: Callable[[], Tensor]) -> None:
        self.product = product
        if product == "proportional":
            size = gate().abs()
            below = size + signal().abs()
            nothing = below == 0
            to_gate = torch.where(nothing, 0.5, size / below.masked_fill(nothing, 1))
            self._to_gate = to_gate.unbind(0)

    def share(self, step: int, r: Tensor) -> tuple[Tensor | None, Tensor]:
        """Relevance of gate (None: nothing) and signal."""
        match self.product:
            case "signal":
                return None, r
            case "half":
                return r / 2, r / 2
        of_gate = r * self._to_gate[step]
        return of_gate, r - of_gate
