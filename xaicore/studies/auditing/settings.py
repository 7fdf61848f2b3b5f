"""What an audit is asked to do, checked before anything runs."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xaicore.errors import ParameterError, nearest
from xaicore.studies.auditing.affinity import MOST_CLUSTERS

TARGETS = ("true", "predicted")
EMBEDDINGS = ("pca", "tsne")


@dataclass(frozen=True)
class Settings:
    """The settings of an audit; see `audit`."""

    target: str = "true"
    clusters: int | str = "auto"
    seed: int = 0
    resolution: int = 16
    embedding: str = "pca"
    labels: Sequence[str] | None = None
    classes: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        _check_choice("target", self.target, TARGETS)
        _check_choice("embedding", self.embedding, EMBEDDINGS)
        if self.clusters != "auto":
            _check_number("clusters", self.clusters, 1, MOST_CLUSTERS, " or 'auto'")
        _check_number("resolution", self.resolution, 2, 64)
        _check_number("seed", self.seed, 0, 2**32 - 1)
        if isinstance(self.labels, str) or isinstance(self.classes, str):
            raise ParameterError("labels and classes are lists: one name or number each")
        if self.classes is not None and not self.numbers:
            raise ParameterError("classes is empty: leave it out to audit all classes")

    @property
    def numbers(self) -> list[int] | None:
        """The classes that are audited, by number; None: all."""
        return None if self.classes is None else [self._number(each) for each in self.classes]

    @property
    def names(self) -> list[str] | None:
        """The names of the classes."""
        return None if self.labels is None else [str(each) for each in self.labels]

    def _number(self, given: Any) -> int:
        names = self.names or []
        if isinstance(given, str):
            if given not in names:
                known = f"labels are {', '.join(names[:20])}" if names else "there are no labels: give labels="
                raise ParameterError(f"classes: there is no class {given!r}; {known}.{nearest(given, names)}")
            return names.index(given)
        return _check_number("classes", given, 0, None)


def _check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ParameterError(f"{name}={value!r} must be one of {', '.join(known)}.{nearest(str(value), known)}")


def _check_number(name: str, value: Any, least: int, most: int | None, other: str = "") -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least or (most is not None and number > most):
        limits = f"from {least} on" if most is None else f"from {least} to {most}"
        raise ParameterError(f"{name}={value!r} must be a whole number {limits}{other}")
    return number
