"""What a package uses of xaicore, read from its sources: public names, private ones, hooks, fields of descriptors."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xaicore.plugins.surface import Surface, as_numbers

ROOT = "xaicore"


@dataclass(frozen=True)
class Use:
    """One use: of a name in a module of xaicore, a hook (module "hooks"), or a field (module: the descriptor)."""

    module: str
    name: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.module}.{self.name} ({self.place})" if self.name else f"{self.module} ({self.place})"


@dataclass(frozen=True)
class Usage:
    """All that a package uses, sorted by whether it may.

    Parameters
    ----------
    since : each public use with the version of the interface that brought it.
    private : uses of what is not public.
    deprecated : uses of what is to go, each with what to do instead.
    """

    since: Sequence[tuple[Use, str]]
    private: Sequence[Use]
    deprecated: Sequence[tuple[Use, str]]

    def lowest(self) -> tuple[str, list[Use]]:
        """The lowest version of the interface that has all of it, and the uses that make it so."""
        lowest = max((version for _, version in self.since), key=as_numbers, default="0.1")
        return lowest, [use for use, version in self.since if version == lowest]


def usage_of(folder: Path, surface: Surface) -> Usage:
    """Read what the sources in a folder use of the interface."""
    uses = [use for path in sorted(folder.rglob("*.py")) for use in _uses_in(path, folder.parent, surface)]
    since, private, deprecated = [], [], []
    for use in dict.fromkeys(uses):
        version = _since(use, surface)
        gone = surface.deprecated.get(use.module, {}).get(use.name)
        if gone:
            deprecated.append((use, gone.instead))
        if version is None:
            private.append(use)
        else:
            since.append((use, version))
    return Usage(since, private, deprecated)


def _since(use: Use, surface: Surface) -> str | None:
    if use.module == "hooks":
        return surface.hooks.get(use.name)
    if use.module in surface.fields:
        return surface.fields[use.module].get(use.name)
    if not use.name:  # a module as such
        versions = surface.names.get(use.module, {}).values()
        return min(versions, key=as_numbers, default=None)
    return surface.names.get(use.module, {}).get(use.name)


def _uses_in(path: Path, root: Path, surface: Surface) -> Iterator[Use]:
    file = str(path.relative_to(root))
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    modules: dict[str, str] = {}  # local names that stand for modules of xaicore
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == ROOT:
                    modules[alias.asname or ROOT] = alias.name if alias.asname else ROOT
                    if alias.name != ROOT:
                        yield Use(alias.name, "", file, node.lineno)
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == ROOT:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in surface.names and alias.name not in surface.names.get(str(node.module), {}):
                    modules[alias.asname or alias.name] = inner
                    yield Use(inner, "", file, node.lineno)
                else:
                    yield Use(str(node.module), alias.name, file, node.lineno)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("xaicore_"):
            yield Use("hooks", node.name, file, node.lineno)
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called in surface.fields:
                yield from (Use(called, k.arg, file, node.lineno) for k in node.keywords if k.arg)
    yield from _attributes(tree, modules, file, surface)


def _attributes(tree: ast.Module, modules: dict[str, str], file: str, surface: Surface) -> Iterator[Use]:
    """Names taken from modules: ``xaicore.graph.kind``; only the longest chain counts."""
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or id(node) in inner:
            continue
        chain = _chain(node)
        if chain is None or chain[0] not in modules:
            continue
        module, names = modules[chain[0]], chain[1:]
        while names and f"{module}.{names[0]}" in surface.names and names[0] not in surface.names.get(module, {}):
            module, names = f"{module}.{names[0]}", names[1:]
        if names and not names[0].startswith("__"):
            yield Use(module, names[0], file, node.lineno)


def _chain(node: ast.expr) -> list[str] | None:
    """Return ["a", "b", "c"] for ``a.b.c``; None for what does not begin with a plain name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None
