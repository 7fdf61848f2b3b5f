"""A network of four ReLUs that computes max(x1, x2), explained at every point of the plane by three methods.

    python examples/max_network.py --out max_network.png

Needs xaicore, xai-deeptaylor (with xai-lrp) and xai-gradients. Takes a few seconds on a CPU. The picture in
docs/deep_taylor.md is made by this script.

Everyone can see what the explanation of a maximum should be: all to the larger input where the other is far smaller,
half to each where both are equal, and no jump in between. The network and the idea to draw explanations as a vector
field are those of Montavon, Samek, Mueller 2018, "Methods for interpreting and understanding deep neural networks".
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import xaicore

METHODS = {
    "gradients.sensitivity": "Sensitivity analysis\nsquared gradient",
    "gradients.input_x_gradient": "Simple Taylor decomposition\none expansion, around the root point 0",
    "deeptaylor.nonnegative": "Deep Taylor decomposition\none expansion a neuron",
}


def max_network() -> nn.Module:
    """Return a network for inputs (B, 2) that are not negative; its output (B, 1) is the larger of the two."""
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
        second.weight.fill_(0.5)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU()).eval()


def grid_of_points(steps: int, shift: float) -> Tensor:
    """Return points (steps^2, 2) of the unit square; a shift keeps them off the diagonal, where gradients jump."""
    first = (torch.arange(steps) + 0.5 - shift) / steps
    second = (torch.arange(steps) + 0.5 + shift) / steps
    return torch.cartesian_prod(first, second)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("max_network.png"), help="the picture to write")
    out = parser.parse_args().out

    model = max_network()
    points = grid_of_points(10, shift=0.25)
    explanations = xaicore.compare(model, points, methods=list(METHODS), target=0)

    ticks = torch.linspace(0, 1.06, 107)
    with torch.no_grad():
        heights = model(torch.cartesian_prod(ticks, ticks)).reshape(len(ticks), -1).T

    figure = Figure(figsize=(12, 5), layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    for panel, (method, title) in zip(panels, METHODS.items(), strict=True):
        panel.contourf(ticks, ticks, heights, levels=12, cmap="Blues", vmin=0, vmax=2)
        panel.contour(ticks, ticks, heights, levels=12, colors="white", linewidths=0.8)
        arrows = explanations[method].relevance.T * 0.085  # so that arrows of length one do not touch
        panel.quiver(*points.T, *arrows, angles="xy", scale_units="xy", scale=1, width=0.006, color="#b40426", zorder=3)
        panel.set(title=title, xlabel="$x_1$", aspect="equal", xlim=(0, 1.06), ylim=(0, 1.06))
        panel.title.set_fontsize(11)
    panels[0].set_ylabel("$x_2$")
    figure.suptitle("What made max($x_1$, $x_2$)? Arrows: relevance of $x_1$ (to the right) and of $x_2$ (upwards)")
    figure.savefig(out, dpi=110)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
