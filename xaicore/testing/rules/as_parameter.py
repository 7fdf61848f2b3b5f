"""A rule stands in composites, which are parameters of methods: it must be one, as scikit-learn has parameters."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

from xaicore.errors import ParameterError
from xaicore.testing.backward.subject import gap
from xaicore.testing.checks import Failure, Skip, interface, require
from xaicore.testing.rules.subject import RuleSubject


@interface
def reads_well(subject: RuleSubject) -> None:
    """Reports print the rule: its repr names the class and the parameters, and no address in memory."""
    rule, text = subject.mapping, getattr(subject.mapping, "__name__", None) or repr(subject.mapping)
    require(" at 0x" not in text, f"its repr is {text}; write __repr__, or make it a dataclass")
    missing = [name for name, value in subject.parameters.items() if value is not None and name not in text]
    require(not missing, f"its repr {text} does not tell {', '.join(missing)} of {type(rule).__name__}")


@interface
def equal_by_parameters(subject: RuleSubject) -> None:
    """Rules of the same parameters are equal and have the same hash, and others are not equal."""
    _needs_parameters(subject)
    rule, cls = subject.mapping, type(subject.mapping)
    twin = cls(**subject.parameters)
    require(twin == rule, f"{twin!r} made with the same parameters is not equal to it; a frozen dataclass is")
    try:
        same_hash = hash(twin) == hash(rule)
    except TypeError as error:
        raise Failure(f"it has no hash ({error}); a frozen dataclass has one") from error
    require(same_hash, "two that are equal have different hashes: compute the hash from the parameters")
    for name in _numbers(subject):
        try:
            other = cls(**{**subject.parameters, name: subject.parameters[name] * 2 + 1})
        except ParameterError:
            continue  # such as alpha, which is bound to beta
        require(other != rule, f"it is equal to one with another {name}: {other!r}")


@interface
def can_be_copied_and_sent(subject: RuleSubject) -> None:
    """A copy, and one that was pickled for another process, return the same relevance."""
    place = subject.places()[0]
    rs = place.relevance()
    expected = place.walk(subject.mapping, rs).total
    ways: dict[str, Callable[[Any], Any]] = {"copied": copy.deepcopy, "pickled": _pickled}
    for name, make in ways.items():
        try:
            other = make(subject.mapping)
        except Exception as error:
            raise Failure(f"it cannot be {name} ({type(error).__name__}: {error}); keep plain values in it") from error
        require(gap(place.walk(other, rs).total, expected) <= place.tolerance, f"{name}, it returns something else")


@interface
def refuses_bad_parameters(subject: RuleSubject) -> None:
    """A parameter that is a number is refused by a ParameterError where it is NaN, or a word."""
    names = _numbers(subject)
    if not names:
        raise Skip("it has no parameter that is a number")
    for name in names:
        for bad in (math.nan, "much"):
            try:
                made = type(subject.mapping)(**{**subject.parameters, name: bad})
            except ParameterError as error:
                require(name in str(error), f"the error about {name}={bad!r} does not name it: {error}")
                continue
            except Exception as error:
                raise Failure(
                    f"{name}={bad!r} is met by {type(error).__name__}: {error}; refuse it in __init__ (or "
                    "__post_init__) by a ParameterError that names it"
                ) from error
            raise Failure(f"{made!r} is accepted, although {name} is {bad!r}; refuse it by a ParameterError")


def _pickled(rule: Any) -> Any:
    return pickle.loads(pickle.dumps(rule))


def _numbers(subject: RuleSubject) -> list[str]:
    """The parameters that are numbers."""
    return [name for name, value in subject.parameters.items() if _is_number(value)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _needs_parameters(subject: RuleSubject) -> None:
    if hasattr(subject.mapping, "__code__"):
        raise Skip("it is a function, which has no parameters")
