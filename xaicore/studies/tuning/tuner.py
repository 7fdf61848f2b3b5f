"""`tune`: the method and the parameters that explain a model best, by a metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.analyzers import Analyzer, resolve_target
from xaicore.analyzers.jobs import engine_of
from xaicore.engine import Engine, batch_of, is_stream, progress_bar, taken
from xaicore.errors import InputError, ParameterError, XaicoreError
from xaicore.scoring import Case, Metric, resolve_metrics
from xaicore.scoring.judging import check_needs
from xaicore.studies.tuning.ranking import Candidate, Ranking
from xaicore.studies.tuning.significance import as_good_as_the_best
from xaicore.studies.tuning.space import Point, Space, points_of

_FEWEST = 2


def tune(
    model: Any,
    data: Any,
    space: Space,
    *,
    metric: str | Metric = "evaluation.pixel_flipping",
    target: Any = None,
    candidates: int | None = None,
    held_out: float = 0.3,
    fit_data: Any = None,
    masks: Any = None,
    boxes: Any = None,
    seed: int = 0,
    **options: Any,
) -> Ranking:
    """Choose the method, the rules of groups of layers, and the parameters that explain a model best.

    Every candidate explains the same samples; the metric judges. Some samples are held out: they have no part in the
    choice and tell what the best is worth. Samples should not be those that the model was trained on.

    Parameters
    ----------
    model : torch.nn.Module or callable
    data, target
        As ``inputs`` and ``target`` of ``analyze``: one batch, which is taken apart.
    space : dict, or list of dicts
        As scikit-learn's parameter grids: ``{"method": ["lrp.epsilon"], "epsilon": [1e-6, 0.1, 0.25]}``; the parameters
        must be known to all methods of their dict. A distribution (with a method ``rvs``) stands for candidates that
        are drawn. ``"layers"`` has the rules of groups of layers, for methods with a parameter ``composite``: a dict of
        conditions, or patterns of module paths, to lists of rules, asked in this order:
        ``{"method": "lrp.composite", "layers": {"features.*": [Gamma(0.1), Gamma(0.5)], "head.*": [Epsilon()]}}``.
    metric : str or Metric
    candidates : int, optional
        Draw this many of the space at random, instead of trying all.
    held_out : float
        Share of the samples that have no part in the choice; 0: none.
    fit_data : optional
        What methods learn from that learn.
    masks, boxes : optional
        Where the object is, for metrics that need it; as in `xaicore.evaluate`.
    seed : int
        Of the drawn candidates, and of which samples are held out.
    **options
        ``engine=``, ``batch_size=``, ``progress=``, and further options of ``analyze``.

    Returns
    -------
    Ranking
        Best first, with intervals; ``ranking.best`` is the analyzer, ``ranking.verdict()`` says how sure the choice is.

    Raises
    ------
    ParameterError, InputError, UnknownMethodError, UnknownMetricError
        Before anything runs, as far as it can be known. A candidate that fails is ranked last, with the reason; if all
        fail, the first reason is raised.

    Examples
    --------
    >>> ranking = tune(model, images, {"method": ["lrp.epsilon", "lrp.epsilon_plus"]})  # doctest: +SKIP
    >>> print(ranking)  # doctest: +SKIP
    >>> ranking.best.analyze(image)  # doctest: +SKIP
    """
    (judge,) = resolve_metrics([metric]).values()
    check_needs({judge.name: judge}, masks is not None or boxes is not None)
    points = points_of(space, candidates, seed)
    if is_stream(data):
        raise InputError("tune takes one batch, which it takes apart: give the samples as tensors, not as a stream")
    if isinstance(fit_data, Iterator) and len(points) > 1:
        raise InputError(
            "fit_data= can be gone through only once, and several candidates may learn from it: give one batch, or a "
            "DataLoader"
        )
    engine = engine_of(options)
    samples = _Samples(data, target, masks, boxes)
    chosen_by, kept = _parted(samples.count, held_out, seed)
    on = samples.case(chosen_by)
    found: list[Candidate] = []
    errors: list[XaicoreError] = []
    with progress_bar(len(points), show=engine.progress, unit="candidate") as bar:
        for point in points:
            try:
                found.append(_tried(point, model, judge, on, fit_data, engine, options))
            except XaicoreError as error:
                errors.append(error)
                found.append(Candidate(str(point), _parameters(point), failure=str(error)))
            bar.update(1)
    if len(errors) == len(points):
        raise errors[0]
    found, left_out = _on_what_can_be_judged(found)
    ranked = _ranked(found, judge.higher_is_better, seed)
    best = ranked[0].analyzer
    held = None
    if len(kept) and best is not None:
        held = judge.score(Case(best, engine=engine.within(nested=False), options=options, **samples.case(kept)))
    return Ranking(ranked, judge.name, judge.higher_is_better, held, left_out)


def _on_what_can_be_judged(found: list[Candidate]) -> tuple[list[Candidate], int]:
    """The candidates without the samples for which the metric is undefined whatever the candidate, and how many."""
    scored = [each.scores.values for each in found if each.scores is not None]
    defined = ~torch.stack(scored).isnan().all(0)
    if bool(defined.all()) or not bool(defined.any()):
        return found, 0
    kept = [each if each.scores is None else replace(each, scores=each.scores[defined]) for each in found]
    return kept, int((~defined).sum())


class _Samples:
    """The samples with what belongs to each, of which some can be taken."""

    def __init__(self, data: Any, target: Any, masks: Any, boxes: Any) -> None:
        count = batch_of(data)
        if not count:
            raise InputError("there is nothing to tune on: the data hold no sample")
        self.count, self.data, self.target = count, data, resolve_target(target)
        self.masks = _each(
            masks, lambda given: given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
        )
        self.boxes = boxes
        for what, places in (("masks", self.masks), ("boxes", boxes)):
            _each(places, partial(self._check_count, what))

    def case(self, which: Sequence[int]) -> dict[str, Any]:
        """The arguments of a `Case` of these samples."""
        return {
            "inputs": taken(self.data, which),
            "target": self.target.take(list(which), self.count),
            "masks": _each(self.masks, lambda given: given[list(which)]),
            "boxes": _each(self.boxes, lambda given: [given[sample] for sample in which]),
        }

    def _check_count(self, what: str, given: Any) -> None:
        found = len(given) if getattr(given, "ndim", 1) else 0
        if found != self.count:
            raise InputError(f"{what}= are given for {found} samples; there are {self.count}: give one a sample")


def _each(given: Any, function: Callable[[Any], Any]) -> Any:
    """A function of what is given for samples, or for those of the one input that it belongs to."""
    if isinstance(given, Mapping):
        return {name: function(own) for name, own in given.items()}
    return None if given is None else function(given)


def _tried(
    point: Point,
    model: Any,
    judge: Metric,
    on: dict[str, Any],
    fit_data: Any,
    engine: Engine,
    options: dict[str, Any],
) -> Candidate:
    analyzer = point.analyzer(model)
    if type(analyzer).fit is not Analyzer.fit and fit_data is not None:
        analyzer = analyzer.fit(fit_data)
    scores = judge.score(Case(analyzer, engine=engine.within(nested=False), options=options, **on))
    return Candidate(str(point), _parameters(point), analyzer, scores)


def _parameters(point: Point) -> dict[str, Any]:
    rules = {"layers": dict(point.rules)} if point.rules else {}
    return {"method": point.method, **point.parameters, **rules}


def _parted(count: int, held_out: float, seed: int) -> tuple[list[int], list[int]]:
    """The samples to choose by, and those that are held out, each in order."""
    if not 0 <= held_out < 1:
        raise ParameterError(f"held_out={held_out!r} must be at least 0 and below 1: a share of the samples")
    held = round(held_out * count)
    if count - held < _FEWEST:
        raise InputError(
            f"{count} samples with held_out={held_out} leave {count - held} to choose by: give more samples, or hold "
            "out fewer"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(order[held:]), sorted(order[:held])


def _ranked(found: list[Candidate], higher_is_better: bool, seed: int) -> list[Candidate]:
    """Best first, with the p-values of the differences to the best."""

    def place(candidate: Candidate) -> tuple[int, float]:
        mean = candidate.mean
        if math.isnan(mean):
            return (1 if candidate.scores is not None else 2, 0.0)
        return (0, -mean if higher_is_better else mean)

    ordered = sorted(found, key=place)
    # An infinite mean is ranked, but how far others are from it no resample tells.
    scored = [each.scores.values for each in ordered if each.scores is not None and math.isfinite(each.mean)]
    if not scored or math.isinf(ordered[0].mean):
        return ordered
    p_values = as_good_as_the_best(torch.stack(scored).numpy(), higher_is_better, seed=seed)
    ranked = [replace(each, p_value=float(p)) for each, p in zip(ordered, p_values, strict=False)]
    return ranked + ordered[len(ranked) :]
