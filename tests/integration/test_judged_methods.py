"""Metrics that change the model or the inputs, with methods of other plugins."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import zoo
from torch import nn

import xaicore
from xai_evaluation import Completeness, Continuity, InputInvariance, ParameterRandomization, RandomLogit
from xai_evaluation.randomization.layers import layers_in_order
from xai_evaluation.randomization.similarity import similarities
from xaicore.engine import prepare
from xaicore.scoring import Case

METHODS: dict[str, dict[str, Any]] = {
    "lrp.epsilon_plus": {},
    "lrp.alpha_2_beta_1": {},
    "lrp.epsilon_gamma_box": {"low": 0.0, "high": 1.0},
    "gradients.integrated": {},
    "gradients.deeplift": {},
    "perturbation.occlusion": {"window": 2},
}


def network() -> nn.Module:
    """Convolutions with batch norm, which is folded into them, and max pooling."""
    with zoo.seeded():
        return nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(24, 4),
        ).eval()


def images() -> torch.Tensor:
    return torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_derived_from_parameters_is_made_anew_for_each_randomised_model(method: str) -> None:
    model, x = network(), images()
    case = Case(xaicore.create_analyzer(method, model, **METHODS[method]), x, 0)
    scores = ParameterRandomization(of="signed", how="permute").score(case)
    assert scores.curve is not None
    for column, randomised in enumerate([(3,), (3, 2), (3, 2, 1), (3, 2, 1, 0)]):
        fresh = copy.deepcopy(model)
        layers = layers_in_order(fresh, prepare(x, fresh))
        for number in randomised:
            layers[number].randomise("permute", 0)
        explanation = xaicore.create_analyzer(method, fresh, **METHODS[method]).analyze(x, case.target)
        expected = similarities(case.relevance, case.relevance_in(explanation), "spearman", "signed")
        torch.testing.assert_close(scores.curve.y[:, column], expected, atol=0.02, rtol=0, equal_nan=True)


def test_patterns_are_learnt_again_for_each_randomised_model() -> None:
    model, data = network(), torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    analyzer = xaicore.create_analyzer("patternnet.signal", model).fit(data)
    patterns = analyzer.patterns_
    case = Case(analyzer, images(), 0)
    assert ParameterRandomization(data=data).score(case).mean < 0.95
    assert torch.isfinite(InputInvariance(data=data, shift=0.5).score(case).values).all()
    assert analyzer.patterns_ is patterns


@pytest.mark.parametrize("name", ["resnet", "vit", "lstm"])
def test_layers_are_found_in_the_order_of_the_data(name: str) -> None:
    torchvision = zoo.import_torchvision()
    x: torch.Tensor = torch.rand(2, 3, 32, 32)
    with zoo.seeded():
        if name == "resnet":
            model: nn.Module = torchvision.models.resnet18(num_classes=4).eval()
            first, last = "conv1", "fc"
        elif name == "vit":
            model = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=4).eval()
            first, last = "conv_proj", "heads.head"
        else:
            model, first, last = Recurrent().eval(), "lstm", "head"
            x = torch.rand(2, 5, 3)
    paths = [layer.path for layer in layers_in_order(model, prepare(x, model))]
    own = {path or "model" for path, module in model.named_modules() if list(module.parameters(recurse=False))}
    assert (paths[0], paths[-1]) == (first, last)
    assert set(paths) == own


class Recurrent(nn.Module):
    """The head is registered first."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.lstm = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])


def test_methods_that_are_complete_have_no_gap_and_others_do() -> None:
    gaps = {
        method: Completeness().score(Case(xaicore.create_analyzer(method, network(), **parameters), images(), 0)).mean
        for method, parameters in {"gradients.deeplift": {}, "gradients.integrated": {"steps": 400}}.items()
    }
    assert gaps["gradients.deeplift"] < 1e-4
    assert gaps["gradients.integrated"] < 1e-2
    assert Completeness().score(Case(xaicore.create_analyzer("gradients.saliency", network()), images(), 0)).mean > 0.1


def test_deep_taylor_is_judged_where_it_is_defined() -> None:
    model, x = network(), images()
    with torch.no_grad():
        classes = model(x).argmax(1).tolist()
        model[-1].bias += 1  # all scores that are explained are positive
    analyzer = xaicore.create_analyzer("deeptaylor.bounded", model, low=0.0, high=1.0)
    for metric in (Continuity(), RandomLogit(), ParameterRandomization()):
        scores = metric.score(Case(analyzer, x, classes))
        assert len(scores) == 3
        assert not scores.undefined or scores.notes
