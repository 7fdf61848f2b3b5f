"""Patterns of the zoo's models, as their authors wrote them, and of a trained network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from published import Published
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore.graph import Kind

MODELS = ["squeezenet1_1", "resnet18", "googlenet", "convnext_tiny", "bert"]


def of_single_input(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else next(iter(value.values()))


@pytest.mark.parametrize("published", MODELS, indirect=True)
def test_every_linear_layer_of_a_zoo_model_learns_and_explains(published: Published) -> None:
    entry, model, inputs = published.entry, published.model, published.inputs
    analyzer = xaicore.create_analyzer("patternnet.attribution", model).fit(inputs)
    matching = analyzer.match(inputs)
    weighted = [layer.name for layer in matching.matches if layer.kind in (Kind.CONVOLUTION, Kind.LINEAR)]
    assert set(weighted) <= set(analyzer.patterns_.layers)
    for layer in matching.matches:
        if layer.name in weighted:
            learnt, weight = analyzer.patterns_.of(layer, "linear"), layer.parameters["weight"]
            assert learnt.shape == tuple(weight.info.shape)
            assert bool(torch.isfinite(learnt).all())
    signal = xaicore.create_analyzer("patternnet.signal", model, patterns=analyzer.patterns_)
    for each in (analyzer, signal):
        explanation = each.analyze(inputs, entry.target)
        assert explanation.diagnostics.non_finite == 0
        assert float(of_single_input(explanation.relevance).abs().max()) > 0


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_patterns_of_a_zoo_model_do_not_depend_on_the_batches(name: str) -> None:
    entry = zoo.BY_NAME[name]
    model, x = entry.build(torch.float64), entry.inputs(torch.float64)
    x = torch.cat([x, x.flip(-1)])
    whole = xaicore.create_analyzer("patternnet.signal", model).fit(x).patterns_
    parts = xaicore.create_analyzer("patternnet.signal", model).fit(iter(x.split(3))).patterns_
    for layer, learnt in whole.layers.items():
        for estimator, pattern in learnt.by_estimator.items():
            other = parts.layers[layer].by_estimator[estimator]
            error = torch.linalg.vector_norm(other - pattern) / torch.linalg.vector_norm(pattern)
            assert float(error) < 1e-6, (layer, estimator)


class Net(nn.Module):
    """A residual network with batch norm, small enough to be trained here."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inner, self.inner_norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        return self.head(F.max_pool2d(F.relu(x + self.inner_norm(self.inner(x))), 2).flatten(1))


def stripes(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Bars at two places (signal) on a random gradient of brightness with noise (distractors); classes; bars alone."""
    random = torch.Generator().manual_seed(seed)
    classes = torch.randint(2, (count,), generator=random)
    shape = torch.zeros(2, 8, 8)
    shape[0, 1:7, 1:3], shape[1, 1:7, 5:7] = 1, 1
    slope = torch.linspace(-1, 1, 8) * torch.randn(count, 1, 1, generator=random) * 2
    x = shape[classes] * (1 + 0.3 * torch.rand(count, 1, 1, generator=random)) + slope
    return (x + 0.1 * torch.randn(count, 8, 8, generator=random))[:, None], classes, shape[classes]


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    x, classes, _ = stripes(600, seed=0)
    for _ in range(12):
        for rows in torch.randperm(600).split(50):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), classes[rows]).backward()
            optimizer.step()
    return model.eval()


def test_the_signal_of_a_trained_network_has_less_of_the_distractor_than_its_gradient(trained: nn.Module) -> None:
    x, classes, shape = stripes(200, seed=1)
    assert (trained(x).argmax(1) == classes).float().mean() > 0.97
    data = stripes(1000, seed=2)[0]
    target = xaicore.Contrast(1, 0)
    difference = shape.new_zeros(8, 8)
    difference[1:7, 5:7], difference[1:7, 1:3] = 1, -1  # what tells class 1 from class 0

    def likeness(relevance: Tensor) -> float:
        """Of the direction in which the walk goes, to what the classes really differ by."""
        return float(F.cosine_similarity(relevance.flatten(1), difference.flatten()[None]).abs().mean())

    signal = xaicore.create_analyzer("patternnet.signal", trained).fit(data).analyze(x, target)
    gradient = xaicore.explain(trained, x, method="gradients.saliency", target=target)
    assert likeness(signal.relevance) > likeness(gradient.relevance) + 0.1


def test_attribution_of_a_trained_network_keeps_most_of_the_score(trained: nn.Module) -> None:
    x, classes, _ = stripes(100, seed=3)
    analyzer = xaicore.create_analyzer("patternnet.attribution", trained).fit(stripes(1000, seed=4)[0])
    explanation = analyzer.analyze(x, classes.tolist())
    shares = explanation.relevance.flatten(1).sum(1) / explanation.diagnostics.explained
    assert 0.2 < float(shares.median()) < 2


def test_compiled_walks_give_the_same_and_see_new_patterns() -> None:
    model, x, other = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), torch.rand(5, 4), torch.rand(50, 4)
    analyzer = xaicore.create_analyzer("patternnet.signal", model)
    for data in (x, other):
        expected = analyzer.fit(data).analyze(x, 0).relevance
        torch.testing.assert_close(analyzer.analyze(x, 0, compile=True).relevance, expected)
