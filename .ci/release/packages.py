"""The packages of this repository, as their pyproject.toml, their CHANGELOG.md and their code describe them."""

from __future__ import annotations

import ast
import datetime
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CORE = "xaicore"
_HEADING = re.compile(r"^## (?P<version>\d\S*) \((?P<date>[^)]*)\)$", re.MULTILINE)


@dataclass(frozen=True)
class Release:
    """One entry of a changelog; `date` is None where it says "unreleased"."""

    version: Version
    date: datetime.date | None


@dataclass(frozen=True, kw_only=True)
class Package:
    """One distribution.

    Parameters
    ----------
    name, version : as they are published.
    folder : where its pyproject.toml lies.
    sources : the folder of the package that is imported.
    api : the version of the plugin interface that the core offers, or that a plugin states.
    dependencies : what it always needs.
    extras : what each extra needs beside.
    building : what building it needs.
    releases : the entries of its changelog, newest first.
    """

    name: str
    version: Version
    folder: Path
    sources: Path
    api: str
    dependencies: tuple[Requirement, ...]
    extras: Mapping[str, tuple[Requirement, ...]]
    building: tuple[Requirement, ...]
    releases: tuple[Release, ...]

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """What it needs, always and for its extras."""
        return (*self.dependencies, *(each for extra in self.extras.values() for each in extra))

    @property
    def file_name(self) -> str:
        """How its wheels and sdists begin, "xai_lrp"."""
        return canonicalize_name(self.name).replace("-", "_")


def read_packages(root: Path) -> tuple[Package, ...]:
    """Return the core and the plugins of a checkout, the core first.

    Raises
    ------
    ValueError
        If a file does not say what it must, naming the file.
    """
    return (read_package(root), *(read_package(file.parent) for file in sorted(root.glob("plugins/*/pyproject.toml"))))


def read_package(folder: Path) -> Package:
    """Return what one folder with a pyproject.toml says."""
    with (folder / "pyproject.toml").open("rb") as file:
        stated = tomllib.load(file)
    project = stated["project"]
    (sources,) = stated["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    home = folder / sources
    if project["name"] == CORE:
        api = constant(home / "__init__.py", "API_VERSION")
    else:
        (module,) = project["entry-points"]["xaicore.plugins"].values()
        api = constant(home.parent / Path(*module.split(".")).with_suffix(".py"), "XAICORE_API")
    return Package(
        name=project["name"],
        version=Version(project["version"] if "version" in project else _version_in_code(folder, stated)),
        folder=folder,
        sources=home,
        api=api,
        dependencies=_requirements(project["dependencies"]),
        extras={name: _requirements(lines) for name, lines in project.get("optional-dependencies", {}).items()},
        building=_requirements(stated["build-system"]["requires"]),
        releases=read_releases(folder / "CHANGELOG.md"),
    )


def read_releases(changelog: Path) -> tuple[Release, ...]:
    """Return the entries of a changelog, whose headings read "## 0.2.0 (unreleased)" or "## 0.1.0 (2026-11-21)"."""
    text = changelog.read_text(encoding="utf-8")
    releases = tuple(_release(changelog, heading) for heading in _HEADING.finditer(text))
    if not releases or len(releases) != len(re.findall(r"^## ", text, re.MULTILINE)):
        raise ValueError(
            f'{changelog}: every "## " heading must read "## 0.2.0 (unreleased)" or "## 0.1.0 (2026-11-21)".'
        )
    return releases


def constant(module: Path, name: str) -> str:
    """Return a string that a module assigns at its top level, without importing the module."""
    for statement in ast.parse(module.read_text(encoding="utf-8"), str(module)).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=str(value))) if found == name:
                return value
            case ast.AnnAssign(target=ast.Name(id=found), value=ast.Constant(value=str(value))) if found == name:
                return value
    raise ValueError(f'{module}: assign {name} a plain string at the top level, as in {name} = "0.2".')


def _release(changelog: Path, heading: re.Match[str]) -> Release:
    if heading["date"] == "unreleased":
        return Release(Version(heading["version"]), None)
    try:
        return Release(Version(heading["version"]), datetime.date.fromisoformat(heading["date"]))
    except ValueError:
        raise ValueError(
            f"{changelog}: {heading[0]!r} must end in (unreleased) or in a date like (2026-11-21)."
        ) from None


def _version_in_code(folder: Path, stated: Mapping[str, Any]) -> str:
    return constant(folder / stated["tool"]["hatch"]["version"]["path"], "__version__")


def _requirements(lines: Iterable[str]) -> tuple[Requirement, ...]:
    return tuple(map(Requirement, lines))
