"""Why all relevance of a gated product goes to its signal: the nearest root of ``sigmoid(z_g) g(z_s)``.

Deep Taylor decomposition expands relevance around the nearest point at which it is zero (Montavon et al. 2017). A
sigmoid has no root, so of a product with a gate that point lies where the signal is zero, and the gate's term of the
expansion is zero (Arras et al. 2019, the section on Taylor decomposition).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xaicore

Function = Callable[[Tensor], Tensor]
SIGNALS: dict[str, Function] = {"tanh": torch.tanh, "relu": torch.relu}
POINTS = [(0.3, 0.7), (-1.2, 0.4), (2.0, 2.5), (-4.0, 3.0), (0.0, 0.01)]
BELOW = [(0.3, -0.7), (-4.0, -3.0)]  # roots of ReLU already
CASES = [*((name, point) for name in SIGNALS for point in POINTS), *(("tanh", point) for point in BELOW)]


def nearest_root(product: Callable[[Tensor, Tensor], Tensor], gate: float, signal: float) -> tuple[Tensor, float]:
    """The displacement to the nearest root, found by walking in all directions; and how far the next best is off it.

    In each direction the first point is sought where the product is zero or has changed its sign, by bisection.
    """
    angles = torch.linspace(-np.pi, np.pi, 3601, dtype=torch.float64)  # the axes are among them
    away = torch.stack([angles.cos(), angles.sin()])
    sign = torch.sign(product(torch.tensor(gate).double(), torch.tensor(signal).double()))

    def rooted(radius: Tensor) -> Tensor:
        return product(gate + radius * away[0], signal + radius * away[1]) * sign <= 1e-15

    low, high = torch.zeros_like(angles), torch.full_like(angles, 8.0)
    without = ~rooted(high)
    for _ in range(60):
        middle = (low + high) / 2
        found = rooted(middle)
        low, high = torch.where(found, low, middle), torch.where(found, middle, high)
    high[without] = torch.inf
    best = high.argmin()
    others = high[(angles - angles[best]).abs() > 0.01]
    return high[best] * away[:, best], float(others.min() - high[best])


@pytest.mark.parametrize(("name", "point"), CASES)
def test_the_nearest_root_of_a_gated_product_moves_the_signal_alone(name: str, point: tuple[float, float]) -> None:
    moved, margin = nearest_root(lambda g, s: torch.sigmoid(g) * SIGNALS[name](s), *point)
    torch.testing.assert_close(moved, torch.tensor([0.0, -point[1]], dtype=torch.float64), rtol=1e-9, atol=1e-9)
    assert margin > 0


def test_a_gate_that_can_close_has_the_nearest_root_where_it_is_closer() -> None:
    def product(g: Tensor, s: Tensor) -> Tensor:
        return g.relu() * s.relu()

    for point, expected in (((0.3, 0.7), (-0.3, 0.0)), ((0.7, 0.3), (0.0, -0.3))):
        moved, _ = nearest_root(product, *point)
        torch.testing.assert_close(moved, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)


class GatedProduct(nn.Module):
    """The last step of a cell written by hand."""

    def __init__(self, signal: Function) -> None:
        super().__init__()
        self.signal = signal

    def forward(self, gate: Tensor, signal: Tensor) -> Tensor:
        return torch.sigmoid(gate) * self.signal(signal)


@pytest.mark.parametrize(("name", "point"), CASES)
def test_lrp_all_hands_on_the_taylor_terms_at_that_root(name: str, point: tuple[float, float]) -> None:
    gate, signal = (torch.tensor(each, dtype=torch.float64) for each in point)
    moved, _ = nearest_root(lambda g, s: torch.sigmoid(g) * SIGNALS[name](s), *point)
    # Just beside the root, on the side of the point: ReLU has its kink at the root itself.
    root = [(each + 0.999999 * step).requires_grad_() for each, step in zip((gate, signal), moved, strict=True)]
    slopes = torch.autograd.grad(torch.sigmoid(root[0]) * SIGNALS[name](root[1]), root)
    terms = [float(slope * -step) for slope, step in zip(slopes, moved, strict=True)]
    relevance = float(torch.sigmoid(gate) * SIGNALS[name](signal))

    model = GatedProduct(SIGNALS[name])
    rows = [each.expand(2, 1).clone() for each in (gate, signal)]
    seen = xaicore.explain(model, tuple(rows), method="lstm.lrp_all", target=0).relevance
    of_gate, of_signal = (float(seen[name][0]) for name in ("gate", "signal"))
    assert abs(terms[0]) < 1e-9 and of_gate == 0
    assert of_signal == pytest.approx(relevance, rel=1e-12)
    # Linear from the root on, the expansion of a ReLU is exact; that of tanh is so near its root, else it has a rest.
    assert terms[1] * relevance > 0
    rest = terms[1] - relevance
    if name == "relu":
        assert abs(rest) < 1e-9
    else:
        cubic = float(torch.sigmoid(gate) * signal.abs() ** 3) / 3
        assert -1e-9 <= rest * np.sign(relevance) <= cubic + 1e-9


@pytest.mark.parametrize("name", SIGNALS)
def test_a_product_written_in_the_other_order_has_the_same_signal(name: str) -> None:
    class Swapped(GatedProduct):
        def forward(self, gate: Tensor, signal: Tensor) -> Tensor:
            return self.signal(signal) * torch.sigmoid(gate)

    numbers = torch.Generator().manual_seed(0)
    gate, signal = (torch.randn(4, 1, dtype=torch.float64, generator=numbers) for _ in range(2))
    model = Swapped(SIGNALS[name])
    seen = xaicore.explain(model, (gate, signal), method="lstm.lrp_all", target=0).relevance
    torch.testing.assert_close(seen["signal"], model(gate, signal), rtol=1e-12, atol=1e-12)
    assert seen["gate"].abs().max() == 0
