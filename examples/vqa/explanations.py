"""Why the network answered as it did: relevance of pixels and of words, from one call on the model as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import xaicore
from xai_lrp import AlphaBeta, Epsilon
from xai_lstm import RecurrentRule
from xaicore import Composite, Kind, kind, under

LRP, GRADIENT, OCCLUSION = "LRP", "gradient x input", "occlusion"


@dataclass
class Relevance:
    """Relevance of each pixel, (B, side, side), summed over the channels, and of each word, (B, length)."""

    pixels: Tensor
    words: Tensor


def composite() -> Composite:
    """Return the rules of Arras et al. 2019 for a relation network.

    LRP-all with epsilon in the LSTM; epsilon in f, whose scores speak for an answer or against it; and alpha1-beta0
    from g to the picture. The batch norms need no rule: xaicore folds each into the convolution that follows it. Behind
    the last one come cells and pairs, and it is passed as a layer of its own.
    """
    epsilon = Epsilon(0.001)
    return Composite(
        [
            (kind(Kind.RECURRENT), RecurrentRule(product="signal", linear=epsilon)),
            (kind(Kind.LINEAR) & under("decision"), epsilon),
            (kind(Kind.CONVOLUTION, Kind.LINEAR), AlphaBeta(1, 0)),
        ]
    )


def analyzers(network: nn.Module) -> dict[str, Any]:
    """Return the methods that are compared, by name. Occlusion puts padding in place of one word at a time."""
    return {
        LRP: xaicore.create_analyzer("lrp.composite", network, composite=composite()),
        GRADIENT: xaicore.create_analyzer("gradients.input_x_gradient", network),
        OCCLUSION: xaicore.create_analyzer("perturbation.occlusion", network, features={"words": None}, fill=0),
    }


def relevance(analyzer: Any, inputs: tuple[Tensor, Tensor], answers: Tensor, rows: int = 100) -> Relevance:
    """Explain the score of one answer a row, for so many rows at a time."""
    parts: Sequence[Any] = [
        analyzer.analyze((pictures, words), target=target).relevance
        for pictures, words, target in zip(*(tensor.split(rows) for tensor in (*inputs, answers)), strict=True)
    ]
    pixels = torch.cat([part["pictures"].sum(1) for part in parts])
    return Relevance(pixels, torch.cat([part["words"] for part in parts]))
