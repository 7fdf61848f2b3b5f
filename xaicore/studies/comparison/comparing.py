"""`compare`: the same inputs under several methods, for one class or several, in one model or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xaicore.analyzers import Analyzer, CallableEvaluation, Contrast, GivenRelevance, create_analyzers, explain_each
from xaicore.analyzers.api import Methods
from xaicore.analyzers.jobs import engine_of
from xaicore.analyzers.quantities import Ranked
from xaicore.engine import Engine, is_stream
from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.scoring import Case, Metric, Scores, judge, resolve_metrics
from xaicore.scoring.case import check_case
from xaicore.scoring.judging import Metrics, check_needs
from xaicore.studies.comparison.result import ALL, Comparison

_ORDINALS = ("predicted", "2nd", "3rd")


def compare(
    model: Any,
    inputs: Any,
    *,
    methods: Methods,
    target: Any = None,
    classes: int | Sequence[Any] | Mapping[str, Any] | None = None,
    metrics: Metrics | None = None,
    masks: Any = None,
    boxes: Any = None,
    **options: Any,
) -> Comparison:
    """Explain the same inputs by several methods, for several classes or in several models, and judge them.

    All propagation methods and all classes share one forward pass a model. Only where inner layers are named
    (``layer=``, ``record=``, ``filter=``) does each family of methods take a forward of its own.

    Parameters
    ----------
    model : torch.nn.Module or callable; or dict of them by name
        Several models are compared on the same inputs.
    inputs, target, **options
        See `PropagationAnalyzer.analyze`. Without a target each model explains the class that it predicts.
    methods : sequence of names or analyzers, or mapping of names to parameters
        ``["lrp.epsilon", "gradients.saliency"]``, or ``{"lrp.epsilon": {"epsilon": 0.25}}``, with None or an empty
        dict where there are none.
    classes : int, sequence, or mapping, optional
        Explain several classes of each input, instead of one target. An int k: the k classes of largest output.
        Otherwise targets as ``target=`` takes them; a mapping gives them names, as in
        ``{"predicted": None, "true": y}``.
    metrics : optional
        What judges the explanations; as in `xaicore.evaluate`.
    masks, boxes : optional
        Where the object is, for metrics that need it; as in `xaicore.evaluate`.

    Returns
    -------
    Comparison
        A mapping of methods to explanations (of pairs, where there are several classes or models) that can be drawn,
        tabulated and written as a report.

    Raises
    ------
    ParameterError, InputError, UnknownMethodError, UnknownMetricError
        Before anything runs, as far as it can be known.

    Examples
    --------
    >>> found = compare(model, x, methods=["lrp.epsilon", "gradients.saliency"])  # doctest: +SKIP
    >>> found["lrp.epsilon"].relevance.shape  # doctest: +SKIP
    >>> print(found.table())  # doctest: +SKIP
    """
    judges = {} if metrics is None else resolve_metrics(metrics)
    check_needs(judges, masks is not None or boxes is not None)
    models = _models(model)
    targets = _targets(target, classes)
    if len(models) > 1 and classes is not None:
        raise ParameterError("compare several models, or several classes in one of them: not both at once")
    if judges:
        check_case(masks, boxes, options)
        if is_stream(inputs):
            raise InputError("metrics= judges one batch: give the inputs at once, or leave the metrics out")
    engine = engine_of(options)
    analyzers = {name: create_analyzers(each, methods) for name, each in models.items()}
    if len(targets) > 1:
        _check_can_explain_several(analyzers)
    explanations: dict[str, dict[str, Explanation]] = {}
    scores: dict[str, dict[str, dict[str, Scores]]] = {}
    for name, each in models.items():
        for title, found in _explained(each, inputs, analyzers[name], targets, engine, options).items():
            group = name if len(models) > 1 else title
            explanations[group] = found
            if judges:
                cases = {"masks": masks, "boxes": boxes, "engine": engine, "options": options}
                scores[group] = _judged(analyzers[name], inputs, targets[title], found, judges, cases)
    by = "models" if len(models) > 1 else "methods" if classes is None else "classes"
    return Comparison(explanations, by, scores, models)


def _explained(
    model: Any,
    inputs: Any,
    analyzers: Mapping[str, Analyzer],
    targets: Mapping[str, Any],
    engine: Engine,
    options: Mapping[str, Any],
) -> dict[str, dict[str, Explanation]]:
    """By the title of the target, then by method: everything from one forward pass, where it can be."""
    requests = [(analyzer, target) for target in targets.values() for analyzer in analyzers.values()]
    found = iter(explain_each(model, inputs, requests, engine=engine, **options))
    return {title: {method: next(found) for method in analyzers} for title in targets}


def _judged(
    analyzers: Mapping[str, Analyzer],
    inputs: Any,
    target: Any,
    explanations: Mapping[str, Explanation],
    metrics: Mapping[str, Metric],
    cases: Mapping[str, Any],
) -> dict[str, dict[str, Scores]]:
    """By metric, then by method. What the model says to the inputs as they are is asked once for all methods."""
    shared: CallableEvaluation | None = None
    found: dict[str, dict[str, Scores]] = {name: {} for name in metrics}
    for method, analyzer in analyzers.items():
        case = Case(analyzer, inputs, target, explanation=explanations[method].detach(), evaluation=shared, **cases)
        for name, scores in judge(case, metrics).items():
            found[name][method] = scores
        shared = case.evaluation
    return found


def _models(model: Any) -> dict[str, Any]:
    if not isinstance(model, Mapping):
        return {"": model}
    if not model:
        raise ParameterError("compare needs at least one model")
    return {str(name): each for name, each in model.items()}


def _targets(target: Any, classes: Any) -> dict[str, Any]:
    """The targets by title; one that needs none where classes are not compared."""
    if classes is None:
        return {ALL: target}
    if target is not None:
        raise ParameterError("give target=, or several classes=: not both")
    if isinstance(classes, Mapping):
        named = {str(name): each for name, each in classes.items()}
    elif isinstance(classes, int) and not isinstance(classes, bool):
        if classes < 1:
            raise ParameterError(f"classes={classes}: at least one class must be explained")
        named = {_ordinal(rank): Ranked(rank) for rank in range(classes)}
    elif isinstance(classes, Sequence) and not isinstance(classes, str):
        named = {}
        for each in classes:
            named[_untaken(_title(each), named)] = each
    else:
        raise ParameterError(f"classes={classes!r}: give a number of classes, a list of targets, or a dict of them")
    if not named:
        raise ParameterError("classes= is empty: give at least one class")
    return named


def _check_can_explain_several(analyzers: Mapping[str, Mapping[str, Analyzer]]) -> None:
    """Refuse relevance that would stand under every class, being that of one."""
    given = [name for own in analyzers.values() for name, each in own.items() if isinstance(each, GivenRelevance)]
    if given:
        raise ParameterError(
            f"{given[0]}: relevance was given for one class of each input, and several are compared: give the method "
            "itself, as in ExternalMethod(model, function=...)"
        )


def _ordinal(rank: int) -> str:
    return _ORDINALS[rank] if rank < len(_ORDINALS) else f"{rank + 1}th"


def _title(target: Any) -> str:
    if target is None:
        return "predicted"
    if isinstance(target, int):
        return f"class {target}"
    if isinstance(target, Contrast):
        return f"{target.a} vs {target.b}"
    return str(getattr(target, "__name__", target))


def _untaken(title: str, taken: Mapping[str, Any]) -> str:
    found, number = title, 2
    while found in taken:
        found, number = f"{title} ({number})", number + 1
    return found
