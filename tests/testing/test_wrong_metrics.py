"""Each wrong metric fails the check that is about its fault, and no other."""

from __future__ import annotations

import pytest
from wrong_metrics import RIGHT, WRONG

from xaicore.scoring import Metric
from xaicore.testing import ConformanceError, check_metric
from xaicore.testing.metrics import METRIC_CHECKS


def test_every_check_of_metrics_has_a_wrong_metric() -> None:
    assert list(WRONG) == [check.name for check in METRIC_CHECKS]


@pytest.mark.parametrize("metric", RIGHT)
def test_a_right_metric_conforms(metric: type[Metric]) -> None:
    assert check_metric(metric).ok


@pytest.mark.parametrize(("check", "metric"), WRONG.items(), ids=WRONG)
def test_a_wrong_metric_fails_its_check_and_no_other(check: str, metric: type[Metric]) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_metric(metric)
    assert caught.value.card.failed == [check], str(caught.value)
