"""The derivative of what a rule or a mapping returns: explanations can be trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xaicore.propagation import Tape
from xaicore.testing.backward.place import Captured, Place
from xaicore.testing.backward.subject import BackwardSubject
from xaicore.testing.checks import Skip, require, science
from xaicore.testing.slopes import Slopes, slopes


@science
def differentiable(subject: BackwardSubject) -> str:
    """With ``create_graph`` the derivative by inputs, weights and relevance is that of central differences."""
    told = 0
    models = list(dict.fromkeys(place.model for place in subject.places()))
    for model in models:
        places = [place for place in subject.places() if place.model is model]
        told += _compare(subject, model, places)
    if not told:
        raise Skip("it has a kink or a jump wherever it was tried")
    return f"{told} derivatives"


def _compare(subject: BackwardSubject, model: Captured, places: Sequence[Place]) -> int:
    """How many layers have a derivative that could be told, and is right; those of a model at once."""
    arriving = [[None if r is None else r.requires_grad_() for r in place.relevance()] for place in places]
    inputs = [t.detach().clone().requires_grad_(t.is_floating_point()) for t in model.tensors]
    generator, weights = torch.Generator().manual_seed(3), list[Tensor]()

    def values() -> Tensor:
        tape, found = Tape(model.graph, inputs, create_graph=True), []
        for number, (place, rs) in enumerate(zip(places, arriving, strict=True)):
            total = place.walk(subject.mapping, rs, tape=tape).total
            if number == len(weights):
                weights.append(torch.randn(total.shape, generator=generator, dtype=torch.float64))
            found.append((total * weights[number]).sum())
        return torch.stack(found)

    weights_of = list(dict.fromkeys(weight for place in places for weight in _weights(place)))
    moving = {
        "inputs": [tensor for tensor in inputs if tensor.requires_grad],
        "weights": weights_of,
        "relevance": [r for rs in arriving for r in rs if r is not None],
    }
    found = slopes(values, [tensor for tensors in moving.values() for tensor in tensors])
    if not bool((found.agree | ~found.settled).all()):
        for name, tensors in moving.items():  # which of them it is
            _require_agreement(slopes(values, tensors), places, name)
        _require_agreement(found, places, "inputs, weights and relevance")
    return int(found.settled.sum())


def _require_agreement(found: Slopes, places: Sequence[Place], name: str) -> None:
    for place, analytic, numeric, settled, agree in zip(places, *vars(found).values(), strict=True):
        require(
            not settled or bool(agree),
            f"at {place.name} the derivative by the {name} is {float(analytic):.6g}, and central differences say "
            f"{float(numeric):.6g}. Use plain torch operations: nothing that is detached, or copied to numbers, has a "
            "derivative, nor does a tensor that was kept while no gradient was asked for.",
        )


def _weights(place: Place) -> list[Tensor]:
    """The layer's own parameters, where they are those of the model."""
    found = (ref.layer.tensor for ref in place.layer.parameters.values())
    return [t for t in found if t is not None and t.requires_grad and t.is_leaf and t.is_floating_point()]
