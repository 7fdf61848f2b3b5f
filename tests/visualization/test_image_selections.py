"""Segments and pattern: what stays of an image, counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import pattern, segments
from xaicore.visualization.selections import superpixels

REGIONS = torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]])
RELEVANCE = torch.tensor([[3.0, 3.0, 1.0, 1.0], [-4.0, 9.0, -1.0, -1.0]])  # segments carry 6, 2, 5, -2
IMAGE = torch.linspace(0.12, 0.82, 8).reshape(2, 4)


def kept(ax: Any, fill: float = 0.5) -> Any:
    """Which pixels show the image."""
    shown = np.asarray(ax.images[0].get_array())
    same = np.isclose(shown, IMAGE.numpy())
    assert np.isclose(shown[~same], fill).all()
    return same


@pytest.mark.parametrize(
    ("options", "chosen", "said"),
    [
        ({"keep": 0.4}, [0], "1 of 4 segments\n46.2 % of positive relevance"),
        ({"keep": 6 / 13}, [0], "1 of 4 segments\n46.2 % of positive relevance"),
        ({"keep": 0.5}, [0, 2], "2 of 4 segments\n84.6 % of positive relevance"),
        ({"keep": 1.0}, [0, 1, 2], "3 of 4 segments\n100 % of positive relevance"),
        ({"most": 2}, [0, 2], "2 of 4 segments\n84.6 % of positive relevance"),
        ({"most": 9}, [0, 1, 2], "3 of 4 segments\n100 % of positive relevance"),
    ],
)
def test_the_most_relevant_segments_stay_and_their_share_is_printed(
    options: dict[str, Any], chosen: list[int], said: str
) -> None:
    ax = segments(RELEVANCE, image=IMAGE, regions=REGIONS, **options)
    np.testing.assert_array_equal(kept(ax), np.isin(REGIONS.numpy(), chosen))
    assert ax.get_xlabel() == said


def test_segments_without_positive_relevance_never_stay() -> None:
    ax = segments(-RELEVANCE.abs(), image=IMAGE, regions=REGIONS, keep=1.0)
    assert not kept(ax).any() and ax.get_xlabel() == "0 of 4 segments\nno positive relevance"


def test_pixels_of_no_segment_are_left_out_and_the_fill_can_be_chosen() -> None:
    regions = REGIONS.clone()
    regions[0, 0] = -1
    ax = segments(RELEVANCE, image=IMAGE, regions=regions, most=9, fill=1.0)
    expected = np.isin(REGIONS.numpy(), [0, 1, 2])
    expected[0, 0] = False
    np.testing.assert_array_equal(kept(ax, fill=1.0), expected)


def test_coarse_relevance_is_shared_out_among_the_pixels() -> None:
    image = torch.linspace(0, 1, 16).reshape(4, 4)
    regions = torch.tensor([[0, 0, 1, 1]] * 4)
    ax = segments(torch.tensor([[3.0, 1.0]]), image=image, regions=regions, keep=0.75)
    assert ax.get_xlabel() == "1 of 2 segments\n75 % of positive relevance"


def test_segments_are_found_by_colour() -> None:
    pytest.importorskip("skimage")
    picture = np.zeros((20, 20, 3))
    picture[:, 10:] = [1.0, 0.2, 0.0]
    labels = superpixels(picture, 8)
    assert labels.min() == 0 and not set(np.unique(labels[:, :10])) & set(np.unique(labels[:, 10:]))
    image = torch.from_numpy(picture).permute(2, 0, 1)
    relevance = torch.zeros(20, 20)
    relevance[:, 10:] = 1.0
    ax = segments(relevance, image=image, count=8, keep=1.0)
    shown = np.asarray(ax.images[0].get_array())
    assert np.allclose(shown[:, :10], 0.5) and np.allclose(shown[:, 10:], [1.0, 0.2, 0.0])
    grey = segments(relevance, image=image[:1], count=8, keep=1.0)
    assert np.allclose(grey.images[0].get_array()[:, :10], 0.5)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"regions": torch.zeros(2, 3).long()}, InputError, "one integer a pixel"),
        ({"regions": torch.zeros(2, 4)}, InputError, "one integer a pixel"),
        ({"regions": torch.full((2, 4), -2)}, InputError, "count from 0"),
        ({"regions": REGIONS, "keep": 0.0}, ParameterError, "keep=0.0"),
        ({"regions": REGIONS, "most": 0}, ParameterError, "most=0"),
        ({"regions": REGIONS, "fill": 2.0}, ParameterError, "fill=2.0"),
        ({"count": 0}, ParameterError, "count=0"),
    ],
)
def test_what_makes_no_segments_is_refused(options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        segments(RELEVANCE, image=IMAGE, **options)


@pytest.mark.parametrize("options", [{"keep": 0.8}, {"keep": 0.3}, {"quantile": 0.5}, {"keep": 0.5, "blur": 1.0}])
def test_a_pattern_keeps_what_relevant_pattern_keeps(
    make: Callable[..., Explanation], options: dict[str, float]
) -> None:
    torch.manual_seed(1)
    relevance, image = torch.randn(1, 3, 8, 8), torch.rand(1, 3, 8, 8) * 0.4
    explanation = make(relevance, inputs=image)
    expected = explanation.relevant_pattern(fill=0.5, **options)  # type: ignore[arg-type]
    assert isinstance(expected, torch.Tensor)
    ax = pattern(relevance[0], image=image[0], **options)
    np.testing.assert_allclose(ax.images[0].get_array(), expected[0].permute(1, 2, 0), atol=1e-6)


def test_a_pattern_says_how_much_it_keeps() -> None:
    relevance = torch.tensor([[4.0, 3.0, 2.0, 1.0], [-5.0, 0.0, 0.0, 0.0]])
    ax = pattern(relevance, image=IMAGE, keep=0.7)
    assert kept(ax).tolist() == [[True, True, False, False], [False] * 4]
    assert ax.get_xlabel() == "25 % of positions\n70 % of positive relevance"
    none = pattern(-relevance.abs(), image=IMAGE)
    assert none.get_xlabel() == "0 % of positions\nno positive relevance"


def test_ties_stay_together() -> None:
    assert kept(pattern(torch.ones(2, 4), image=IMAGE, keep=0.1)).all()
