"""How a rule or a mapping treats what it is given: nothing is written to, nothing undeclared is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.propagation import Coefficient
from xaicore.propagation.coefficient import hands_on
from xaicore.testing.backward.place import Place
from xaicore.testing.backward.subject import BackwardSubject, gap
from xaicore.testing.backward.watched import tensor_of
from xaicore.testing.checks import Failure, Skip, interface, require


@interface
def writes_to_nothing(subject: BackwardSubject) -> None:
    """Inputs, outputs and relevance of the layer hold the same numbers after the call as before."""
    for place in subject.places():
        for factored in (False, True):
            if factored and not _takes_coefficients(subject, place):
                continue
            rs = _coefficients(place) if factored else place.relevance()
            weights = [ref.layer.tensor for ref in place.layer.parameters.values()]
            before = [None if weight is None else weight.detach().clone() for weight in weights]
            call = place.walk(subject.mapping, rs, factored=factored).call
            if call is None:
                continue
            for name, values, originals in zip(
                ("xs", "ys", "rs"), (call.xs, call.ys, call.rs), call.originals, strict=True
            ):
                _require_same(place, name, values, originals)
            _require_same(place, "weights", weights, before)


@interface
def answers_for_each_input(subject: BackwardSubject) -> str:
    """One tensor, of its shape and type, or None for each input; in float64 and in narrower types."""
    tried = 0
    for dtype in (torch.float64, *subject.narrow):
        for place in subject.places(dtype):
            call = place.walk(subject.mapping, place.relevance()).call
            if call is None:
                continue
            tried += 1
            returned = list(call.returned)
            require(
                len(returned) == len(call.xs),
                f"at {place.name} it returned {len(returned)} tensors for {len(call.xs)} inputs",
            )
            for number, (x, own, r) in enumerate(zip(call.xs, place.values(), returned, strict=True)):
                require(
                    r is None or (isinstance(r, Tensor) and r.shape == x.shape and r.dtype in (x.dtype, own.dtype)),
                    f"at {place.name}, input {number} is {_told(x)}, and what was returned for it is {_told(r)}",
                )
    return f"{tried} layers"


@interface
def stays_finite(subject: BackwardSubject) -> None:
    """No NaN and no infinity in bfloat16: at inputs of zero, at large inputs, and where no relevance arrives."""
    for dtype in subject.narrow[-1:]:
        for place in subject.places(dtype):
            cases = (("inputs of zero", place.model.of_zeros), ("large inputs", place.model.large))
            for case, tensors in cases:
                ys = place.outputs(tensors)
                if not all(bool(torch.isfinite(y).all()) for y in ys if isinstance(y, Tensor)):
                    continue  # the layer itself overflows there
                found = place.walk(subject.mapping, place.relevance(tensors=tensors), tensors=tensors)
                _require_finite(found.total, f"at {place.name}, with {case} in {_name(dtype)}")
            nothing = [None if r is None else torch.zeros_like(r) for r in place.relevance()]
            found = place.walk(subject.mapping, nothing)
            where = f"at {place.name}, where no relevance arrives, in {_name(dtype)}"
            _require_finite(found.total, where)
            require(not bool(found.total.any()), f"{where}: relevance comes out all the same")


@interface
def reads_what_it_declares(subject: BackwardSubject) -> None:
    """It works from what `needs` and `differentiates` declare: the tape does not keep the rest."""
    for place in subject.places():
        rs = place.relevance()
        whole = place.walk(subject.mapping, rs)
        try:
            spared = place.walk(subject.mapping, rs, sparing=True)
        except Exception as error:
            raise Failure(
                f"at {place.name} it needs more than it declares: needs={_declared(subject)}. Declare what it reads, "
                f"by xaicore.propagation.reads for a function ({type(error).__name__}: {error})"
            ) from error
        for one, other in zip(whole.relevance, spared.relevance, strict=True):
            if one is None or other is None:
                same = one is other
            else:
                same = not other.is_meta and gap(other, one) <= place.tolerance
            require(
                same,
                f"at {place.name} it returns something else where the tape holds only what it declares to read "
                f"(needs={_declared(subject)})",
            )


@interface
def treats_samples_alone(subject: BackwardSubject) -> None:
    """What a sample gets does not depend on the others of its batch, nor on how many there are."""
    tried = False
    for place in subject.places():
        rs = [r if r is not None and len(r.shape) and r.shape[0] == place.batch else None for r in place.relevance()]
        if all(r is None for r in rs):
            continue
        whole = place.walk(subject.mapping, rs).relevance
        for sample in {0, place.batch - 1}:
            alone = place.walk(
                subject.mapping,
                [None if r is None else r[sample : sample + 1] for r in rs],
                tensors=place.model.sample(sample),
            ).relevance
            for one, each in zip(whole, alone, strict=True):
                if one is None or each is None or one.shape[:1] != (place.batch,):
                    continue
                tried = True
                off = gap(each, one[sample : sample + 1])
                require(
                    off <= place.tolerance,
                    f"at {place.name}, sample {sample} gets something else alone than in a batch of {place.batch} "
                    f"(relative difference {off:.2g})",
                )
    if not tried:
        raise Skip("no layer that it takes has the batch in front")


@interface
def factored_alike(subject: BackwardSubject) -> None:
    """Where it hands on coefficients, these are the relevance that it would return, before the multiplication."""
    tried = False
    for place in subject.places():
        if not _takes_coefficients(subject, place):
            continue
        tried = True
        for clipped in (False, True):
            rs = _coefficients(place, clipped)
            plain = [None if r is None else r.times(y) for r, y in zip(rs, place.outputs(), strict=True)]
            expected = place.walk(subject.mapping, plain).total
            off = gap(place.walk(subject.mapping, rs, factored=True).total, expected)
            after = " behind a ReLU" if clipped else ""
            require(
                off <= place.tolerance,
                f"at {place.name}{after}, coefficients times inputs differ from the relevance that it returns where "
                f"state.factored is false (relative difference {off:.2g})",
            )
    if not tried:
        raise Skip("it hands on no coefficients (it has no `hands_on`)")


def _require_same(place: Place, name: str, values: Sequence[Any], before: Sequence[Any]) -> None:
    for number, (value, original) in enumerate(zip(values, before, strict=True)):
        now, then = tensor_of(value), tensor_of(original)
        require(
            now is None or then is None or _same(now.detach(), then.detach()),
            f"at {place.name}, {name}[{number}] was changed: the forward and other walks need it as it is. Use "
            "operations that return a new tensor (mul, not mul_).",
        )


def _takes_coefficients(subject: BackwardSubject, place: Place) -> bool:
    return hands_on(subject.mapping, place.layer) is not None


def _coefficients(place: Place, clipped: bool = False) -> list[Coefficient | None]:
    return [None if r is None else Coefficient(r, clipped) for r in place.relevance()]


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _require_finite(found: Tensor, where: str) -> None:
    count = int((~torch.isfinite(found)).sum())
    require(count == 0, f"{where}: {count} of {found.numel()} relevance values are NaN or infinite")


def _declared(subject: BackwardSubject) -> str:
    return str(sorted(getattr(subject.mapping, "needs", ("xs", "ys"))))


def _told(value: object) -> str:
    return f"{tuple(value.shape)} of {_name(value.dtype)}" if isinstance(value, Tensor) else type(value).__name__


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
