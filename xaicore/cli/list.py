"""`xaicore list`: the installed methods, metrics or renderers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from xaicore.cli.table import echo_json, table
from xaicore.errors import ParameterError, nearest
from xaicore.plugins import MethodSpec, MetricSpec, PluginRegistry, RendererSpec, Status, plugin_registry

Spec = MethodSpec | MetricSpec | RendererSpec


@dataclass(frozen=True)
class _Listing:
    """What can be listed: what it is called, which column tells it apart, and what JSON says beside what all have."""

    noun: str
    column: str
    found: Callable[[PluginRegistry], Sequence[Spec]]
    entry: Callable[[Any], str]
    fields: tuple[str, ...]
    none: str


_METHODS = _Listing(
    "method", "FAMILY", lambda registry: registry.methods(), lambda spec: str(spec.family), ("family", "inputs"),
    "No methods are usable. Explanation methods are plugins: pip install xai-lrp xai-gradients",
)  # fmt: skip
_METRICS = _Listing(
    "metric", "BETTER", lambda registry: registry.metrics(),
    lambda spec: "higher" if spec.higher_is_better else "lower",
    ("higher_is_better", "bounds", "needs", "sources"),
    "No metrics are usable. Metrics are plugins: pip install xai-evaluation",
)  # fmt: skip
_RENDERERS = _Listing(
    "renderer", "DRAWS", lambda registry: registry.renderers(), lambda spec: ", ".join(spec.inputs),
    ("inputs", "given_as", "needs_input", "scale"),
    "No renderers are usable. `xaicore plugins` says what became of the core's own.",
)  # fmt: skip


@click.command()
@click.option("--metrics", is_flag=True, help="List metrics instead of methods.")
@click.option("--renderers", is_flag=True, help="List renderers instead of methods.")
@click.option("--family", help="Only methods of this family, such as relevance or gradient.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(metrics: bool, renderers: bool, family: str | None, as_json: bool) -> None:
    """List the installed methods, metrics or renderers."""
    registry = plugin_registry()
    if metrics and renderers:
        raise click.UsageError("give --metrics or --renderers: one list at a time.")
    chosen = _METRICS if metrics else _RENDERERS if renderers else _METHODS
    if family is not None and chosen is not _METHODS:
        raise click.UsageError(f"--family is one of methods; {chosen.noun}s have none.")
    specs: Sequence[Spec] = chosen.found(registry) if family is None else _of_family(registry, family)
    if as_json:
        echo_json([_record(registry, spec, chosen) for spec in specs])
    elif specs:
        rows = [(spec.name, chosen.entry(spec), registry.provider(spec).distribution, spec.summary) for spec in specs]
        click.echo(table((chosen.noun.upper(), chosen.column, "PACKAGE", "SUMMARY"), rows))
    else:
        click.echo(chosen.none)
    _mention_failures(registry)


def _of_family(registry: PluginRegistry, family: str) -> tuple[MethodSpec, ...]:
    families = sorted({method.family for method in registry.methods()})
    if family not in families:
        raise ParameterError(
            f"No installed method is of the family {family!r}.{nearest(family, families)} "
            f"Families are {', '.join(families) or 'none'}."
        )
    return tuple(method for method in registry.methods() if method.family == family)


def _record(registry: PluginRegistry, spec: Spec, listing: _Listing) -> dict[str, Any]:
    provider = registry.provider(spec)
    own = {field: getattr(spec, field) for field in listing.fields}
    return {
        "name": spec.name,
        "package": provider.distribution,
        "version": provider.version,
        "summary": spec.summary,
        "aliases": spec.aliases,
        **own,
    }


def _mention_failures(registry: PluginRegistry) -> None:
    """Tell on standard error about plugins that should be here and are not, so that JSON stays clean."""
    failed = [info for info in registry.plugins() if info.status not in (Status.OK, Status.DISABLED)]
    if failed:
        click.echo("\nNot loaded (`xaicore plugins` shows all):", err=True)
    for info in failed:
        click.echo(f"  {info.namespace} ({info.label}) is {info.status}: {info.cause}", err=True)
