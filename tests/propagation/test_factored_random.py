"""Random small networks with a random rule at each layer: relevance in two factors is that of a walk with books."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xai_lrp import AlphaBeta, Epsilon, Flat, Gamma, Norm, Pass, WSquare, Zero, ZPlus
from xaicore.graph import Kind, kind, named, op
from xaicore.propagation import Composite

CHANNELS, SIZE = 4, 6
Operation = Callable[[list[Tensor]], Tensor]


class RandomNet(nn.Module):
    """Reads one or two of the tensors that there are and adds another, a number of times; all have the same shape."""

    def __init__(self, choose: random.Random, depth: int = 9) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, CHANNELS, 3, padding=1)
        self.layers = nn.ModuleList()
        self.steps: list[tuple[Operation, int, int]] = []
        for number in range(1, depth + 1):
            # The last tensor more often than the others, so that the network is deep as well as wide.
            first, second = (choose.choice([number - 1, choose.randrange(number)]) for _ in range(2))
            self.steps.append((self._operation(choose), first, second))
        self.head = nn.Linear(CHANNELS * SIZE * SIZE, 3)
        self.ends_in_relu = choose.random() < 0.2

    def _operation(self, choose: random.Random) -> Operation:
        layer = choose.choice(
            [
                lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=choose.choice([1, 2])),
                lambda: nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
                lambda: nn.ConvTranspose2d(CHANNELS, CHANNELS, 3, padding=1),
                lambda: nn.BatchNorm2d(CHANNELS),
                lambda: nn.Dropout(0.5),
            ]
        )()
        with torch.no_grad():
            for tensor in layer.state_dict().values():
                if tensor.is_floating_point() and tensor.ndim < 2:
                    tensor.uniform_(0.2, 1.5)
        operations: list[Operation] = [
            lambda h: F.relu(h[0]),
            lambda h: h[0].clone().relu_() + h[1],
            lambda h: F.relu(h[0] - h[1].mean((2, 3), keepdim=True)),
            lambda h: torch.add(h[0], h[1], alpha=-0.5),
            lambda h: torch.cat([F.relu(h[0][:, :2]), h[1][:, 2:]], 1),
            lambda h: torch.cat([part.relu() for part in h[0].chunk(2, 1)], 1).flip(2),
            lambda h: F.max_pool2d(h[0], 3, 1, 1),
            lambda h: F.avg_pool2d(h[0], 3, 1, 1) + 0.5,
            lambda h: h[0] * torch.sigmoid(h[1]),
            lambda h: F.silu(h[0]),
        ]
        if choose.random() < 0.4:
            return choose.choice(operations)
        self.layers.append(layer)
        rectified = choose.random() < 0.7
        return lambda h: F.relu(layer(h[0])) if rectified else layer(h[0])

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for operation, first, second in self.steps:
            found.append(operation([found[first], found[second]]))
        scores = self.head((found[-1] + found[-2]).flatten(1))
        return F.relu(scores) if self.ends_in_relu else scores


def random_composite(model: nn.Module, x: Tensor, choose: random.Random) -> Composite:
    rules = [Zero(), Epsilon(0.1), Epsilon(0.1, epsilon_relative=0.2), Gamma(0.5), ZPlus(), AlphaBeta(2.0, 1.0)]
    rules += [Flat(), WSquare(), Epsilon(bias="ignore"), ZPlus("ignore"), Gamma(bias="distribute")]
    form = choose.choice(["folded", "one", "two"])
    weighted = (Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM)
    layers = [layer for layer in xaicore.trace(model, x).form(form).layers if layer.kind in weighted]
    entries = [(named(layer.name), choose.choice(rules)) for layer in layers]
    others = [(kind(Kind.ADD) & ~op("shift"), Norm(0.01)), (op("relu"), Pass())]
    return Composite([*entries, *choose.sample(others, choose.randrange(3))], batch_norm=form)


@pytest.mark.parametrize("seed", range(24))
def test_factored_relevance_of_a_random_network_is_that_of_a_walk_with_books(seed: int) -> None:
    torch.manual_seed(seed)
    choose = random.Random(seed)
    model = RandomNet(choose).double().eval()
    x = torch.randn(choose.choice([1, 3]), 2, SIZE, SIZE, dtype=torch.float64)
    x = x.to(memory_format=choose.choice([torch.contiguous_format, torch.channels_last]))
    before = [tensor.clone() for tensor in (x, *model.state_dict().values())]
    analyzer = xaicore.create_analyzer("lrp.composite", model, composite=random_composite(model, x, choose))
    matched = list(analyzer.match(x).matches)
    inner = [layer.name for layer in choose.sample(matched, 3) if len(layer.outputs) == 1]

    plain = analyzer.analyze(x)
    recording = analyzer.analyze(x, record=inner)
    with_books = analyzer.analyze(x, record=inner, ledger=True)

    for found, expected in [
        (plain.relevance, with_books.relevance),
        (recording.relevance, with_books.relevance),
        *((recording.recorded[name], with_books.recorded[name]) for name in inner),
    ]:
        scale = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9 * max(scale, 1.0))
    torch.testing.assert_close(plain.prediction, model(x).detach())
    assert all(torch.equal(*pair) for pair in zip(before, (x, *model.state_dict().values()), strict=True))
