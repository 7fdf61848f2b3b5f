"""`xaicore list`: what the installed plugins bring, of one kind, narrowed by filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from operator import itemgetter
from typing import Any, NamedTuple

import click

from xaicore.cli.table import echo_json, table
from xaicore.errors import ParameterError, PluginError, nearest
from xaicore.plugins import (
    KNOWN_PACKAGES,
    CommandSpec,
    MappingSpec,
    MethodSpec,
    MetricSpec,
    PluginInfo,
    PluginRegistry,
    RendererSpec,
    Status,
    plugin_registry,
)
from xaicore.plugins.discovery import normalized

Brought = tuple[Any, PluginInfo]
Row = tuple[str, ...]


class _Kind(NamedTuple):
    """What can be listed: what it is called, its table, by what it can be narrowed, what to do where there is none."""

    noun: str
    descriptor: type
    heads: Row
    rows: Callable[[Any, str], Iterator[Row]]
    filters: tuple[str, ...]
    none: str


class _Filter(NamedTuple):
    """By what lists are narrowed: what a descriptor has of it, and how messages say it."""

    values: Callable[[Any], Iterable[str]]
    said: str
    plural: str


_FILTERS = {
    "family": _Filter(lambda spec: (spec.family,), " of the family {!r}", "Families"),
    "inputs": _Filter(lambda spec: spec.inputs, " for inputs of type {!r}", "Types"),
}


def _of_method(spec: Any, package: str) -> Iterator[Row]:
    yield spec.name, spec.family, package, spec.summary


def _of_metric(spec: Any, package: str) -> Iterator[Row]:
    yield spec.name, "higher" if spec.higher_is_better else "lower", package, spec.summary


def _of_renderer(spec: Any, package: str) -> Iterator[Row]:
    yield spec.name, ", ".join(spec.inputs), package, spec.summary


def _of_mapping(spec: Any, package: str) -> Iterator[Row]:
    for kind in spec.kinds:
        yield kind, ", ".join(spec.ops) or "all", spec.family, package, spec.summary


def _of_command(spec: Any, package: str) -> Iterator[Row]:
    yield spec.name, package, spec.summary


_KINDS = {
    kind.noun: kind
    for kind in (
        _Kind(
            "method", MethodSpec, ("METHOD", "FAMILY", "PACKAGE", "SUMMARY"), _of_method, ("family", "inputs"),
            "Explanation methods are plugins: pip install xai-lrp xai-gradients",
        ),
        _Kind(
            "metric", MetricSpec, ("METRIC", "BETTER", "PACKAGE", "SUMMARY"), _of_metric, (),
            "Metrics are plugins: pip install xai-evaluation",
        ),
        _Kind(
            "renderer", RendererSpec, ("RENDERER", "DRAWS", "PACKAGE", "SUMMARY"), _of_renderer, ("inputs",),
            "`xaicore plugins` says what became of the core's own.",
        ),
        _Kind(
            "mapping", MappingSpec, ("LAYER", "OPERATORS", "FAMILY", "PACKAGE", "SUMMARY"), _of_mapping, ("family",),
            "Mappings for layers come with plugins: pip install xai-lrp",
        ),
        _Kind(
            "command", CommandSpec, ("COMMAND", "PACKAGE", "SUMMARY"), _of_command, (),
            "No plugin adds any; `xaicore --help` shows those of the core.",
        ),
    )
}  # fmt: skip


@click.command()
@click.option("--kind", type=click.Choice(list(_KINDS)), help="What to list.  [default: method]")
@click.option("--metrics", is_flag=True, help="The same as --kind metric.")
@click.option("--renderers", is_flag=True, help="The same as --kind renderer.")
@click.option("--family", help="Only methods or mappings of this family, such as relevance or gradient.")
@click.option("--inputs", help="Only methods or renderers for inputs of this type: image, text, series, tabular.")
@click.option("--plugin", metavar="NAMESPACE", help="Only what this plugin brings: lrp, or xai-lrp.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    kind: str | None, metrics: bool, renderers: bool, family: str | None, inputs: str | None, plugin: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """List what is installed: methods, metrics, renderers, mappings for layers, or commands that plugins add."""
    registry = plugin_registry()
    asked = {str(name) for name, given in ((kind, kind), ("metric", metrics), ("renderer", renderers)) if given}
    if len(asked) > 1:
        raise click.UsageError("one list at a time: give one of --kind, --metrics and --renderers.")
    chosen = _KINDS[asked.pop() if asked else "method"]
    found = _all(registry, chosen)
    narrowed_to = ""
    if plugin is not None:
        found, narrowed_to = _of_plugin(registry, found, chosen, plugin), f" of the plugin {plugin!r}"
    for name, value in (("family", family), ("inputs", inputs)):
        if value is not None:
            found = _narrowed(found, chosen, name, value, narrowed_to)
            narrowed_to += _FILTERS[name].said.format(value)
    if as_json:
        echo_json([_record(spec, info) for spec, info in found])
    elif found:
        rows = [row for spec, info in found for row in chosen.rows(spec, info.distribution)]
        click.echo(table(chosen.heads, sorted(rows, key=itemgetter(0))))
    else:
        click.echo(f"No {chosen.noun}s are usable. {chosen.none}")
    _mention_failures(registry)


def _all(registry: PluginRegistry, kind: _Kind) -> list[Brought]:
    """Everything of a kind with its plugin: by name; mappings in the order in which they are asked."""
    found = [(spec, info) for spec, info in registry.brought() if isinstance(spec, kind.descriptor)]
    return sorted(found, key=lambda each: not each[0].ops if kind.noun == "mapping" else each[0].name)


def _of_plugin(registry: PluginRegistry, found: list[Brought], kind: _Kind, name: str) -> list[Brought]:
    plugins = registry.plugins()
    wanted = normalized(name)
    named = [info for info in plugins if wanted in (normalized(info.namespace), normalized(info.distribution))]
    if not named:
        known = sorted({each for info in plugins for each in (info.namespace, info.distribution)})
        package = KNOWN_PACKAGES.get(name.lower(), name.lower())
        to_install = f" It comes with a package: pip install {package}" if package in KNOWN_PACKAGES.values() else ""
        raise ParameterError(
            f"No plugin {name!r} is installed.{to_install or nearest(name, known)} "
            f"Plugins are {', '.join(info.namespace for info in plugins) or 'none'}."
        )
    info = next((info for info in named if info.status is Status.OK), named[0])
    if info.status is not Status.OK:
        raise PluginError(
            f"The plugin {info.namespace!r} ({info.label}) is {info.status.in_words}: {info.cause_and_fix}"
        )
    narrowed = [each for each in found if each[1] is info]
    if not narrowed:
        label = f"{info.namespace!r} ({info.label})"
        raise ParameterError(f"The plugin {label} brings no {kind.noun}; it brings {info.contents or 'nothing'}.")
    return narrowed


def _narrowed(found: list[Brought], kind: _Kind, name: str, value: str, narrowed_to: str) -> list[Brought]:
    """What has this family, or is for these inputs; an error that says what there is where nothing is left."""
    wanted = _FILTERS[name]
    if name not in kind.filters:
        having = " and ".join(f"{each.noun}s" for each in _KINDS.values() if name in each.filters)
        raise click.UsageError(f"--{name} is of {having}; {kind.noun}s have none.")
    there_are = sorted({each for spec, _ in found for each in wanted.values(spec)})
    if value not in there_are:
        raise ParameterError(
            f"No installed {kind.noun}{narrowed_to} is{wanted.said.format(value)}.{nearest(value, there_are)} "
            f"{wanted.plural} are {', '.join(there_are) or 'none'}."
        )
    return [each for each in found if value in wanted.values(each[0])]


def _record(spec: Any, provider: PluginInfo) -> dict[str, Any]:
    """Every field of a descriptor, and who brings it."""
    own = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return own | {
        "namespace": provider.namespace,
        "package": provider.distribution,
        "version": provider.version,
    }


def _mention_failures(registry: PluginRegistry) -> None:
    """Tell on standard error about plugins that should be here and are not, so that JSON stays clean."""
    failed = [info for info in registry.plugins() if info.status not in (Status.OK, Status.DISABLED)]
    if failed:
        click.echo("\nNot loaded (`xaicore plugins` says what to do):", err=True)
    for info in failed:
        click.echo(f"  {info.namespace} ({info.label}) is {info.status.in_words}: {info.cause}", err=True)
