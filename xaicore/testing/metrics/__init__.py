"""Whether a metric is what it says, and right: `check_metric`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaicore.scoring import Metric
from xaicore.testing.card import Card
from xaicore.testing.checks import Check, card_for
from xaicore.testing.methods.parameters import parameters_are_documented
from xaicore.testing.metrics.judgement import depends_on_the_explanation, prefers_the_truth
from xaicore.testing.metrics.parameters import parameters_are_changed_by_name, parameters_are_kept
from xaicore.testing.metrics.results import (
    as_described,
    batch_invariance,
    low_precision,
    model_untouched,
    no_global_state,
    no_number_of_what_is_none,
    one_number_a_sample,
    repeatable,
    within_bounds,
)
from xaicore.testing.metrics.subject import MetricSubject

__all__ = ["METRIC_CHECKS", "MetricSubject", "check_metric", "metric_card"]

METRIC_CHECKS: tuple[Check[Any], ...] = (
    as_described, parameters_are_kept, parameters_are_changed_by_name, parameters_are_documented, one_number_a_sample,
    within_bounds, no_number_of_what_is_none, batch_invariance, repeatable, low_precision, model_untouched,
    no_global_state, depends_on_the_explanation, prefers_the_truth,
)  # fmt: skip


def check_metric(
    metric: str | type[Metric],
    parameters: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Try a metric by every check of the kit.

    Parameters
    ----------
    metric : str or class
        The name of an installed metric, or a class.
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
    return metric_card(metric, parameters, expected_failures=expected_failures).raise_if_bad()


def metric_card(
    metric: str | type[Metric],
    parameters: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """`check_metric` without raising."""
    subject = MetricSubject.of(metric, parameters)
    return card_for(subject, METRIC_CHECKS, expected_failures)
