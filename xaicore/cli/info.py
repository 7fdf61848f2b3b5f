"""`xaicore info NAME`: what a method, a metric or a renderer does, its parameters, its sources, and how it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import click

from xaicore.cli.described import Record, Spec, describe
from xaicore.cli.table import echo_json
from xaicore.cli.usage import usage
from xaicore.errors import ParameterError, PluginError, nearest
from xaicore.plugins import MappingSpec, PluginInfo, PluginRegistry, plugin_registry, suggest_provider

_WIDTH = 100


@click.command()
@click.argument("name", required=False)
@click.option("--mapping", "layer", metavar="KIND", help="Show the mappings for layers of this kind, such as add.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(name: str | None, layer: str | None, as_json: bool) -> None:
    """Show what NAME does, a method, a metric or a renderer: its parameters, its sources, and how it is used."""
    registry = plugin_registry()
    if (name is None) is (layer is None):
        raise click.UsageError("give NAME, of a method, a metric or a renderer, or --mapping with a kind of layer.")
    found: Sequence[tuple[Spec | MappingSpec, PluginInfo]]
    if layer is not None:
        found = _mappings(registry, layer)
    else:
        spec = _find(registry, str(name))
        found = [(spec, registry.provider(spec))]
    records = [_record(registry, spec, provider) for spec, provider in found]
    if as_json:
        echo_json(records if layer is not None else records[0])
        return
    if len(records) > 1:
        click.echo(f"{len(records)} mappings take layers of the kind {layer}; the first one that fits takes a layer.\n")
    click.echo("\n\n".join(map(_page, records)))


def _record(registry: PluginRegistry, spec: Spec | MappingSpec, provider: PluginInfo) -> Record:
    record = describe(spec, provider)
    methods = [each.name for each in registry.methods()]
    shown = "lrp.epsilon" if "lrp.epsilon" in methods or not methods else methods[0]
    return record | {"usage": usage(record, shown)}


class _Sort(NamedTuple):
    """What a name may be: those that there are, and how one is found."""

    specs: Sequence[Spec]
    find: Callable[[str], Spec]

    @property
    def names(self) -> list[str]:
        return sorted({known for spec in self.specs for known in (spec.name, spec.bare_name, *spec.aliases)})


def _find(registry: PluginRegistry, name: str) -> Spec:
    """The method of this name, or else the metric or the renderer; where there is none, the error of what is alike."""
    sorts = (
        _Sort(registry.methods(), registry.find_method),
        _Sort(registry.metrics(), registry.find_metric),
        _Sort(registry.renderers(), registry.find_renderer),
    )
    for sort in sorts:
        for spec in sort.specs:
            if spec.name == name.lower():
                return spec  # a canonical name wins over aliases of whatever
    errors: list[PluginError] = []
    for sort in sorts:
        try:
            return sort.find(name)
        except PluginError as error:
            errors.append(error)
    tried = list(zip(sorts, errors, strict=True))
    alike = [error for sort, error in tried if nearest(name, sort.names)]
    namesakes = [error for sort, error in tried if name.lower().partition(".")[0] in _namespaces(sort.specs)]
    raise (alike or namesakes or errors)[0]


def _namespaces(specs: Iterable[Spec]) -> set[str]:
    return {spec.namespace for spec in specs}


def _mappings(registry: PluginRegistry, layer: str) -> list[tuple[MappingSpec, PluginInfo]]:
    """The mappings for a kind of layer, in the order in which they are asked."""
    from xaicore.graph import Kind

    kinds = sorted(kind.value for kind in Kind)
    if layer.lower() not in kinds:
        raise ParameterError(
            f"There is no kind of layer {layer!r}.{nearest(layer, kinds)} Kinds are {', '.join(kinds)}."
        )
    found = [each for each in registry.mappings() if layer.lower() in each[0].kinds]
    found.sort(key=lambda each: not each[0].ops)  # as matching asks them: those made for certain operators come first
    if not found:
        package = suggest_provider(layer.lower())
        raise ParameterError(
            f"No installed plugin brings a mapping for layers of the kind {layer!r}"
            + (f": {registry.how_to_get(package)}." if package else "; methods bring their own rules for such layers.")
        )
    return found


def _page(record: Record) -> str:
    lines = [record["signature"], "", f"  {record['summary']}", ""]
    lines += [f"  {name + ':':<10} {value}" for name, value in _facts(record).items()]
    if record["parameters"]:
        lines += ["", "Parameters"]
    for parameter in record["parameters"]:
        default = "required" if parameter["required"] else f"default {parameter['default']!r}"
        kind = f": {parameter['type']}" if parameter["type"] else ""
        lines += [f"  {parameter['name']}{kind} ({default})", *_wrapped(parameter["meaning"] or "not documented")]
    if record.get("sources"):
        lines += ["", "Sources", *(f"  {source}" for source in record["sources"])]
    typed = {"$": record["usage"]["command_line"], ">>>": record["usage"]["python"]}
    lines += ["", "Example", *(f"  {prompt} {text}" for prompt, text in typed.items() if text)]
    return "\n".join(lines)


def _facts(record: Record) -> dict[str, str]:
    made: dict[str, Callable[[Record], dict[str, str]]] = {
        "method": lambda each: {"family": each["family"], "made for": ", ".join(each["inputs"])},
        "metric": _facts_of_metric,
        "renderer": _facts_of_renderer,
        "mapping": lambda each: {
            "family": each["family"],
            "layers": ", ".join(each["kinds"]),
            "operators": ", ".join(each["ops"]) or "all of these kinds",
        },
    }
    aliases = {"aliases": ", ".join(record["aliases"]) or "none"} if "aliases" in record else {}
    noun = "class" if record["kind"] in ("method", "metric") else "function"
    place = {noun: record["import_path"]}
    if record["file"]:
        place["source"] = f"{record['file']}:{record['line']}"
    return made[record["kind"]](record) | aliases | {"package": f"{record['package']} {record['version']}"} | place


def _facts_of_metric(record: Record) -> dict[str, str]:
    low, high = ("unbounded" if end is None else f"{end:g}" for end in record["bounds"])
    return {
        "direction": f"{'higher' if record['higher_is_better'] else 'lower'} is better",
        "range": "unbounded" if low == high == "unbounded" else f"{low} to {high}",
        "needs": ", ".join(record["needs"]) or "nothing more",
    }


def _facts_of_renderer(record: Record) -> dict[str, str]:
    given = f"{record['given_as']}{'' if record['needs_input'] else ', where it is given'}"
    scales = {"signed": "from -scale to scale", "magnitude": "from 0 to scale", "": "none"}
    return {
        "draws": ", ".join(record["inputs"]) + (", all samples together" if record["all_samples"] else ""),
        "shows": f"relevance and {given}" if record["given_as"] else "relevance alone",
        "colours": scales[record["scale"]] + (f" ({record['colours']})" if record["colours"] else ""),
    }


def _wrapped(text: str) -> list[str]:
    return click.wrap_text(text, width=_WIDTH, initial_indent="      ", subsequent_indent="      ").splitlines()
