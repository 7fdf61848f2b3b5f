"""The lowest versions of dependencies that the packages say they work with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from release.packages import Package


def lower_bound(requirement: Requirement) -> Version | None:
    """Return the lowest version that a requirement admits, as it states it; None where it states none."""
    bounds = [Version(each.version) for each in requirement.specifier if each.operator in (">=", "==", "~=")]
    return max(bounds, default=None)


def lowest_versions(packages: Sequence[Package], *, besides: Collection[str] = ()) -> dict[str, Version]:
    """Return the lower bound of each dependency of others' that the packages state, by name.

    What building needs is not among them: packages are built in an environment of its own.

    Parameters
    ----------
    packages : all that are installed together.
    besides : names of dependencies that are left out.
    """
    return _highest(_running(packages), besides)


def lowest_to_build(packages: Sequence[Package]) -> dict[str, Version]:
    """Return the lower bound of what building the packages needs, by name."""
    return _highest(_building(packages), ())


def false_claims(packages: Sequence[Package]) -> list[str]:
    """Return a sentence for each dependency without a lower bound, and each bound that another package raises.

    Two bounds of one dependency cannot both be the lowest version that is tested.
    """
    sentences = []
    for stated in (list(_running(packages)), list(_building(packages))):
        highest = _highest(stated, ())
        for package, requirement in stated:
            bound, tested = lower_bound(requirement), highest.get(canonicalize_name(requirement.name))
            if bound is None:
                sentences.append(f'{package.name}: "{requirement}" has no lower bound.')
            elif bound != tested:
                sentences.append(f'{package.name}: "{requirement}" should begin with {tested}, as elsewhere.')
    return list(dict.fromkeys(sentences))


def _running(packages: Sequence[Package]) -> Iterator[tuple[Package, Requirement]]:
    own = {canonicalize_name(package.name) for package in packages}
    for package in packages:
        for requirement in package.requirements:
            if canonicalize_name(requirement.name) not in own:
                yield package, requirement


def _building(packages: Sequence[Package]) -> Iterator[tuple[Package, Requirement]]:
    return ((package, requirement) for package in packages for requirement in package.building)


def _highest(stated: Iterable[tuple[Package, Requirement]], besides: Collection[str]) -> dict[str, Version]:
    found: dict[str, Version] = {}
    for _, requirement in stated:
        name, bound = canonicalize_name(requirement.name), lower_bound(requirement)
        if bound is not None and name not in besides:
            found[name] = max(bound, found.get(name, bound))
    return dict(sorted(found.items()))
