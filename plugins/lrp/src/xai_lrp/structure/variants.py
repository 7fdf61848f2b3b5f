"""The treatments that a user can choose for a kind of layer: ``structure={"max_pool": "proportional"}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xai_lrp.rules.epsilon import Epsilon
from xai_lrp.structure.attention import attention, matmul, matmul_half
from xai_lrp.structure.local_response import local_taylor
from xai_lrp.structure.moving import route
from xai_lrp.structure.norm import NormRule, identity
from xai_lrp.structure.pooling import by_activation, by_power
from xai_lrp.structure.products import product, product_half, product_proportional
from xai_lrp.structure.scale_shift import scale_then_shift
from xaicore.errors import ParameterError, nearest
from xaicore.graph import Condition, Kind, kind, op

Entry = tuple[Condition, Callable[..., Any]]


@dataclass(frozen=True)
class Treatments:
    """What can be done at the layers that ``condition`` holds for; the first of ``choices`` is the default."""

    condition: Condition
    choices: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


_maximum = Condition(lambda layer, graph: layer.op_name == "max" and len(layer.inputs) == 1, "max over dimensions")
_local_response_norm = op("local_response_norm")

TREATMENTS: dict[str, Treatments] = {
    "max_pool": Treatments(kind(Kind.MAX_POOL) | _maximum, {"winner": route, "proportional": by_activation}),
    "lp_pool": Treatments(kind(Kind.LP_POOL), {"proportional": by_power}),
    "product": Treatments(
        kind(Kind.PRODUCT), {"signal": product, "proportional": product_proportional, "half": product_half}
    ),
    "matmul": Treatments(kind(Kind.MATMUL), {"signal": matmul, "half": matmul_half}),
    "attention": Treatments(kind(Kind.ATTENTION), {"signal": attention}),
    # The name of the choice is also that of the form which the graph is brought to.
    "batch_norm": Treatments(
        kind(Kind.BATCH_NORM) | op("scale", "shift"), {"folded": Epsilon(), "one": Epsilon(), "two": scale_then_shift}
    ),
    "norm": Treatments(
        kind(Kind.NORM) & ~_local_response_norm,
        {"constant": NormRule(), "centred": NormRule(centred=True), "identity": identity},
    ),
    "local_response_norm": Treatments(_local_response_norm, {"ignore": identity, "taylor": local_taylor}),
}
"""By the name under which a user chooses."""


def check_structure(structure: Mapping[str, str] | None) -> dict[str, str]:
    """The choices as a plain dict; refuses layers and treatments that there are none of."""
    if structure is not None and not isinstance(structure, Mapping):
        raise ParameterError(f"structure={structure!r} must be a mapping such as {{'max_pool': 'proportional'}}.")
    chosen = dict(structure or {})
    for name, treatment in chosen.items():
        if name not in TREATMENTS:
            raise ParameterError(
                f"structure has no layers '{name}'; choose among {', '.join(sorted(TREATMENTS))}."
                f"{nearest(str(name), TREATMENTS)}"
            )
        choices = TREATMENTS[name].choices
        if treatment not in choices:
            raise ParameterError(
                f"structure['{name}'] is {treatment!r}; choose among {', '.join(choices)}."
                f"{nearest(str(treatment), choices)}"
            )
    return chosen


def structure_entries(structure: Mapping[str, str] | None) -> list[Entry]:
    """The entries of a composite for the choices made; what is not chosen is left to the registered mappings."""
    chosen = check_structure(structure)
    return [(TREATMENTS[name].condition, TREATMENTS[name].choices[choice]) for name, choice in chosen.items()]
