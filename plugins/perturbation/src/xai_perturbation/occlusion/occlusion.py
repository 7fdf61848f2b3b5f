"""Occlusion and feature ablation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from xai_perturbation.blocks import in_groups
from xai_perturbation.features import check_features, resolve_features
from xai_perturbation.occlusion.covers import Covers, GroupCovers, WindowCovers
from xai_perturbation.occlusion.local_scores import LocalScores
from xai_perturbation.sums import dtype_of_sums
from xai_perturbation.windows import check_sizes, resolve_windows
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError


class Occlusion(ExpansionAnalyzer):
    """What the output loses when a window, a superpixel or a feature is covered (Zeiler and Fergus 2014, section 4.2).

    The value of a part is the output for the input as it is, less the output with the part covered. An entry that
    several windows cover gets the mean of their values. Needs one run of the model for each window or feature; the
    model may be anything that can be called.

    Parameters
    ----------
    window : int, tuple of int, or dict of them by input, optional
        Size of the window: for all dimensions behind the channels, or for each of them; it covers all channels. With
        one entry more, in front, the channels too. Of tables (B, F) and tokens (B, T), so many columns. Inputs that a
        dict does not name stay as they are. Default: single columns or tokens; of (B, C, ...) an eighth of each
        length in two dimensions (1/64 in one, 1/4 in three), rounded up.
    stride : int, tuple of int, or dict of them by input, optional
        How far the window moves, at most its size. Default: half the window, rounded up. Windows at the upper border
        end with the input.
    fill : float, sequence of float, str, Tensor or Baseline
        What covers: a number, one a channel, ``"mean"``, ``"blur"``, ``"low"``, ``"uniform"``, values, or what
        `xaicore.analyzers.baselines` makes; of tokens the index of one, such as the mask token. At an inner layer,
        in values of that layer. The mean over its variants, where it has several.
    features : None, int, tuple, str, Segmentation, Tensor or dict of them by input
        Cover groups of entries instead of windows: labels of your own, or superpixels (``'quickshift'``, ``'slic'``,
        ``'felzenszwalb'``). See `xai_perturbation.features.resolve_features`.
    local : bool
        Compute only what a window can reach: behind the early layers of a convolutional network that is a part of the
        picture. The same numbers, several times sooner for small windows. For windows over the one input (B, C, H, W)
        of a module that can be captured as a graph; the first call captures it.
    """

    family = "perturbation"

    def __init__(
        self,
        model: Any,
        *,
        window: Any = None,
        stride: Any = None,
        fill: Any = 0.0,
        features: Any = None,
        local: bool = False,
    ) -> None:
        super().__init__(model)
        self.window = window
        self.stride = stride
        self.fill = fill
        self.features = features
        self.local = local
        check_sizes("window", window)
        check_sizes("stride", stride)
        resolve_baseline(fill, what="fill")
        check_features(features)
        if not isinstance(local, bool):
            raise ParameterError(f"local={local!r} must be True or False")
        if features is not None and (window is not None or stride is not None):
            raise ParameterError("give window= (with stride=) or features=, not both: each says what is covered")

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Cover one part after the other."""
        varied, covers = evaluation.varied, self._covers(evaluation)
        fill = evaluation.own(resolve_baseline(self.fill, what="fill"))
        dtype = dtype_of_sums(evaluation)
        fills = functools.lru_cache(1)(lambda number: fill.at(varied, number))
        scores_of = self._scores_of(evaluation, covers)

        def losses(block: Block) -> Tensor:
            """What each sample loses at each step, (samples, steps)."""
            found = []
            for part in in_groups(block, covers.count):  # whose steps share a variant of the fill
                variant = part.first // covers.count
                numbers = torch.arange(part.first, part.last, device=evaluation.device) - variant * covers.count
                scores = scores_of(covers.covered(varied, fills(variant), numbers, part), numbers, part)
                found.append(part.cross(evaluation.values).to(dtype) - part.grid(scores).to(dtype))
            return torch.cat(found, dim=1)

        values = torch.zeros(evaluation.batch, covers.count, dtype=dtype, device=evaluation.device)
        sweep = engine.sweep(
            evaluation.batch,
            covers.count * fill.count,
            losses,
            device=evaluation.device,
            footprint=evaluation.footprint,
        )
        for block, lost in sweep:
            numbers = torch.arange(block.first, block.last, device=values.device) % covers.count
            block.of(values).index_add_(1, numbers, lost, alpha=1 / fill.count)
        return Attribution(covers.spread(values), finished=sweep.finished)

    def _scores_of(
        self, evaluation: Evaluation, covers: Covers
    ) -> Callable[[Mapping[str, Tensor], Tensor, Block], Tensor]:
        if self.local:
            return LocalScores(self.model, evaluation, covers)
        return lambda rows, numbers, block: evaluation.scores(rows, block)

    def _covers(self, evaluation: Evaluation) -> Covers:
        if self.features is not None:
            return GroupCovers(resolve_features(self.features, evaluation))
        return WindowCovers(resolve_windows(self.window, self.stride, evaluation.varied), evaluation.varied)
