"""What is asked of propagation analyzers: which explanations, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaicore.analyzers.propagation import PropagationAnalyzer


@dataclass(frozen=True)
class Job:
    """One explanation to make: a method and a target."""

    analyzer: PropagationAnalyzer
    target: Any = None


@dataclass(frozen=True)
class Options:
    """How to run; see `PropagationAnalyzer.analyze`."""

    output: str | int | None = None
    layer: str | None = None
    record: Sequence[str] = ()
    filter: Mapping[str, Any] | None = None
    ledger: bool = False
    create_graph: bool = False
    fallback: str | None = None
