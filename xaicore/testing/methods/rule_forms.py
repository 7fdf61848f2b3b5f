"""The rules that a relevance method is made of, against their own equations."""

from __future__ import annotations

from typing import Any

from xaicore.analyzers import PropagationAnalyzer
from xaicore.testing.checks import Failure, Skip, science
from xaicore.testing.methods.subject import MethodSubject
from xaicore.testing.rules.jacobian import agrees_with_jacobian_form as form_of_rule
from xaicore.testing.rules.subject import RuleSubject


@science
def agrees_with_jacobian_form(subject: MethodSubject) -> str:
    """Every rule of its composite that has a `jacobian_form` agrees with it."""
    subject.needs_family("relevance")
    analyzer = subject.analyzer(subject.example)
    if not isinstance(analyzer, PropagationAnalyzer):
        raise Skip("it is no composite of rules")
    rules: dict[str, Any] = {repr(mapping): mapping for _, mapping in analyzer.build_composite().entries}
    tried = []
    for name, rule in rules.items():
        if getattr(rule, "jacobian_form", None) is None:
            continue
        tried.append(name)
        try:
            form_of_rule.run(RuleSubject.of(rule))
        except Failure as failure:
            raise Failure(f"{name}: {failure}") from failure
    if not tried:
        raise Skip("no rule of its composite has a jacobian_form(weight, bias, x)")
    return ", ".join(tried)
