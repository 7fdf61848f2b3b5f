"""What came of the checks: outcomes, and the card that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ENOUGH = 0.5
"""The share of the checks of a subject that must have run for its card to be green."""


class Verdict(StrEnum):
    """What became of one check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # it does not apply; the message says why
    EXPECTED = "expected failure"  # it failed, and the author said so, with a reason
    UNEXPECTED = "unexpected pass"  # it passed, though the author said that it fails: the reason is outdated


BAD = (Verdict.FAILED, Verdict.UNEXPECTED)


class Tier(StrEnum):
    """What a check is about."""

    INTERFACE = "interface"
    SCIENCE = "science"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one check found; `message` says what is wrong, why it was skipped, or what was measured."""

    check: str
    tier: Tier
    verdict: Verdict
    message: str = ""
    seconds: float = 0.0


class ConformanceError(AssertionError):
    """A card that is not green; the message is the card, and `card` has it as data."""

    def __init__(self, card: Card) -> None:
        super().__init__(f"{card.title} does not conform.\n\n{card}")
        self.card = card


@dataclass
class Card:
    """What ran, what was skipped and what is wrong with one subject, and with what belongs to it.

    Parameters
    ----------
    title : "method mine.power", "plugin mine".
    outcomes : in the order in which the checks ran.
    parts : cards of what belongs to the subject: of a plugin those of all it brings.
    stale : names of expected failures for which there is no such check.
    """

    title: str
    outcomes: list[Outcome] = field(default_factory=list)
    parts: list[Card] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing failed, no expectation is outdated, and enough ran, here and in all parts."""
        return not self.problems and all(part.ok for part in self.parts)

    @property
    def problems(self) -> list[str]:
        """What keeps this card, without its parts, from being green; one sentence each."""
        found = [f"{each.check}: {each.message}" for each in self.outcomes if each.verdict in BAD]
        found += [f"a failure of {name!r} is expected, and there is no such check" for name in self.stale]
        return found + ([self._too_few] if self._too_few else [])

    @property
    def _too_few(self) -> str:
        ran = sum(each.verdict is not Verdict.SKIPPED for each in self.outcomes)
        if ran >= ENOUGH * len(self.outcomes) and (ran > 0 or self.parts):
            return ""
        return (
            f"too little ran: {ran} of {len(self.outcomes)} checks, and at least {ENOUGH:.0%} must. The skipped ones "
            "say why; often an `example` in the descriptor, with parameters or a model, lets them run"
        )

    def count(self, *verdicts: Verdict) -> int:
        """How many checks ended so, here and in all parts."""
        return self.count_own(*verdicts) + sum(part.count(*verdicts) for part in self.parts)

    def count_own(self, *verdicts: Verdict) -> int:
        """How many checks ended so, without those of the parts."""
        return sum(each.verdict in verdicts for each in self.outcomes)

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed or passed unexpectedly, without those of the parts."""
        return [each.check for each in self.outcomes if each.verdict in BAD]

    def raise_if_bad(self) -> Card:
        """Return the card where it is green.

        Raises
        ------
        ConformanceError
            Where it is not.
        """
        if not self.ok:
            raise ConformanceError(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The card as plain data."""
        return {
            "title": self.title,
            "ok": self.ok,
            "problems": self.problems,
            "outcomes": [
                {"check": o.check, "tier": str(o.tier), "verdict": str(o.verdict), "message": o.message,
                 "seconds": round(o.seconds, 4)}
                for o in self.outcomes
            ],
            "parts": [part.to_dict() for part in self.parts],
        }  # fmt: skip

    def __str__(self) -> str:
        return "\n\n".join(_lines_of(self))


_MARKS: Mapping[Verdict, str] = {
    Verdict.PASSED: "ok",
    Verdict.FAILED: "FAILED",
    Verdict.SKIPPED: "skipped",
    Verdict.EXPECTED: "expected",
    Verdict.UNEXPECTED: "UNEXPECTED PASS",
}


def _lines_of(card: Card) -> list[str]:
    """The card and its parts as blocks of text."""
    width = max((len(each.check) for each in card.outcomes), default=0)
    lines = [f"{card.title}: {'conforms' if card.ok else 'does not conform'} ({_counts(card)})"]
    for each in card.outcomes:
        message = f"  {_one_line(each.message)}" if each.message else ""
        lines.append(f"  {each.tier:<9}  {each.check:<{width}}  {_MARKS[each.verdict]}{message}")
    lines += [f"  ! {problem}" for problem in card.problems[card.count_own(*BAD) :]]
    return ["\n".join(lines), *(block for part in card.parts for block in _lines_of(part))]


def _counts(card: Card) -> str:
    counted = [(card.count(verdict), str(verdict)) for verdict in Verdict]
    return ", ".join(f"{number} {name}" for number, name in counted if number) or "nothing ran"


def _one_line(text: str) -> str:
    return " ".join(text.split())
