"""A check: one property of a subject, by name; and running the checks of a subject."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from xaicore.testing.card import Card, Outcome, Tier, Verdict
from xaicore.testing.watching import process_put_back

SubjectT = TypeVar("SubjectT")


class Failure(AssertionError):  # noqa: N818  (as in "a test failure")
    """What a check raises where the subject lacks the property; the message says what was seen, and what to do."""


class Skip(Exception):  # noqa: N818  (no error: a check may not apply)
    """What a check raises where it does not apply; the message says why."""


@dataclass(frozen=True)
class Check(Generic[SubjectT]):
    """One property: `run` is given the subject, raises `Failure` or `Skip`, and may return what it measured."""

    name: str
    tier: Tier
    run: Callable[[SubjectT], str | None]

    @property
    def meaning(self) -> str:
        """What is checked, in one line."""
        return (self.run.__doc__ or "").strip().splitlines()[0]


Function = Callable[[SubjectT], str | None]


def interface(function: Function[SubjectT]) -> Check[SubjectT]:
    """Make a check of the interface tier of a function; it is called like the function."""
    return Check(function.__name__, Tier.INTERFACE, function)


def science(function: Function[SubjectT]) -> Check[SubjectT]:
    """Make a check of the science tier of a function; it is called like the function."""
    return Check(function.__name__, Tier.SCIENCE, function)


def require(holds: bool, message: str) -> None:
    """Fail with this message unless something holds."""
    if not holds:
        raise Failure(message)


def run_checks(
    title: str,
    subject: SubjectT,
    checks: Sequence[Check[SubjectT]],
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Run checks one by one, whatever becomes of them, and return the card.

    Parameters
    ----------
    title : what the card is about.
    subject : given to every check.
    checks : in the order in which they run.
    expected_failures : reasons by the name of the check. Such a check must fail: one that passes makes the card bad,
        since its reason is outdated.
    """
    expected = dict(expected_failures or {})
    outcomes = [_run(check, subject, expected.pop(check.name, None)) for check in checks]
    return Card(title, outcomes, stale=sorted(expected))


class Subject(Protocol):
    """What a card is about."""

    @property
    def title(self) -> str:
        """What the card is called."""

    def stated_failures(self) -> Mapping[str, str]:
        """The failures that the plugin which brings it expects."""


def card_for(
    subject: Subject, checks: Sequence[Check[Any]], expected_failures: Mapping[str, str] | None = None
) -> Card:
    """The card of a subject; without ``expected_failures`` those count that its plugin states."""
    reasons = subject.stated_failures() if expected_failures is None else expected_failures
    return run_checks(subject.title, subject, checks, reasons)


def _run(check: Check[Any], subject: Any, reason: str | None) -> Outcome:
    started = time.perf_counter()
    verdict, message = _judge(check, subject)
    if reason is not None and verdict is Verdict.FAILED:
        verdict, message = Verdict.EXPECTED, reason
    elif reason is not None and verdict is Verdict.PASSED:
        verdict, message = Verdict.UNEXPECTED, f"it was expected to fail, since {reason}; remove that expectation"
    seconds = time.perf_counter() - started
    return Outcome(check=check.name, tier=check.tier, verdict=verdict, message=message, seconds=seconds)


def _judge(check: Check[Any], subject: Any) -> tuple[Verdict, str]:
    try:
        with warnings.catch_warnings(), process_put_back():
            return Verdict.PASSED, check.run(subject) or ""
    except Skip as skip:
        return Verdict.SKIPPED, str(skip)
    except Failure as failure:
        return Verdict.FAILED, str(failure)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit too, and the card must tell of it
        return Verdict.FAILED, what_raised(error)


def what_raised(error: BaseException) -> str:
    """Say what code of a plugin raised, and where."""
    return f"it raised {type(error).__name__}: {error}{_where(error)}"


def _where(error: BaseException) -> str:
    """Return " (file.py:3)" for the innermost frame of the plugin's own code."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in _OTHERS and not trace.tb_frame.f_code.co_filename.startswith("<"):
            place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


_OTHERS = frozenset({"xaicore", "torch", "numpy", "scipy", "sklearn", "matplotlib", *sys.stdlib_module_names})
