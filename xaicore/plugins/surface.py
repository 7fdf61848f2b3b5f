"""The interface as data: what plugins may build on, since when, and what is to go (`surface.toml`)."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Deprecated:
    """What is to go: since which version it says so, and what to do instead."""

    since: str
    instead: str


@dataclass(frozen=True)
class Surface:
    """Versions of the interface, "0.1", by what they added.

    Parameters
    ----------
    names : by module and public name.
    hooks : by name.
    fields : by descriptor and field.
    deprecated : by module and public name.
    """

    names: Mapping[str, Mapping[str, str]]
    hooks: Mapping[str, str]
    fields: Mapping[str, Mapping[str, str]]
    deprecated: Mapping[str, Mapping[str, Deprecated]]


@functools.cache
def surface() -> Surface:
    """The interface of this core."""
    text = files("xaicore.plugins").joinpath("surface.toml").read_text(encoding="utf-8")
    return read_surface(text)


def read_surface(text: str) -> Surface:
    """Read a surface from TOML."""
    data = tomllib.loads(text)
    return Surface(
        names={module: _since(versions) for module, versions in data["names"].items()},
        hooks=_since(data["hooks"]),
        fields={descriptor: _since(versions) for descriptor, versions in data["fields"].items()},
        deprecated={
            module: {name: Deprecated(**entry) for name, entry in entries.items()}
            for module, entries in data.get("deprecated", {}).items()
        },
    )


def _since(versions: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: version for version, names in versions.items() for name in names}


def as_numbers(version: str) -> tuple[int, int]:
    """Return "0.10" as (0, 10), which compares as versions do."""
    major, minor = version.split(".")
    return int(major), int(minor)
