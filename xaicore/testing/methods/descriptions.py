"""Whether a method's description is complete, and true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from xaicore.analyzers import Analyzer
from xaicore.errors import PluginError, XaicoreError
from xaicore.plugins import MethodSpec, find_method, resolve
from xaicore.testing.checks import Skip, interface, require
from xaicore.testing.examples import EXAMPLES
from xaicore.testing.methods.subject import MethodSubject

FAMILIES = ("relevance", "gradient", "perturbation", "prototype")
KINDS_OF_INPUT = tuple(dict.fromkeys(example.kind for example in EXAMPLES))
LONGEST_SUMMARY = 90
"""So that a line of ``xaicore list`` stays one line."""


@interface
def description(subject: MethodSubject) -> None:
    """What lists and users are told: summary, family, sources, inputs and names are there and make sense."""
    spec = _spec(subject)
    check_summary(spec.summary)
    require(
        spec.family in FAMILIES,
        f"the family is {spec.family!r}; say how the method works by one of {', '.join(FAMILIES)}",
    )
    require(
        subject.cls.family in ("", spec.family),
        f"the description says that the family is {spec.family!r}, and the class {subject.cls.__name__} that it is "
        f"{subject.cls.family!r}",
    )
    require(
        bool(spec.sources) and all(source.strip() for source in spec.sources),
        f"sources={spec.sources!r}: say where the method is defined, such as ('Bach et al. 2015, eq. 58',)",
    )
    unknown = [kind for kind in spec.inputs if kind not in KINDS_OF_INPUT]
    require(
        bool(spec.inputs) and not unknown,
        f"inputs={spec.inputs!r}: name the kinds that the method is made for, out of {', '.join(KINDS_OF_INPUT)}",
    )
    _check_aliases(spec)
    _check_target(spec, subject)


@interface
def takes_what_it_is_made_for(subject: MethodSubject) -> str:
    """Of each kind of input that the description names, the method explains a model of the kit."""
    advice = "give parameters that fit in an `example` of the description"
    if not subject.examples:
        require(False, f"it takes none of the models of the kit; {advice}. {_reasons(subject, subject.made_for)}")
    for kind in subject.spec.inputs if subject.spec else ():
        require(
            kind not in KINDS_OF_INPUT or any(each.kind == kind for each in subject.examples),
            f"it is said to be made for {kind!r} and refuses every such model of the kit: take {kind!r} out of "
            f"`inputs`, or {advice}. {_reasons(subject, [kind])}",
        )
    return f"explained: {', '.join(each.name for each in subject.examples)}"


def check_summary(summary: str) -> None:
    """Fail unless a summary fits on a line of a list."""
    require(
        bool(summary.strip()) and "\n" not in summary and len(summary) <= LONGEST_SUMMARY,
        f"the summary must be one line of 1 to {LONGEST_SUMMARY} characters; it has {len(summary)}: {summary!r}",
    )


def _reasons(subject: MethodSubject, kinds: Sequence[str]) -> str:
    """Why models were refused, each reason once."""
    models: dict[str, list[str]] = {}
    for example, reason in subject.refusals.items():
        if example.kind in kinds:
            models.setdefault(reason, []).append(example.name)
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in models.items())


def _spec(subject: MethodSubject) -> MethodSpec:
    if subject.spec is None:
        raise Skip("no plugin registered this class, so that nothing describes it")
    return subject.spec


def _check_aliases(spec: MethodSpec) -> None:
    repeated = [alias for alias, count in Counter(spec.aliases).items() if count > 1]
    require(not repeated, f"the alias {repeated[:1]} is there twice: leave one")
    no_words = [alias for alias in spec.aliases if not alias or len(alias.split()) != 1]
    require(not no_words, f"an alias is one word, as a user would type it; not {no_words}")
    own = [alias for alias in spec.aliases if alias in (spec.name, spec.bare_name)]
    require(not own, f"the alias {own[:1]} is the method's own name: leave it out")
    for alias in spec.aliases:
        _check_alias(spec, alias)


def _check_alias(spec: MethodSpec, alias: str) -> None:
    """Within its own plugin an alias means one method; what others install is not the author's to know."""
    name = alias if alias.partition(".")[0] == spec.namespace else f"{spec.namespace}.{alias}"
    try:
        meant = find_method(name)
    except PluginError as error:
        require(not _is_installed(spec), f"the alias {alias!r} does not lead to the method: {error}")
    else:
        require(
            meant is spec or not _is_installed(spec),
            f"the alias {alias!r} means {meant.name}: a canonical name wins over an alias. Choose another",
        )


def _is_installed(spec: MethodSpec) -> bool:
    try:
        return find_method(spec.name) is spec
    except PluginError:
        return False


def _check_target(spec: MethodSpec, subject: MethodSubject) -> None:
    try:
        found = resolve(spec.target)
    except XaicoreError as error:
        require(False, f"target={spec.target!r} leads nowhere: {error}")
    is_analyzer = isinstance(found, type) and issubclass(found, Analyzer)
    require(is_analyzer, f"target={spec.target!r} is {found!r}; it must be a subclass of xaicore.analyzers.Analyzer")
    require(found is subject.cls, f"target={spec.target!r} is {found!r}, and {subject.cls!r} is tried")
