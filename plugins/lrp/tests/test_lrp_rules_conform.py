"""Every rule of the package by the conformance kit: handling, laws, derivative. Its equation is the oracle's matter."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from xai_lrp import rules
from xai_lrp.rules import (
    AlphaBeta,
    Epsilon,
    ExcitationBackprop,
    Flat,
    Gamma,
    GeneralizedGamma,
    Norm,
    Pass,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
)
from xaicore.testing import check_rule

RULES: list[Any] = [
    Zero(),
    Epsilon(0.1, "distribute"),
    Gamma(0.5, bias="ignore"),
    GeneralizedGamma(),
    AlphaBeta(),
    ZPlus(bias="conserve"),
    ExcitationBackprop(),
    Flat(),
    WSquare(),
    ZBox(low=-3.0, high=[4.0]),
    Norm(0.1),
    Pass(),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_conforms(rule: Any) -> None:
    check_rule(rule)


def test_no_rule_is_left_out() -> None:
    bases = (rules.LinearRule, rules.ProportionalRule)
    classes = {each for each in vars(rules).values() if isinstance(each, type) and hasattr(each, "__call__")}  # noqa: B004
    own = {each for each in classes if callable(getattr(each, "share", None)) or each in (Norm, Pass)}
    assert own - set(bases) == {type(rule) for rule in RULES}


def test_boxes_are_equal_by_their_bounds() -> None:
    tensor = torch.tensor([1.0, 2.0]).view(2, 1, 1)
    assert ZBox(0, 1) == ZBox(0.0, 1.0) != ZBox(0, 2)
    assert ZBox(tensor, 3) == ZBox(tensor.clone(), 3) != ZBox(tensor + 1, 3)
    assert hash(ZBox([0, 1], [2, 3], mean=[0.5, 0.5])) == hash(ZBox([0, 1], [2, 3], mean=[0.5, 0.5]))
    assert ZBox(0, 1) != ZBox(0, 1, mean=[0.5]) and ZBox(0, 1) != "ZBox(0, 1)"
