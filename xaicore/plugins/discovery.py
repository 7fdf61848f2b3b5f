"""Which plugins are installed, in which order they are looked at, and which the user allows.

Several distributions may claim one namespace. The order decides: first what the core itself brings, then the
first-party distribution `xai-<namespace>`, then the others by name. The first that the user has not disabled owns the
namespace, even if it then fails to load: a method never silently changes its meaning because
another plugin broke.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from importlib_metadata import EntryPoint, distributions

GROUP = "xaicore.plugins"
CORE = "xaicore"
"""The distribution of the core, which registers what it brings as a plugin does."""

_ASKED_OF_CORE = re.compile(
    r"^Requires-Dist:\s*xaicore\s*(?:\[[^]]*\]\s*)?\(?([<>=!~][^;)\n]*)\)?\s*$", flags=re.MULTILINE | re.IGNORECASE
)
"""A requirement without a marker: one for an extra, or for some systems only, says nothing about this one."""

Distribution = Any  # what `distributions()` yields has another type in each version of importlib-metadata


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An entry point found in the metadata of an installed distribution; nothing is imported yet."""

    namespace: str
    distribution: str
    version: str
    entry_point: EntryPoint | None  # None: the distribution's entry points cannot be read
    cause: Exception | None = None
    requires: str = ""  # the versions of xaicore that its metadata asks for: ">=0.1,<1"; "" where it does not say
    folder: str = ""  # where the distribution is installed

    @property
    def module(self) -> str:
        """The module that holds the hooks; "" where the entry points cannot be read."""
        return self.entry_point.module if self.entry_point else ""

    @property
    def order(self) -> tuple[str, bool, bool, str]:
        """Sort key: by namespace; within it the core first, then the first-party distribution, the others by name."""
        name = normalized(self.distribution)
        return self.namespace, name != CORE, name != f"xai-{normalized(self.namespace)}", name


def normalized(name: str) -> str:
    """Return a distribution's name as packaging tools compare it: "Xai_LRP" and "xai-lrp" are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def find_candidates() -> list[Candidate]:
    """Return every entry point of the group, in the order in which the plugins are looked at."""
    seen: set[str] = set()
    found: list[Candidate] = []
    # A folder that is not there (Python lists one for its own library) would be taken for an archive, and what reads
    # archives imported.
    folders = [folder for folder in sys.path if os.path.exists(folder or ".")]
    for distribution in distributions(path=folders):
        candidates = list(_candidates_of(distribution))
        if candidates and normalized(candidates[0].distribution) not in seen:  # an earlier one on sys.path shadows it
            seen.add(normalized(candidates[0].distribution))
            found.extend(candidates)
    return sorted(found, key=lambda candidate: candidate.order)


def _candidates_of(distribution: Distribution) -> Iterator[Candidate]:
    text = distribution.read_text("entry_points.txt")
    if not text or GROUP not in text:
        return  # the usual case, decided without parsing anything
    known: dict[str, Any] = _metadata(distribution) | {"folder": str(distribution.locate_file(""))}
    try:
        entry_points = list(distribution.entry_points.select(group=GROUP))
    except Exception as error:
        yield Candidate(namespace=known["distribution"], entry_point=None, cause=error, **known)
        return
    for entry_point in entry_points:
        yield Candidate(namespace=entry_point.name, entry_point=entry_point, **known)


def _metadata(distribution: Distribution) -> dict[str, str]:
    """Return name, version and what is required of xaicore; name and version are "unknown" in damaged metadata.

    Read here, because `distribution.name` imports the email package: a sixth of the time of `xaicore list`.
    """
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
    headers = text.partition("\n\n")[0]
    first = dict(re.findall(r"^(Name|Version):\s*(\S+)", headers, flags=re.MULTILINE))
    return {
        "distribution": first.get("Name", "unknown"),
        "version": first.get("Version", "unknown"),
        "requires": ",".join(asked.replace(" ", "") for asked in _ASKED_OF_CORE.findall(headers) if asked.strip()),
    }


@dataclass(frozen=True)
class Switches:
    """What the environment says about plugins; namespaces and names of distributions are both understood.

    XAICORE_PLUGINS : comma-separated; if set, only these are loaded, and what the core itself brings.
    XAICORE_DISABLE_PLUGINS : comma-separated, or "all" for all but the core's own; these are not loaded. Wins over
        XAICORE_PLUGINS.
    XAICORE_STRICT_PLUGINS : "1" raises the first failure to load instead of reporting it.
    """

    allowed: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()
    strict: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Switches:
        allowed = environment.get("XAICORE_PLUGINS")
        return cls(
            allowed=None if allowed is None or not allowed.strip() else _names(allowed),
            denied=_names(environment.get("XAICORE_DISABLE_PLUGINS", "")),
            strict=environment.get("XAICORE_STRICT_PLUGINS", "").strip().lower() not in ("", "0", "false", "no"),
        )

    def why_disabled(self, candidate: Candidate) -> str | None:
        """Return what keeps this plugin from loading, or None."""
        names = {normalized(candidate.namespace), normalized(candidate.distribution)}
        own = normalized(candidate.distribution) == CORE  # part of the core: goes only where it is named itself
        if self.denied & (names if own else names | {"all"}):
            return "XAICORE_DISABLE_PLUGINS names it."
        if self.allowed is not None and not own and not self.allowed & names:
            return "XAICORE_PLUGINS is set and does not name it."
        return None


def _names(text: str) -> frozenset[str]:
    return frozenset(normalized(name.strip()) for name in text.split(",") if name.strip())
