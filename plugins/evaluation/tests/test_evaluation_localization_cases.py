"""Metrics of localisation are given masks and boxes in many forms, and refuse what does not fit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from judged import Inputs, InputTimesGradient, images, shared_cnn
from torch import Tensor, nn

from xai_evaluation import PointingGame, RankAccuracy, RelevanceMass, TopKIntersection
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, evaluate

NAMES = [
    "relevance_mass", "inside_outside_ratio", "rank_accuracy", "top_k_intersection", "pointing_game",
    "localization_auc",
]  # fmt: skip


def object_masks(count: int = 5) -> Tensor:
    masks = torch.zeros(count, 8, 8, dtype=torch.bool)
    masks[:, 2:5, 1:4] = True
    return masks


def test_boxes_are_masks_with_straight_sides() -> None:
    analyzer, x = InputTimesGradient(shared_cnn()), images()
    by_mask = evaluate(analyzer, x, NAMES, masks=object_masks())
    by_box = evaluate(analyzer, x, NAMES, boxes=[(1, 2, 4, 5)] * 5)
    for name, scores in by_mask.items():
        torch.testing.assert_close(scores.values, by_box[name].values, equal_nan=True)


def test_an_image_with_two_objects_has_two_boxes() -> None:
    analyzer, x = Inputs(shared_cnn()), images(1).abs()
    masks = object_masks(1)
    masks[:, 6:, 6:] = True
    boxes = [[(1, 2, 4, 5), (6, 6, 8, 8)]]
    both = [evaluate(analyzer, x, RelevanceMass(), **given)["evaluation.relevance_mass"]
            for given in ({"masks": masks}, {"boxes": boxes})]  # fmt: skip
    torch.testing.assert_close(both[0].values, both[1].values)
    share = (x[0, 0] * masks[0]).sum() / x.sum()
    torch.testing.assert_close(both[0].values, share.double()[None])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_models_of_every_precision(dtype: torch.dtype) -> None:
    found = evaluate(InputTimesGradient(shared_cnn(dtype)), images(dtype=dtype), NAMES, masks=object_masks())
    for scores in found.values():
        assert torch.isfinite(scores.values).all()
        assert scores.values.dtype == torch.float64


def test_time_series_and_tables_have_masks_too() -> None:
    series = torch.tensor([[[0.0, 3.0, 1.0, 0.0]]])
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    near = PointingGame(tolerance=1).score(Case(Inputs(model), series, 0, masks=[[False, False, True, False]]))
    assert near.values.tolist() == [1.0]
    table = RelevanceMass().score(Case(Inputs(model), series[:, 0], 0, masks=[[False, False, True, False]]))
    assert table.values.tolist() == [0.25]


class Two(nn.Module):
    """A model of an image and some numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.numbers = nn.Linear(16, 3), nn.Linear(4, 3)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        return self.image(image.flatten(1)) + self.numbers(numbers)


def test_of_several_inputs_the_masks_must_name_one() -> None:
    x = {"image": torch.rand(2, 1, 4, 4), "numbers": torch.rand(2, 4)}
    masks = torch.zeros(2, 4, 4)
    masks[:, :2] = 1
    with pytest.raises(InputError, match="'image', 'numbers': say which, as in masks={NAME"):
        evaluate(Inputs(Two()), x, "relevance_mass", target=0, masks=masks)
    found = evaluate(Inputs(Two()), x, "relevance_mass", target=0, masks={"image": masks})
    expected = x["image"][:, 0, :2].sum((1, 2)) / x["image"].sum((1, 2, 3))
    torch.testing.assert_close(found["evaluation.relevance_mass"].values, expected.double(), rtol=1e-5, atol=0)
    boxed = evaluate(Inputs(Two()), x, "relevance_mass", target=0, boxes={"image": [(0, 0, 4, 2)] * 2})
    torch.testing.assert_close(boxed["evaluation.relevance_mass"].values, found["evaluation.relevance_mass"].values)
    with pytest.raises(
        InputError, match="given for 'picture'; give them for one of the inputs with relevance: 'image'"
    ):
        evaluate(Inputs(Two()), x, "relevance_mass", target=0, masks={"picture": masks})


@pytest.mark.parametrize(
    ("metric", "params", "message"),
    [
        (RelevanceMass, {"of": "signed"}, "of='signed' must be one of positive, absolute, negative"),
        (RankAccuracy, {"of": "positve"}, "Did you mean 'positive'"),
        (TopKIntersection, {"k": 0}, "k=0 must be a number of pixels"),
        (TopKIntersection, {"k": 1.5}, "k=1.5 must be"),
        (TopKIntersection, {"k": True}, "k=True must be"),
        (PointingGame, {"tolerance": -1}, "tolerance=-1 must be a distance"),
        (PointingGame, {"tolerance": float("inf")}, "tolerance=inf must be a distance"),
    ],
)
def test_bad_parameters_are_refused(metric: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        metric(**params)


def test_more_pixels_than_there_are_cannot_be_taken() -> None:
    with pytest.raises(InputError, match="k=65: the relevance has 64 pixels only"):
        evaluate(Inputs(shared_cnn()), images(), TopKIntersection(k=65), masks=object_masks())


def test_without_masks_the_metric_says_what_it_needs() -> None:
    with pytest.raises(InputError, match="pointing_game: needs to know where the object is: give masks="):
        evaluate(Inputs(shared_cnn()), images(), "pointing_game")


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=r"masks of shape \(5, 7, 8\) do not fit"):
        evaluate(Inputs(shared_cnn()), images(), "pointing_game", masks=object_masks()[:, :7])
