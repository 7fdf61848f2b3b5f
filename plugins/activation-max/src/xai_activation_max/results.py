"""From where a search has come to, to the prototypes that are returned."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_activation_max.ascent import Climb, Objective
from xai_activation_max.explained import ModelValue
from xai_activation_max.files import plain
from xai_activation_max.prototype import Prototype
from xai_activation_max.rows import Rows
from xai_activation_max.settings import SearchSettings


def prototypes_of(
    search: SearchSettings,
    value: ModelValue,
    objective: Objective,
    climbed: Climb,
    rows: Rows,
    own: Tensor,
    layer: str | None,
) -> Prototype:
    """The best attempt at each prototype, measured again in the type and on the device of ``own``."""
    samples = rows.of_samples(value.device)
    with torch.no_grad():
        found = objective.parametrization.inputs(climbed.leaves).detach().to(own.dtype)
        x = found.to(value.dtype)  # what is told is true of what is returned, rounded as it may be
        measured = value.measured(x, samples)
        total = measured.scores + objective.preference(x, climbed.leaves)
        prior = objective.prior(x, climbed.leaves)
    best = rows.best(total, together=bool(objective.diversity))

    def chosen(each: Tensor) -> Tensor:
        return each[best].to(own.device)

    return Prototype(
        inputs=chosen(found),
        objective=chosen(total),
        score=chosen(measured.scores),
        probability=None if measured.probabilities is None else chosen(measured.probabilities),
        prior=chosen(prior),
        trace=climbed.trace[: int(climbed.taken[best].max()), best].to(own.device),
        target=tuple(value.words[sample] for sample in samples[best].tolist()),
        quantity=value.quantity,
        sample=chosen(samples),
        restart=(best % rows.restarts).to(own.device),
        parameters={name: plain(each) for name, each in search.get_params().items() if name != "model"},
        method=search.method,
        layer=layer,
        notes=_notes(value, objective, climbed, best, search.steps),
    )


def _notes(value: ModelValue, objective: Objective, climbed: Climb, best: Tensor, steps: int) -> tuple[str, ...]:
    notes = list(value.notes)
    if climbed.interrupted:
        notes.append(f"interrupted after {len(climbed.trace)} of {steps} steps")
    flat = 0 if objective.flat is None else int(objective.flat[best].sum())
    if flat:
        notes.append(
            f"the {value.quantity} had no gradient at the start of {flat} of {len(best)} prototypes, as where a ReLU "
            "is not active: try restarts=, a larger noise= or another start="
        )
    return tuple(notes)
