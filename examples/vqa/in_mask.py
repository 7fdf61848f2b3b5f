"""How much of the relevance of the pixels lies on the objects that a question is about (Arras, Osman, Samek 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from questions import Question
from scenes import Scene, masks
from torch import Tensor


def object_masks(scenes: list[Scene], questions: list[list[Question]], which: str) -> Tensor:
    """Return the pixels of the objects that each question is about, (N * k, side, side), "target" or "touched"."""
    found = []
    for things, asked in zip(scenes, questions, strict=True):
        pixels = torch.from_numpy(masks(things))
        found += [pixels[sorted(getattr(question, which))].any(0) for question in asked]
    return torch.stack(found)


def mass_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    """Return the share of the positive relevance (B, side, side) that lies in the mask, (B,); 0 where there is none."""
    positive = relevance.double().clamp(min=0)
    return (positive * mask).sum((1, 2)) / positive.sum((1, 2)).clamp(min=1e-30)


def rank_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    """Return the share of the K most relevant pixels that lie in a mask of K pixels, (B,)."""
    order = relevance.flatten(1).argsort(1, descending=True)
    inside = mask.flatten(1).gather(1, order)
    size = mask.sum((1, 2))
    first = torch.arange(inside.shape[1]) < size[:, None]
    return (inside & first).sum(1) / size


@dataclass(frozen=True)
class Interval:
    """A mean, and the limits between which it lies in 95 % of the samples that could have been drawn."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def bootstrap(values: Tensor, scenes: Tensor, draws: int = 2000, seed: int = 0) -> Interval:
    """Return the mean of the values (n,) and its 95 % interval.

    Scenes are drawn, not questions: what was asked about the same scene is not independent.
    """
    random = np.random.default_rng(seed)
    _, group = np.unique(scenes.numpy(), return_inverse=True)
    total, count = np.bincount(group, values.numpy()), np.bincount(group)
    drawn = random.integers(len(count), size=(draws, len(count)))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(values.mean().item(), float(low), float(high))
