"""How alike two maps are, against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from xai_evaluation.randomization.similarity import similarities
from xaicore.errors import InputError


def maps(seed: int, count: int = 4, shape: tuple[int, ...] = (2, 9, 9)) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(count, *shape, generator=random, dtype=torch.float64).round(decimals=1)}  # with ties


def test_spearman_and_pearson_are_those_of_scipy() -> None:
    a, b = maps(0), maps(1)
    for similarity, theirs in (("spearman", stats.spearmanr), ("pearson", stats.pearsonr)):
        expected = [theirs(x.flatten(), y.flatten())[0] for x, y in zip(a["x"].numpy(), b["x"].numpy(), strict=True)]
        np.testing.assert_allclose(similarities(a, b, similarity, "signed").numpy(), expected)
        absolute = [
            theirs(np.abs(x).flatten(), np.abs(y).flatten())[0]
            for x, y in zip(a["x"].numpy(), b["x"].numpy(), strict=True)
        ]
        np.testing.assert_allclose(similarities(a, b, similarity, "absolute").numpy(), absolute)


def test_the_cosine_is_that_of_the_angle() -> None:
    a = {"x": torch.tensor([[1.0, 0.0], [3.0, 4.0], [1e-200, 0.0]])}
    b = {"x": torch.tensor([[1.0, 1.0], [-3.0, -4.0], [1e-200, 0.0]])}
    found = similarities({"x": a["x"].double()}, {"x": b["x"].double()}, "cosine", "signed")
    assert found.tolist()[:2] == pytest.approx([0.5**0.5, -1.0])
    tiny = torch.tensor([[1e-200, 0.0]], dtype=torch.float64)
    assert similarities({"x": tiny}, {"x": tiny}, "cosine", "signed").tolist() == [1.0]


@pytest.mark.parametrize("similarity", ["spearman", "pearson", "cosine", "ssim"])
def test_a_map_is_like_itself_at_any_scale(similarity) -> None:
    if similarity == "ssim":
        pytest.importorskip("skimage")
    a = maps(0)
    found = similarities(a, {"x": a["x"] * 3}, similarity, "signed")
    torch.testing.assert_close(found, torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("similarity", ["spearman", "pearson", "cosine"])
def test_a_map_and_its_negative_are_opposites_only_where_signs_count(similarity) -> None:
    a = maps(0)
    b = {"x": -a["x"]}
    torch.testing.assert_close(similarities(a, b, similarity, "signed"), -torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(similarities(a, b, similarity, "absolute"), torch.ones(4, dtype=torch.float64))


def test_constant_maps_and_what_is_not_finite_have_no_similarity() -> None:
    a = maps(0)
    other = maps(1)["x"].clone()
    other[0], other[1], other[2, 0, 0, 0] = 0.0, 0.3, torch.nan
    for similarity, expected in (
        ("spearman", [True, True, True, False]),
        ("pearson", [True, True, True, False]),
        ("cosine", [True, False, True, False]),
    ):
        found = similarities(a, {"x": other}, similarity, "signed")
        assert found.isnan().tolist() == expected, similarity
        assert similarities({"x": other}, a, similarity, "signed").isnan().tolist() == expected


def test_the_structural_similarity_is_that_of_scaled_pictures() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = maps(0), maps(1)
    one, other = (each["x"].sum(1).numpy() for each in (a, b))
    expected = [
        metrics.structural_similarity(x / np.abs(x).max(), y / np.abs(y).max(), win_size=7, data_range=2.0)
        for x, y in zip(one, other, strict=True)
    ]
    np.testing.assert_allclose(similarities(a, b, "ssim", "signed").numpy(), expected)
    zero = {"x": a["x"] * 0}
    assert similarities(a, zero, "ssim", "signed").isnan().all()
    assert similarities(maps(0, shape=(1, 4, 6)), maps(0, shape=(1, 4, 6)), "ssim", "absolute").tolist() == [1.0] * 4


@pytest.mark.parametrize("shape", [(5,), (1, 2, 9)])
def test_structural_similarity_is_of_images(shape) -> None:
    pytest.importorskip("skimage")
    with pytest.raises(InputError, match="images"):
        similarities(maps(0, shape=shape), maps(1, shape=shape), "ssim", "signed")


def test_several_inputs_are_one_map() -> None:
    a, b = maps(0)["x"], maps(1)["x"]
    both = similarities({"u": a[:, :1], "v": a[:, 1:]}, {"u": b[:, :1], "v": b[:, 1:]}, "spearman", "signed")
    torch.testing.assert_close(both, similarities({"x": a}, {"x": b}, "spearman", "signed"))
