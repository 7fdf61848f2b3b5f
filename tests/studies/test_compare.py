"""Several methods, or several targets, from one forward."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import OperatorCounter, assert_same, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import Analyzer, GivenRelevance
from xaicore.errors import InputError, ParameterError, TargetError
from xaicore.explanation import Diagnostics, Explanation


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.two, self.head = nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.two(self.norm(self.one(x)).relu()).relu().mean((2, 3)))


@pytest.fixture
def model() -> nn.Module:
    return shaken(Net())


X = noise(4, 2, 5, 5)
METHODS = ["gradients.saliency", "lrp.epsilon", "gradients.input_x_gradient", "lrp.zero"]


def same(one: Explanation, other: Explanation) -> None:
    assert_same(one.relevance, other.relevance)  # type: ignore[arg-type]
    assert_same(one.diagnostics.explained, other.diagnostics.explained)
    assert one.target["labels"] == other.target["labels"]
    assert one.method == other.method and one.parameters == other.parameters


def test_methods_of_both_families_share_one_forward_and_give_what_each_gives_alone(model: nn.Module) -> None:
    alone = {name: xaicore.explain(model, X, method=name) for name in METHODS}
    xaicore.compare(model, X, methods=METHODS)
    with OperatorCounter() as counter:
        together = xaicore.compare(model, X, methods=METHODS)
    assert counter.of(["convolution", "convolution_backward"]) == [2, 2 * len(METHODS)]
    assert list(together) == METHODS
    for name in METHODS:
        same(together[name], alone[name])


def test_targets_share_one_forward_and_give_what_each_gives_alone(model: nn.Module) -> None:
    analyzer: Any = xaicore.create_analyzer("lrp.epsilon", model)
    targets: list[Any] = [0, None, [0, 1, 2, 0], xaicore.Contrast(0, 1), lambda y: y.square().sum(1)]
    alone = [analyzer.analyze(X, target) for target in targets]
    with OperatorCounter() as counter:
        together = analyzer.analyze_targets(X, targets)
    assert counter.of(["convolution", "convolution_backward"]) == [2, 2 * len(targets)]
    for one, other in zip(together, alone, strict=True):
        same(one, other)


def test_targets_in_batches_and_at_a_layer(model: nn.Module) -> None:
    analyzer: Any = xaicore.create_analyzer("gradients.saliency", model)
    together = analyzer.analyze_targets(X, [0, [2, 1, 0, 1]], batch_size=3, layer="one")
    for one, target in zip(together, [0, [2, 1, 0, 1]], strict=True):
        same(one, analyzer.analyze(X, target, layer="one"))


def test_names_are_canonical_and_in_the_order_given(model: nn.Module) -> None:
    found = xaicore.compare(model, X, methods=["input_t_gradient", "lrp.z", "saliency"])
    assert list(found) == ["gradients.input_x_gradient", "lrp.zero", "gradients.saliency"]


def test_a_name_that_is_taken_gets_a_number(model: nn.Module) -> None:
    methods = [xaicore.create_analyzer("lrp.epsilon", model, epsilon=value) for value in (0.1, 0.2, 0.3)]
    found = xaicore.compare(model, X, methods=methods)
    assert list(found) == ["lrp.epsilon", "lrp.epsilon (2)", "lrp.epsilon (3)"]
    assert [explanation.parameters["epsilon"] for explanation in found.values()] == [0.1, 0.2, 0.3]


def test_one_name_alone_and_a_mapping_with_parameters(model: nn.Module) -> None:
    assert list(xaicore.compare(model, X, methods="saliency")) == ["gradients.saliency"]
    found = xaicore.compare(model, X, methods={"lrp.epsilon": {"epsilon": 0.5}, "gradients.saliency": {}}, target=1)
    same(found["lrp.epsilon"], xaicore.explain(model, X, method="lrp.epsilon", epsilon=0.5, target=1))


def test_one_analyzer_given_twice_is_explained_twice(model: nn.Module) -> None:
    analyzer = xaicore.create_analyzer("gradients.saliency", model)
    found = xaicore.compare(model, X, methods=[analyzer, analyzer])
    assert list(found) == ["gradients.saliency", "gradients.saliency (2)"]


def test_options_hold_for_all(model: nn.Module) -> None:
    found = xaicore.compare(model, X, methods=METHODS[:2], target=2, layer="one", batch_size=3)
    for name, explanation in found.items():
        same(explanation, xaicore.explain(model, X, method=name, target=2, layer="one"))


class Constant(Analyzer):
    """A method that does not propagate."""

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        batch = len(inputs)
        zeros = torch.zeros(batch)
        labels = {"kind": "class", "labels": ["0"] * batch, "index": [0] * batch, "values": zeros}
        diagnostics = Diagnostics.measure(torch.zeros_like(inputs), zeros, conserving=False)
        return Explanation(torch.zeros_like(inputs), zeros[:, None], labels, diagnostics, self.method)


def test_analyzers_may_have_names_of_ones_own(model: nn.Module) -> None:
    mine = xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.5)
    found = xaicore.compare(model, X, methods={"mine": mine, "lrp.epsilon": {"epsilon": 0.1}})
    assert list(found) == ["mine", "lrp.epsilon"]
    assert [each.parameters["epsilon"] for each in found.values()] == [0.5, 0.1]


def test_methods_that_do_not_propagate_take_their_place_in_the_order(model: nn.Module) -> None:
    found = xaicore.compare(model, X, methods=["gradients.saliency", Constant(model), "lrp.zero"])
    assert list(found) == ["gradients.saliency", "Constant", "lrp.zero"]


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], "at least one method"),
        ([xaicore.create_analyzer("saliency", nn.Linear(2, 2))], "another model"),
        ({"mine": GivenRelevance(nn.Linear(2, 2), relevance=torch.zeros(4, 2))}, "another model"),
        ({"lrp.epsilon": 0.25}, "give a dict such as"),
    ],
)
def test_what_cannot_be_compared_is_refused(model: nn.Module, methods: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        xaicore.compare(model, X, methods=methods)


def test_methods_that_want_different_forms_of_batch_norm_do_not_share_a_forward(model: nn.Module) -> None:
    x = noise(2, 2, 6, 6)
    forms = ("folded", "one", "two")
    methods: list[Analyzer] = [
        xaicore.create_analyzer("lrp.epsilon", model, structure={"batch_norm": form}) for form in forms
    ]
    methods.append(xaicore.create_analyzer("gradients.saliency", model))
    together = xaicore.compare(model, x, methods=methods, target=0)
    alone = [method.analyze(x, target=0) for method in methods]
    for one, other in zip(together.values(), alone, strict=True):
        torch.testing.assert_close(one.relevance, other.relevance)
    assert not torch.allclose(alone[0].relevance, alone[2].relevance)


def test_a_method_without_parameters_may_have_none(model: nn.Module) -> None:
    together = xaicore.compare(model, X, methods={"lrp.epsilon": None, "gradients.saliency": {}})
    same(together["lrp.epsilon"], xaicore.explain(model, X, method="lrp.epsilon"))
    with pytest.raises(ParameterError, match=r"'lrp\.epsilon' are 0\.25: give a dict"):
        xaicore.compare(model, X, methods={"lrp.epsilon": 0.25})  # type: ignore[dict-item]


def test_eight_methods_cost_one_forward_and_eight_walks(model: nn.Module) -> None:
    methods = [*METHODS, "lrp.gamma", "lrp.z_plus", "gradients.guided_backprop", "gradients.deconvnet"]
    xaicore.compare(model, X, methods=methods)
    with OperatorCounter() as counter:
        xaicore.compare(model, X, methods=methods)
    with OperatorCounter() as alone:
        for name in methods:
            xaicore.explain(model, X, method=name)
    walks = counter.of(["convolution_backward"])
    assert walks == alone.of(["convolution_backward"])
    # Rules with changed weights run a second forward of their own, whoever else is compared.
    assert alone.of(["convolution"])[0] - counter.of(["convolution"])[0] == 2 * (len(methods) - 1)


def test_classes_of_one_input_share_a_forward_and_give_what_each_gives_alone(model: nn.Module) -> None:
    sides = {"predicted": None, "true": [0, 1, 2, 0], "why not 1": xaicore.Contrast(0, 1)}
    xaicore.compare(model, X, methods=METHODS, classes=sides)
    with OperatorCounter() as counter:
        found = xaicore.compare(model, X, methods=METHODS, classes=sides)
    assert counter.of(["convolution", "convolution_backward"]) == [2, 2 * len(METHODS) * len(sides)]
    assert found.by == "classes" and found.groups == list(sides) and len(found) == len(METHODS) * len(sides)
    for side, target in sides.items():
        for name in METHODS:
            same(found[side, name], xaicore.explain(model, X, method=name, target=target))


def test_a_number_of_classes_takes_those_of_largest_output(model: nn.Module) -> None:
    found = xaicore.compare(model, X, methods="lrp.zero", classes=3)
    order = model(X).argsort(1, descending=True)
    assert found.groups == ["predicted", "2nd", "3rd"]
    for rank, side in enumerate(found.groups):
        assert found[side, "lrp.zero"].target["index"] == order[:, rank].tolist()


def test_models_are_compared_on_the_same_inputs_by_their_own_predictions(model: nn.Module) -> None:
    models = {"one": model, "other": shaken(Net())}
    found = xaicore.compare(models, X, methods=METHODS[:2], metrics="evaluation.gini")
    assert found.by == "models" and list(found.scores) == ["one", "other"]
    for name, each in models.items():
        same(found[name, "lrp.epsilon"], xaicore.explain(each, X, method="lrp.epsilon"))
    table = found.table()
    assert table.splitlines()[0].split()[:3] == ["MODEL", "METHOD", "gini"] and len(table.splitlines()) == 5


def test_metrics_judge_what_was_compared(model: nn.Module) -> None:
    metrics = {"evaluation.gini": None, "evaluation.pixel_flipping": {"patch": 3}}
    found = xaicore.compare(model, X, methods=METHODS, metrics=metrics)
    for name in METHODS:
        alone = xaicore.evaluate(xaicore.create_analyzer(name, model), X, metrics)
        for metric, scores in alone.items():
            assert_same(found.scores[""][metric][name].values, scores.values)
    assert "gini ↑" in found.table() and "pixel_flipping ↓" in found.table()


def test_a_stream_of_batches_is_compared_batch_by_batch(model: nn.Module) -> None:
    whole = xaicore.compare(model, X, methods=METHODS)
    found = xaicore.compare(model, iter(X.split(3)), methods=METHODS)
    for name in METHODS:
        same(found[name], whole[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": []}, "classes= is empty"),
        ({"classes": 0}, "at least one class"),
        ({"classes": 2, "target": 1}, "not both"),
        ({"classes": "3,8"}, "a number of classes"),
        ({"metrics": "evaluation.ginny"}, "Did you mean 'gini'|Did you mean 'evaluation.gini'"),
        ({"metrics": "evaluation.relevance_mass"}, "give masks="),
    ],
)
def test_bad_options_are_refused_before_anything_runs(model: nn.Module, options: Any, message: str) -> None:
    with OperatorCounter() as counter, pytest.raises(xaicore.XaicoreError, match=message):
        xaicore.compare(model, X, methods=METHODS, **options)
    assert counter.of(["convolution"]) == [0]


def test_a_key_that_is_not_there_is_told_with_those_that_are(model: nn.Module) -> None:
    found = xaicore.compare(model, X, methods=METHODS)
    with pytest.raises(KeyError, match="lrp.epsilon"):
        found["lrp.epsilom"]
    assert "lrp.epsilom" not in found and "lrp.epsilon" in found


def test_comparisons_are_drawn_saved_and_written_as_a_page(model: nn.Module, tmp_path: Any) -> None:
    images = X[:, :1]
    plain = shaken(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(27, 3)))
    found = xaicore.compare(plain, images, methods=METHODS[:2], classes=2, metrics="evaluation.gini")
    assert sum(len(ax.images) for ax in found.plot().axes) >= 4 * 2 * 2
    folder = found.save(tmp_path / "maps")
    loaded = xaicore.load_explanation(folder / "predicted_lrp.epsilon.safetensors")
    assert_same(loaded.relevance, found["predicted", "lrp.epsilon"].relevance)
    page = found.report(tmp_path / "page.html", true=[0, 1, 2, 0]).read_text(encoding="utf-8")
    assert "gini" in page and "predicted: lrp.epsilon" in page


def test_a_page_of_models_tells_what_they_are_and_once_what_they_share(model: nn.Module, tmp_path: Path) -> None:
    models = {"one": model, "other": shaken(Net())}
    metrics = {"pixel_flipping": {"patch": 2}}
    found = xaicore.compare(models, X, methods=["lrp.epsilon"], metrics=metrics)
    page = found.report(tmp_path / "page.html", weights="one.safetensors").read_text(encoding="utf-8")
    assert page.count("one: weights from") == 1 and "other: weights from" not in page
    assert "other: weights (SHA-256)" in page and "other: method" not in page
    assert page.count("lrp.epsilon(epsilon=1e-06") == 1
    assert "evaluation.pixel_flipping(patch=2, order=" in page


def test_texts_and_tables_are_drawn_side_by_side() -> None:
    reader = shaken(nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2)))
    ids = torch.tensor([[1, 5, 2], [0, 8, 3]])
    found = xaicore.compare(reader, ids, methods=["lrp.epsilon", "gradients.input_x_gradient"])
    figure = found.plot(names=[["a", "b", "c"], ["d", "e", "f"]], true=[0, 1])
    shown = [[text.get_text() for text in ax.texts if text.get_text() in "abcdef"] for ax in figure.axes[:4]]
    assert shown == [list("abc"), list("abc"), list("def"), list("def")]
    assert "lrp.epsilon, true: 0" in figure.axes[0].get_title()
    table = shaken(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)))
    figure = xaicore.compare(table, noise(2, 3), methods="lrp.epsilon", classes=2).plot()
    assert len(figure.axes) == 4 and figure.axes[1].get_title().startswith("2nd: lrp.epsilon")


class Double(nn.Module):
    """Two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Net()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = self.net(x)
        return {"one": found, "other": -found}


def test_classes_are_those_of_the_output_that_is_explained() -> None:
    both = shaken(Double())
    found = xaicore.compare(
        both, X, methods=METHODS[:2], classes=2, output="other", metrics="evaluation.pixel_flipping"
    )
    order = both(X)["other"].argsort(1, descending=True)
    for rank, side in enumerate(found.groups):
        assert found[side, "lrp.epsilon"].target["index"] == order[:, rank].tolist()


def test_more_classes_than_there_are_are_refused(model: nn.Module) -> None:
    with pytest.raises(TargetError, match="with at least 4 classes"):
        xaicore.compare(model, X, methods="saliency", classes=4)


def test_targets_that_are_called_alike_stay_apart(model: nn.Module) -> None:
    def one(y: Tensor) -> Tensor:
        return y[:, 0]

    first = one

    def one(y: Tensor) -> Tensor:
        return y[:, 1]

    found = xaicore.compare(model, X, methods="saliency", classes=[first, one, 2, xaicore.Contrast(0, 1)])
    assert found.groups == ["one", "one (2)", "class 2", "0 vs 1"]
    same(found["one (2)", "gradients.saliency"], xaicore.explain(model, X, method="saliency", target=one))


def test_given_relevance_does_not_stand_under_several_classes(model: nn.Module) -> None:
    given = GivenRelevance(model, relevance=torch.ones_like(X), name="by hand")
    with pytest.raises(ParameterError, match="by hand: relevance was given for one class"):
        xaicore.compare(model, X, methods=[given], classes=2)
    assert list(xaicore.compare(model, X, methods=[given], classes=[1])) == [("class 1", "by hand")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "one"}, "leave layer= out"),
        ({"masks": torch.ones(4, 5, 5), "boxes": [(0, 0, 2, 2)] * 4}, "not both"),
    ],
)
def test_what_metrics_cannot_judge_is_refused_before_anything_runs(
    model: nn.Module, options: Any, message: str
) -> None:
    with OperatorCounter() as counter, pytest.raises(ParameterError, match=message):
        xaicore.compare(model, X, methods=METHODS, metrics="evaluation.gini", **options)
    assert counter.of(["convolution"]) == [0]


def test_every_explanation_is_saved_to_a_file_of_its_own(model: nn.Module, tmp_path: Path) -> None:
    classes = {"3+5": 0, "3 5": 1, "a" * 300: 2, "a" * 299 + "b": 1, "A" * 300: 0}
    found = xaicore.compare(model, X, methods="saliency", classes=classes)
    files = list(found.save(tmp_path / "saved").iterdir())
    assert len(files) == 5 and max(len(each.name) for each in files) < 150
    kept = {tuple(xaicore.load_explanation(file).target["index"]) for file in files}
    assert kept == {(0,) * 4, (1,) * 4, (2,) * 4}


def test_models_that_know_different_classes_are_drawn_together(model: nn.Module) -> None:
    more = shaken(Net())
    more.head = shaken(nn.Linear(4, 5))
    found = xaicore.compare({"three": model, "five": more}, X, methods="saliency")
    written = "\n".join(ax.get_ylabel() for ax in found.plot().axes)
    for name, each in {"three": model, "five": more}.items():
        assert f"{name}\npredicted: {int(each(X)[0].argmax())} ({each(X)[0].max().item():.2f})" in written
    value = shaken(nn.Sequential(nn.Flatten(), nn.Linear(50, 1)))
    with pytest.raises(InputError, match="return different things"):
        xaicore.compare({"classes": model, "value": value}, X, methods="saliency").plot()


def test_names_of_classes_stand_beside_contrasts(model: nn.Module) -> None:
    found = xaicore.compare(model, X[:1], methods="saliency", classes=[0, xaicore.Contrast(0, 1)])
    written = "\n".join(ax.get_ylabel() for ax in found.plot(labels=["cat", "dog", "fox"]).axes)
    assert "explained: cat" in written and "explained: 0 - 1" in written


def test_forms_of_images_are_refused_for_tables() -> None:
    found = xaicore.compare(shaken(nn.Linear(6, 3)), noise(3, 6), methods=METHODS[:2])
    assert len(found.plot(form="heatmap", true=torch.tensor([0, 1, 2])).axes) == 6
    with pytest.raises(InputError, match="form='contours' draws images"):
        found.plot(form="contours")


def test_samples_without_a_score_are_in_no_curve_of_the_report(
    model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = xaicore.compare(model, X, methods=METHODS[:2], metrics={"evaluation.pixel_flipping": {"patch": 3}})
    scores = found.scores[""]["evaluation.pixel_flipping"]
    hole = scores["lrp.epsilon"].values.clone()
    hole[0] = torch.nan
    scores["lrp.epsilon"] = replace(scores["lrp.epsilon"], values=hole)
    written: list[Any] = []
    monkeypatch.setattr(
        "xaicore.studies.comparison.reporting.write_report", lambda report, path: written.append(report)
    )
    found.report(tmp_path / "page.html")
    (curve,) = written[0].curves
    whole = {name: each.curve.y for name, each in scores.items()}
    torch.testing.assert_close(torch.tensor(curve.lines["lrp.epsilon"]).double(), whole["lrp.epsilon"][1:].mean(0))
    saliency = torch.tensor(curve.lines["gradients.saliency"]).double()
    torch.testing.assert_close(saliency, whole["gradients.saliency"].mean(0))
    assert "for which the metric is defined" in curve.caption
