"""The rules that a relevance method is made of, by the checks of rules."""

from __future__ import annotations

from typing import Any

from xaicore.analyzers import PropagationAnalyzer
from xaicore.testing.card import BAD, Card
from xaicore.testing.checks import Failure, Skip, science
from xaicore.testing.methods.subject import MethodSubject
from xaicore.testing.rules import rule_card
from xaicore.testing.rules.subject import RuleSubject


@science
def rules_conform(subject: MethodSubject) -> str:
    """Every rule of its composite that its own package brings passes all checks of rules."""
    subject.needs_family("relevance")
    analyzer = subject.analyzer(subject.example)
    if not isinstance(analyzer, PropagationAnalyzer):
        raise Skip("it is no composite of rules")
    package = _package(subject.cls)
    mappings = [mapping for _, mapping in analyzer.build_composite().entries]
    # Functions are how relevance passes layers without weights: those that a plugin registers have cards of their own.
    own = {type(each): each for each in mappings if not hasattr(each, "__name__") and _package(type(each)) == package}
    rules = [each for each in own.values() if RuleSubject.of(each).taken()]
    if not rules:
        raise Skip(f"none of its mappings is a rule for linear layers and {package}'s own")
    for rule in rules:
        bad = [f"{each.check}: {each.message}" for each in _card(rule).outcomes if each.verdict in BAD]
        if bad:
            found = "; ".join(bad)
            raise Failure(f"{rule!r} fails {len(bad)} of the checks of rules; `check_rule` shows the card. {found}")
    return ", ".join(type(rule).__name__ for rule in rules)


def _package(cls: type) -> str:
    return cls.__module__.partition(".")[0]


_CARDS: dict[type, Card] = {}


def _card(rule: Any) -> Card:
    """One card for each class of rules: most methods of a package are made of the same few."""
    if type(rule) not in _CARDS:
        _CARDS[type(rule)] = rule_card(rule)
    return _CARDS[type(rule)]
