"""Whether a method is what it says, and right: `check_method`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaicore.analyzers import Analyzer
from xaicore.testing.card import Card
from xaicore.testing.checks import Check, run_checks
from xaicore.testing.methods.subject import MethodSubject

__all__ = ["METHOD_CHECKS", "MethodSubject", "check_method"]

METHOD_CHECKS: tuple[Check[MethodSubject], ...] = ()


def check_method(
    method: str | type[Analyzer],
    parameters: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Try a method by every check of the kit.

    Parameters
    ----------
    method : str or class
        The name of an installed method, or an analyzer class.
    parameters : mapping, optional
        With which it is made; default: those of the ``example`` of its description, else its own defaults.
    expected_failures : mapping of str to str, optional
        Reasons by the name of the check. Default: those that the plugin states (``XAICORE_EXPECTED_FAILURES``).

    Returns
    -------
    Card
        Which is green.

    Raises
    ------
    ConformanceError
        Where a check fails, one that should fail passes, or too little ran.
    """
    subject = MethodSubject.of(method, parameters)
    reasons = subject.stated_failures() if expected_failures is None else expected_failures
    return run_checks(subject.title, subject, METHOD_CHECKS, reasons).raise_if_bad()
