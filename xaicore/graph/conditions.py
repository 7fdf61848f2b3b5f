"""Conditions: composable predicates on a layer in its graph."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from fnmatch import fnmatchcase

from xaicore.deprecation import warn_deprecated
from xaicore.errors import LayerError, ParameterError, nearest
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind, former_name
from xaicore.graph.layer import Layer, Ref

LINEAR_KINDS = (Kind.CONVOLUTION, Kind.LINEAR)


class Condition:
    """A predicate on a layer; combine with ``&``, ``|`` and ``~``.

    Parameters
    ----------
    test : callable
        ``test(layer, graph) -> bool``.
    text : str
        How the condition reads in reports.
    check : callable, optional
        ``check(graph)`` raises `LayerError` where the condition names a layer that the graph does not have.
    """

    def __init__(
        self,
        test: Callable[[Layer, Graph], bool],
        text: str,
        check: Callable[[Graph], None] = lambda graph: None,
    ) -> None:
        self._test = test
        self._text = text
        self.check = check

    def __call__(self, layer: Layer, graph: Graph) -> bool:
        return bool(self._test(layer, graph))

    def __and__(self, other: Condition) -> Condition:
        return Condition(
            lambda layer, graph: self(layer, graph) and other(layer, graph), f"({self} & {other})", _both(self, other)
        )

    def __or__(self, other: Condition) -> Condition:
        return Condition(
            lambda layer, graph: self(layer, graph) or other(layer, graph), f"({self} | {other})", _both(self, other)
        )

    def __invert__(self) -> Condition:
        return Condition(lambda layer, graph: not self(layer, graph), f"~{self}", self.check)

    def __bool__(self) -> bool:
        raise TypeError("a condition is neither true nor false by itself: combine conditions with &, | and ~")

    def __repr__(self) -> str:
        return self._text


def _both(first: Condition, second: Condition) -> Callable[[Graph], None]:
    def check(graph: Graph) -> None:
        first.check(graph)
        second.check(graph)

    return check


def kind(*kinds: Kind | str) -> Condition:
    """Layers of one of these kinds: ``kind(LINEAR)``, ``kind("linear", "convolution")``."""
    try:
        wanted = frozenset(Kind(str(value).lower()) for value in kinds)
    except ValueError as error:
        unknown = str(error).split("'")[1]
        raise ParameterError(
            f"'{unknown}' is not a kind of layer.{nearest(unknown, [k.value for k in Kind])}"
        ) from None
    return Condition(
        lambda layer, graph: layer.kind in wanted, f"kind({', '.join(str(k.value) for k in kinds_of(kinds))})"
    )


def kinds_of(kinds: tuple[Kind | str, ...]) -> list[Kind]:
    """The kinds as members of `Kind`."""
    return [Kind(str(value).lower()) for value in kinds]


def op(*names: str) -> Condition:
    """Layers computed by one of these operators: ``op("relu")``, of others with a namespace ``op("mylib::shrink")``."""

    def fits(layer: Layer) -> bool:
        return layer.op_name in names or former_name(layer.op_name) in names

    def check(graph: Graph) -> None:
        for full in {layer.op_name for layer in graph.layers if fits(layer)} - set(names):
            warn_deprecated(f"op({former_name(full)!r})", since="0.2", instead=f"write op({full!r})", stacklevel=4)

    return Condition(lambda layer, graph: fits(layer), f"op({', '.join(names)})", check)


def under(pattern: str) -> Condition:
    """Layers called by modules whose path fits, ``*`` and ``?`` as in file names, or that lie below one."""

    def fits(path: str) -> bool:
        return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}.*")

    def check(graph: Graph) -> None:
        paths = _module_paths(graph)
        if not any(fits(path) for path in paths):
            raise LayerError(f"{condition}: the graph has no module '{pattern}'.{nearest(pattern, paths)}")

    condition = Condition(lambda layer, graph: fits(layer.module_path), f"under({pattern!r})", check)
    return condition


def named(*names: str) -> Condition:
    """Layers with one of these names or module paths."""

    def check(graph: Graph) -> None:
        for name in names:
            if not any(name in (layer.name, layer.module_path) for layer in graph.layers):
                found = graph.find(name)  # refuses names that do not exist
                if found.module_path.startswith(f"{name}."):
                    raise LayerError(f"'{name}' is a module of several layers: under({name!r}) takes what is below it")
                raise LayerError(f"'{name}' is no layer of its own here: it became part of '{found.name}'")

    condition = Condition(
        lambda layer, graph: layer.name in names or layer.module_path in names,
        f"named({', '.join(map(repr, names))})",
        check,
    )
    return condition


def up_to(name: str) -> Condition:
    """This layer, or the last one of this module, and every layer that it is computed from."""
    found: weakref.WeakKeyDictionary[Graph, frozenset[str]] = weakref.WeakKeyDictionary()

    def leading_to_it(graph: Graph) -> frozenset[str]:
        if graph not in found:
            end = graph.find(name)
            ends = [Ref(end, index) for index in range(len(end.outputs))]
            found[graph] = frozenset(layer.name for layer in graph.before(ends))
        return found[graph]

    def check(graph: Graph) -> None:
        leading_to_it(graph)

    return Condition(lambda layer, graph: layer.name in leading_to_it(graph), f"up_to({name!r})", check)


def _module_paths(graph: Graph) -> set[str]:
    """The modules that layers were called by, those that a pass took away included, and the modules around them."""
    removed = (key.rpartition("@")[0] for key in [*graph.aliases, *graph.absorbed])
    paths = {*(layer.module_path for layer in graph.layers), *removed} - {""}
    return {".".join(path.split(".")[:length]) for path in paths for length in range(1, path.count(".") + 2)}


class Depth:
    """The number of convolution and linear layers before a layer, on the longest way; compare it with a number."""

    def __lt__(self, number: int) -> Condition:
        return Condition(lambda layer, graph: _depths(graph)[0].get(layer, 0) < number, f"depth < {number}")

    def __le__(self, number: int) -> Condition:
        return Condition(lambda layer, graph: _depths(graph)[0].get(layer, 0) <= number, f"depth <= {number}")

    def __gt__(self, number: int) -> Condition:
        return Condition(lambda layer, graph: _depths(graph)[0].get(layer, 0) > number, f"depth > {number}")

    def __ge__(self, number: int) -> Condition:
        return Condition(lambda layer, graph: _depths(graph)[0].get(layer, 0) >= number, f"depth >= {number}")


depth = Depth()

first_on_path = Condition(
    lambda layer, graph: layer.kind in LINEAR_KINDS and _depths(graph)[0].get(layer) == 0, "first_on_path"
)
"""Convolution and linear layers with no other such layer between them and the input, by data flow."""

last = Condition(lambda layer, graph: layer.kind in LINEAR_KINDS and _depths(graph)[1].get(layer) == 0, "last")
"""Convolution and linear layers with no other such layer between them and the outputs."""

anything = Condition(lambda layer, graph: True, "anything")
"""Every layer."""

_known: weakref.WeakKeyDictionary[Graph, tuple[dict[Layer, int], dict[Layer, int]]] = weakref.WeakKeyDictionary()


def _depths(graph: Graph) -> tuple[dict[Layer, int], dict[Layer, int]]:
    """For each layer on the path: linear layers before it, and after it, on the longest way."""
    if graph not in _known:
        before: dict[Layer, int] = {}
        after: dict[Layer, int] = {}
        path = [layer for layer in graph.layers if layer in graph.path]
        for layer in path:
            before.setdefault(layer, 0)
            for ref in layer.inputs:
                if ref.layer in before:
                    before[layer] = max(before[layer], before[ref.layer] + (ref.layer.kind in LINEAR_KINDS))
        for layer in reversed(path):
            after.setdefault(layer, 0)
            for ref in layer.inputs:
                if ref.layer in graph.path:
                    after[ref.layer] = max(after.get(ref.layer, 0), after[layer] + (layer.kind in LINEAR_KINDS))
        _known[graph] = (before, after)
    return _known[graph]
