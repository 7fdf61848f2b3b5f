"""From explanations, scores and models to what a report shows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import xaicore
from xaicore.errors import InputError
from xaicore.explanation import Diagnostics, Explanation
from xaicore.reports import facts_about, metric_views, sample_views
from xaicore.reports.facts import weights_hash
from xaicore.scoring import Scores

LABELS = ["ant", "bee", "cat"]


def explanation(
    relevance: Any, *, outputs: Any = None, gap: bool = True, inputs: Any = None, **texts: Any
) -> Explanation:
    """Of two samples; the classes 2 and 0 are explained."""
    outputs = torch.tensor([[0.0, 0.0, 3.0], [1.0, 0.0, 0.0]]) if outputs is None else outputs
    values = torch.tensor([3.0, 1.0])
    return Explanation(
        relevance=relevance,
        prediction=outputs,
        target={"kind": "class", "labels": ["2", "0"], "index": [2, 0], "values": values},
        diagnostics=Diagnostics.measure(relevance, values, conserving=gap, **texts),
        method="lrp.zero",
        parameters={"epsilon": 0.5},
        inputs=inputs,
    )


def images(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_a_sample_tells_what_was_explained_and_answered() -> None:
    relevance = torch.zeros(2, 3, 4, 4)
    relevance[0, :, 1, 2] = 1.0
    relevance[1, 0, 0, 0] = float("nan")
    found = explanation(relevance, fallbacks=["mish by the gradient"], notes=["softmax stripped"])
    first, second = sample_views({"lrp.zero": found}, inputs=images(), names=["a", "b"], true=[1, 0], labels=LABELS)
    assert (first.name, first.true, first.predicted) == ("a", "bee", "cat")
    assert first.confidence == pytest.approx(np.exp(3) / (np.exp(3) + 2))
    view = first.maps["lrp.zero"]
    assert view.explained == "cat" and view.score == 3.0 and view.gap == 0.0 and view.non_finite == 0
    assert view.notes == ("fallback: mish by the gradient", "softmax stripped")
    assert view.relevance is not None and view.relevance[1, 2] == 3.0 and view.relevance.sum() == 3.0
    assert second.maps["lrp.zero"].non_finite == 1 and np.isnan(second.maps["lrp.zero"].gap or 0.0)


def test_classes_without_names_are_numbers() -> None:
    (first, _) = sample_views({"m": explanation(images())}, true=torch.tensor([2, 1]))
    assert (first.name, first.true, first.predicted, first.maps["m"].explained) == ("0", "2", "2", "class 2")


def test_pictures_undo_the_normalisation() -> None:
    picture = images()
    given = (picture - 0.5) / 0.25
    (first, _) = sample_views({"m": explanation(images(), inputs=given)}, mean=0.5, std=0.25)
    np.testing.assert_allclose(first.picture, 255 * picture[0].permute(1, 2, 0), atol=0.51)


def test_outputs_that_are_probabilities_already_are_taken_as_they_are() -> None:
    outputs = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]])
    views = sample_views({"m": explanation(images(), outputs=outputs)})
    assert [view.confidence for view in views] == pytest.approx([0.7, 0.5])


def test_a_single_output_is_told_as_a_fact_and_predicts_no_class() -> None:
    views = sample_views({"m": explanation(images(), outputs=torch.tensor([[1.25], [-2.0]]))})
    assert [view.facts for view in views] == [{"output": "1.25"}, {"output": "-2"}]
    assert views[0].predicted == "" and views[0].confidence is None


def test_methods_that_promise_no_conservation_have_no_gap() -> None:
    (first, _) = sample_views({"m": explanation(images(), gap=False)})
    assert first.maps["m"].gap is None


def test_words_are_those_of_each_sample_or_of_all() -> None:
    relevance = torch.tensor([[1.0, 2.0], [3.0, -2.0]])
    (_, second) = sample_views({"m": explanation(relevance)}, words=[["a", "b"], ["c", "d"]])
    assert second.words == ("c", "d") and second.maps["m"].relevance.tolist() == [3.0, -2.0]
    (_, second) = sample_views({"m": explanation(relevance)}, words=["x", "y"])
    assert second.words == ("x", "y")
    with pytest.raises(InputError, match="3 samples; there are 2"):
        sample_views({"m": explanation(relevance)}, words=[["a"], ["b"], ["c"]])


def test_several_inputs_become_several_columns_with_words_of_their_own() -> None:
    relevance = {"image": images(), "question": torch.ones(2, 3)}
    (first, _) = sample_views(
        {"m": explanation(relevance)}, inputs=relevance, words={"question": [["is", "it", "red"], ["no", "it", "is"]]}
    )
    assert list(first.maps) == ["m: image", "m: question"]
    assert first.maps["m: question"].words == ("is", "it", "red") and first.maps["m: image"].words is None
    assert first.picture is not None and first.picture.shape == (4, 4, 3)


def test_shapes_of_all_kinds_are_shown() -> None:
    shapes = {(2, 1, 9): (9,), (2, 4, 9): (4, 9), (2, 5): (5,), (2, 3, 2, 2, 2): (24,), (2, 6, 7): (6, 7)}
    for shape, expected in shapes.items():
        (first, _) = sample_views({"m": explanation(torch.ones(shape))})
        assert first.maps["m"].relevance.shape == expected


def test_large_images_are_shrunk_and_scales_may_end_at_a_percentile() -> None:
    relevance = torch.zeros(2, 1, 200, 100)
    relevance[:, :, :100] = 1.0
    relevance[:, :, 0, 0] = 50.0
    (first, _) = sample_views({"m": explanation(relevance)}, inputs=torch.rand(2, 1, 200, 100), percentile=90)
    view = first.maps["m"]
    assert view.relevance.shape == (128, 64) and view.full_shape == (200, 100) and view.limit == 1.0
    assert first.full_shape == (200, 100)


def test_what_does_not_fit_together_is_refused() -> None:
    one, two = explanation(images())[0], explanation(images())
    with pytest.raises(InputError, match="same samples"):
        sample_views({"a": one, "b": two})
    with pytest.raises(InputError, match="3 names for 2 samples"):
        sample_views({"a": two}, names=["a", "b", "c"])
    with pytest.raises(InputError, match="1 true for 2 samples"):
        sample_views({"a": two}, true=[1])
    with pytest.raises(InputError, match="at least one explanation"):
        sample_views({})


def test_half_precision_is_shown_as_it_is() -> None:
    relevance = torch.tensor([[1.5, -0.25], [0.0, 2.0]])
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        (first, _) = sample_views({"m": explanation(relevance.to(dtype))})
        assert first.maps["m"].relevance.tolist() == [1.5, -0.25]


def test_one_by_one_is_the_same_as_all_together() -> None:
    both = explanation(images(3), inputs=images(), notes=["n"])
    together = sample_views({"m": both}, names=["a", "b"])
    for place, view in enumerate(together):
        (alone,) = sample_views({"m": both[place]}, names=[view.name])
        np.testing.assert_array_equal(alone.picture, view.picture)
        np.testing.assert_array_equal(alone.maps["m"].relevance, view.maps["m"].relevance)
        assert replace(alone.maps["m"], relevance=None) == replace(view.maps["m"], relevance=None)


def test_metrics_count_what_is_undefined_and_leave_it_out_of_the_mean() -> None:
    values = torch.tensor([0.2, float("nan"), 0.4, 0.6], dtype=torch.float64)
    (view,) = metric_views({"flipping": {"lrp.zero": Scores("flipping", values, False, notes=("ties",))}})
    assert (view.metric, view.column, view.better) == ("flipping", "lrp.zero", "lower")
    assert view.mean == pytest.approx(0.4) and view.samples == 3 and view.undefined == 1 and view.note == "ties"
    assert 0.2 <= view.low < 0.4 < view.high <= 0.6


def test_the_hash_of_weights_is_that_of_names_types_shapes_and_bytes() -> None:
    model = nn.Sequential(nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -2.0]]))
        model[0].bias.fill_(0.5)
    digest = hashlib.sha256()
    for name, shape, values in (("0.bias", "(1,)", [0.5]), ("0.weight", "(1, 2)", [1.0, -2.0])):
        digest.update(f"{name}\0torch.float32\0{shape}\0".encode() + np.array(values, "<f4").tobytes())
    assert weights_hash(model) == digest.hexdigest()


def test_the_hash_of_weights_changes_with_any_of_them() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 3, dtype=torch.bfloat16))
    before = weights_hash(model)
    assert before == weights_hash(model) and len(before) == 64
    model[1].running_mean[0] += 1e-6
    changed = weights_hash(model)
    assert changed != before
    model[2].weight.data = model[2].weight.data.t()  # another order of memory, the same shape
    assert weights_hash(model) != changed


def test_facts_tell_model_weights_data_methods_and_versions() -> None:
    model = nn.Linear(3, 2)
    found = facts_about(
        model, weights="w.pt", data="photos", seed=7, methods=[explanation(images()), "by hand", "by hand"]
    )
    facts = dict(found)
    assert facts["model"] == "torch.nn.modules.linear.Linear" and facts["parameters of the model"] == "8"
    assert facts["weights (SHA-256)"] == weights_hash(model) and facts["weights from"] == "w.pt"
    assert facts["data"] == "photos" and facts["seed"] == "7"
    assert [text for name, text in found if name == "method"] == ["lrp.zero(epsilon=0.5)", "by hand"]
    assert f"xaicore {xaicore.__version__}" in facts["packages"] and torch.__version__ in facts["platform"]


def test_a_function_has_no_weights() -> None:
    def black_box(x: Any) -> Any:
        return x

    facts = dict(facts_about(black_box))
    assert facts["model"].endswith("black_box") and "weights (SHA-256)" not in facts
