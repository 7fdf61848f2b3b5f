"""The result: rows, files, pictures; and what `fit` learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from xai_activation_max import GaussianMixture, GaussianRBM, Prototype, PrototypeSearch, load_prototype
from xaicore import Batch
from xaicore.errors import FileError, InputError, NotFittedError, ParameterError

FEW: dict[str, Any] = {"steps": 5, "patience": None}


def blobs(per_class: int = 40) -> tuple[Tensor, Tensor]:
    """Three classes of two clusters each."""
    random = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0, 0], [0, 4], [4, 0], [4, 4], [8, 0], [8, 4]], dtype=torch.float32)
    labels = torch.arange(6).repeat_interleave(per_class // 2)
    return centres[labels] + 0.2 * torch.randn(len(labels), 2, generator=random), labels // 2


def classifier(outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, outputs))


def images(count: int = 3) -> Prototype:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 16, 4))
    return PrototypeSearch(model, **FEW).search((1, 6, 6), [0, 3], count=count)


def test_prototypes_are_taken_apart_and_the_best_is_known() -> None:
    found = images()
    assert len(found) == 6 and [len(each) for each in found] == [1] * 6
    assert torch.equal(found[-1].inputs, found.inputs[5:]) and found[1:3].target == found.target[1:3]
    assert found[1:3].trace.shape == (5, 2)
    assert float(found.best.objective) == float(found.objective.max())
    assert found.seed == 0 and "prior='l2'" in repr(found) and "class 3" in repr(found)
    with pytest.raises(IndexError, match="there are 6 prototypes"):
        found[6]


def test_a_saved_prototype_is_read_as_it_was(tmp_path: Path) -> None:
    found = images()
    back = load_prototype(found.save(tmp_path / "found.safetensors"))
    for name in ("inputs", "objective", "score", "prior", "sample", "restart", "probability"):
        assert torch.equal(getattr(back, name), getattr(found, name)), name
    assert torch.equal(back.trace.nan_to_num(), found.trace.nan_to_num())
    assert back.parameters == found.parameters and back.target == found.target and back.notes == found.notes
    assert repr(back) == repr(found)


def test_a_layer_and_objects_as_parameters_survive_saving(tmp_path: Path) -> None:
    search = PrototypeSearch(classifier(), prior=lambda x: -x.square().sum(1), bounds=(torch.zeros(2), 9.0), **FEW)
    found = search.search((2,), 1, layer="0")
    back = load_prototype(found.save(tmp_path / "found.safetensors"))
    assert back.probability is None and back.layer == "0"
    assert "lambda" in back.parameters["prior"] and back.parameters["bounds"] == [[0.0, 0.0], 9.0]


def test_files_that_hold_no_prototype_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        load_prototype(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(FileError, match="no safetensors file"):
        load_prototype(tmp_path / "text.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="holds no prototype"):
        load_prototype(tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="does not exist"):
        images().save(tmp_path / "missing" / "found.safetensors")
    with pytest.raises(FileError, match="it is a folder"):
        images().save(tmp_path)


def test_images_are_drawn_a_column_for_each_target(tmp_path: Path) -> None:
    figure = images().plot()
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 6
    assert [ax.get_title() for ax in shown].count("class 3") == 3
    first = [ax for ax in shown if ax.get_title() == "class 0"]
    assert len({round(ax.get_position().x0, 3) for ax in first}) == 1 and shown[0].get_xlabel().startswith("p = ")
    named = images().plot(labels=["cat", "dog", "bird", "fish"], limit=4)
    assert {ax.get_title() for ax in named.axes if ax.images} == {"cat", "fish"}
    named.savefig(tmp_path / "found.png")
    assert (tmp_path / "found.png").stat().st_size > 1000


def test_series_and_tables_are_drawn_and_axes_can_be_given() -> None:
    series = PrototypeSearch(nn.Sequential(nn.Flatten(), nn.Linear(24, 2)), **FEW).search((2, 12), 1)
    (ax,) = series.plot(footer=False).axes
    assert len(ax.lines) == 2 and torch.allclose(torch.as_tensor(ax.lines[1].get_ydata()), series.inputs[0, 1])
    table = PrototypeSearch(nn.Linear(3, 2), **FEW).search((3,), 0)
    (ax,) = table.plot(names=["a", "b", "c"]).axes
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(table.inputs[0].tolist())
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    own = Figure().add_subplot()
    assert images()[0].plot(ax=own) is own.figure
    with pytest.raises(InputError, match="ax= takes one prototype, not 6"):
        images().plot(ax=own)
    with pytest.raises(InputError, match="2 names for 3 columns"):
        table.plot(names=["a", "b"])
    with pytest.raises(InputError, match="2 labels, and a prototype of class 3"):
        images().plot(labels=["a", "b"])
    with pytest.raises(ParameterError, match="Did you mean 'image'"):
        images().plot(kind="imag")
    assert images()[0]._repr_png_().startswith(b"\x89PNG")


def test_volumes_have_no_picture() -> None:
    found = PrototypeSearch(nn.Sequential(nn.Flatten(), nn.Linear(27, 2)), **FEW).search((1, 3, 3, 3), 0)
    with pytest.raises(InputError, match="draw slices"):
        found.plot()


# What is learnt


@pytest.mark.parametrize("form", ["pair", "arrays", "loader", "batches", "generator"])
def test_means_of_classes_are_learnt_from_data_in_any_form(form: str) -> None:
    x, y = blobs()
    given: Any = {
        "pair": (x, y),
        "arrays": (x.numpy(), y.numpy()),
        "loader": DataLoader(TensorDataset(x, y), 7),
        "batches": (Batch(x[i : i + 9], y[i : i + 9]) for i in range(0, len(x), 9)),
        "generator": ((x[i : i + 50], y[i : i + 50]) for i in range(0, len(x), 50)),
    }[form]
    learnt = PrototypeSearch(classifier()).fit(given).learnt_
    assert learnt.seen == len(x) and torch.allclose(learnt.mean, x.double().mean(0))
    for number in range(3):
        assert torch.allclose(learnt.class_means[number], x[y == number].double().mean(0), atol=1e-6)
    assert learnt.spread == pytest.approx(float(x.double().var(0, unbiased=False).mean().sqrt()), rel=1e-6)


def test_without_labels_the_classes_are_those_that_the_model_predicts() -> None:
    x, _ = blobs()
    model = classifier()
    learnt = PrototypeSearch(model).fit(x).learnt_
    predicted = model(x).argmax(1)
    assert set(learnt.class_means) == set(predicted.tolist())
    for number, mean in learnt.class_means.items():
        assert torch.allclose(mean, x[predicted == number].double().mean(0), atol=1e-6)


def test_the_mean_of_its_class_draws_a_prototype() -> None:
    x, y = blobs()
    search = PrototypeSearch(classifier(), prior="mean", strength=1e5, steps=300).fit((x, y))
    found = search.search((2,), [2, 0])
    expected = torch.stack([x[y == number].mean(0) for number in (2, 0)])
    assert torch.allclose(found.inputs, expected, atol=1e-2)


def test_a_small_spread_around_a_large_mean_is_not_lost() -> None:
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    near, far = (PrototypeSearch(nn.Linear(3, 2).double()).fit(iter((x + each).split(7))).learnt_ for each in (0, 1e9))
    assert near.spread == pytest.approx(float(x.std(0, correction=0).square().mean().sqrt()), rel=1e-12)
    assert far.spread == pytest.approx(near.spread, rel=1e-6)
    assert torch.allclose(far.mean - 1e9, near.mean, atol=1e-6)


def test_several_prototypes_begin_at_clusters_of_their_class() -> None:
    x, y = blobs()
    search = PrototypeSearch(classifier(), prior="none", noise=0.0, steps=1, learning_rate=1e-9).fit((x, y))
    found = search.search((2,), 1, count=2).inputs
    found = found[found[:, 1].argsort()]
    assert torch.allclose(found, torch.tensor([[4.0, 0.0], [4.0, 4.0]]), atol=0.2)
    with pytest.raises(InputError, match=r"begin at as many clusters, and the data has 40 samples of class 1"):
        search.search((2,), 1, count=41)


def test_an_expert_keeps_prototypes_among_the_data() -> None:
    x, y = blobs()
    torch.manual_seed(0)
    model = classifier()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    mixture = GaussianMixture(components=6, reg_covar=1e-2).fit(x)
    simple = PrototypeSearch(model, strength=0.001, steps=200).search((2,), [0, 1, 2])
    natural = PrototypeSearch(model, prior=mixture, steps=200).fit((x, y)).search((2,), [0, 1, 2])
    distances = [torch.cdist(each.inputs, x).amin(1) for each in (simple, natural)]
    assert float(distances[1].max()) < 0.1 < float(distances[0].max())
    assert float(natural.probability.min()) > 0.9


def test_the_word_expert_is_a_machine_learnt_in_fit_the_same_each_time() -> None:
    x, y = blobs()
    search = PrototypeSearch(classifier(), prior="expert", steps=20)
    found = [search.fit((x, y)).search((2,), 1) for _ in range(2)]
    assert isinstance(search.expert_, GaussianRBM)
    assert torch.equal(found[0].inputs, found[1].inputs)
    density = search.expert_.log_density(found[0].inputs)
    assert torch.allclose(found[0].prior, density, atol=1e-4)


def test_what_is_not_learnt_is_asked_for() -> None:
    for prior, what in (("expert", "the density of the data"), ("mean", "the mean of the class")):
        with pytest.raises(NotFittedError, match=f"{what}, which is learnt from data: call fit"):
            PrototypeSearch(classifier(), prior=prior).search((2,), 1)
    with pytest.raises(NotFittedError, match=r"start='clusters' is learnt from data"):
        PrototypeSearch(classifier(), start="clusters").search((2,), 1)
    with pytest.raises(NotFittedError, match="has not learnt a density yet"):
        PrototypeSearch(classifier(), prior=GaussianRBM()).search((2,), 1)


def test_only_so_many_samples_are_kept_and_which_does_not_depend_on_batches() -> None:
    x, y = blobs()
    kept = [
        PrototypeSearch(classifier(), pool=15, seed=seed).fit(DataLoader(TensorDataset(x, y), size)).learnt_
        for seed, size in ((0, 7), (0, 120), (1, 7))
    ]
    assert len(kept[0].samples) == 15 and torch.equal(kept[0].samples, kept[1].samples)
    assert not torch.equal(kept[0].samples, kept[2].samples)
    assert kept[0].labels is not None and kept[1].labels is not None
    assert torch.equal(kept[0].labels, kept[1].labels)
    assert kept[0].seen == len(x) and torch.allclose(kept[0].mean, kept[1].mean)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "fit needs data"),
        ([], "the iterable holds no batch"),
        (torch.zeros(0, 2), "empty"),
        (torch.full((3, 2), float("nan")), "NaN"),
        (np.zeros((3, 2), dtype=np.uint8), "give floating-point samples"),
        ((torch.zeros(3, 2), torch.zeros(2, dtype=torch.long)), "the labels have shape"),
        ((torch.zeros(3, 2), torch.zeros(3)), "the number of the class of each of the 3 samples"),
        ((torch.zeros(3, 2), torch.zeros(3, 4, dtype=torch.long)), "the labels have shape"),
        ([torch.zeros(3, 2), torch.zeros(3, 3)], "has samples of shape"),
        ([(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long)), torch.zeros(3, 2)], "give all of them, or none"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(data: Any, message: str) -> None:
    stream = iter(data) if isinstance(data, list) else data
    with pytest.raises(InputError, match=message):
        PrototypeSearch(_Mean()).fit(stream)


class _Mean(nn.Module):
    """Takes any number of columns, and is no classifier."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def test_a_class_or_a_shape_that_the_data_did_not_have_is_refused() -> None:
    x, y = blobs()
    search = PrototypeSearch(classifier(4), prior="mean").fit((x, y))
    with pytest.raises(InputError, match="no sample of class 3; it has classes 0, 1, 2"):
        search.search((2,), 3)
    other = PrototypeSearch(nn.Linear(3, 3)).fit((x.new_zeros(4, 3), torch.arange(4)))
    other.model = nn.Linear(2, 3)
    with pytest.raises(InputError, match=r"samples of shape \(2,\); the data of fit had \(3,\)"):
        other.search((2,), 0)


def test_an_expert_of_another_dimension_is_refused() -> None:
    x, _ = blobs()
    with pytest.raises(ParameterError, match=r"fitted to samples of shape \(2,\)"):
        PrototypeSearch(nn.Linear(3, 2), prior=GaussianMixture(components=2).fit(x)).search((3,), 0)
