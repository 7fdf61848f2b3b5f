"""Metrics of robustness, axioms and randomisation agree with Quantus 0.6.0 where its value is right.

Not compared:

* its continuity compares every position with the first one, and moves the image out of itself and back; here each is
  compared with the position before, as in Montavon et al. 2018;
* its completeness and input invariance say only whether numbers are equal (the former without tolerance), and shift the
  bias of the first module by registration order, which its zero padding makes inexact;
* its parameter randomisation gives every layer the same seed, and counts the unchanged model into the mean; layers are
  compared here one by one, with layers whose new parameters are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from numpy.typing import NDArray
from torch import Tensor, nn

import xaicore
from xai_evaluation import (
    AverageSensitivity,
    LocalLipschitz,
    MaxSensitivity,
    NonSensitivity,
    ParameterRandomization,
    RandomLogit,
)
from xaicore.analyzers import Analyzer
from xaicore.scoring import Case, Metric

zoo.import_torchvision()  # Quantus imports it
quantus = pytest.importorskip("quantus")
pytestmark = pytest.mark.filterwarnings("ignore")

RADIUS, SAMPLES = 0.2, 5


class Watched(Case):
    """A case that keeps the inputs it has explained."""

    seen: list[Tensor]

    def relevance_of(self, varied: Any, block: Any, *, predicted: bool = False) -> dict[str, Tensor]:
        self.seen = [*getattr(self, "seen", []), next(iter(varied.values()))]
        return super().relevance_of(varied, block, predicted=predicted)


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(3))


def network(classes: int = 3) -> nn.Module:
    with zoo.seeded():
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, classes)
        ).eval()


def explaining(method: str) -> Callable[..., NDArray[np.float32]]:
    """An explanation function as Quantus calls it."""

    def explain(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> NDArray[np.float32]:
        analyzer = xaicore.create_analyzer(method, model)
        given = torch.as_tensor(np.asarray(inputs), dtype=torch.float32)
        relevance = analyzer.analyze(given, np.asarray(targets).astype(int).tolist()).relevance
        assert isinstance(relevance, Tensor)
        return relevance.detach().numpy()

    return explain


def theirs(metric: Any, analyzer: Analyzer, x: Tensor, classes: list[int], **options: Any) -> Any:
    relevance = analyzer.analyze(x, classes).relevance
    assert isinstance(relevance, Tensor)
    return metric(
        model=analyzer.model,
        x_batch=x.numpy(),
        y_batch=np.array(classes),
        a_batch=relevance.detach().numpy(),
        explain_func=explaining(analyzer.method),
        device="cpu",
        **options,
    )


@pytest.mark.parametrize("method", ["gradients.saliency", "gradients.input_x_gradient"])
@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (MaxSensitivity(radius=RADIUS, samples=SAMPLES), "MaxSensitivity"),
        (AverageSensitivity(radius=RADIUS, samples=SAMPLES), "AvgSensitivity"),
        (LocalLipschitz(radius=RADIUS, samples=SAMPLES), "LocalLipschitzEstimate"),
    ],
)
def test_robustness_over_the_same_points(metric: Metric, name: str, method: str) -> None:
    analyzer, x = xaicore.create_analyzer(method, network()), images()
    case = Watched(analyzer, x)
    ours = metric.score(case).values.numpy()
    points = iter([each.flatten(1).numpy() for each in case.seen])
    options: dict[str, Any] = {}
    if name == "LocalLipschitzEstimate":  # its own default is the Manhattan distance of relevance
        options["norm_numerator"] = options["norm_denominator"] = quantus.similarity_func.distance_euclidean
    judge = getattr(quantus, name)(
        nr_samples=SAMPLES,
        perturb_func=lambda arr, indices, **_: next(points),
        abs=False,
        normalise=False,
        disable_warnings=True,
        **options,
    )
    classes = [int(each) for each in case.explanation.target["index"]]
    np.testing.assert_allclose(ours, theirs(judge, analyzer, x, classes), rtol=1e-4)


def test_non_sensitivity_with_one_fill() -> None:
    with zoo.seeded():
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False)).eval()
    with torch.no_grad():
        model[1].weight[:, :10] = 0
        model[1].weight.mul_(10)  # its threshold is absolute
    x = images().abs()
    x[:, :, 5] = 0
    analyzer = xaicore.create_analyzer("gradients.saliency", model, postprocess="square")
    judge = quantus.NonSensitivity(
        eps=1e-5,
        features_in_step=1,
        perturb_baseline="black",
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    classes = [0, 1, 2, 0]
    # Its perturb_baseline "black" is the smallest value of the sample, which is 0 here.
    ours = NonSensitivity(patch=1, fill=0.0).score(Case(analyzer, x, classes)).values
    np.testing.assert_allclose(64 * ours.numpy(), theirs(judge, analyzer, x, classes, softmax=False))


def test_random_logit_where_there_is_one_other_class() -> None:
    analyzer, x, classes = xaicore.create_analyzer("gradients.saliency", network(2)), images(), [0, 1, 1, 0]
    judge = quantus.RandomLogit(
        similarity_func=quantus.similarity_func.correlation_spearman,
        num_classes=2,
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    ours = RandomLogit().score(Case(analyzer, x, classes)).values
    np.testing.assert_allclose(ours.numpy(), theirs(judge, analyzer, x, classes), rtol=1e-4, atol=1e-6)


class Turned(nn.Linear):
    """A layer whose reset is known: its weight backwards, with the other sign."""

    made = False

    def reset_parameters(self) -> None:
        if self.made:
            with torch.no_grad():
                self.weight.copy_(-self.weight.flip(1))
                self.bias.neg_()  # what a layer leaves as it was learnt, we replace
        else:
            super().reset_parameters()
            self.made = True


@pytest.mark.parametrize("order", ["top_down", "bottom_up", "independent"])
def test_each_step_of_parameter_randomisation(order: str) -> None:
    with zoo.seeded():
        model = nn.Sequential(nn.Flatten(), Turned(64, 12), nn.Tanh(), Turned(12, 8), nn.Tanh(), Turned(8, 3)).eval()
    analyzer, x, classes = xaicore.create_analyzer("gradients.saliency", model), images(), [0, 1, 2, 0]
    judge = quantus.MPRT(
        similarity_func=quantus.similarity_func.correlation_spearman,
        layer_order=order,
        abs=False,
        normalise=False,
        disable_warnings=True,
    )
    found = theirs(judge, analyzer, x, classes)
    scores = ParameterRandomization(order=order, of="signed").score(Case(analyzer, x, classes))
    assert scores.curve is not None
    names = scores.notes[0].removeprefix("layers in this order: ").split(", ")
    for column, name in enumerate(names):
        np.testing.assert_allclose(scores.curve.y[:, column].numpy(), found[name], rtol=1e-4, atol=1e-6, err_msg=name)
