"""Groups of entries: what users write, how groups are numbered, masked and spread, and superpixels."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch
from torch import Tensor

from xai_perturbation.features import Features, check_features, resolve_features
from xai_perturbation.segmentation import ALGORITHMS, Segmentation
from xaicore.analyzers import CallableEvaluation
from xaicore.engine import Block, Engine
from xaicore.errors import InputError, ParameterError


def evaluation(*inputs: Tensor) -> CallableEvaluation:
    def total(*args: Tensor) -> Tensor:
        return torch.stack([each.double().flatten(1).sum(1) for each in args]).sum(0)

    return CallableEvaluation(total, inputs if len(inputs) > 1 else inputs[0], engine=Engine())


def resolve(spec: Any, *inputs: Tensor) -> Features:
    return resolve_features(spec, evaluation(*inputs))


def pictures(batch: int = 2, channels: int = 3, size: int = 24) -> Tensor:
    """Four flat quarters with some noise, a different corner bright in each picture."""
    random = torch.Generator().manual_seed(3)
    x = torch.rand(batch, channels, size, size, generator=random) * 0.05
    for number in range(batch):
        row, column = number // 2 % 2, number % 2
        half = size // 2
        x[number, :, row * half : row * half + half, column * half : column * half + half] += 1
    return x


# What users write


def test_each_column_of_a_table_is_a_feature() -> None:
    features = resolve(None, torch.rand(5, 3))
    assert features.counts == [3] * 5 and features.shared
    assert features.labels["input"].tolist() == [[0, 1, 2]]


def test_each_token_is_a_feature() -> None:
    assert resolve(None, torch.randint(9, (2, 4))).labels["input"].tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(("shape", "count"), [((1, 100), 50), ((3, 28, 28), 49), ((1, 8, 8, 8), 64), ((2, 5, 40), 40)])
def test_the_default_of_images_is_a_grid_of_at_most_64_cells(shape: tuple[int, ...], count: int) -> None:
    features = resolve(None, torch.rand(2, *shape))
    assert features.count == count and features.labels["input"].shape == (1, 1, *shape[1:])


def test_grid_cells_of_a_given_size_end_with_the_input() -> None:
    labels = resolve((2, 3), torch.rand(1, 3, 3, 7)).labels["input"]
    assert labels[0, 0].tolist() == [[0, 0, 0, 1, 1, 1, 2], [0, 0, 0, 1, 1, 1, 2], [3, 3, 3, 4, 4, 4, 5]]


def test_grid_cells_may_divide_the_channels_too() -> None:
    features = resolve((1, 2, 2), torch.rand(1, 3, 4, 4))
    assert features.count == 12 and features.labels["input"][0, 2, 3, 3] == 11


def test_grid_cells_of_a_table_are_columns_side_by_side() -> None:
    assert resolve(2, torch.rand(1, 5)).labels["input"].tolist() == [[0, 0, 1, 1, 2]]


@pytest.mark.parametrize("with_array", [False, True])
def test_labels_of_ones_own_are_numbered_without_gaps_in_their_order(with_array: bool) -> None:
    labels = torch.tensor([[7, 7], [-3, 40]])
    features = resolve(labels.numpy() if with_array else labels, torch.rand(2, 3, 2, 2))
    assert features.labels["input"].tolist() == [[[[0, 0], [-1, 1]]]]
    assert features.sizes().tolist() == [[6, 3]]


def test_labels_may_differ_between_samples() -> None:
    labels = torch.tensor([[0, 0, 1], [0, 1, 2]])
    features = resolve(labels, torch.rand(2, 3))
    assert features.counts == [2, 3] and features.count == 3 and not features.shared
    assert features.exists().tolist() == [[True, True, False], [True, True, True]]
    assert features.sizes().tolist() == [[2, 1, 0], [1, 1, 1]]


def test_labels_with_channels_tell_channels_apart() -> None:
    labels = torch.arange(12).view(3, 2, 2)
    assert resolve(labels, torch.rand(2, 3, 2, 2)).count == 12


def test_features_of_several_inputs_are_numbered_through() -> None:
    features = resolve(None, torch.rand(2, 2), torch.rand(2, 3))
    assert features.labels["input_0"].tolist() == [[0, 1]] and features.labels["input_1"].tolist() == [[2, 3, 4]]


def test_where_samples_have_different_numbers_of_groups_each_sample_is_numbered_without_gaps() -> None:
    spec = {"input_0": torch.tensor([[0, 0], [0, 1]]), "input_1": 1}
    features = resolve(spec, torch.rand(2, 2), torch.rand(2, 2))
    assert features.counts == [3, 4]
    assert features.labels["input_1"].tolist() == [[1, 2], [2, 3]]


def test_an_input_that_a_dict_does_not_name_stays_as_it_is() -> None:
    x, y = torch.rand(2, 2), torch.rand(2, 3)
    features = resolve({"input_1": None}, x, y)
    block = Block(0, 2, 0, 1)
    fills = {"input_0": torch.zeros(1, 2), "input_1": torch.zeros(1, 3)}
    rows = features.masked({"input_0": x, "input_1": y}, fills, torch.zeros(1, 3, dtype=torch.bool), block)
    assert torch.equal(rows["input_0"], x) and not rows["input_1"].any()
    assert not features.spread(torch.ones(2, 3))["input_0"].any()


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("quikshift", "Did you mean 'quickshift'"),
        (0, "positive"),
        ((2, 0), "positive"),
        (True, "not understood"),
        (2.5, "not understood"),
        (torch.rand(4), "must be integers"),
        (torch.tensor([True]), "must be integers"),
        ({}, "names no input"),
        ({"x": 0}, r"features\['x'\]=0"),
    ],
)
def test_what_is_no_choice_of_features_is_refused(spec: Any, named: str) -> None:
    with pytest.raises(ParameterError, match=named):
        check_features(spec)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        (torch.zeros(3, dtype=torch.long), r"shape \(3,\) do not fit input 'input' of shape \(2, 1, 4, 4\)"),
        (torch.zeros(3, 1, 4, 4, dtype=torch.long), "labels for 3 samples; there are 2"),
        (-torch.ones(4, 4, dtype=torch.long), "every entry has a negative label"),
        ({"imput": 2}, "no input 'imput'.*Did you mean 'input'"),
    ],
)
def test_features_that_do_not_fit_the_inputs_are_refused(spec: Any, named: str) -> None:
    with pytest.raises(InputError, match=named):
        resolve(spec, torch.rand(2, 1, 4, 4))


def test_a_tuple_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ParameterError, match="a tuple of 2, or of 3 with the channels"):
        resolve((1,), torch.rand(2, 1, 4, 4))


# Masking and spreading, against loops


@pytest.mark.parametrize("own_groups", [False, True])
@pytest.mark.parametrize("own_present", [False, True])
@pytest.mark.parametrize("own_fill", [False, True])
def test_masked_rows_are_those_of_a_loop(own_groups: bool, own_present: bool, own_fill: bool) -> None:
    random = torch.Generator().manual_seed(1)
    x = torch.rand(4, 2, 3, 3, generator=random)
    labels = torch.randint(-1, 4, (4 if own_groups else 1, 1, 3, 3), generator=random)
    features = resolve(labels, x)
    block = Block(1, 4, 2, 7)
    present = torch.rand(15 if own_present else 5, features.count, generator=random) > 0.5
    fill = torch.rand(4 if own_fill else 1, 2, 3, 3, generator=random)
    rows = features.masked({"input": x}, {"input": fill}, present, block)["input"]

    used = features.labels["input"]
    for row in range(15):
        sample, step = 1 + row // 5, row % 5
        for c in range(2):
            for i in range(3):
                for j in range(3):
                    group = used[sample if own_groups else 0, 0, i, j]
                    keep = group < 0 or present[row if own_present else step, group]
                    expected = x[sample, c, i, j] if keep else fill[sample if own_fill else 0, c, i, j]
                    assert rows[row, c, i, j] == expected


@pytest.mark.parametrize("how", ["each", "share"])
def test_values_are_spread_to_every_entry_or_shared_out(how: str) -> None:
    x = torch.rand(2, 2, 2, 2)
    features = resolve(torch.tensor([[0, 0], [1, -1]]), x)
    values = torch.tensor([[4.0, 2.0], [8.0, 6.0]])
    found = features.spread(values, how=how)["input"]
    sizes = torch.tensor([4.0, 2.0]) if how == "share" else torch.ones(2)
    for sample in range(2):
        one, other = (values[sample] / sizes).tolist()
        assert found[sample].tolist() == [[[one, one], [other, 0.0]]] * 2


def test_shares_keep_the_sum_over_several_inputs() -> None:
    features = resolve({"input_0": 2, "input_1": None}, torch.rand(3, 2, 5, 5), torch.rand(3, 4))
    values = torch.rand(3, features.count, dtype=torch.float64)
    found = features.spread(values, how="share")
    total = found["input_0"].flatten(1).sum(1) + found["input_1"].sum(1)
    torch.testing.assert_close(total, values.sum(1))


def test_an_unknown_way_to_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="choose 'each' or 'share'"):
        resolve(None, torch.rand(1, 2)).spread(torch.rand(1, 2), how="sum")


# Superpixels


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_superpixels_follow_the_edges_of_a_picture(name: str, channels: int) -> None:
    x = pictures(2, channels)
    features = resolve(name, x)
    assert features.labels["input"].shape == (2, 1, 24, 24)
    for number in range(2):
        bright = x[number].mean(0) > 0.5
        for label in range(features.counts[number]):
            inside = bright[features.labels["input"][number, 0] == label].float().mean()
            assert inside < 0.2 or inside > 0.8


@pytest.mark.parametrize("name", ALGORITHMS)
def test_superpixels_are_the_same_alone_in_a_batch_and_again(name: str) -> None:
    x = pictures(3)
    together = resolve(name, x).labels["input"]
    assert torch.equal(together, resolve(name, x).labels["input"])
    for number in range(3):
        assert torch.equal(resolve(name, x[number : number + 1]).labels["input"], together[number : number + 1])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_superpixels_do_not_depend_on_the_scale_of_the_values(name: str) -> None:
    x = pictures(1, 1).double()
    assert torch.equal(resolve(name, x).labels["input"], resolve(name, x * 4 - 2).labels["input"])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_picture_without_contrast_has_superpixels_without_nan(name: str) -> None:
    assert resolve(name, torch.full((1, 1, 12, 12), 0.5)).count >= 1


def test_series_are_cut_where_their_values_change() -> None:
    x = torch.zeros(1, 1, 40)
    x[..., 13:] = 1
    labels = resolve("felzenszwalb", x).labels["input"][0, 0]
    assert len(labels[:13].unique()) == 1 and labels[12] != labels[13]


def test_slic_finds_superpixels_in_volumes() -> None:
    x = torch.zeros(1, 1, 6, 6, 6)
    x[..., 3:] = 1
    labels = resolve(Segmentation("slic", n_segments=8), x).labels["input"][0, 0]
    assert not set(labels[..., :3].unique().tolist()) & set(labels[..., 3:].unique().tolist())


def test_options_reach_scikit_image() -> None:
    x = pictures(1)
    few, many = (resolve(Segmentation("slic", n_segments=n), x).count for n in (4, 36))
    assert few < many


@pytest.mark.parametrize("x", [torch.rand(2, 3), torch.randint(5, (1, 1, 4, 4)), torch.rand(1, 1, 4, 4, 4)])
def test_what_has_no_superpixels_is_refused(x: Tensor) -> None:
    with pytest.raises(InputError, match="finds no superpixels in input 'input'"):
        resolve("quickshift", x)


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "skimage":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'xai-perturbation\[segmentation\]'"):
        resolve("slic", pictures(1))


def test_a_segmentation_shows_its_options() -> None:
    assert repr(Segmentation("slic", n_segments=9)) == "Segmentation('slic', n_segments=9)"
    with pytest.raises(ParameterError, match="Did you mean 'slic'"):
        Segmentation("slik")
