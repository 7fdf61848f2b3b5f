"""Masks and boxes, and how much relevance lies inside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import as_masks, counted, masks_from_boxes, pixel_relevance, relevance_inside

R = torch.tensor([[[[3.0, -1.0], [0.0, 2.0]], [[-1.0, 0.0], [0.0, 1.0]]]])  # summed over channels: 2, -1, 0, 3


@pytest.mark.parametrize(
    ("of", "expected"),
    [("positive", [2, 0, 0, 3]), ("absolute", [2, 1, 0, 3]), ("negative", [0, 1, 0, 0]), ("signed", [2, -1, 0, 3])],
)
def test_what_counts_of_relevance(of: str, expected: list[float]) -> None:
    assert counted(pixel_relevance(R), of).flatten().tolist() == expected


def test_an_unknown_sign_is_refused() -> None:
    with pytest.raises(ParameterError, match="of='both' must be one of positive, absolute, negative, signed"):
        counted(R, "both")


def test_channels_are_summed_where_there_are_any() -> None:
    assert pixel_relevance(R).shape == (1, 1, 2, 2)
    assert pixel_relevance(torch.ones(2, 3, 7)).shape == (2, 1, 7)
    assert torch.equal(pixel_relevance(torch.ones(2, 7)), torch.ones(2, 7, dtype=torch.float64))


@pytest.mark.parametrize(
    ("of", "expected"), [("positive", 2 / 5), ("absolute", 3 / 6), ("negative", 1.0), ("signed", 1 / 4)]
)
def test_the_share_that_lies_inside(of: str, expected: float) -> None:
    upper = torch.tensor([[[[True, True], [False, False]]]])
    assert relevance_inside(R, upper, of).tolist() == pytest.approx([expected])


def test_an_empty_mask_holds_nothing_and_a_full_one_all() -> None:
    assert relevance_inside(R, torch.zeros(1, 1, 2, 2, dtype=torch.bool)).tolist() == [0]
    assert relevance_inside(R, torch.ones(1, 1, 2, 2, dtype=torch.bool)).tolist() == [1]


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_share_wherever_it_is(bad: float, place: int) -> None:
    relevance = torch.stack([R[0], R[0]])
    relevance[1, 0].view(-1)[place] = bad
    inside = as_masks([[[1, 0], [0, 0]]] * 2, relevance)
    assert relevance_inside(relevance, inside).isnan().tolist() == [False, True]


def test_where_nothing_counts_there_is_no_share() -> None:
    assert relevance_inside(-R.abs(), torch.ones(1, 1, 2, 2, dtype=torch.bool)).isnan().all()


@pytest.mark.parametrize(
    ("masks", "relevance", "shape"),
    [
        (torch.ones(2, 4, 5), torch.zeros(2, 3, 4, 5), (2, 1, 4, 5)),
        (torch.ones(2, 1, 4, 5, dtype=torch.uint8), torch.zeros(2, 3, 4, 5), (2, 1, 4, 5)),
        (np.ones((2, 3, 4, 5), dtype=bool), torch.zeros(2, 3, 4, 5), (2, 1, 4, 5)),
        (np.ones((2, 4)), torch.zeros(2, 3, 4), (2, 1, 4)),
        ([[True, False, True]], torch.zeros(1, 3), (1, 3)),
    ],
)
def test_masks_come_in_many_forms(masks: Any, relevance: Tensor, shape: tuple[int, ...]) -> None:
    found = as_masks(masks, relevance)
    assert tuple(found.shape) == shape
    assert found.dtype == torch.bool


def test_a_pixel_is_inside_where_any_of_its_channels_is() -> None:
    masks = torch.tensor([[[[1, 0], [0, 0]], [[0, 0], [0, 1]]]])
    assert as_masks(masks, R).tolist() == [[[[True, False], [False, True]]]]


@pytest.mark.parametrize("shape", [(2, 4, 4), (1, 4, 5), (4, 5), (2, 2, 4, 5)])
def test_masks_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"do not fit relevance of shape \(2, 3, 4, 5\): give \(2, 4, 5\)") as error:
        as_masks(torch.ones(shape), torch.zeros(2, 3, 4, 5))
    assert str(shape) in str(error.value)


def test_masks_must_be_finite() -> None:
    with pytest.raises(InputError, match="not finite"):
        as_masks(torch.full((1, 2, 2), math.nan), R)


def test_boxes_end_before_their_right_and_lower_ends() -> None:
    (mask,) = masks_from_boxes([(1, 0, 3, 2)], 3, 4)[:, 0].int().tolist()
    assert mask == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_samples_have_one_box_several_or_none() -> None:
    masks = masks_from_boxes([torch.tensor([0.0, 0.0, 1.0, 1.0]), [(0, 0, 1, 1), (3, 2, 4, 3)], []], 3, 4)
    assert masks.flatten(1).sum(1).tolist() == [1, 2, 0]


def test_boxes_are_cut_off_at_the_border() -> None:
    assert masks_from_boxes([(-5, -5, 2, 99)], 3, 4).sum() == 6


@pytest.mark.parametrize("box", [(3, 0, 1, 2), (0, 2, 3, 2), (4, 0, 6, 2), (-3, 0, 0, 2)])
def test_a_box_without_a_pixel_is_refused(box: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="of sample 1 holds no pixel of an image of 4 x 3"):
        masks_from_boxes([(0, 0, 1, 1), box], 3, 4)


@pytest.mark.parametrize("box", [(1, 2, 3), "here", (0, 0, math.nan, 1), [[[0, 0, 1, 1]]]])
def test_what_is_no_box_is_refused(box: Any) -> None:
    with pytest.raises(InputError, match="sample 0 has .* which is no box"):
        masks_from_boxes([box], 3, 4)


def test_a_box_between_two_pixels_is_refused_or_rounded_never_empty() -> None:
    with pytest.raises(InputError, match="holds no pixel"):
        masks_from_boxes([(1.1, 0.0, 1.4, 2.0)], 3, 4)
    assert masks_from_boxes([(0.6, 0.4, 2.4, 1.6)], 3, 4)[0, 0].nonzero().tolist() == [[0, 1], [1, 1]]
