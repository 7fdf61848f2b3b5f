"""Matching: every layer on the path gets a mapping before anything runs, or the call fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from xaicore.deprecation import warn_deprecated
from xaicore.errors import MatchError
from xaicore.graph import Graph, Kind, Layer, Ref
from xaicore.graph.drawing import aligned
from xaicore.graph.kinds import former_name
from xaicore.graph.rewrite import is_of_others
from xaicore.plugins import MappingSpec, plugin_registry, resolve, suggest_provider
from xaicore.propagation.record import BOTH

if TYPE_CHECKING:
    from xaicore.propagation.composite import Composite

MappingT = TypeVar("MappingT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Match:
    """Which mapping handles a layer, and who provides it."""

    layer: Layer
    mapping: Any  # None where there is none
    description: str
    provider: str
    fallback: bool = False

    @property
    def needs(self) -> Collection[str]:
        """Which values the mapping reads: "xs", "ys"; a mapping that does not say is given both."""
        return getattr(self.mapping, "needs", BOTH)

    @property
    def differentiates(self) -> bool:
        """Whether the mapping may call `State.vjp`; one that never does says so by ``differentiates = False``."""
        return getattr(self.mapping, "differentiates", True)


class Matching:
    """The result of matching a composite with a graph.

    Attributes
    ----------
    graph : Graph
        The graph that was matched (for relevance, with batch norm in the form that the composite asks for).
    matches : dict of Layer to Match
        In topological order.
    """

    def __init__(self, graph: Graph, matches: Sequence[Match], starts: Sequence[Ref], ends: Sequence[Ref]) -> None:
        self.graph = graph
        self.matches = {match.layer: match for match in matches}
        self.starts = tuple(starts)
        self.ends = tuple(ends)

    @property
    def missing(self) -> list[Match]:
        """The layers without a mapping."""
        return [match for match in self.matches.values() if match.mapping is None]

    @property
    def fallbacks(self) -> list[Match]:
        """The layers that are passed by a fallback that was asked for."""
        return [match for match in self.matches.values() if match.fallback]

    def needs(self, layer: Layer) -> Collection[str]:
        """Which values the mapping of this layer reads; none where the walk does not pass."""
        match = self.matches.get(layer)
        return match.needs if match is not None else ()

    def differentiates(self, layer: Layer) -> bool:
        """Whether the mapping of this layer may ask for its derivative."""
        match = self.matches.get(layer)
        return match is not None and match.differentiates

    def rows(self) -> list[dict[str, str]]:
        """One row a layer, from input to output, for people and scripts."""
        return [
            {
                "layer": match.layer.name,
                "kind": match.layer.kind.value,
                "module_path": match.layer.module_path,
                "mapping": match.description,
                "provider": match.provider,
                "source": match.layer.source,
                "fix": "" if match.mapping is not None else fix_for(match.layer),
            }
            for match in self.matches.values()
        ]

    def raise_if_missing(self) -> None:
        """Raise MatchError where a layer has no mapping."""
        missing = self.missing
        if not missing:
            return
        shown = "\n".join(
            f"  {match.layer.kind.value} {match.layer.where()}: {fix_for(match.layer)}" for match in missing[:8]
        )
        more = f"\n  and {len(missing) - 8} more" if len(missing) > 8 else ""
        raise MatchError(
            f"{len(missing)} of {len(self.matches)} layers between input and target have no relevance mapping:\n"
            f"{shown}{more}\n"
            "Or let these layers pass by the plain gradient, knowing that relevance is not conserved there: "
            "fallback='gradient'."
        )

    def __str__(self) -> str:
        columns = ("layer", "kind", "module_path", "mapping", "provider")
        return "\n".join(aligned([{name: row[name] for name in columns} for row in self.rows()], columns))


def fix_for(layer: Layer) -> str:
    """What a user can do about a layer without a mapping."""
    provider = suggest_provider(layer.kind.value)
    own = f"add (named({layer.name!r}), rule) to the composite"
    if provider:
        return f"{plugin_registry().how_to_get(provider).rstrip('.')}, or {own}"
    if not is_of_others(layer.op_name):
        return f"no known package maps it; {own}"
    return (
        f"nothing that is installed maps the custom operation {layer.op_name!r}{_misnamed(layer)}. Add "
        f"(op({layer.op_name!r}), mapping) to the composite, or let a plugin register it for every method: "
        f"MappingSpec(family='relevance', kinds=({layer.kind.value!r},), ops=({layer.op_name!r},), ...); "
        "docs/custom_layers.md says how"
    )


def _misnamed(layer: Layer) -> str:
    """Who registers a mapping for the operator, but by its bare name or with another kind."""
    bare = layer.op_name.rpartition("::")[2]
    for spec, plugin in plugin_registry().mappings("relevance"):
        if bare in spec.ops or layer.op_name in spec.ops:
            return f" ({plugin.distribution} registers {spec.target!r} for kinds={spec.kinds}, ops={spec.ops})"
    return ""


def match_layers(
    composite: Composite, graph: Graph, starts: Sequence[Ref] | None, ends: Sequence[Ref] | None, strict: bool
) -> Matching:
    """See `Composite.match`."""
    if starts is None:
        starts = [ref for refs in graph.sources.values() for ref in refs]
    ends = list(graph.outputs.values()) if ends is None else ends
    on_path = (graph.after(starts) & graph.before(ends)) - {ref.layer for ref in starts}
    for condition, _ in composite.entries:
        condition.check(graph)
    registered = _registered(composite.family)
    matches = [_match(layer, graph, composite, registered) for layer in graph.layers if layer in on_path]
    matching = Matching(graph, matches, starts, ends)
    if strict:
        _raise_if_no_use(composite, matching)
        matching.raise_if_missing()
    return matching


def _raise_if_no_use(composite: Composite, matching: Matching) -> None:
    """Refuse a relevance composite that takes no layer of the graph, although there are layers to choose a rule for."""
    graph = matching.graph
    kinds = {match.layer.kind for match in matching.matches.values()}
    if composite.family != "relevance" or not composite.entries or not kinds & {Kind.CONVOLUTION, Kind.LINEAR}:
        return
    if any(condition(layer, graph) for condition, _ in composite.entries for layer in graph.layers):
        return
    listed = ", ".join(repr(condition) for condition, _ in composite.entries)
    there_are = ", ".join(sorted(kind.value for kind in kinds))
    raise MatchError(
        f"the composite matches no layer: {listed} {'hold' if len(composite.entries) > 1 else 'holds'} for none of the "
        f"{len(graph.layers)} layers of the graph, whose kinds between input and target are {there_are}. Use "
        "kind(...), or named(...) and under(...) with the names that print(graph) lists."
    )


def _registered(family: str) -> list[tuple[Any, Any]]:
    # What is made for certain operators comes before what is made for all of a kind, whoever brings it.
    return sorted(plugin_registry().mappings(family), key=lambda entry: not entry[0].ops)


def _match(layer: Layer, graph: Graph, composite: Composite, registered: list[tuple[Any, Any]]) -> Match:
    from xaicore.propagation.composite import describe

    for condition, mapping in composite.entries:
        if condition(layer, graph):
            return Match(layer, mapping, describe(mapping), _package_of(mapping))
    for spec, plugin in registered:
        if layer.kind.value in spec.kinds and (not spec.ops or _is_one_of(layer, spec)):
            return Match(layer, resolve(spec.target), spec.target.rpartition(":")[2], plugin.distribution)
    if composite.family == "gradient":
        return Match(layer, vector_jacobian_product, "vector-Jacobian product", "xaicore")
    if composite.fallback == "gradient":
        return Match(layer, vector_jacobian_product, "vector-Jacobian product (fallback)", "xaicore", fallback=True)
    return Match(layer, None, "none", "")


def _is_one_of(layer: Layer, spec: MappingSpec) -> bool:
    """Whether the mapping is for the operator of this layer."""
    former = former_name(layer.op_name)
    if former in spec.ops:
        fault, remedy = f"ops=({former!r},) for {spec.target}", f"write ops=({layer.op_name!r},)"
        warn_deprecated(fault, since="0.2", instead=remedy, stacklevel=5)
    return former in spec.ops or layer.op_name in spec.ops


def _package_of(mapping: Any) -> str:
    module = getattr(mapping, "__module__", None) or type(mapping).__module__
    top = str(module).partition(".")[0]
    return top.replace("_", "-") if top.startswith("xai_") else top


def reads(*values: str) -> Callable[[MappingT], MappingT]:
    """Say which values a mapping function reads, so that the tape need not hold the others: "xs", "ys" or nothing.

    What is not named is still given, as tensors without data that have the right shape and type.
    """

    def declare(mapping: MappingT) -> MappingT:
        mapping.needs = frozenset(values)  # type: ignore[attr-defined]
        return mapping

    return declare


@reads()
def vector_jacobian_product(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
    """The gradient family's default: what the chain rule says."""
    return state.vjp(rs)
