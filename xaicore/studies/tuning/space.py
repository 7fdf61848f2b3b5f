"""The candidates of a search: methods with parameters, and rules by group of layers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xaicore.analyzers import Analyzer, create_analyzer
from xaicore.errors import ParameterError
from xaicore.graph import under
from xaicore.plugins import find_method, resolve
from xaicore.propagation import Composite

_LAYERS = "layers"
_GROUP = "layers:"
"""Begins the key of a group of layers; its place follows, which keeps the order in which rules are asked."""
Space = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Point:
    """One place in the space: a method, its parameters, and the rules of groups of layers.

    Parameters
    ----------
    method : str
    parameters : dict
    rules : tuple of (condition, rule)
        In the order in which they are asked.
    tried : tuple of (condition, rule)
        Those that other candidates have another rule for, which tell this one apart.
    """

    method: str
    parameters: Mapping[str, Any]
    rules: tuple[tuple[Any, Any], ...] = ()
    tried: tuple[tuple[Any, Any], ...] = ()

    def analyzer(self, model: Any) -> Analyzer:
        """The analyzer of this place."""
        chosen = dict(self.parameters)
        if self.rules:
            chosen["composite"] = Composite(list(self.rules))
        return create_analyzer(self.method, model, **chosen)

    def __str__(self) -> str:
        parts = [f"{name}={value!r}" for name, value in self.parameters.items()]
        parts += [f"{condition!r}: {_brief(rule)}" for condition, rule in self.tried]
        return f"{self.method}({', '.join(parts)})" if parts else self.method


def _brief(rule: Any) -> str:
    """A rule without the parameters that have their defaults: names of candidates stand in tables."""
    if "<" in repr(rule) or not repr(rule).startswith(f"{type(rule).__name__}("):
        return repr(rule)  # of a kind of its own: a function, or one that says what it is in other words
    known = inspect.signature(type(rule)).parameters.values()
    if not all(hasattr(rule, each.name) for each in known):
        return repr(rule)
    values = {each.name: repr(getattr(rule, each.name)) for each in known}
    changed = [f"{each.name}={values[each.name]}" for each in known if values[each.name] != repr(each.default)]
    return f"{type(rule).__name__}({', '.join(changed)})"


def points_of(space: Space, candidates: int | None, seed: int) -> list[Point]:
    """All places of a grid, or some drawn from it, each once.

    Parameters
    ----------
    space : mapping, or sequence of them
        See `xaicore.tune`.
    candidates : int, optional
        Draw this many at random; without it, all.
    seed : int

    Raises
    ------
    ParameterError, UnknownMethodError
        For a space that names no method, or parameters that a method does not have.
    """
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    grids = [_flat(each) for each in ([space] if isinstance(space, Mapping) else space)]
    if not grids:
        raise ParameterError("space= is empty: give at least {'method': ['lrp.epsilon']}")
    if candidates is None:
        continuous = [name for grid in grids for name, values in grid.items() if hasattr(values, "rvs")]
        if continuous:
            raise ParameterError(
                f"space= has distributions ({', '.join(continuous)}), from which candidates are drawn: say how many "
                "with candidates="
            )
        drawn: Any = ParameterGrid(grids)
    else:
        if isinstance(candidates, bool) or not isinstance(candidates, int) or candidates < 1:
            raise ParameterError(f"candidates={candidates!r} must be a positive integer, or None for all")
        drawn = ParameterSampler(grids, _most(grids, candidates), random_state=seed)
    return list({str(point): point for point in map(_point, drawn)}.values())


def _most(grids: Sequence[Mapping[str, Any]], candidates: int) -> int:
    """No more than there are: asked for more, scikit-learn warns."""
    sizes = [1] * len(grids)
    for number, grid in enumerate(grids):
        for values in grid.values():
            if hasattr(values, "rvs"):
                return candidates
            sizes[number] *= len(values)
    return min(candidates, sum(sizes))


def _flat(given: Any) -> dict[str, Any]:
    """One mapping as scikit-learn takes it: every key with its candidates, groups of layers among them."""
    if not isinstance(given, Mapping) or "method" not in given:
        raise ParameterError(f"space={given!r:.80}: give a dict with 'method', as in {{'method': ['lrp.epsilon']}}")
    flat: dict[str, Any] = {}
    for name, values in given.items():
        if name == _LAYERS:
            flat.update(_layers(values))
        elif name == "method":
            flat[name] = [values] if isinstance(values, str) else list(values)
        elif hasattr(values, "rvs"):
            flat[name] = values
        elif isinstance(values, str) or not isinstance(values, Sequence):
            raise ParameterError(
                f"space: {name!r} has {values!r:.60}: give a list of candidates, or a distribution (with a method rvs)"
            )
        else:
            flat[name] = list(values)
    for method in flat["method"]:
        cls = resolve(find_method(method).target)
        cls.check_parameter_names([name for name in flat if name != "method" and not name.startswith(_GROUP)])
        if any(name.startswith(_GROUP) for name in flat):
            cls.check_parameter_names(["composite"])
    return flat


def _layers(groups: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(groups, Mapping) or not groups:
        raise ParameterError(
            f"space: 'layers' is {groups!r:.60}: give a dict of conditions, or patterns of module paths, to lists of "
            "rules"
        )
    for place, (condition, rules) in enumerate(groups.items()):
        if not isinstance(rules, Sequence) or not rules:
            raise ParameterError(f"space: 'layers' has {rules!r:.60} for {condition!r}: give a list of rules")
        where = under(condition) if isinstance(condition, str) else condition
        yield f"{_GROUP}{place:06}", [(where, rule, len(rules) > 1) for rule in rules]


def _point(drawn: Mapping[str, Any]) -> Point:
    groups = [drawn[name] for name in sorted(drawn) if name.startswith(_GROUP)]
    parameters = {name: value for name, value in drawn.items() if name != "method" and not name.startswith(_GROUP)}
    rules = tuple((where, rule) for where, rule, _ in groups)
    tried = tuple((where, rule) for where, rule, several in groups if several)
    return Point(drawn["method"], parameters, rules, tried)
