"""What a mapping is registered for."""

from __future__ import annotations

from xaicore.errors import nearest
from xaicore.graph import Kind
from xaicore.testing.checks import interface, require
from xaicore.testing.mappings.models import NEVER_PASSED
from xaicore.testing.mappings.subject import MappingSubject

FAMILIES = ("relevance", "gradient")


@interface
def describes_itself(subject: MappingSubject) -> None:
    """Family and kinds are such as there are, the target can be called, and there is a summary for reports."""
    spec = subject.spec
    require(spec.family in FAMILIES, f"family={spec.family!r}: one of {FAMILIES}.{nearest(spec.family, FAMILIES)}")
    known = [kind.value for kind in Kind]
    for kind in spec.kinds:
        require(kind in known, f"there is no kind of layer {kind!r}.{nearest(kind, known)}")
        why = NEVER_PASSED.get(Kind(kind))
        require(why is None, f"no walk asks a mapping at layers of kind {kind!r}: {why}")
    called = subject.mapping
    require(callable(called) and not isinstance(called, type), f"{spec.target} is {called!r}, which is no mapping")
    require(bool(spec.summary.strip()), "it has no summary, which the matching report shows")


@interface
def meets_its_layers(subject: MappingSubject) -> str:
    """There are such layers in a model, of every kind and operator that it names, and it takes one of each."""
    places = subject.all_places()
    spec, advice = subject.spec, "give one by `example` in the MappingSpec, a function that returns (model, inputs)"
    for kind in spec.kinds:
        require(
            any(place.layer.kind.value == kind for place in places),
            f"no layer of kind {kind!r}{_of(spec.ops)} is in the models that it was tried on: {advice}",
        )
    for name in spec.ops:
        require(
            any(place.layer.op_name == name for place in places),
            f"no operator {name!r} is in the models that it was tried on: {advice}; Layer.op_name tells the name",
        )
    refused = {place.name: subject.refusal(place) for place in places}
    for kind in spec.kinds:
        mine = [place for place in places if place.layer.kind.value == kind]
        require(
            any(refused[place.name] is None for place in mine),
            f"it refuses all layers of kind {kind!r} that it was tried on: {refused[mine[0].name]}",
        )
    return f"{len(places)} layers"


def _of(ops: tuple[str, ...]) -> str:
    return f" with operator {' or '.join(ops)}" if ops else ""
