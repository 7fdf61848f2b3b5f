"""The treatments that a user can choose for a kind of layer: ``structure={"max_pool": "proportional"}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from xai_lrp.rules.epsilon import Epsilon
from xai_lrp.structure.moving import route
from xaicore.errors import ParameterError, nearest
from xaicore.graph import Condition, Kind, kind

Entry = tuple[Condition, Callable[..., Any]]


@dataclass(frozen=True)
class Treatments:
    """What can be done at the layers that ``condition`` holds for; the first of ``choices`` is the default."""

    condition: Condition
    choices: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


TREATMENTS: dict[str, Treatments] = {
    "max_pool": Treatments(kind(Kind.MAX_POOL), {"winner": route}),
    "batch_norm": Treatments(kind(Kind.BATCH_NORM), {"folded": Epsilon()}),
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
