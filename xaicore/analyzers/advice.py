"""Advice on a model: what would make its explanations better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from xaicore.graph import Layer


@dataclass(frozen=True)
class Advice:
    """Something about a model that makes its explanations by a method worse, and what to do about it.

    Attributes
    ----------
    about : str
        In two words: "positive biases".
    reason : str
        Why it matters.
    fix : str
        What to do.
    layers : tuple of str
        Where: modules, or layers that belong to none; with details in brackets.
    """

    about: str
    reason: str
    fix: str
    layers: tuple[str, ...] = ()

    @classmethod
    def on(
        cls, layers: Iterable[Layer], *, about: str, reason: str, fix: str, details: Mapping[Layer, str] | None = None
    ) -> Self:
        """Advice on these layers, with a few words on some of them in ``details``."""
        named = {}
        for layer in layers:
            detail = (details or {}).get(layer)
            named[(layer.module_path or layer.name) + (f" ({detail})" if detail else "")] = layer
        return cls(about, reason, fix, tuple(named))

    def row(self) -> dict[str, Any]:
        """As plain data, for scripts."""
        return asdict(self)
