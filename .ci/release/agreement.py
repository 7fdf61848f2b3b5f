"""Do versions, changelogs, and what packages ask of each other fit together?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from release.lowest import lower_bound
from release.packages import CORE, Package


def disagreements(packages: Sequence[Package]) -> list[str]:
    """Return a sentence for everything that does not fit, with what to change; none: all fits."""
    return [
        f"{package.name}: {sentence}"
        for package in packages
        for check in (_changelog, _one_place, _interface, _each_other)
        for sentence in check(package, packages)
    ]


def _changelog(package: Package, _: Sequence[Package]) -> Iterator[str]:
    newest, *older = package.releases
    if newest.version != package.version:
        yield f"its version is {package.version}, but its CHANGELOG.md begins with {newest.version}."
    for release in older:
        if release.date is None:
            yield f"{release.version} in its CHANGELOG.md has no date, although {newest.version} stands above it."
    for later, earlier in pairwise(package.releases):
        if earlier.version >= later.version:
            yield f"{earlier.version} stands below {later.version} in its CHANGELOG.md: the newest comes first."
        if earlier.date and later.date and earlier.date > later.date:
            yield f"{earlier.version} in its CHANGELOG.md is dated after {later.version}."


def _one_place(package: Package, _: Sequence[Package]) -> Iterator[str]:
    for module in sorted(package.sources.rglob("*.py")):
        stated = any(line.startswith("__version__ =") for line in module.read_text(encoding="utf-8").splitlines())
        if stated and package.name != CORE:
            yield f"{module} states a version, which pyproject.toml does already."


def _interface(package: Package, _: Sequence[Package]) -> Iterator[str]:
    """The API version is major.minor of the core; a plugin asks for the core of the API that it states."""
    if package.name == CORE:
        if package.api != f"{package.version.major}.{package.version.minor}":
            yield f"API_VERSION is {package.api}; it must be major.minor of the version {package.version}."
        return
    wanted = f"xaicore>={package.api},<{Version(package.api).major + 1}"
    stated = [each for each in package.dependencies if canonicalize_name(each.name) == CORE]
    if [each.specifier for each in stated] != [Requirement(wanted).specifier]:
        said = " and ".join(map(str, stated)) or "nothing"
        yield f'XAICORE_API is "{package.api}", so it depends on "{wanted}"; pyproject.toml says {said}.'


def _each_other(package: Package, packages: Sequence[Package]) -> Iterator[str]:
    """What a package asks of another one of this repository exists, and admits what is there now."""
    others = {canonicalize_name(other.name): other for other in packages}
    bounded = {canonicalize_name(each.name) for each in package.requirements if "<" in _operators(each)}
    for requirement in dict.fromkeys(package.requirements):
        other = others.get(canonicalize_name(requirement.name))
        if other is None:
            continue
        if not requirement.specifier.contains(other.version, prereleases=True):
            yield f'it asks for "{requirement}", which {other.name} {other.version} is not.'
        bound = lower_bound(requirement)
        if bound not in {release.version for release in other.releases}:
            yield f'"{requirement}" begins with no version in the CHANGELOG.md of {other.name}.'
        if canonicalize_name(requirement.name) not in bounded:
            yield f'"{requirement}" has no upper bound; give one, as in "{other.name}>=0.1,<1".'


def _operators(requirement: Requirement) -> set[str]:
    return {each.operator for each in requirement.specifier}
