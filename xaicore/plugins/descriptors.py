"""What hooks return: descriptions of things a plugin brings, as plain data.

A `target` is an import string, "package.module:attribute", resolved by `resolve` on first use. So
a list of methods costs no import of torch. `surface.toml` says since which version of the interface a field exists.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from xaicore.errors import PluginError

_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_DOTTED_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_SCALES = ("signed", "magnitude", "")
_COMMAND_NAME = re.compile(r"[a-z][a-z0-9-]*")


class _InNamespace:
    """What is called "namespace.name"."""

    name: str

    @property
    def namespace(self) -> str:
        return self.name.partition(".")[0]

    @property
    def bare_name(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True, kw_only=True)
class MethodSpec(_InNamespace):
    """One method of explanation.

    Parameters
    ----------
    name : canonical name, "namespace.method".
    target : import string of an `Analyzer` class.
    summary : one line for lists.
    family : "relevance", "gradient", "perturbation", ...: how the method works.
    aliases : familiar names from other tools. A canonical name always wins over an alias.
    inputs : what the method is made for: "image", "text", "series", "tabular".
    sources : where the method is defined, "Bach et al. 2015, eq. 58".
    example : import string of a function without arguments that returns the parameters, by name, with which the
        conformance kit tries the method: those without a default, and cheaper ones than the defaults. "" where the
        defaults do.
    """

    name: str
    target: str
    summary: str
    family: str
    aliases: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("image", "tabular", "text", "series")
    sources: tuple[str, ...] = ()
    example: str = ""

    def __post_init__(self) -> None:
        _check_dotted(self)
        _check_tuples(self, "aliases", "inputs", "sources")


@dataclass(frozen=True, kw_only=True)
class MappingSpec:
    """A backward mapping for layers that a method's own composite does not name.

    Parameters
    ----------
    family : family of methods that may use it: "relevance", "gradient".
    kinds : values of `xaicore.graph.Kind` that it handles, as plain strings: ("add",).
    target : import string of the mapping.
    summary : one line for the matching report.
    ops : names of operators that narrow the kinds, as in `Layer.op_name`; none means all.
    example : import string of a function without arguments that returns ``(model, inputs)`` with such a layer, for
        the conformance kit; "" where its own models have one.
    """

    family: str
    kinds: tuple[str, ...]
    target: str
    summary: str
    ops: tuple[str, ...] = ()
    example: str = ""

    def __post_init__(self) -> None:
        _check_target(self)
        _check_import_string(self, "example")
        _check_tuples(self, "kinds", "ops")
        if not self.kinds:
            raise PluginError(f"MappingSpec for {self.target!r} names no kind of layer; give `kinds`, as in ('add',).")


@dataclass(frozen=True, kw_only=True)
class MetricSpec(_InNamespace):
    """A metric that judges explanations.

    Parameters
    ----------
    name : canonical name, "namespace.metric".
    target : import string of a `Metric` class of `xaicore.scoring`.
    summary : one line for lists.
    higher_is_better : its direction, with its default parameters.
    sources : where the metric is defined, "Samek et al. 2017, sec. III".
    bounds : the lowest and the highest value that it takes; None: there is no bound.
    needs : what it must be given beside inputs and explanation: ("masks",).
    aliases : familiar names from other tools. A canonical name always wins over an alias.
    example : import string of a function without arguments that returns the parameters, by name, with which the
        conformance kit tries the metric; "" where the defaults do.
    """

    name: str
    target: str
    summary: str
    higher_is_better: bool
    sources: tuple[str, ...] = ()
    bounds: tuple[float | None, float | None] = (None, None)
    needs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    example: str = ""

    def __post_init__(self) -> None:
        _check_dotted(self)
        _check_tuples(self, "sources", "needs", "aliases")


@dataclass(frozen=True, kw_only=True)
class RendererSpec(_InNamespace):
    """A way to draw relevance, of one sample or of all.

    The target is called with keywords, ``target(relevance=..., ax=..., **options)``; it draws on the axes, or on new
    ones where `ax` is None, and returns them. Of the options that others set for it (`image`, `pool`, `scale`, `mean`,
    `std`, `cmap`) it is given those that its signature has.

    Parameters
    ----------
    name : canonical name, "namespace.renderer".
    target : import string of the function.
    summary : one line for lists.
    inputs : what it can show: "image", "text", "series", "tabular".
    aliases : familiar names from other tools. A canonical name always wins over an alias.
    given_as : the parameter that takes what was explained ("image", "values"); "" where it draws relevance alone.
    needs_input : whether that must be given.
    all_samples : whether it is given the relevance of all samples, (B, ...), and draws them together.
    scale : what its colours stand for: "signed" from -scale to scale, "magnitude" from 0 to scale, "" for no scale.
    colours : the matplotlib colour map of that scale; "" for the diverging one that the user chooses with `cmap`.
    measure : import string of what turns relevance and options into the values on that scale; "" for relevance pooled
        over channels.
    example : import string of a function without arguments that returns options, by name, with which the conformance
        kit tries the renderer; "" where the defaults do.
    """

    name: str
    target: str
    summary: str
    inputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    given_as: str = ""
    needs_input: bool = False
    all_samples: bool = False
    scale: str = ""
    colours: str = ""
    measure: str = ""
    example: str = ""

    def __post_init__(self) -> None:
        _check_dotted(self)
        _check_tuples(self, "inputs", "aliases")
        if self.scale not in _SCALES:
            raise PluginError(f"RendererSpec {self.name!r}: scale={self.scale!r}; one of {_SCALES}.")
        if self.needs_input and not self.given_as:
            raise PluginError(f"RendererSpec {self.name!r} needs an input: say with given_as which parameter takes it.")
        _check_import_string(self, "measure")


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A subcommand of `xaicore`; `target` is a `click.Command`, `name` is what the user types."""

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check_target(self)
        if not _COMMAND_NAME.fullmatch(self.name):
            raise PluginError(
                f"CommandSpec: {self.name!r} is no name of a command; use small letters, digits and hyphens."
            )


Named = MethodSpec | MetricSpec | RendererSpec
Descriptor = MethodSpec | MappingSpec | MetricSpec | RendererSpec | CommandSpec


def _check_dotted(spec: Named) -> None:
    if not _DOTTED_NAME.fullmatch(spec.name):
        raise PluginError(
            f"{type(spec).__name__}: {spec.name!r} is no canonical name; "
            "write 'namespace.name' with small letters, digits and underscores."
        )
    _check_target(spec)
    _check_import_string(spec, "example")


def _check_target(spec: Descriptor) -> None:
    if not spec.target:
        raise PluginError(f"{type(spec).__name__}: target is empty; write 'package.module:attribute'.")
    _check_import_string(spec, "target")


def _check_import_string(spec: Descriptor, field: str) -> None:
    """Refuse what `resolve` cannot read; a field may be empty."""
    value = getattr(spec, field)
    if not isinstance(value, str) or (value and not _TARGET.fullmatch(value)):
        raise PluginError(
            f"{type(spec).__name__}: {field} {value!r} is no import string; write 'package.module:attribute'."
        )


def _check_tuples(spec: Descriptor, *fields: str) -> None:
    for field in fields:
        value = getattr(spec, field)
        # A bare string would be read letter by letter, the classic slip of ("one",) without its comma.
        if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
            raise PluginError(f"{type(spec).__name__}: {field} is a tuple of strings, not {value!r}.")
