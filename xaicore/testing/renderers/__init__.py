"""Whether a renderer is what it says, and shows what it is given: `check_renderer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaicore.plugins import RendererSpec
from xaicore.testing.card import Card
from xaicore.testing.checks import Check, card_for
from xaicore.testing.renderers.drawing import (
    any_relevance,
    as_described,
    draws_on_given_axes,
    inputs_untouched,
    makes_axes_of_its_own,
    no_global_state,
    refuses_bad_input,
    repeatable,
    says_what_it_needs,
    tensors_and_arrays,
)
from xaicore.testing.renderers.showing import (
    measure_as_described,
    scale_as_described,
    shows_the_relevance,
    tells_signs_apart,
)
from xaicore.testing.renderers.subject import RendererSubject

__all__ = ["RENDERER_CHECKS", "RendererSubject", "check_renderer", "renderer_card"]

RENDERER_CHECKS: tuple[Check[RendererSubject], ...] = (
    as_described, draws_on_given_axes, makes_axes_of_its_own, any_relevance, tensors_and_arrays, refuses_bad_input,
    says_what_it_needs, inputs_untouched, no_global_state, repeatable, shows_the_relevance, tells_signs_apart,
    scale_as_described, measure_as_described,
)  # fmt: skip


def check_renderer(
    renderer: str | RendererSpec,
    options: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Try a renderer by every check of the kit.

    Parameters
    ----------
    renderer : str or RendererSpec
        The name of an installed renderer, or a description.
    options : mapping, optional
        With which it is called; default: those of the ``example`` of its description, else none.
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
    return renderer_card(renderer, options, expected_failures=expected_failures).raise_if_bad()


def renderer_card(
    renderer: str | RendererSpec,
    options: Mapping[str, Any] | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """`check_renderer` without raising."""
    subject = RendererSubject.of(renderer, options)
    return card_for(subject, RENDERER_CHECKS, expected_failures)
