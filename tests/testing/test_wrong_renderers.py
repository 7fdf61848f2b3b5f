"""Each wrong renderer fails the check that is about its fault, and no other."""

from __future__ import annotations

import pytest
from wrong_renderers import SPEC, WRONG

from xaicore.plugins import RendererSpec
from xaicore.testing import ConformanceError, check_renderer
from xaicore.testing.renderers import RENDERER_CHECKS


def test_every_check_of_renderers_has_a_wrong_renderer() -> None:
    assert list(WRONG) == [check.name for check in RENDERER_CHECKS]


def test_a_right_renderer_conforms() -> None:
    assert check_renderer(SPEC).ok


@pytest.mark.parametrize(("check", "spec"), WRONG.items(), ids=WRONG)
def test_a_wrong_renderer_fails_its_check_and_no_other(check: str, spec: RendererSpec) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_renderer(spec)
    assert caught.value.card.failed == [check], str(caught.value)
