"""`xaicore info METHOD`: what a method does, its parameters and its sources."""

from __future__ import annotations

import inspect
from typing import Any

import click

from xaicore.cli.docstring import Documented, documented_parameters
from xaicore.cli.table import echo_json
from xaicore.errors import PluginLoadError
from xaicore.plugins import MethodSpec, PluginInfo, plugin_registry, resolve


@click.command()
@click.argument("method")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(method: str, as_json: bool) -> None:
    """Show what METHOD does, its parameters and its sources."""
    registry = plugin_registry()
    spec = registry.find_method(method)
    provider = registry.provider(spec)
    parameters = _parameters(spec)
    if as_json:
        echo_json(_record(spec, provider, parameters))
    else:
        click.echo(_page(spec, provider, parameters))


def _parameters(spec: MethodSpec) -> list[dict[str, Any]]:
    """Return name, default, type and meaning of each parameter of a method's class but the model."""
    cls = resolve(spec.target)
    if not isinstance(cls, type):
        raise PluginLoadError(f"The method {spec.name!r} is at {spec.target!r}, which is {cls!r} and no class.")
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


def _record(spec: MethodSpec, provider: PluginInfo, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": spec.name,
        "signature": _signature(spec, parameters),
        "summary": spec.summary,
        "family": spec.family,
        "inputs": list(spec.inputs),
        "aliases": list(spec.aliases),
        "parameters": parameters,
        "sources": list(spec.sources),
        "package": provider.distribution,
        "version": provider.version,
    }


def _signature(spec: MethodSpec, parameters: list[dict[str, Any]]) -> str:
    shown = [
        parameter["name"] if parameter["required"] else f"{parameter['name']}={parameter['default']!r}"
        for parameter in parameters
    ]
    return f"{spec.name}({', '.join(['model', *shown])})"


def _page(spec: MethodSpec, provider: PluginInfo, parameters: list[dict[str, Any]]) -> str:
    lines = [_signature(spec, parameters), "", f"  {spec.summary}", ""]
    facts = {
        "family": spec.family,
        "made for": ", ".join(spec.inputs),
        "aliases": ", ".join(spec.aliases) or "none",
        "package": provider.label,
    }
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
