"""Analyzers by name: create, explain, compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xaicore.analyzers.base import Analyzer, check_is_module
from xaicore.analyzers.jobs import Job, Options, engine_of
from xaicore.analyzers.joint import explain_jointly
from xaicore.analyzers.propagation import PropagationAnalyzer
from xaicore.errors import ParameterError
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


def compare(
    model: Any,
    inputs: Any,
    *,
    methods: Sequence[str | Analyzer] | Mapping[str, Mapping[str, Any] | None],
    target: Any = None,
    **options: Any,
) -> dict[str, Explanation]:
    """Explain the same inputs by several methods; propagation methods share one forward pass.

    Only where inner layers are named (``layer=``, ``record=``, ``filter=``) does each family take a forward of its own.

    Parameters
    ----------
    model, inputs, target, **options
        See `PropagationAnalyzer.analyze`.
    methods : sequence of names or analyzers, or mapping of names to parameters
        ``["lrp.epsilon", "gradients.saliency"]``, or ``{"lrp.epsilon": {"epsilon": 0.25}}``, with None or an empty
        dict where there are none.

    Returns
    -------
    dict of str to Explanation
        By the canonical name of the method, in the order given; an analyzer whose name is taken gets a number.
    """
    analyzers = _analyzers(model, methods)
    engine = engine_of(options)
    joint = [a for a in analyzers if isinstance(a, PropagationAnalyzer)]
    found: dict[int, Explanation] = {}
    if joint:
        choices = Options.named(options)
        jobs = [Job(analyzer, target) for analyzer in joint]
        explanations = explain_jointly(check_is_module(model), inputs, jobs, choices, engine)
        found.update({id(a): explanation for a, explanation in zip(joint, explanations, strict=True)})
    for analyzer in analyzers:
        if id(analyzer) not in found:
            found[id(analyzer)] = analyzer.analyze(inputs, target, engine=engine, **options)
    return _by_name([(analyzer.method, found[id(analyzer)]) for analyzer in analyzers])


def _analyzers(
    model: Any, methods: Sequence[str | Analyzer] | Mapping[str, Mapping[str, Any] | None]
) -> list[Analyzer]:
    if isinstance(methods, str):
        methods = [methods]
    if isinstance(methods, Mapping):
        analyzers = [create_analyzer(name, model, **_parameters(name, each)) for name, each in methods.items()]
    else:
        analyzers = [create_analyzer(m, model) if isinstance(m, str) else m for m in methods]
    if not analyzers:
        raise ParameterError("compare needs at least one method; xaicore.methods() lists what is installed")
    foreign = [a for a in analyzers if a.model is not model]
    if foreign:
        raise ParameterError(f"{foreign[0]!r} belongs to another model than the one that is compared on")
    for analyzer in analyzers:
        if analyzer.family == "prototype":
            raise ParameterError(
                f"{analyzer.method} searches for inputs and explains none, so that there is nothing to compare: leave "
                "it out, and call its `analyze`"
            )
    return analyzers


def _parameters(method: str, given: Any) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ParameterError(
            f"methods: the parameters of {method!r} are {given!r}: give a dict such as {{'epsilon': 0.25}}, or None"
        )
    return given


def _by_name(pairs: list[tuple[str, Explanation]]) -> dict[str, Explanation]:
    named: dict[str, Explanation] = {}
    for name, explanation in pairs:
        number = 2
        key = name
        while key in named:
            key, number = f"{name} ({number})", number + 1
        named[key] = explanation
    return named
