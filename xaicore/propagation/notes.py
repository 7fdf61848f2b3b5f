"""What mappings have to tell the user, some of which depends on values that are not known yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

Note = tuple[str | Callable[..., str], Tensor | None, tuple[Tensor, ...]]


@dataclass
class Notes:
    """Notes of one walk. They are put into words after it, so that a walk waits for no value and can be compiled."""

    pending: list[Note] = field(default_factory=list)

    def add(self, text: str | Callable[..., str], when: Tensor | None, values: Sequence[Tensor]) -> None:
        """See `State.note`."""
        self.pending.append((text, when, tuple(value.detach() for value in values)))

    def read(self) -> list[str]:
        """Those whose condition holds, in words, each once."""
        holding = [(text, values) for text, when, values in self.pending if when is None or bool(when)]
        words = [text(*map(float, values)) if callable(text) else text for text, values in holding]
        return list(dict.fromkeys(words))
