"""What `xaicore info` tells of a method, a metric, a renderer or a mapping, as plain data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from xaicore.errors import PluginLoadError
from xaicore.plugins import MappingSpec, MethodSpec, MetricSpec, PluginInfo, RendererSpec, resolve
from xaicore.plugins.docstrings import Documented, documented_parameters

Spec = MethodSpec | MetricSpec | RendererSpec
Record = dict[str, Any]

KINDS = {MethodSpec: "method", MetricSpec: "metric", RendererSpec: "renderer", MappingSpec: "mapping"}

_GIVEN = {
    "method": ("model",),
    "metric": (),
    "renderer": ("relevance", "ax"),
    "mapping": ("xs", "ys", "rs", "state"),
}
"""What the core gives, and no user: these are no parameters to choose."""


def describe(spec: Spec | MappingSpec, provider: PluginInfo) -> Record:
    """Return every field of a descriptor with what its target says of itself.

    Raises
    ------
    PluginLoadError
        If the target cannot be imported, or is not what the descriptor says.
    """
    kind = KINDS[type(spec)]
    target = resolve(spec.target)
    name = spec.target.rpartition(":")[2] if isinstance(spec, MappingSpec) else spec.name
    if not (isinstance(target, type) if kind in ("method", "metric") else callable(target)):
        noun = "class" if kind in ("method", "metric") else "function"
        raise PluginLoadError(f"The {kind} {name!r} is at {spec.target!r}, which is {target!r} and no {noun}.")
    parameters = _parameters(target, _GIVEN[kind])
    own = {field.name: getattr(spec, field.name) for field in fields(spec) if field.name != "name"}
    return {
        "name": name,
        "kind": kind,
        "signature": _signature(name, parameters, ["model"] if kind == "method" else _leading(target, _GIVEN[kind])),
        **own,
        "import_path": spec.target.replace(":", "."),
        "parameters": parameters,
        **({"learns": _learns(target)} if kind == "method" else {}),
        **_place(target),
        "namespace": provider.namespace,
        "package": provider.distribution,
        "version": provider.version,
    }


def _learns(cls: Any) -> bool:
    """Whether a method has something to learn from data, in `fit`."""
    from xaicore.analyzers import Analyzer

    return getattr(cls, "fit", Analyzer.fit) is not Analyzer.fit


def _parameters(target: Callable[..., Any], given: tuple[str, ...]) -> list[Record]:
    """Name, default, type and meaning of each parameter that is left to a user."""
    documented = documented_parameters(target)
    return [
        {
            "name": parameter.name,
            "required": parameter.default is parameter.empty,
            "default": None if parameter.default is parameter.empty else _plain(parameter.default),
            **documented.get(parameter.name, Documented("", ""))._asdict(),
        }
        for parameter in _arguments(target).values()
        if parameter.name not in given and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]


def _leading(target: Callable[..., Any], given: tuple[str, ...]) -> list[str]:
    """What the core gives that the target takes by position, first in the signature."""
    return [name for name, each in _arguments(target).items() if name in given and each.default is each.empty]


def _arguments(target: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(target).parameters


def _signature(name: str, parameters: list[Record], leading: list[str]) -> str:
    shown = [
        parameter["name"] if parameter["required"] else f"{parameter['name']}={parameter['default']!r}"
        for parameter in parameters
    ]
    return f"{name}({', '.join([*leading, *shown])})"


def _plain(value: object) -> object:
    """The value as JSON knows it; its text where JSON does not know such values."""
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _place(target: Callable[..., Any]) -> Record:
    """The source file of a class or function on this machine, and the line; of an object, those of its class."""
    found: Any = inspect.unwrap(target)
    found = found if isinstance(found, type) or inspect.isroutine(found) else type(found)
    try:
        return {"file": inspect.getsourcefile(found), "line": inspect.getsourcelines(found)[1]}
    except (OSError, TypeError):  # compiled, or made while running: there is no source to show
        return {"file": None, "line": None}
