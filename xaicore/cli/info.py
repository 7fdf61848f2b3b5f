"""`xaicore info NAME`: what a method or a metric does, its parameters and its sources."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import click

from xaicore.cli.docstring import Documented, documented_parameters
from xaicore.cli.table import echo_json
from xaicore.errors import InputError, PluginLoadError, UnknownMethodError, UnknownMetricError, nearest
from xaicore.plugins import MethodSpec, MetricSpec, PluginInfo, PluginRegistry, plugin_registry, resolve

Spec = MethodSpec | MetricSpec


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(name: str, as_json: bool) -> None:
    """Show what NAME does, a method or a metric, its parameters and its sources."""
    registry = plugin_registry()
    spec = _find(registry, name)
    provider = registry.provider(spec)
    parameters = _parameters(spec)
    if as_json:
        echo_json(_record(spec, provider, parameters))
    else:
        click.echo(_page(spec, provider, parameters))


def _find(registry: PluginRegistry, name: str) -> Spec:
    """The method of this name, or else the metric; where there is neither, the error of what is more alike."""
    metrics, methods = registry.metrics(), registry.methods()
    if name.lower() in {spec.name for spec in metrics} - {spec.name for spec in methods}:
        return registry.find_metric(name)  # a canonical name wins over aliases of methods, too
    try:
        return registry.find_method(name)
    except UnknownMethodError as no_method:
        try:
            return registry.find_metric(name)
        except UnknownMetricError as no_metric:
            for spec in registry.renderers():
                if name.lower() in (spec.name, spec.bare_name):
                    raise InputError(
                        f"{name!r} is a renderer, and info shows methods and metrics. What it takes for --render-param "
                        f"are the parameters of {spec.target.replace(':', '.')}."
                    ) from None
            namespace = name.lower().partition(".")[0]
            like_a_metric = nearest(name, _names(metrics)) and not nearest(name, _names(methods))
            if namespace in {spec.namespace for spec in metrics} or like_a_metric:
                raise no_metric from None
            raise no_method from None


def _names(specs: Iterable[Spec]) -> list[str]:
    return sorted({known for spec in specs for known in (spec.name, spec.bare_name, *spec.aliases)})


def _parameters(spec: Spec) -> list[dict[str, Any]]:
    """Return name, default, type and meaning of each parameter of a class but the model."""
    cls = resolve(spec.target)
    if not isinstance(cls, type):
        noun = "method" if isinstance(spec, MethodSpec) else "metric"
        raise PluginLoadError(f"The {noun} {spec.name!r} is at {spec.target!r}, which is {cls!r} and no class.")
    documented = documented_parameters(cls)
    found = inspect.signature(cls).parameters.values()
    return [
        {
            "name": parameter.name,
            "required": parameter.default is parameter.empty,
            "default": None if parameter.default is parameter.empty else _plain(parameter.default),
            **documented.get(parameter.name, Documented("", ""))._asdict(),
        }
        for parameter in found
        if parameter.name != "model" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)


def _record(spec: Spec, provider: PluginInfo, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    own: dict[str, Any]
    if isinstance(spec, MethodSpec):
        own = {"family": spec.family, "inputs": list(spec.inputs)}
    else:
        own = {"higher_is_better": spec.higher_is_better, "bounds": list(spec.bounds), "needs": list(spec.needs)}
    return {
        "name": spec.name,
        "signature": _signature(spec, parameters),
        "summary": spec.summary,
        **own,
        "aliases": list(spec.aliases),
        "parameters": parameters,
        "sources": list(spec.sources),
        "package": provider.distribution,
        "version": provider.version,
    }


def _signature(spec: Spec, parameters: list[dict[str, Any]]) -> str:
    shown = [
        parameter["name"] if parameter["required"] else f"{parameter['name']}={parameter['default']!r}"
        for parameter in parameters
    ]
    return f"{spec.name}({', '.join(['model', *shown] if isinstance(spec, MethodSpec) else shown)})"


def _facts(spec: Spec) -> dict[str, str]:
    if isinstance(spec, MethodSpec):
        return {"family": spec.family, "made for": ", ".join(spec.inputs)}
    low, high = ("unbounded" if end is None else f"{end:g}" for end in spec.bounds)
    return {
        "direction": f"{'higher' if spec.higher_is_better else 'lower'} is better",
        "range": "unbounded" if spec.bounds == (None, None) else f"{low} to {high}",
        "needs": ", ".join(spec.needs) or "nothing more",
    }


def _page(spec: Spec, provider: PluginInfo, parameters: list[dict[str, Any]]) -> str:
    lines = [_signature(spec, parameters), "", f"  {spec.summary}", ""]
    facts = _facts(spec) | {"aliases": ", ".join(spec.aliases) or "none", "package": provider.label}
    lines += [f"  {name + ':':<10} {value}" for name, value in facts.items()]
    if parameters:
        lines += ["", "Parameters"]
    for parameter in parameters:
        default = "required" if parameter["required"] else f"default {parameter['default']!r}"
        kind = f": {parameter['type']}" if parameter["type"] else ""
        lines += [f"  {parameter['name']}{kind} ({default})", *_wrapped(parameter["meaning"] or "not documented")]
    if spec.sources:
        lines += ["", "Sources", *(f"  {source}" for source in spec.sources)]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return click.wrap_text(text, width=100, initial_indent="      ", subsequent_indent="      ").splitlines()
