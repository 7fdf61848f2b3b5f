"""What is asked of propagation analyzers: which explanations, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from xaicore.engine import Engine
from xaicore.errors import ParameterError, nearest
from xaicore.graph import Part

if TYPE_CHECKING:
    from xaicore.analyzers.propagation import PropagationAnalyzer


@dataclass(frozen=True)
class Job:
    """One explanation to make: a method and a target."""

    analyzer: PropagationAnalyzer
    target: Any = None


@dataclass(frozen=True)
class Split:
    """Each explanation is split by what flows through these parts of a layer; what flows through none comes last."""

    layer: str
    names: tuple[str, ...]
    parts: tuple[Part, ...]


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
    compile: bool | str = False
    split: Split | None = None

    def __post_init__(self) -> None:
        if isinstance(self.record, str):
            object.__setattr__(self, "record", (self.record,))
        if not isinstance(self.record, Iterable):
            raise ParameterError(f"record={self.record!r} must be a list of layers, such as ['features.3'].")
        if self.filter is not None and not isinstance(self.filter, Mapping):
            raise ParameterError(f"filter={self.filter!r} must be a dict, such as {{'features.3': [0, 5]}}.")

    @classmethod
    def named(cls, options: Mapping[str, Any]) -> Options:
        """The options of these names; refuses others."""
        known = [each.name for each in fields(cls) if each.name != "split"]
        for name in options:
            if name not in known:
                raise ParameterError(
                    f"There is no option '{name}' (there are: {', '.join(known)}).{nearest(name, known)}"
                )
        return cls(**options)


def engine_of(options: dict[str, Any]) -> Engine:
    """The engine that options of ``analyze`` ask for; takes what concerns it out of them."""
    return Engine.of(options.pop("engine", None), options.pop("batch_size", "auto"), options.pop("progress", None))
