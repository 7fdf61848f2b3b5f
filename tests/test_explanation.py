"""Explanation and Diagnostics: construction, selection, joining, pooling, saving."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from xaicore.errors import FileError, InputError, ParameterError
from xaicore.explanation import Diagnostics, Explanation, load_explanation


def make(relevance: Tensor | dict[str, Tensor] | None = None, samples: int = 3, **changes: object) -> Explanation:
    if relevance is None:
        relevance = torch.randn(samples, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    values = torch.arange(1.0, samples + 1)
    fields: dict[str, object] = {
        "relevance": relevance,
        "prediction": torch.eye(samples, 5),
        "target": {
            "kind": "class",
            "labels": [str(i) for i in range(samples)],
            "index": list(range(samples)),
            "values": values,
        },
        "diagnostics": Diagnostics(values, values * 0.999, torch.full((samples,), 1e-3)),
        "method": "lrp.epsilon",
        "parameters": {"epsilon": 0.25},
    }
    return Explanation(**(fields | changes))  # type: ignore[arg-type]


def same(one: Explanation, other: Explanation) -> None:
    """Assert that two explanations hold the same, NaN included."""

    def equal(a: object, b: object) -> None:
        if isinstance(a, Tensor):
            assert isinstance(b, Tensor)
            assert a.dtype == b.dtype and a.shape == b.shape
            torch.testing.assert_close(a.detach().to_dense(), b, rtol=0, atol=0, equal_nan=True, check_layout=False)
        elif isinstance(a, dict):
            assert isinstance(b, dict) and list(a) == list(b)
            for key in a:
                equal(a[key], b[key])
        elif isinstance(a, float):
            assert isinstance(b, float) and (a == b or (a != a and b != b))
        elif isinstance(a, (list, tuple)):
            assert type(a) is type(b) and len(a) == len(b)  # type: ignore[arg-type]
            for left, right in zip(a, b, strict=True):  # type: ignore[call-overload]
                equal(left, right)
        else:
            assert a == b

    equal(
        {k: v for k, v in vars(one).items() if k != "diagnostics"},
        {k: getattr(other, k) for k in vars(one) if k != "diagnostics"},
    )
    equal(vars(one.diagnostics), vars(other.diagnostics))


# --- construction ---------------------------------------------------------------------------------------------------


def test_parameters_become_plain_data() -> None:
    class Composite:
        pass

    parameters = {
        "low": torch.tensor([-1.0, 2.0]),
        "big": torch.zeros(3, 100),
        "range": (1, 2),
        "number": np.float32(0.5),
        "array": np.arange(3),
        "dtype": torch.float16,
        "composite": Composite(),
        "function": torch.relu,
        "class": Composite,
        "missing": None,
        "nested": {"a": {1}, 2: float("inf")},
    }
    kept = make(parameters=parameters).parameters
    assert kept["low"] == [-1.0, 2.0]
    assert kept["big"] == "tensor of shape (3, 100), float32"
    assert kept["range"] == [1, 2]
    assert kept["number"] == 0.5 and type(kept["number"]) is float
    assert kept["array"] == [0, 1, 2]
    assert kept["dtype"] == "torch.float16"
    assert kept["composite"].endswith("Composite object>") and "0x" not in kept["composite"]
    assert "relu" in kept["function"] and "0x" not in kept["function"]
    assert kept["class"].endswith("Composite")
    assert kept["nested"] == {"a": [1], "2": float("inf")}
    json.dumps(kept)


def test_parts_that_disagree_on_the_batch_are_refused() -> None:
    with pytest.raises(InputError, match="disagree on the number of samples.*'relevance': 2"):
        make(torch.zeros(2, 3), samples=3)


def test_relevance_at_a_layer_may_lack_the_batch_dimension() -> None:
    assert len(make(torch.zeros(7, 3, 2), layer="lstm")) == 3


@pytest.mark.parametrize("wrong", [torch.tensor(1.0), "text", {}, {"a": 3}])
def test_relevance_that_is_no_batch_of_tensors_is_refused(wrong: object) -> None:
    with pytest.raises(InputError, match="relevance"):
        make(wrong)  # type: ignore[arg-type]


def test_an_incomplete_target_is_refused() -> None:
    with pytest.raises(InputError, match=r"lacks \['labels', 'index', 'values'\]"):
        make(target={"kind": "class"})


def test_repr_is_one_line_with_method_target_shape_and_gap() -> None:
    explanation = make(samples=4)
    assert repr(explanation) == "Explanation(lrp.epsilon; target 0, 1, 2, ...; (4, 2, 4, 6) float32; gap 0.001)"
    several = make({"ids": torch.zeros(3, 5), "mask": torch.zeros(3, 5)}, layer="conv")
    assert "ids (3, 5) float32; mask (3, 5) float32; at layer conv" in repr(several)


def test_importing_the_result_does_not_import_matplotlib() -> None:
    code = "import sys, xaicore.explanation; sys.exit('matplotlib' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


# --- selection and joining ------------------------------------------------------------------------------------------


def test_selecting_samples_keeps_the_batch_dimension_and_everything_aligned() -> None:
    relevance = torch.randn(3, 2, 4)
    relevance[1, 0, 0] = torch.nan
    explanation = make(relevance, inputs={"x": torch.arange(3)[:, None]}, recorded={"conv": torch.arange(3.0)})
    one = explanation[1]
    assert one.relevance.shape == (1, 2, 4)  # type: ignore[union-attr]
    assert one.target["labels"] == ["1"] and one.target["index"] == [1]
    assert one.target["values"].tolist() == [2.0]
    assert one.prediction.argmax().item() == 1
    assert one.inputs["x"].tolist() == [[1]] and one.recorded["conv"].tolist() == [1.0]  # type: ignore[call-overload,index]
    assert one.diagnostics.explained.tolist() == [2.0] and one.diagnostics.non_finite == 1
    assert explanation[0].diagnostics.non_finite == 0
    assert explanation[-1].target["labels"] == ["2"]


@pytest.mark.parametrize(
    "which", [slice(1, None), [1, 2], torch.tensor([1, 2]), np.array([1, 2]), [False, True, True], [-2, -1]]
)
def test_every_way_of_indexing_selects_the_same_samples(which: object) -> None:
    assert make()[which].target["labels"] == ["1", "2"]  # type: ignore[index]


def test_an_empty_selection_has_no_samples() -> None:
    assert len(make()[[]]) == 0 and len(make()[3:]) == 0


def test_iteration_visits_each_sample_once_and_bad_indices_are_refused() -> None:
    assert [part.target["labels"] for part in make()] == [["0"], ["1"], ["2"]]
    for wrong in (3, -4, [0, 3]):
        with pytest.raises(IndexError):
            make()[wrong]


def test_selection_says_what_it_leaves_out() -> None:
    explanation = make(recorded={"lstm": torch.zeros(7, 3)})
    explanation.diagnostics.ledger = [{"layer": "a", "bias": 1.0}]
    part = explanation[0]
    assert part.diagnostics.ledger is None and part.recorded == {}
    assert any("ledger" in note for note in part.diagnostics.notes)
    assert any("lstm" in note for note in part.diagnostics.notes)
    assert explanation.diagnostics.notes == []


def test_concat_undoes_selection() -> None:
    explanation = make(inputs=torch.randn(3, 2, 4, 6), recorded={"conv": torch.randn(3, 2)})
    same(explanation, Explanation.concat([explanation[:1], explanation[1:]]))


def test_concat_adds_ledgers_and_counts_and_keeps_each_text_once() -> None:
    row = {"layer": "a", "kind": "LINEAR", "module_path": "fc", "bias": 1.0, "relevance_in": 2.0}
    parts = []
    for bias in (1.0, 2.0):
        part = Diagnostics(torch.ones(1), torch.ones(1), None, 2, ["x"], ["softmax"], [row | {"bias": bias}])
        parts.append(part)
    joined = Diagnostics.concat(parts)
    assert joined.ledger == [row | {"bias": 3.0, "relevance_in": 4.0}]
    assert (joined.non_finite, joined.fallbacks, joined.notes) == (4, ["x"], ["softmax"])
    assert parts[0].ledger == [row]
    assert joined.conservation_gap is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "lrp.zero"}, "one method"),
        ({"parameters": {"epsilon": 1}}, "one parameters"),
        ({"relevance": torch.zeros(3, 9)}, "differ in shape"),
        ({"relevance": {"a": torch.zeros(3, 2)}}, "another structure"),
        ({"inputs": torch.zeros(3, 2)}, "some have none"),
        ({"recorded": {"lstm": torch.zeros(7, 3)}}, "'lstm'.*batch_size"),
    ],
)
def test_chunks_that_do_not_belong_together_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Explanation.concat([make(), make(**change)])  # type: ignore[arg-type]


def test_concat_of_nothing_is_refused() -> None:
    for what in (Explanation, Diagnostics):
        with pytest.raises(InputError, match="empty list"):
            what.concat([])  # type: ignore[attr-defined]


def test_detach_cuts_every_tensor_from_the_autograd_graph() -> None:
    weight = torch.ones(3, requires_grad=True)
    explanation = make(weight[:, None] * torch.ones(3, 2), inputs=weight[:, None], recorded={"a": weight})
    explanation.diagnostics.explained = weight * 2
    explanation.diagnostics.conservation_gap = weight * 3
    detached = explanation.detach()
    assert explanation.relevance.requires_grad  # type: ignore[union-attr]
    tensors = [detached.relevance, detached.inputs, detached.recorded["a"], detached.diagnostics.explained]
    assert not any(tensor.requires_grad for tensor in [*tensors, detached.diagnostics.conservation_gap])  # type: ignore[union-attr]


# --- diagnostics ----------------------------------------------------------------------------------------------------


def test_measure_takes_sum_and_gap_from_relevance_of_all_inputs() -> None:
    relevance = {"a": torch.tensor([[1.0, 2.0], [0.0, 0.0]]), "b": torch.tensor([1.0, 3.0])}
    checks = Diagnostics.measure(relevance, torch.tensor([5.0, 3.0]), conserving=True)
    assert checks.relevance_sum.tolist() == [4.0, 3.0]
    torch.testing.assert_close(checks.conservation_gap, torch.tensor([0.2, 0.0], dtype=torch.float64))
    assert Diagnostics.measure(relevance, torch.tensor([5.0, 3.0]), conserving=False).conservation_gap is None


def test_measure_adds_small_relevance_up_in_half_precision() -> None:
    relevance = torch.full((1, 10_000), 0.01, dtype=torch.float16)
    checks = Diagnostics.measure(relevance, torch.tensor([100.0]), conserving=True)
    assert checks.conservation_gap is not None and checks.conservation_gap.item() < 1e-3


def test_measure_of_relevance_without_batch_says_so() -> None:
    checks = Diagnostics.measure(torch.ones(7, 3), torch.ones(3), conserving=True)
    assert checks.conservation_gap is None and "no batch dimension" in checks.notes[0]


def test_warnings_name_what_is_wrong_and_where_relevance_went() -> None:
    ledger = [
        {"layer": "linear_1", "module_path": "fc", "bias": 0.1, "stabilizer": 0.0, "unaccounted": 0.0},
        {"layer": "conv_7", "module_path": "features.0", "bias": -0.9, "stabilizer": 0.02, "unaccounted": 0.0},
    ]
    gap = torch.tensor([0.0, 0.35])
    found = Diagnostics(torch.ones(2), torch.ones(2), gap, 3, ["gelu by the gradient"], [], ledger).warnings()
    assert len(found) == 3
    assert "3 relevance values" in found[0]
    assert "35 %" in found[1] and "number 1" in found[1]
    assert "bias -0.8" in found[1] and "conv_7 (features.0)" in found[1]
    assert "gelu by the gradient" in found[2]


def test_a_sound_explanation_has_no_warnings_and_an_unknown_gap_has_one() -> None:
    ones = torch.ones(2)
    assert Diagnostics(ones, ones, torch.tensor([1e-6, 0.009])).warnings() == []
    assert Diagnostics(ones, ones, None).warnings() == []
    (warning,) = Diagnostics(ones, ones, torch.tensor([0.0, torch.nan])).warnings()
    assert "nan" in warning and "number 1" in warning and "ask for the ledger" in warning


def test_a_gap_to_a_baseline_is_not_blamed_on_layers() -> None:
    ones = torch.ones(2)
    (warning,) = Diagnostics(ones, ones, torch.tensor([0.0, 0.35]), reference=ones).warnings()
    assert "35 %" in warning and "number 1" in warning and "baseline" in warning and "ledger" not in warning


def test_summary_is_readable_text() -> None:
    ledger = [{"layer": f"l{i}", "module_path": "", "kind": "ADD", "bias": float(i)} for i in range(20)]
    checks = Diagnostics(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.5]), torch.tensor([0.0, 0.25]), ledger=ledger)
    checks.notes.append("softmax stripped")
    text = checks.summary()
    for part in (
        "samples            2",
        "1 to 2",
        "worst 0.25 (sample 1)",
        "softmax stripped",
        "warning",
        "of 20 layers",
    ):
        assert part in text
    assert "l19" in text and "l3 " not in text
    assert "not promised" in Diagnostics(torch.ones(1), torch.ones(1)).summary()
    assert "no samples" in Diagnostics(torch.ones(0), torch.ones(0), torch.ones(0)).summary()


def test_diagnostics_survive_standard_json_with_nan_and_infinity() -> None:
    ledger = [{"layer": "a", "bias": float("nan"), "stabilizer": float("-inf"), "unaccounted": 0.0}]
    values = torch.tensor([float("inf"), float("nan"), 0.1], dtype=torch.float64)
    checks = Diagnostics(values, values.half(), None, 2, ["f"], ["n"], ledger)
    text = json.dumps(checks.to_dict(), allow_nan=False)
    back = Diagnostics.from_dict(json.loads(text))
    torch.testing.assert_close(back.explained, values, equal_nan=True, rtol=0, atol=0)
    assert back.relevance_sum.dtype is torch.float16 and back.conservation_gap is None
    assert back.ledger is not None and back.ledger[0]["bias"] != back.ledger[0]["bias"]
    assert back.ledger[0]["stabilizer"] == float("-inf")
    assert (back.non_finite, back.fallbacks, back.notes) == (2, ["f"], ["n"])


# --- pooling --------------------------------------------------------------------------------------------------------


def test_pooling_over_channels_and_space() -> None:
    explanation = make()
    relevance = explanation.relevance
    assert isinstance(relevance, Tensor)
    torch.testing.assert_close(explanation.pool("channels"), relevance.sum(1))
    torch.testing.assert_close(explanation.pool("space"), relevance.sum((2, 3)))
    torch.testing.assert_close(explanation.pool(("channels", "space")), relevance.sum((1, 2, 3)))
    torch.testing.assert_close(explanation.pool([-1]), relevance.sum(3))


@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", -3.0), ("abs", 7.0), ("norm", 29**0.5), ("max", 2.0), ("mean", -1.0), ("max_abs", -5.0)],
)
def test_every_way_of_pooling(how: str, expected: float) -> None:
    line = torch.tensor([[2.0, 0.0, -5.0]])
    explanation = make(line, samples=1)
    assert explanation.pool("time", how).item() == pytest.approx(expected)  # type: ignore[union-attr]
    grouped = explanation.pool("time", how, regions=[0, 0, 0])
    assert isinstance(grouped, Tensor) and grouped.tolist() == [[pytest.approx(expected)]]


def test_square_regions_are_cut_off_at_the_border_and_conserve() -> None:
    relevance = torch.randn(3, 2, 5, 7, dtype=torch.float64)
    pooled = make(relevance).pool("space", regions=3)
    assert isinstance(pooled, Tensor) and pooled.shape == (3, 2, 2, 3)
    torch.testing.assert_close(pooled[1, 0, 1, 2], relevance[1, 0, 3:, 6:].sum())
    torch.testing.assert_close(pooled.sum((2, 3)), relevance.sum((2, 3)))


def test_square_regions_with_channels_pooled_along() -> None:
    relevance = torch.randn(3, 2, 4, 6)
    pooled = make(relevance).pool(("channels", "space"), "max_abs", regions=2)
    expected = torch.nn.functional.max_pool2d(relevance.abs(), 2).amax(1)
    assert isinstance(pooled, Tensor)
    torch.testing.assert_close(pooled.abs(), expected)


def test_numbered_dimensions_are_all_cut_into_regions() -> None:
    relevance = torch.arange(16.0).reshape(1, 4, 4)
    pooled = make(relevance, samples=1).pool((1, 2), regions=2)
    assert isinstance(pooled, Tensor) and pooled.tolist() == [[[10.0, 18.0], [42.0, 50.0]]]


def test_stretches_of_time() -> None:
    pooled = make(torch.arange(5.0)[None], samples=1).pool("time", regions=2)
    assert isinstance(pooled, Tensor) and pooled.tolist() == [[1.0, 5.0, 4.0]]


def test_segments_give_one_value_a_label_for_each_channel_or_for_all() -> None:
    relevance = torch.randn(3, 2, 2, 3)
    labels = torch.tensor([[0, 0, 2], [-1, 2, 2]])
    pooled = make(relevance).pool("space", regions=labels)
    assert isinstance(pooled, Tensor) and pooled.shape == (3, 2, 3)
    torch.testing.assert_close(pooled[..., 0], relevance[..., 0, 0] + relevance[..., 0, 1])
    assert pooled[..., 1].abs().sum() == 0
    joint = make(relevance).pool(("channels", "space"), regions=labels)
    torch.testing.assert_close(joint, pooled.sum(1))
    mean = make(relevance).pool("space", "mean", regions=labels)
    assert isinstance(mean, Tensor) and mean[..., 1].isnan().all()
    own = make(relevance).pool("space", regions=torch.stack([labels, labels, labels * 0]))
    assert isinstance(own, Tensor)
    torch.testing.assert_close(own[2, :, 0], relevance[2].sum((1, 2)))


def test_tokens_are_summed_to_words_of_each_sample() -> None:
    words = [[None, 0, 0, 1, None], [None, 0, 1, 2]]  # as tokenizers' word_ids(), rows of unequal length
    pooled = make(torch.arange(10.0).reshape(2, 5), samples=2).pool("words", regions=words)
    assert isinstance(pooled, Tensor) and pooled.tolist() == [[3.0, 3.0, 0.0], [6.0, 7.0, 8.0]]
    embedded = make(torch.ones(2, 5, 4), samples=2).pool("words", regions=words)
    assert isinstance(embedded, Tensor) and embedded.shape == (2, 4, 3)


def test_nan_stays_in_its_own_region() -> None:
    line = torch.tensor([[float("nan"), 1.0, 2.0]])
    for how in ("sum", "abs", "norm", "max", "mean", "max_abs"):
        pooled = make(line, samples=1).pool("time", how, regions=[0, 1, 1])
        assert isinstance(pooled, Tensor) and pooled[0, 0].isnan() and pooled[0, 1].isfinite(), how


def test_half_precision_is_added_in_single_precision() -> None:
    ones = torch.ones(1, 4096, dtype=torch.bfloat16)
    pooled = make(ones, samples=1).pool("time", regions=[0] * 4096)
    assert isinstance(pooled, Tensor) and pooled.dtype is torch.bfloat16 and pooled.item() == 4096


def test_pooling_several_inputs_gives_a_dict_or_the_named_one() -> None:
    explanation = make({"image": torch.ones(3, 2, 4, 4), "other": torch.ones(3, 5, 2)})
    pooled = explanation.pool("channels")
    assert isinstance(pooled, dict) and pooled["image"].shape == (3, 4, 4) and pooled["other"].shape == (3, 2)
    assert explanation.pool("channels", name="other").shape == (3, 2)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="Did you mean 'image'"):
        explanation.pool("channels", name="imag")


def test_pooling_is_differentiable() -> None:
    weight = torch.ones(1, 4, requires_grad=True)
    pooled = make(weight * torch.arange(4.0), samples=1).pool("time", "norm", regions=2)
    assert isinstance(pooled, Tensor)
    pooled.sum().backward()
    assert weight.grad is not None and weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"over": "chanels"}, ParameterError, "Did you mean 'channels'"),
        ({"over": "space", "how": "total"}, ParameterError, "no such way"),
        ({"over": 0}, ParameterError, "not the batch"),
        ({"over": []}, ParameterError, "at least one"),
        ({"over": 7}, InputError, "no dimension 7"),
        ({"over": "words"}, ParameterError, "regions"),
        ({"over": "space", "regions": 0}, ParameterError, "at least 1"),
        ({"over": "space", "regions": True}, ParameterError, "expected a side"),
        ({"over": "space", "regions": torch.zeros(3)}, InputError, "integers"),
        ({"over": "space", "regions": torch.zeros(2, 2, dtype=torch.long)}, InputError, r"expected \(4, 6\)"),
        ({"over": "space", "regions": torch.full((4, 6), -2)}, InputError, "count from 0"),
    ],
)
def test_wrong_ways_of_pooling_are_refused(arguments: dict[str, object], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        make().pool(**arguments)  # type: ignore[arg-type]


def test_tabular_relevance_has_no_channels() -> None:
    with pytest.raises(InputError, match="no such dimension"):
        make(torch.zeros(3, 4)).pool("channels")


# --- files ----------------------------------------------------------------------------------------------------------


def test_everything_survives_saving_and_loading(tmp_path: Path) -> None:
    shared = torch.randn(3, 4)
    recorded = {
        "bfloat16": shared.bfloat16(),
        "half": shared.half(),
        "double": shared.double(),
        "bool": shared > 0,
        "int8": shared.to(torch.int8),
        "transposed": shared.t(),
        "expanded": torch.ones(1, 3).expand(5, 3),
        "view": shared[:, 1:3],
        "same again": shared,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "nan": torch.tensor([float("nan"), float("inf")]),
        "complex": torch.tensor([1 + 2j]).conj(),
        "sparse": torch.eye(3).to_sparse(),
        "odd name/ü .": shared,
    }
    ledger = [{"layer": "a", "kind": "ADD", "module_path": "", "bias": float("nan"), "stabilizer": float("inf")}]
    values = torch.tensor([1.0, float("nan"), float("-inf")])
    target = {"kind": "index", "labels": ["a", "b", "ü"], "index": [(1, 2), None, 3], "values": values}
    explanation = make(
        {"z": shared, "a": torch.randn(3, 2, requires_grad=True)},
        target=target,
        diagnostics=Diagnostics(values, values, values, 5, ["f"], ["n"], ledger),
        parameters={"epsilon": float("inf"), "low": (0, 1), "composite": object()},
        inputs={"z": shared, "a": torch.arange(6).reshape(3, 2)},
        recorded=recorded,
        layer="conv",
    )
    back = load_explanation(explanation.save(tmp_path / "explanation.safetensors"))
    same(explanation, back)
    assert not back.relevance["a"].requires_grad  # type: ignore[index]


def test_a_callable_target_is_saved_by_its_label(tmp_path: Path) -> None:
    target = {"kind": "callable", "labels": ["my_score"] * 3, "index": [None] * 3, "values": torch.ones(3)}
    back = load_explanation(make(target=target | {"function": torch.relu}).save(tmp_path / "e"))
    assert back.target["labels"] == ["my_score"] * 3 and isinstance(back.target["function"], str)


def test_the_header_is_standard_json_in_a_safetensors_file(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = make(parameters={"epsilon": float("nan")}).save(tmp_path / "e")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not standard JSON")

    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["xaicore"], parse_constant=refuse)
    assert header["format"] == 1 and header["method"] == "lrp.epsilon"


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = make().save(tmp_path / "e")
    before = path.read_bytes()
    unstorable = make(recorded={"a": torch.zeros(2, dtype=torch.complex128)})
    with pytest.raises(FileError, match="complex128"):
        unstorable.save(path)
    assert path.read_bytes() == before and [entry.name for entry in tmp_path.iterdir()] == ["e"]


def test_saving_follows_a_link_and_replaces_the_file(tmp_path: Path) -> None:
    make().save(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    make(samples=2).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(load_explanation(tmp_path / "real")) == 2


def test_saving_to_an_impossible_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is a folder"):
        make().save(tmp_path)
    with pytest.raises(FileError, match="does not exist"):
        make().save(tmp_path / "no" / "e")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04" + bytes(50), "zip archive"),
        (b"\x80\x04\x95" + bytes(50), "a pickle"),
        (b"\x93NUMPY\x01\x00" + bytes(50), "NumPy"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
        (b'{"a": 1}', "JSON"),
        (b"hello, this is some text", "begins with the bytes b'hello"),
    ],
)
def test_other_files_are_refused_and_named(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FileError, match=found):
        load_explanation(tmp_path / "file")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        load_explanation(tmp_path / "none")
    with pytest.raises(FileError, match="it is a folder"):
        load_explanation(tmp_path)


def test_foreign_damaged_and_newer_safetensors_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "e"
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(FileError, match="no explanation that xaicore saved; it holds 1 tensors: weight"):
        load_explanation(path)
    save_file({}, path, metadata={"xaicore": "not json"})
    with pytest.raises(FileError, match="header is damaged"):
        load_explanation(path)
    save_file({}, path, metadata={"xaicore": json.dumps({"format": 2, "xaicore": "0.9"})})
    with pytest.raises(FileError, match=r"format 2, written by xaicore 0\.9.*Update xaicore"):
        load_explanation(path)
    save_file({}, path, metadata={"xaicore": json.dumps({"format": 1})})
    with pytest.raises(FileError, match="damaged or incomplete"):
        load_explanation(path)
    whole = make().save(path).read_bytes()
    for length in (len(whole) - 1, 200, 5):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            load_explanation(path)


# --- pictures in notebooks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 2, 4, 6), (3, 10), (3, 100), (3, 2, 50), (3,), (3, 1, 2, 3, 4)])
def test_a_notebook_shows_a_picture_of_relevance_of_any_shape(shape: tuple[int, ...]) -> None:
    assert make(torch.randn(shape))._repr_png_().startswith(b"\x89PNG")


def test_the_notebook_page_escapes_text_and_carries_warnings() -> None:
    explanation = make(method="<script>")
    explanation.diagnostics.fallbacks.append("a <b> c")
    page = explanation._repr_html_()
    assert "data:image/png;base64," in page and "<script>" not in page
    assert "a &lt;b&gt; c" in page and "Warning" in page


def test_the_notebook_picture_of_many_samples_stays_small() -> None:
    assert len(make(torch.randn(500, 1, 2, 2), samples=500, prediction=torch.zeros(500, 2))._repr_png_()) < 200_000


def test_relevance_that_nearly_cancels_is_told_of() -> None:
    large = torch.tensor([[500.0, -499.0], [1.5, -0.5]])
    noted = Diagnostics.measure(large, torch.ones(2), conserving=True).notes
    assert len(noted) == 1 and "up to 1e+03 times the explained value" in noted[0]
    assert not Diagnostics.measure(large[1:], torch.ones(1), conserving=True).notes
