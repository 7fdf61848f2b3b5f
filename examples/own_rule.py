"""A rule of your own, ten lines long, in a composite beside rules that xai-lrp brings.

    python examples/own_rule.py --out own_rule.png

Needs xaicore and xai-lrp. Takes about ten seconds on a CPU.

The rule shares the relevance of a neuron in proportion to the size of the contributions, whatever their sign:
R_i = sum_j |x_i w_ij| / sum_i' |x_i' w_i'j| R_j. Nothing is subtracted, so no share is larger than the whole.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore
from xai_lrp.rules import Epsilon, LinearRule
from xaicore import Composite, Kind, kind
from xaicore.propagation import State
from xaicore.visualization import grid


@dataclass(frozen=True)
class AbsoluteShares(LinearRule):
    """Share in proportion to |x_i w_ij|; a neuron without contributions passes nothing."""

    epsilon: float = 1e-9

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """Relevance of the input `x` of a linear layer, from the relevance `r` of its output `y`."""
        weight = state.cached("absolute weight", lambda: state.linear.weight.abs())  # until the weights change
        total = state.linear.apply(x.abs(), weight)
        return x.abs() * state.linear.pull(r / (total + self.epsilon), weight)


def train(images: Tensor, classes: Tensor) -> nn.Module:
    """Return a network for images (B, 1, 8, 8), in evaluation mode."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(4):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), classes[batch]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("own_rule.png"), help="the picture to write")
    out = parser.parse_args().out

    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target)
    model = train(images[:1400], classes[:1400])

    composite = Composite([(kind(Kind.CONVOLUTION), AbsoluteShares()), (kind(Kind.LINEAR), Epsilon(0.25))])
    analyzer = xaicore.create_analyzer("lrp.composite", model, composite=composite)
    chosen = [int((classes[1400:] == digit).nonzero()[0]) + 1400 for digit in (3, 5, 9)]
    shown, truth = images[chosen], classes[chosen]
    print(analyzer.match(shown))  # who handles which layer

    columns = {
        "epsilon": xaicore.explain(model, shown, method="lrp.epsilon", epsilon=0.25),
        "epsilon_plus": xaicore.explain(model, shown, method="lrp.epsilon_plus", epsilon=0.25),
        "own rule": analyzer.analyze(shown),
    }
    figure = grid(shown, columns, true=truth, title="A rule of one's own beside two known ones")
    figure.savefig(out, dpi=150)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
