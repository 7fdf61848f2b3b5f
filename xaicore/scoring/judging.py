"""Metrics by name, and what they say of an analyzer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xaicore.analyzers import Analyzer
from xaicore.analyzers.jobs import engine_of
from xaicore.engine import is_stream
from xaicore.engine.streams import batches_of
from xaicore.errors import InputError, ParameterError, XaicoreError
from xaicore.plugins import find_metric, resolve
from xaicore.scoring.case import Case
from xaicore.scoring.metric import Metric
from xaicore.scoring.scores import Scores

Metrics = str | Metric | Sequence[str | Metric] | Mapping[str, Mapping[str, Any] | None]


def create_metric(name: str, **params: Any) -> Metric:
    """A metric of an installed plugin, by its canonical name, an alias or a unique bare name.

    Raises
    ------
    UnknownMetricError
        No installed plugin has it; the message says which package would.
    ParameterError
        The metric has no such parameter, refuses its value, or needs one that is not given.

    Examples
    --------
    >>> metric = create_metric("evaluation.pixel_flipping", patch=4)  # doctest: +SKIP
    """
    cls = resolve(find_metric(name).target)
    cls.check_parameter_names(list(params))
    cls.check_none_missing(params)
    metric: Metric = cls(**params)
    return metric


def evaluate(
    analyzer: Analyzer,
    inputs: Any,
    metrics: Metrics,
    *,
    target: Any = None,
    masks: Any = None,
    boxes: Any = None,
    **options: Any,
) -> dict[str, Scores]:
    """Judge the explanations that an analyzer gives of these inputs.

    Parameters
    ----------
    analyzer : Analyzer
        From `xaicore.create_analyzer`.
    inputs, target
        As in ``analyzer.analyze``; also a stream of batches.
    metrics : str, Metric, sequence of them, or mapping of names to parameters
        ``["evaluation.pixel_flipping"]``, or ``{"evaluation.pixel_flipping": {"patch": 4}}``.
    masks, boxes : optional
        Where the object is, for metrics that compare relevance with it: (B, H, W), not zero inside; or a box
        (x1, y1, x2, y2) for each sample, several, or none. Of several inputs, a dict with the name of the one in which
        the object is.
    **options
        ``engine=``, ``batch_size=``, ``progress=``, and further options of ``analyze``.

    Returns
    -------
    dict of str to Scores
        By the name of the metric, in the order given; a name that is taken gets a number.

    Raises
    ------
    UnknownMetricError, ParameterError, InputError
        Before anything runs, as far as it can be known.

    Examples
    --------
    >>> scores = evaluate(analyzer, images, "evaluation.pixel_flipping")  # doctest: +SKIP
    >>> scores["evaluation.pixel_flipping"].mean  # doctest: +SKIP
    """
    chosen = resolve_metrics(metrics)
    check_needs(chosen, masks is not None or boxes is not None)
    engine = engine_of(options)
    if not is_stream(inputs):
        return judge(Case(analyzer, inputs, target, masks=masks, boxes=boxes, engine=engine, options=options), chosen)
    if masks is not None or boxes is not None:
        raise InputError("masks and boxes of a stream are not known by batch: evaluate each batch, and Scores.concat")
    parts = []
    for batch in batches_of(inputs):
        if batch.target is not None and target is not None:
            raise InputError("the batches bring targets of their own: leave target= out")
        own = target if batch.target is None else batch.target
        parts.append(judge(Case(analyzer, batch.inputs, own, engine=engine, options=options), chosen))
    if not parts:
        raise InputError("there is nothing to judge: the stream of inputs holds no batch")
    return {name: Scores.concat([part[name] for part in parts]) for name in parts[0]}


def judge(case: Case, metrics: Mapping[str, Metric]) -> dict[str, Scores]:
    """What metrics say of one case, by the names they are given under; an error of one says which."""
    len(case)  # what is wrong with the explanation itself is no fault of a metric
    found = {}
    for name, metric in metrics.items():
        try:
            found[name] = metric.score(case)
        except XaicoreError as error:
            error.args = (f"{name}: {error}",)
            raise
    return found


def resolve_metrics(metrics: Metrics) -> dict[str, Metric]:
    """Metrics by name, from what a user writes."""
    if isinstance(metrics, str | Metric):
        metrics = [metrics]
    if isinstance(metrics, Mapping):
        made = [create_metric(name, **_parameters(name, each)) for name, each in metrics.items()]
    else:
        made = [create_metric(each) if isinstance(each, str) else each for each in _sequence(metrics)]
    if not made:
        raise ParameterError("metrics: there is none: give names, or metrics; `xaicore list --metrics` shows them all")
    for each in made:
        if not isinstance(each, Metric):
            raise ParameterError(f"metrics: {each!r} is no metric: give a name, or a Metric")
    return dict(_named(made))


def check_needs(metrics: Mapping[str, Metric], has_masks: bool) -> None:
    """Refuse metrics that need to know where the object is, where nobody said."""
    lacking = [name for name, metric in metrics.items() if "masks" in metric.needs and not has_masks]
    if lacking:
        raise InputError(f"{', '.join(lacking)}: needs to know where the object is: give masks=, or boxes=")


def _named(metrics: Sequence[Metric]) -> Iterator[tuple[str, Metric]]:
    taken: dict[str, int] = {}
    for metric in metrics:
        name = metric.name
        taken[name] = taken.get(name, 0) + 1
        yield (name if taken[name] == 1 else f"{name} ({taken[name]})"), metric


def _sequence(metrics: Any) -> Sequence[Any]:
    if isinstance(metrics, Sequence):
        return metrics
    raise ParameterError(
        f"metrics={metrics!r}: give a name, a Metric, a list of them, or a dict of names to parameters"
    )


def _parameters(metric: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ParameterError(f"metrics: the parameters of {metric!r} are {given!r}: give a dict, or None")
    return given
