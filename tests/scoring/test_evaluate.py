"""`evaluate`: metrics by name, with parameters and as objects, of inputs and of streams."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from judging import InputTimesGradient, Largest, Scaling, images, small_model
from sklearn.base import clone

import xaicore
from xaicore import Batch, Engine
from xaicore.errors import InputError, ParameterError, TargetError, UnknownMetricError
from xaicore.plugins import plugin_registry
from xaicore.plugins.lookup import METRIC, look_up
from xaicore.scoring import Scores, create_metric, evaluate

PLUGIN = """
from xaicore.plugins import MetricSpec

def xaicore_metrics():
    return [
        MetricSpec(name="ruler.largest", target="ruler_metrics:Largest", summary="The largest.",
                   higher_is_better=True, bounds=(0.0, None), aliases=("Biggest",)),
        MetricSpec(name="ruler.inside", target="ruler_metrics:Inside", summary="Needs masks.",
                   higher_is_better=True, needs=("masks",)),
        MetricSpec(name="ruler.power", target="ruler_metrics:Power", summary="Has no default.",
                   higher_is_better=True),
    ]
"""

METRICS = '''
import torch
from judging import Largest as _Largest
from xaicore.scoring import Metric

class Largest(_Largest):
    """The largest relevance."""

class Inside(Metric):
    higher_is_better = True
    needs = ("masks",)

    def score(self, case):
        (relevance,) = case.relevance.values()
        return self.scores((relevance * case.masks).flatten(1).sum(1))

class Power(Metric):
    higher_is_better = True

    def __init__(self, *, exponent):
        self.exponent = exponent

    def score(self, case):
        return self.scores(case.values() ** self.exponent)
'''


@pytest.fixture
def ruler(site: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A plugin with three metrics, and no other."""
    site.install("xai-ruler", "ruler", PLUGIN)
    (site.folder / "ruler_metrics.py").write_text(METRICS)
    monkeypatch.setenv("XAICORE_PLUGINS", "ruler")
    return site


def analyzer() -> InputTimesGradient:
    return InputTimesGradient(small_model())


def largest() -> torch.Tensor:
    relevance = analyzer().analyze(images()).relevance
    assert isinstance(relevance, torch.Tensor)
    return relevance.flatten(1).amax(1)


@pytest.mark.parametrize("name", ["ruler.largest", "largest", "Biggest", "RULER.LARGEST"])
def test_a_metric_by_any_of_its_names_goes_under_the_canonical_one(ruler: Any, name: str) -> None:
    found = evaluate(analyzer(), images(), name)
    assert list(found) == ["ruler.largest"]
    assert found["ruler.largest"].metric == "ruler.largest"
    torch.testing.assert_close(found["ruler.largest"].values, largest())


def test_parameters_are_given_by_name_of_the_metric(ruler: Any) -> None:
    found = evaluate(analyzer(), images(), {"largest": {"factor": 3.0}, "power": {"exponent": 2}})
    assert list(found) == ["ruler.largest", "ruler.power"]
    torch.testing.assert_close(found["ruler.largest"].values, 3 * largest())
    assert found["ruler.largest"].parameters == {"factor": 3.0, "higher": True}
    assert evaluate(analyzer(), images(), {"largest": None})["ruler.largest"].parameters["factor"] == 1.0


def test_metrics_are_given_as_objects_and_a_taken_name_gets_a_number(ruler: Any) -> None:
    metrics = ["ruler.largest", create_metric("ruler.largest", factor=2.0), Largest(), Largest(factor=0.5)]
    found = evaluate(analyzer(), images(), metrics)
    assert list(found) == ["ruler.largest", "ruler.largest (2)", "Largest", "Largest (2)"]
    torch.testing.assert_close(found["Largest (2)"].values * 4, found["ruler.largest (2)"].values)


def test_a_metric_that_is_not_registered_needs_no_plugin() -> None:
    assert list(evaluate(analyzer(), images(), Largest())) == ["Largest"]


def test_metrics_follow_the_conventions_of_scikit_learn(ruler: Any) -> None:
    metric = create_metric("ruler.largest", factor=2.0)
    assert metric.get_params() == {"factor": 2.0, "higher": True}
    assert repr(metric) == "Largest(factor=2.0, higher=True)"
    assert metric.name == "ruler.largest"
    copied = clone(metric).set_params(higher=False)
    assert metric.higher_is_better
    assert not copied.higher_is_better
    with pytest.raises(ParameterError, match="Largest has no parameter 'factr'.*Did you mean 'factor'"):
        metric.set_params(factr=1)


def test_the_direction_of_scores_is_that_of_the_parameters() -> None:
    assert evaluate(analyzer(), images(), Largest(higher=False))["Largest"].higher_is_better is False


def test_unknown_metrics_are_answered_with_the_nearest(ruler: Any) -> None:
    with pytest.raises(UnknownMetricError, match=r"no metric 'ruler.largst'.*Did you mean 'ruler.largest'.*--metrics"):
        evaluate(analyzer(), images(), "ruler.largst")


def test_a_metric_of_a_plugin_that_is_not_in_use_says_why(ruler: Any) -> None:
    with pytest.raises(UnknownMetricError, match="plugin 'evaluation' .* is disabled"):
        create_metric("evaluation.pixel_flipping")


def test_a_metric_of_a_package_that_is_missing_says_what_to_install() -> None:
    with pytest.raises(UnknownMetricError, match="Metrics of 'evaluation' .* pip install xai-evaluation"):
        look_up("evaluation.pixel_flipping", [], [], METRIC)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"power": {}}, "Power needs exponent, which has no default"),
        ({"largest": {"factr": 1}}, "Largest has no parameter 'factr'"),
        ({"largest": 3}, "the parameters of 'largest' are 3: give a dict, or None"),
        ([3], "3 is no metric"),
        (3, "metrics=3: give a name"),
        ([], "metrics: there is none"),
    ],
)
def test_what_is_no_metric_is_refused_before_anything_runs(ruler: Any, metrics: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        evaluate(None, None, metrics)  # type: ignore[arg-type]


def test_masks_that_are_missing_are_asked_for_before_anything_runs(ruler: Any) -> None:
    with pytest.raises(InputError, match="ruler.inside: needs to know where the object is: give masks=, or boxes="):
        evaluate(None, None, ["largest", "inside"])  # type: ignore[arg-type]


def test_masks_and_boxes_reach_the_metric(ruler: Any) -> None:
    masks = torch.zeros(6, 6, 6)
    masks[:, :3] = 1
    relevance = analyzer().analyze(images()).relevance
    assert isinstance(relevance, torch.Tensor)
    for given in ({"masks": masks}, {"boxes": [(0, 0, 6, 3)] * 6}):
        found = evaluate(analyzer(), images(), "inside", **given)
        torch.testing.assert_close(found["ruler.inside"].values, relevance[:, :, :3].sum((1, 2, 3)))


def test_several_metrics_share_one_explanation() -> None:
    engine = Engine()
    evaluate(analyzer(), images(), [Largest(), Largest(factor=2)], engine=engine)
    assert engine.report.rows == 6
    evaluate(analyzer(), images(), [Largest(), Scaling(steps=3)], engine=engine)
    assert engine.report.rows == 6 + (6 + 6 * 3)  # for the sweep the explanation is made anew, and once


def test_what_a_metric_refuses_names_the_metric_and_what_the_method_refuses_does_not() -> None:
    class Picky(Largest):
        """Refuses everything."""

        def score(self, case: Any) -> Scores:
            raise InputError("give something else")

    analyzer = InputTimesGradient(small_model())
    with pytest.raises(InputError, match=r"Picky: give something else$"):
        evaluate(analyzer, images(2), [Largest(), Picky()])
    with pytest.raises(InputError, match=r"^Input 'input' has"):
        evaluate(analyzer, images(2) * math.nan, Largest())


def test_engine_settings_are_options() -> None:
    expected = evaluate(analyzer(), images(), Scaling())["Scaling"]
    for options in ({"batch_size": 2}, {"progress": False}, {"engine": Engine(batch_size=5)}):
        found = evaluate(analyzer(), images(), Scaling(), **options)["Scaling"]
        torch.testing.assert_close(found.values, expected.values, rtol=1e-12, atol=1e-12)
    with pytest.raises(ParameterError, match="not both"):
        evaluate(analyzer(), images(), Scaling(), engine=Engine(), batch_size=2)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ParameterError, match="analyze has no option 'mask'"):
        evaluate(analyzer(), images(), Largest(), mask=3)


def test_a_stream_is_judged_batch_by_batch() -> None:
    whole = evaluate(analyzer(), images(), [Largest(), Scaling()])
    stream = evaluate(analyzer(), (images()[start : start + 4] for start in (0, 4)), [Largest(), Scaling()])
    for name, scores in whole.items():
        torch.testing.assert_close(stream[name].values, scores.values)
    assert stream["Scaling"].curve is not None
    assert stream["Scaling"].curve.y.shape == (6, 4)


def test_batches_bring_targets_of_their_own() -> None:
    classes = [0, 3, 1, 1, 2, 0]
    whole = evaluate(analyzer(), images(), Scaling(), target=classes)["Scaling"]
    batches = [Batch(images()[:2], classes[:2]), Batch(images()[2:], classes[2:])]
    torch.testing.assert_close(evaluate(analyzer(), iter(batches), Scaling())["Scaling"].values, whole.values)
    with pytest.raises((InputError, TargetError), match="targets of their own"):
        evaluate(analyzer(), iter(batches), Scaling(), target=1)


def test_a_stream_must_hold_something_and_takes_no_masks(ruler: Any) -> None:
    with pytest.raises(InputError, match="the stream of inputs holds no batch"):
        evaluate(analyzer(), iter(()), Largest())
    with pytest.raises(InputError, match="masks and boxes of a stream"):
        evaluate(analyzer(), iter([images()]), "inside", masks=torch.ones(6, 6, 6))


def test_nan_is_reported_and_never_averaged_away() -> None:
    x = images().clone()
    x[2] = 0  # no relevance anywhere: the largest is 0, not below
    metric = Largest()
    negative = small_model()
    with torch.no_grad():
        negative[5].weight.zero_()
        negative[5].weight[0] = -negative[5].weight[0].abs() - 1
    scores = evaluate(InputTimesGradient(negative), x, metric, target=0)["Largest"]
    assert not math.isnan(scores.values[2])
    broken = Scores("m", torch.tensor([1.0, math.nan]), True)
    assert math.isnan(Scores.concat([broken, broken]).mean)
    assert Scores.concat([broken, broken]).undefined == 2


def test_the_public_names_are_there() -> None:
    assert xaicore.evaluate is evaluate
    assert xaicore.create_metric is create_metric
    assert "ruler.largest" not in [spec.name for spec in plugin_registry().metrics()]
