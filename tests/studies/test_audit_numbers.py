"""What an audit says of samples and classes: against numbers computed by hand on a linear model."""

from __future__ import annotations

import copy
import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import xaicore
from xaicore.errors import FileError, InputError, ParameterError, XaicoreError
from xaicore.explanation import Diagnostics, Explanation
from xaicore.scoring import bootstrap_interval
from xaicore.studies.auditing.recording import Recording
from xaicore.studies.auditing.spool import Spool

CLASSES, SIDE, SAMPLES = 3, 6, 45
METHOD = "gradients.input_x_gradient"


class Linear(nn.Module):
    """One product with the image a class: relevance is known by hand."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(CLASSES, 2 * SIDE * SIDE, generator=random))

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    images = torch.randn(SAMPLES, 2, SIDE, SIDE, generator=random)
    classes = torch.arange(SAMPLES) % CLASSES
    masks = torch.zeros(SAMPLES, SIDE, SIDE, dtype=torch.bool)
    for number in range(SAMPLES):
        masks[number, number % 3 : number % 3 + 3, 1:5] = True
    return images, classes, masks


def by_hand(model: Linear, images: Tensor, classes: Tensor) -> Tensor:
    """Input times weight, summed over channels: (B, H, W)."""
    return (images * model.weight[classes].reshape(images.shape)).sum(1).double().detach()


def equal(one: xaicore.Audit, other: xaicore.Audit) -> None:
    for (name, a), b in zip(one.samples.arrays().items(), other.samples.arrays().values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=name)
    assert one.samples.names == other.samples.names


def test_the_numbers_of_samples_are_those_of_the_definition(data: Any) -> None:
    model = Linear()
    images, classes, masks = data
    samples = xaicore.audit(model, data, method=METHOD).samples
    relevance = by_hand(model, images, classes)
    positive = relevance.clamp_min(0)
    inside = (positive * masks).sum((1, 2)) / positive.sum((1, 2))
    outputs = model(images).detach()
    np.testing.assert_allclose(samples.inside, inside, rtol=1e-5)
    np.testing.assert_allclose(samples.chance, np.full(SAMPLES, 12 / 36))
    np.testing.assert_allclose(samples.focus, (inside - 1 / 3) / (2 / 3), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(samples.predicted, outputs.argmax(1))
    np.testing.assert_allclose(samples.confidence, outputs.softmax(1).max(1).values, rtol=1e-5)
    np.testing.assert_allclose(samples.value, outputs[range(SAMPLES), classes], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(samples.maps, relevance, rtol=1e-4, atol=1e-5)
    assert (samples.non_finite == 0).all() and (samples.explained == classes.numpy()).all()


def test_the_numbers_of_a_class_are_means_with_intervals_and_the_lowest_focus_comes_first(data: Any) -> None:
    found = xaicore.audit(Linear(), data, method=METHOD, seed=5, labels=["a", "b", "c"])
    assert [record.rank for record in found.classes] == [1, 2, 3]
    focus = [record.focus for record in found.classes]
    assert focus == sorted(focus)
    samples = found.samples
    for record in found.classes:
        members = samples.explained == record.label
        assert record.samples == record.masked == 15 and record.name == "abc"[record.label]
        assert record.accuracy == pytest.approx((samples.true == samples.predicted)[members].mean())
        assert record.inside == pytest.approx(samples.inside[members].mean())
        low, high = bootstrap_interval(torch.from_numpy(samples.inside[members]), seed=5)
        assert (record.inside_low, record.inside_high) == (low, high)
        assert record.chance == pytest.approx(1 / 3)
        assert found[record.name] is found[record.label] is record


class Pairs(Dataset[Any]):
    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data[0])

    def __getitem__(self, place: int) -> Any:
        return tuple(part[place] for part in self.data)


class Endless(IterableDataset[Any]):
    def __init__(self, data: Any) -> None:
        self.data = data

    def __iter__(self) -> Iterator[Any]:
        return zip(*self.data, strict=True)


def test_all_ways_to_give_data_come_to_the_same(data: Any) -> None:
    model = Linear()
    images, classes, masks = data
    expected = xaicore.audit(model, data, method=METHOD)
    boxes = torch.tensor([[1, number % 3, 5, number % 3 + 3] for number in range(SAMPLES)])
    ways = {
        "loader": (DataLoader(TensorDataset(*data), batch_size=7), {}),
        "dataset": (Pairs(data), {}),
        "iterable dataset": (DataLoader(Endless(data), batch_size=7), {}),
        "dict": ({"x": images, "y": classes, "masks": masks}, {}),
        "arrays": ({"x": images.numpy(), "y": classes.numpy(), "masks": masks.numpy()}, {}),
        "channels of masks": ((images, classes, masks[:, None].float()), {}),
        "keys": ([{"a": images, "b": classes, "c": masks}], {"inputs": "a", "true": "b", "masks": "c"}),
        "positions": ([(masks, classes, images)], {"inputs": 2, "true": 1, "masks": 0}),
        "boxes": ({"x": images, "y": classes, "boxes": boxes}, {}),
        "list of boxes": ({"x": images, "y": classes, "boxes": boxes.tolist()}, {}),
        "one by one": (((x[None], y[None], m[None]) for x, y, m in zip(*data, strict=True)), {}),
        "batch size": (data, {"batch_size": 4}),
        "analyzer": (data, {"method": xaicore.create_analyzer(METHOD, model)}),
    }
    for name, (given, options) in ways.items():
        # A list of batches is what a generator yields.
        stream = (item for item in given) if isinstance(given, list) else given
        try:
            equal(xaicore.audit(model, stream, **({"method": METHOD} | options)), expected)
        except Exception as error:
            raise AssertionError(name) from error


def test_only_the_classes_that_are_asked_for_are_explained(data: Any) -> None:
    model = Linear()
    everything = xaicore.audit(model, data, method=METHOD)
    found = xaicore.audit(model, data, method=METHOD, classes=["c", 0], labels=["a", "b", "c"])
    assert sorted(record.label for record in found.classes) == [0, 2] and len(found) == 30
    kept = everything.samples.true != 1
    np.testing.assert_allclose(found.samples.maps, everything.samples.maps[kept], rtol=1e-5)


def test_the_predicted_class_can_be_explained_instead(data: Any) -> None:
    model = Linear()
    found = xaicore.audit(model, data, method=METHOD, target="predicted")
    predicted = model(data[0]).argmax(1)
    assert (found.samples.explained == predicted.numpy()).all()
    np.testing.assert_allclose(found.samples.maps, by_hand(model, data[0], predicted), rtol=1e-4, atol=1e-5)
    for record in found.classes:  # precision: of those taken for the class
        assert record.accuracy == pytest.approx(
            float((data[1] == predicted)[predicted == record.label].double().mean())
        )


def test_large_maps_are_kept_as_means_over_areas() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    images, classes = torch.rand(6, 1, 40, 24), torch.tensor([0, 1, 2, 0, 1, 2])
    found = xaicore.audit(model, (images, classes), method=METHOD, resolution=8)
    relevance = xaicore.explain(model, images, method=METHOD, target=classes).relevance
    expected = relevance[:, 0].double().reshape(6, 8, 5, 8, 3).mean((2, 4))
    np.testing.assert_allclose(found.samples.maps, expected.detach(), rtol=1e-4, atol=1e-9)
    assert found.examples[0].thumbnail.picture.shape == found.examples[0].thumbnail.map.shape == (40, 24)


@pytest.mark.parametrize(
    ("model", "shape", "map_shape"),
    [
        (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)), (30, 5), (5,)),
        (nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)), (30, 2, 10), (10,)),
    ],
)
def test_features_and_series_have_maps_without_pictures(model: nn.Module, shape: Any, map_shape: Any) -> None:
    inputs, classes = torch.randn(*shape), torch.arange(30) % 3
    found = xaicore.audit(model, (inputs, classes), method=METHOD)
    assert found.samples.maps.shape == (30, *map_shape)
    assert all(example.thumbnail.picture is None for example in found.examples)
    assert found.plot().axes


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_of_numbers(data: Any, dtype: torch.dtype) -> None:
    model = Linear().to(dtype)
    images, classes, masks = data
    found = xaicore.audit(model, (images.to(dtype), classes, masks), method=METHOD)
    expected = by_hand(Linear(), images, classes)
    assert found.samples.maps.dtype == np.float32
    np.testing.assert_allclose(found.samples.maps, expected, atol=1e-4 if dtype is torch.float64 else 0.1)


def test_the_model_is_left_as_it_was(data: Any) -> None:
    model = Linear().train()
    before = copy.deepcopy(model.state_dict())
    xaicore.audit(model, data, method=METHOD)
    assert model.training and all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert all(each.requires_grad and each.grad is None for each in model.parameters())


class Given(xaicore.Analyzer):
    """Gives the inputs themselves for relevance, whatever they are."""

    method = "given"

    def analyze(self, inputs: Tensor, target: Any = None, *, engine: Any = None) -> Explanation:  # type: ignore[override]
        outputs = self.model(torch.nan_to_num(inputs)).detach()
        chosen = torch.as_tensor(outputs.argmax(1) if target is None else target)
        values = outputs[range(len(chosen)), chosen]
        names = [str(label) for label in chosen.tolist()]
        target = {"kind": "class", "labels": names, "index": chosen.tolist(), "values": values}
        checks = Diagnostics.measure(inputs, values, conserving=False)
        return Explanation(inputs, outputs, target, checks, "given", inputs=inputs)


def test_maps_that_are_not_finite_or_zero_are_counted_and_in_no_cluster() -> None:
    model = Linear()
    random = torch.Generator().manual_seed(0)
    maps = torch.rand(40, 2, SIDE, SIDE, generator=random)
    maps[3, 0, 1, 1] = torch.nan
    maps[4] = 0
    maps[5] = -1
    masks = torch.ones(40, SIDE, SIDE, dtype=torch.bool)
    masks[:, 0] = False
    masks[6] = False
    found = xaicore.audit(model, (maps, torch.arange(40) % 2, masks), method=Given(model))
    samples = found.samples
    assert samples.non_finite.tolist() == [0, 0, 0, 1] + [0] * 36
    assert np.flatnonzero(samples.cluster == 0).tolist() == [3, 4]
    assert np.isnan(samples.position[[3, 4]]).all() and np.isfinite(np.delete(samples.position, [3, 4], 0)).all()
    assert np.flatnonzero(np.isnan(samples.inside)).tolist() == [3, 4, 5]  # 5 has no positive relevance
    assert np.isnan(samples.focus[6]) and samples.inside[6] == 0 and samples.chance[6] == 0
    assert found[1].masked == 18 and found[1].non_finite == 1 and found[0].masked == 18
    assert np.isnan(samples.gap).all()
    notes = " ".join(found.notes)
    assert "2 maps are not finite, or zero" in notes and "not known for 4 of 40" in notes
    assert not {3, 4} & {example.place for example in found.examples}


def test_what_batches_note_alike_is_told_once_with_the_largest_number() -> None:
    with Spool() as spool:
        recording = Recording(spool)
        recording.note(["up to 1.5e+02 times, in conv_1", "up to 20 times, in conv_2"])
        recording.note(["up to 2.7e+02 times, in conv_1", "up to 9 times, in conv_1", "up to 3 times, in conv_2"])
    assert sorted(recording.notes) == ["up to 2.7e+02 times, in conv_1", "up to 20 times, in conv_2"]


def test_a_class_of_which_no_map_can_be_clustered() -> None:
    model = Linear()
    maps = torch.rand(20, 2, SIDE, SIDE)
    classes = torch.arange(20) % 2
    maps[classes == 1] = 0
    found = xaicore.audit(model, (maps, classes), method=Given(model))
    assert found[1].clusters == 0 and "no cluster" in found[1].clustering
    assert {record.label for record in found.clusters} == {0}
    assert found.table() and found.plot()


def test_after_ctrl_c_what_is_finished_is_audited(data: Any) -> None:
    def stream() -> Iterator[Any]:
        for start in range(0, SAMPLES, 5):
            if start == 20:
                os.kill(os.getpid(), signal.SIGINT)
            yield tuple(part[start : start + 5] for part in data)

    found = xaicore.audit(Linear(), stream(), method=METHOD)
    assert len(found) == 20 and "interrupted: only the first 20 samples" in found.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "pedicted"}, "did you mean 'predicted'"),
        ({"clusters": 0}, "clusters=0 must be a whole number from 1 to 8 or 'auto'"),
        ({"clusters": "many"}, "clusters='many'"),
        ({"resolution": 1}, "resolution=1"),
        ({"embedding": "umap"}, "embedding='umap'"),
        ({"seed": -1}, "seed=-1"),
        ({"classes": []}, "classes is empty"),
        ({"classes": ["dog"]}, "there are no labels"),
        ({"classes": ["dgo"], "labels": ["cat", "dog", "cow"]}, "did you mean 'dog'"),
        ({"masks": 1, "boxes": 2}, "not both"),
        ({"layer": "conv"}, "leave layer= out"),
        ({"epsilon": 1}, "no option 'epsilon'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(data: Any, change: Any, message: str) -> None:
    def untouched() -> Iterator[Any]:
        yield data
        raise AssertionError("went on")

    with pytest.raises(XaicoreError, match=f"(?i){message}"):
        xaicore.audit(Linear(), untouched(), **({"method": METHOD} | change))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(4, 2, 6, 6), "without the true classes"),
        ((torch.zeros(4, 2, 6, 6),), "needs inputs and true classes"),
        ((torch.zeros(4, 2, 6, 6), torch.zeros(3, dtype=torch.long)), "disagree on the number of samples"),
        ((torch.zeros(4, 2, 6, 6), torch.zeros(4)), "one whole number a sample"),
        ((torch.zeros(4, 2, 6, 6), ["a", "b", "c", "d"]), "one whole number a sample"),
        ((torch.zeros(4, 2, 6, 6), torch.tensor([0, 1, 2, 3])), "valid|the model knows 0 to 2"),
        ((torch.zeros(4, 2, 6, 6), torch.zeros(4, dtype=torch.long), torch.zeros(4, 5, 5)), "masks of shape"),
        ({"x": torch.zeros(4, 2, 6, 6), "z": torch.zeros(4)}, "none of the keys true, y"),
        (iter([]), "nothing to audit"),
    ],
)
def test_data_that_do_not_fit_are_refused(given: Any, message: str) -> None:
    with pytest.raises((InputError, xaicore.errors.TargetError), match=message):
        xaicore.audit(Linear(), given, method=METHOD)


def test_a_model_that_is_no_classifier_or_another_one_is_refused(data: Any) -> None:
    regression = nn.Sequential(nn.Flatten(), nn.Linear(72, 1))
    with pytest.raises(InputError, match="needs a classifier"):
        xaicore.audit(regression, (data[0], torch.zeros(SAMPLES, dtype=torch.long)), method=METHOD)
    with pytest.raises(ParameterError, match="another model"):
        xaicore.audit(Linear(), data, method=xaicore.create_analyzer(METHOD, Linear()))


def test_an_audit_is_saved_and_read_back_whole(data: Any, tmp_path: Any) -> None:
    found = xaicore.audit(Linear(), data, method=METHOD, labels=["a", "b", "c"])
    found.save(tmp_path / "audit.safetensors")
    read = xaicore.Audit.load(tmp_path / "audit.safetensors")
    assert read.table() == found.table() and repr(read) == repr(found)
    for name, each in found.samples.arrays().items():
        np.testing.assert_array_equal(read.samples.arrays()[name], each)
    assert read.samples.names == found.samples.names and repr(read.classes) == repr(found.classes)
    for one, other in zip(read.examples, found.examples, strict=True):
        assert one.place == other.place
        np.testing.assert_array_equal(one.thumbnail.picture, other.thumbnail.picture)
        np.testing.assert_array_equal(one.thumbnail.map, other.thumbnail.map)
    assert list(tmp_path.iterdir()) == [tmp_path / "audit.safetensors"]


def test_files_that_are_no_audits_are_refused(data: Any, tmp_path: Any) -> None:
    explanation = xaicore.explain(Linear(), data[0], method=METHOD)
    explanation.save(tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name, message in (("other", "no audit"), ("text", "no audit"), ("missing", "no such file")):
        with pytest.raises(FileError, match=message):
            xaicore.Audit.load(tmp_path / f"{name}.safetensors")
    with pytest.raises(FileError, match="does not exist"):
        xaicore.audit(Linear(), data, method=METHOD).save(tmp_path / "nowhere" / "a.safetensors")
