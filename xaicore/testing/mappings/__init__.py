"""Whether a mapping is what its description says, and right: `check_mapping`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from xaicore.plugins import MappingSpec
from xaicore.propagation import BackwardMapping
from xaicore.testing.backward.derivative import differentiable
from xaicore.testing.backward.handling import (
    answers_for_each_input,
    factored_alike,
    reads_what_it_declares,
    stays_finite,
    treats_samples_alone,
    writes_to_nothing,
)
from xaicore.testing.backward.laws import ledger_balances, linear_in_relevance, outputs_add_up
from xaicore.testing.card import Card
from xaicore.testing.checks import Check, card_for
from xaicore.testing.mappings.described import describes_itself, meets_its_layers
from xaicore.testing.mappings.moving import goes_back_as_it_came
from xaicore.testing.mappings.subject import MappingSubject, subject_of

__all__ = ["MAPPING_CHECKS", "MappingSubject", "check_mapping", "mapping_card"]

MAPPING_CHECKS: tuple[Check[Any], ...] = (
    describes_itself,
    meets_its_layers,
    answers_for_each_input,
    writes_to_nothing,
    reads_what_it_declares,
    stays_finite,
    treats_samples_alone,
    factored_alike,
    goes_back_as_it_came,
    linear_in_relevance,
    outputs_add_up,
    ledger_balances,
    differentiable,
)


def check_mapping(
    mapping: MappingSpec | str | BackwardMapping,
    *,
    model: nn.Module | None = None,
    inputs: Any = None,
    family: str = "relevance",
    kinds: Sequence[str] = (),
    ops: Sequence[str] = (),
    expected_failures: Mapping[str, str] | None = None,
) -> Card:
    """Try a backward mapping for layers without weights by every check of the kit.

    Parameters
    ----------
    mapping : MappingSpec, str or callable
        What a plugin registers; the target of one that is installed, "xai_mine:route"; or a mapping itself.
    model, inputs : module, Tensor or tuple of Tensor, optional
        A model that has such layers, and a batch of its inputs. Default: those of the description's ``example``, else
        the kit's own models, which have layers of every kind.
    family, kinds, ops : str, sequence of str, sequence of str
        Of a mapping that is given itself, as in `MappingSpec`.
    expected_failures : mapping of str to str, optional
        Reasons by the name of the check. Default: those that the plugin states under ``"mapping package:name"``.

    Returns
    -------
    Card
        Which is green.

    Raises
    ------
    ConformanceError
        Where a check fails, one that should fail passes, or too little ran.
    InputError
        Where it is no mapping, or it is not said what it is for.
    """
    subject = subject_of(mapping, model, inputs, family, kinds, ops)
    return _card(subject, expected_failures).raise_if_bad()


def mapping_card(spec: MappingSpec) -> Card:
    """The card of a mapping that a plugin brings, whether it is green or not."""
    return _card(subject_of(spec))


def _card(subject: MappingSubject, expected_failures: Mapping[str, str] | None = None) -> Card:
    return card_for(subject, MAPPING_CHECKS, expected_failures)
