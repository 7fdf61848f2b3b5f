"""Whether a plugin says the truth about itself: to pip, to the core, and to its readers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from xaicore.plugins import check_api
from xaicore.plugins.cores import core_range, disagreement
from xaicore.plugins.discovery import CORE, normalized
from xaicore.plugins.surface import as_numbers
from xaicore.testing.checks import Failure, interface, require
from xaicore.testing.plugins.subject import PluginSubject
from xaicore.testing.plugins.usage import Use

_FIELDS = {"Summary": "description", "Requires-Python": "requires-python"}


@interface
def metadata_complete(subject: PluginSubject) -> None:
    """The distribution says what it is, under which licence, and for which Python; it has a README."""
    metadata = subject.metadata
    missing = [written for field, written in _FIELDS.items() if not metadata.get(field)]
    if not any(metadata.get(field) for field in ("License-Expression", "License")):
        missing.append("license")
    if not (metadata.get("Description") or "").strip():
        missing.append("readme")
    require(not missing, f"its pyproject.toml gives no {', '.join(missing)}: users decide by these.")


@interface
def states_its_api(subject: PluginSubject) -> str:
    """The module of the entry point states for which interface version it was written."""
    stated = getattr(import_module(subject.module), "XAICORE_API", None)
    require(
        stated is not None,
        f"{subject.module} states no XAICORE_API and is taken to be written for 0.1. Write the lowest version that it "
        f'needs, XAICORE_API = "{subject.usage.lowest()[0]}".',
    )
    reason = check_api(stated)
    require(reason is None, str(reason))
    return str(stated)


@interface
def uses_public_names_only(subject: PluginSubject) -> str:
    """The package imports nothing of xaicore but public names, which stay."""
    private = subject.usage.private
    require(
        not private,
        f"it uses {_listed(private)}: not public, and may change at any time. Import what a room such as "
        "xaicore.propagation lists in its __all__ (docs/plugins.md, What it may import); ask for what is missing.",
    )
    return f"{len(subject.usage.since)} uses"


@interface
def uses_nothing_deprecated(subject: PluginSubject) -> None:
    """The package uses nothing that the next major version will not have."""
    gone = [f"{use}: {instead}" for use, instead in subject.usage.deprecated]
    require(not gone, f"it uses what is to go: {'; '.join(gone)}.")


@interface
def claims_the_lowest_core(subject: PluginSubject) -> str:
    """The core that the package asks for has all that the package uses, in XAICORE_API and in its metadata."""
    needed, because = subject.usage.lowest()
    stated = getattr(import_module(subject.module), "XAICORE_API", "0.1")
    require(
        as_numbers(stated) >= as_numbers(needed),
        f'XAICORE_API = "{stated}" is too low: {_listed(because)} came with {needed}. Write XAICORE_API = "{needed}".',
    )
    asked = _requirement(subject)
    lower = [Version(each.version.removesuffix(".*")) for each in asked if each.operator in (">=", "~=", "==", ">")]
    require(
        bool(lower) and max(lower) >= Version(stated),
        f"its metadata ask for xaicore{asked or ' in any version'}, which admits cores older than {stated}, the "
        f'XAICORE_API it states: write "xaicore{core_range(stated)}".',
    )
    require(
        Version(f"{int(stated.partition('.')[0]) + 1}.0") not in asked,
        f"its metadata ask for xaicore{asked}, which admits the next major version, whose interface will be another: "
        f'write "xaicore{core_range(stated)}".',
    )
    require(
        not disagreement(str(asked)),
        f"its metadata ask for xaicore{asked}, which excludes this core though the interface fits: a minor version "
        f'only adds; write "xaicore{core_range(stated)}".',
    )
    note = "" if stated == needed else f"; {needed} would do"
    return f"{stated}{note}"


def _requirement(subject: PluginSubject) -> SpecifierSet:
    """Which versions of the core its metadata ask for."""
    required = [Requirement(text) for text in subject.metadata.get_all("Requires-Dist") or []]
    core = [each for each in required if normalized(each.name) == CORE and not each.marker]
    if not core:
        raise Failure('its metadata do not ask for xaicore: add "xaicore" to the dependencies, with bounds.')
    return core[0].specifier


def _listed(uses: Iterable[Use], most: int = 4) -> str:
    found = [str(use) for use in uses]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
