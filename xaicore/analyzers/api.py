"""Analyzers by name: create one or several, explain by one or several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MethodType
from typing import Any

from xaicore.analyzers.base import Analyzer, check_is_module
from xaicore.analyzers.jobs import Job, Options, engine_of
from xaicore.analyzers.joint import explain_jointly
from xaicore.analyzers.propagation import PropagationAnalyzer
from xaicore.engine import Batch, Engine, batches_of, is_stream
from xaicore.errors import InputError, ParameterError, TargetError
from xaicore.explanation import Explanation
from xaicore.plugins import find_method, resolve

_ANALYZE_OPTIONS = frozenset(
    "output layer record filter ledger batch_size progress engine create_graph fallback compile".split()
)


def create_analyzer(method: str, model: Any, **params: Any) -> Analyzer:
    """An analyzer of an installed method, by its canonical name, an alias or a unique bare name.

    Raises
    ------
    UnknownMethodError
        No installed plugin has it; the message says which package would.
    ParameterError
        The method has no such parameter, refuses its value, or needs one that is not given.

    Examples
    --------
    >>> analyzer = create_analyzer("lrp.epsilon", model, epsilon=0.25)  # doctest: +SKIP
    """
    cls = resolve(find_method(method).target)
    cls.check_parameter_names(list(params))
    cls.check_none_missing(params)
    analyzer: Analyzer = cls(model, **params)
    return analyzer


def explain(model: Any, inputs: Any, *, method: str, target: Any = None, **params: Any) -> Explanation:
    """Explain a model's output for these inputs, in one call.

    Parameters
    ----------
    model, inputs, target
        See `PropagationAnalyzer.analyze`.
    method : str
        Such as ``"lrp.epsilon_plus"``; `xaicore.methods()` lists all that are installed.
    **params
        Parameters of the method (``epsilon=0.25``) and options of ``analyze`` (``layer=``, ``record=``,
        ``batch_size=``, ...).
    """
    options = {name: params.pop(name) for name in _ANALYZE_OPTIONS if name in params}
    return create_analyzer(method, model, **params).analyze(inputs, target, **options)


def explain_each(
    model: Any, inputs: Any, requests: Sequence[tuple[Analyzer, Any]], **options: Any
) -> list[Explanation]:
    """Explain the same inputs by several analyzers, each with a target of its own; one explanation a request.

    Propagation methods share one forward pass, whatever their targets. Only where inner layers are named
    (``layer=``, ``record=``, ``filter=``) does each family take a forward of its own.

    Parameters
    ----------
    model, inputs, **options
        See `PropagationAnalyzer.analyze`.
    requests : sequence of (Analyzer, target)
        Of analyzers of this model.
    """
    engine = engine_of(options)
    if is_stream(inputs):
        inner = engine.within()
        parts = [_of_batch(model, batch, requests, inner, options) for batch in batches_of(inputs)]
        if not parts:
            raise InputError("There is nothing to explain: the stream of inputs holds no batch.")
        return [Explanation.concat(each) for each in zip(*parts, strict=True)]
    joint = [number for number, (analyzer, _) in enumerate(requests) if isinstance(analyzer, PropagationAnalyzer)]
    found: dict[int, Explanation] = {}
    if joint:
        jobs = [Job(*requests[number]) for number in joint]  # type: ignore[arg-type]
        explanations = explain_jointly(check_is_module(model), inputs, jobs, Options.named(options), engine)
        found.update(zip(joint, explanations, strict=True))
    for number, (analyzer, target) in enumerate(requests):
        if number not in found:
            found[number] = analyzer.analyze(inputs, target, engine=engine, **options)
    return [found[number] for number in range(len(requests))]


def _of_batch(
    model: Any, batch: Batch, requests: Sequence[tuple[Analyzer, Any]], engine: Engine, options: Mapping[str, Any]
) -> list[Explanation]:
    if batch.target is None:
        return explain_each(model, batch.inputs, requests, engine=engine, **options)
    if any(target is not None for _, target in requests):
        raise TargetError("The batches bring targets of their own: leave target= out.")
    own = [(analyzer, batch.target) for analyzer, _ in requests]
    return explain_each(model, batch.inputs, own, engine=engine, **options)


Methods = str | Sequence[str | Analyzer] | Mapping[str, Mapping[str, Any] | Analyzer | None]


def create_analyzers(model: Any, methods: Methods) -> dict[str, Analyzer]:
    """Analyzers of several methods by name: the canonical one, with a number where it is taken.

    Parameters
    ----------
    methods : str, sequence of names or analyzers, or mapping
        ``["lrp.epsilon", "gradients.saliency"]``. A mapping has names of methods with their parameters, and names of
        one's own for analyzers: ``{"lrp.epsilon": {"epsilon": 0.25}, "gradients.saliency": None, "mine": analyzer}``.
    """
    named: dict[str, Analyzer] = {}
    for given, analyzer in _analyzers(methods, model):
        number, key = 2, given or analyzer.method
        while key in named:
            key, number = f"{given or analyzer.method} ({number})", number + 1
        named[key] = analyzer
    if not named:
        raise ParameterError("compare needs at least one method; xaicore.methods() lists what is installed")
    for analyzer in named.values():
        _check_comparable(analyzer, model)
    return named


def _analyzers(methods: Methods, model: Any) -> Iterator[tuple[str, Analyzer]]:
    """Analyzers with the names of the user's own; "" where there is none."""
    if isinstance(methods, str):
        methods = [methods]
    if not isinstance(methods, Mapping):
        for each in methods:
            yield "", create_analyzer(each, model) if isinstance(each, str) else each
        return
    for name, given in methods.items():
        if isinstance(given, Analyzer):
            yield name, given
        else:
            yield "", create_analyzer(name, model, **_parameters(name, given))


def _check_comparable(analyzer: Analyzer, model: Any) -> None:
    if not _same(analyzer.model, model):
        raise ParameterError(f"{analyzer!r} belongs to another model than the one that is compared on")
    if analyzer.family == "prototype":
        raise ParameterError(
            f"{analyzer.method} searches for inputs and explains none, so that there is nothing to compare: leave "
            "it out, and call its `analyze`"
        )


def _same(one: Any, other: Any) -> bool:
    """Whether two models are one; a method of an object (``classifier.predict_proba``) is made anew at each access."""
    return one is other or (isinstance(one, MethodType) and isinstance(other, MethodType) and one == other)


def _parameters(method: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"methods: the parameters of {method!r} are {given!r:.60}: give a dict such as {{'epsilon': 0.25}}, or None"
        )
    return given
