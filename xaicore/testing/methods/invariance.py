"""Implementation invariance: an explanation is one of the function, not of the way in which somebody wrote it."""

from __future__ import annotations

import torch
from torch import Tensor

from xaicore.errors import XaicoreError
from xaicore.explanation import Explanation
from xaicore.testing.checks import Failure, Skip, require, science
from xaicore.testing.methods.comparing import difference, found_in
from xaicore.testing.methods.subject import LEARNT_FROM, MethodSubject
from xaicore.testing.methods.writings import SHAPES, Writing, writings

SAME = 1e-6
"""By how much explanations may differ, of the largest value: another order of rounding, not another result."""

_BY_FUNCTION = ("gradient", "perturbation")
"""Families whose explanations are of the function alone, by whatever weights it is computed: what they look at are
derivatives or outputs. Rules of relevance go by layers and weights; methods that learn do so layer by layer."""


@science
def implementation_invariance(subject: MethodSubject) -> str:
    """Models that compute the same are explained alike, however they are written; how, depends on the family."""
    kinds = [kind for kind in SHAPES if kind in subject.made_for]
    kinds = [kind for kind in kinds if kind != "series"] or kinds
    tried = [way for kind in kinds for way in _compare(subject, kind)]
    if not tried:
        raise Skip("it takes none of the models that the kit writes in several ways")
    return f"{len(tried)} other ways of writing"


def _compare(subject: MethodSubject, kind: str) -> list[str]:
    """The ways of writing that were tried, besides the first."""
    first, *others = writings(kind)
    expected = _explained(subject, kind, first)
    if expected is None:
        return []
    tried = []
    for other in others:
        if not other.same_weights and (subject.family not in _BY_FUNCTION or subject.learns):
            continue
        found = _explained(subject, kind, other)
        if found is None and not other.same_weights:
            continue  # such as a method for convolutions, where there are none
        require(found is not None, f"written {other.way}, the same model is refused")
        assert found is not None
        off = difference(expected, found)
        require(
            off <= SAME,
            f"the same function written {other.way} is explained otherwise ({off:.2g} of the largest value). Go by "
            "what the graph says of layers, not by modules and their names",
        )
        tried.append(other.way)
    return tried


def _explained(subject: MethodSubject, kind: str, writing: Writing) -> dict[str, Tensor] | None:
    """The explanation; None where the method refuses the model."""
    try:
        analyzer = subject.create(writing.model, _inputs(kind, LEARNT_FROM))
        found = analyzer.analyze(_inputs(kind, 2))
    except XaicoreError:
        return None
    if not isinstance(found, Explanation):
        raise Skip("it returns no explanation of inputs")
    if not all(bool(torch.isfinite(each).all()) for each in found_in(found).values()):
        raise Failure(f"of a model written {writing.way} it returns NaN or infinity")
    return found_in(found)


def _inputs(kind: str, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(9)
    return torch.rand(count, *SHAPES[kind], generator=generator, dtype=torch.float64)
