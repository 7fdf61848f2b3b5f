"""Prediction difference analysis."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from xai_perturbation.blocks import in_groups
from xai_perturbation.pool import check_alike, tensors_of
from xai_perturbation.prediction_difference.learning import Learnt, learn
from xai_perturbation.prediction_difference.probabilities import (
    PROBABILITIES,
    VALUES,
    classes_of,
    difference,
    probabilities,
    which,
)
from xai_perturbation.sums import dtype_of_sums
from xai_perturbation.windows import check_sizes, resolve_windows
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer
from xaicore.engine import Block, Engine
from xaicore.errors import InputError, NotFittedError, ParameterError, TargetError, nearest


class PredictionDifference(ExpansionAnalyzer):
    """How much evidence the output loses when a patch is replaced by what it could have been (Zintgraf et al. 2017).

    A window slides over the input. What is under it is replaced by draws from its distribution in the data, and the
    probability of the target is averaged over them: what the model would say without knowing the patch. The value is
    the weight of evidence, log2 odds(p) - log2 odds(p without the patch), or another difference of them
    (Robnik-Sikonja and Kononenko 2008). An entry in several windows gets the mean of their values. Call ``fit`` first.

    Parameters
    ----------
    window, stride : int, tuple of int, or dict of them by input, optional
        As in `Occlusion`, but that the last window of a row is moved back until it is whole.
    conditional : bool
        Draw from the normal distribution of the window given the values around it, in images, series and volumes (B, C,
        ...), channel by channel; its mean and covariance are those of all patches of the data. False: the values that
        samples of the data have there. Columns of tables and tokens always get values of the data.
    context : int or tuple of int
        How far the known surroundings of a window reach, in positions, in each dimension.
    samples : int, optional
        How many draws for each window. None: each sample that was kept of the data, once (not with normal draws).
    value : {'evidence', 'information', 'probability'}
        The weight of evidence in bits; log2 p - log2 p without the patch, in bits; or p - p without the patch.
    probabilities : {'auto', 'softmax', 'sigmoid', 'given'}
        How outputs become probabilities. ``'auto'``: outputs that are not negative and sum to one over the classes are
        taken as they are (``'given'``), others through a softmax; the diagnostics say which it was. Targets are taken
        of the probabilities.
    pool : int
        How many samples ``fit`` keeps of the data, where it needs any, drawn at random where there are more.
    seed : int
        Of the draws.

    Attributes
    ----------
    learnt_ : Learnt
        After ``fit``: how patches are distributed, and how many samples were seen: N of the Laplace correction
        (p N + 1) / (N + K) of probabilities among K classes, which keeps the evidence finite.
    """

    family = "perturbation"

    def __init__(
        self,
        model: Any,
        *,
        window: Any = None,
        stride: Any = None,
        conditional: bool = True,
        context: int | tuple[int, ...] = 2,
        samples: int | None = 10,
        value: str = "evidence",
        probabilities: str = "auto",
        pool: int = 500,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.window = window
        self.stride = stride
        self.conditional = conditional
        self.context = context
        self.samples = samples
        self.value = value
        self.probabilities = probabilities
        self.pool = pool
        self.seed = seed
        check_sizes("window", window)
        check_sizes("stride", stride)
        reaches = context if isinstance(context, tuple) else (context,)
        if not reaches or not all(
            isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in reaches
        ):
            raise ParameterError(f"context={context!r} must be an integer that is not negative, or a tuple of them")
        for name, number, least in (("samples", samples, 1), ("pool", pool, 1), ("seed", seed, 0)):
            if number is None and name == "samples":
                continue
            if isinstance(number, bool) or not isinstance(number, int) or number < least:
                raise ParameterError(f"{name}={number!r} must be an integer of at least {least}")
        for name, word, known in (("value", value, VALUES), ("probabilities", probabilities, PROBABILITIES)):
            if word not in known:
                raise ParameterError(
                    f"{name}={word!r} is not known: choose {', '.join(known)}.{nearest(str(word), known)}"
                )

    def fit(self, data: Any = None) -> Self:
        """Learn how patches are distributed.

        Parameters
        ----------
        data : Tensor, array, tuple or dict of them, or iterable of batches
            Inputs as ``analyze`` takes them, of the same shapes. One pass; nothing of a batch is kept but sums, and the
            samples of the pool.
        """
        learnt = learn(
            tensors_of(self.model, data),
            window=self.window,
            stride=self.stride,
            conditional=self.conditional,
            context=self.context,
            pool=self.pool,
            seed=self.seed,
        )
        self._draws(learnt)
        self.learnt_ = learnt
        return self

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Replace one patch after the other."""
        learnt = self._fitted(evaluation)
        varied, device = evaluation.varied, evaluation.device
        windows = resolve_windows(self.window, self.stride, varied, inside=True)
        replacements = {name: learnt.replacement(name) for name in windows}
        numbered = [(name, number) for name, each in windows.items() for number in range(each.count)]
        draws = self._draws(learnt)
        how = which(self.probabilities, evaluation.prediction)
        before = self._checked(evaluation.target.score(probabilities(evaluation.prediction, how)).detach())

        def sums(block: Block) -> Tensor:
            """For each sample and each window of the block, the sum of probabilities, (samples, windows)."""
            rows = {name: block.cross(x).repeat(1, len(block.steps), *[1] * (x.ndim - 1)) for name, x in varied.items()}
            parts = in_groups(block, draws)
            for part in parts:
                window, first = divmod(part.first, draws)
                name, number = numbered[window]
                found = replacements[name].draws(
                    block.of(varied[name]), windows[name], number, range(first, first + len(part.steps)), self.seed
                )
                steps = slice(part.first - block.first, part.last - block.first)
                rows[name][(slice(None), steps, *windows[name].slices(number))] = found.to(rows[name].dtype)
            outputs = evaluation.outputs({name: each.flatten(0, 1) for name, each in rows.items()}, block)
            scores = block.grid(evaluation.target_of(block).score(probabilities(outputs, how)).detach())
            return torch.stack([each.sum(1) for each in scores.split([len(part.steps) for part in parts], 1)], 1)

        after = torch.zeros(evaluation.batch, len(numbered), dtype=torch.float64, device=device)
        sweep = engine.sweep(
            evaluation.batch, len(numbered) * draws, sums, device=device, footprint=evaluation.footprint
        )
        for block, summed in sweep:
            first = block.first // draws
            block.of(after)[:, first : first + summed.shape[1]] += summed / draws
        values = difference(
            before.unsqueeze(1), self._checked(after), self.value, learnt.seen, classes_of(evaluation.prediction, how)
        )
        dtype = dtype_of_sums(evaluation)
        relevance = {name: torch.zeros(x.shape, dtype=dtype, device=device) for name, x in varied.items()}
        own = values.split([each.count for each in windows.values()], dim=1)
        for (name, each), part in zip(windows.items(), own, strict=True):
            relevance[name] = each.mean(part).to(dtype)
        note = "the outputs themselves" if how == "given" else f"the {how} of the outputs"
        return Attribution(relevance, notes=[f"probabilities: {note}"], finished=sweep.finished)

    def _draws(self, learnt: Learnt) -> int:
        """How many draws for each window."""
        if self.samples is not None:
            return self.samples
        if learnt.moments or learnt.pool is None:
            raise ParameterError("samples=None takes each sample of the data once: it needs conditional=False")
        return learnt.pool.size

    def _fitted(self, evaluation: Evaluation) -> Learnt:
        if not hasattr(self, "learnt_"):
            raise NotFittedError(
                "prediction difference analysis learns from data what a patch could have been: call "
                "analyzer.fit(data) first, with a batch of inputs or an iterable of batches"
            )
        if evaluation.layer is not None:
            raise InputError(
                "prediction difference analysis explains inputs, whose distribution fit learns: leave layer= out"
            )
        check_alike(evaluation.varied, self.learnt_.shapes, "the batch", "the data of fit")
        return self.learnt_

    def _checked(self, scores: Tensor) -> Tensor:
        tolerance = 1e-6
        if self.value != "probability" and bool(((scores < -tolerance) | (scores > 1 + tolerance)).any()):
            raise TargetError(
                f"value={self.value!r} needs a probability, and the target takes values outside of [0, 1]: explain a "
                "class, say with probabilities= how outputs become probabilities, or choose value='probability'"
            )
        return scores.clamp(0, 1) if self.value != "probability" else scores
