"""`xaicore list`: the installed methods."""

from __future__ import annotations

from typing import Any

import click

from xaicore.cli.table import echo_json, table
from xaicore.errors import ParameterError, nearest
from xaicore.plugins import MethodSpec, PluginRegistry, Status, plugin_registry


@click.command()
@click.option("--family", help="Only methods of this family, such as relevance or gradient.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(family: str | None, as_json: bool) -> None:
    """List the installed methods."""
    registry = plugin_registry()
    methods = registry.methods() if family is None else _of_family(registry, family)
    if as_json:
        echo_json([_record(registry, method) for method in methods])
    elif methods:
        rows = [(spec.name, spec.family, registry.provider(spec).distribution, spec.summary) for spec in methods]
        click.echo(table(("METHOD", "FAMILY", "PACKAGE", "SUMMARY"), rows))
    else:
        click.echo("No methods are usable. Explanation methods are plugins: pip install xai-lrp xai-gradients")
    _mention_failures(registry)


def _of_family(registry: PluginRegistry, family: str) -> tuple[MethodSpec, ...]:
    families = sorted({method.family for method in registry.methods()})
    if family not in families:
        raise ParameterError(
            f"No installed method is of the family {family!r}.{nearest(family, families)} "
            f"Families are {', '.join(families) or 'none'}."
        )
    return tuple(method for method in registry.methods() if method.family == family)


def _record(registry: PluginRegistry, method: MethodSpec) -> dict[str, Any]:
    provider = registry.provider(method)
    return {
        "name": method.name,
        "family": method.family,
        "package": provider.distribution,
        "version": provider.version,
        "summary": method.summary,
        "aliases": list(method.aliases),
        "inputs": list(method.inputs),
    }


def _mention_failures(registry: PluginRegistry) -> None:
    """Tell on standard error about plugins that should be here and are not, so that JSON stays clean."""
    failed = [info for info in registry.plugins() if info.status not in (Status.OK, Status.DISABLED)]
    if failed:
        click.echo("\nNot loaded (`xaicore plugins` shows all):", err=True)
    for info in failed:
        click.echo(f"  {info.namespace} ({info.label}) is {info.status}: {info.cause}", err=True)
