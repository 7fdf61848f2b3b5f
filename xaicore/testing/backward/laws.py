"""What holds of every redistribution of relevance, and of every linear map: laws that need no formula."""

from __future__ import annotations

from xaicore.testing.backward.subject import BackwardSubject, gap
from xaicore.testing.checks import require, science


@science
def ledger_balances(subject: BackwardSubject) -> str:
    """What arrives at a layer is what its inputs get and what the ledger says bias and stabilizer absorbed."""
    worst = 0.0
    for place in subject.places():
        rs = place.relevance()
        found = place.walk(subject.mapping, rs, ledger=True)
        without = place.walk(subject.mapping, rs)
        require(
            gap(found.total, without.total) <= place.tolerance,
            f"at {place.name} it returns something else where somebody keeps the ledger",
        )
        scale = sum(float(r.abs().sum()) for r in rs if r is not None) + float(found.total.abs().sum())
        off = abs(found.row["unaccounted"]) / scale
        worst = max(worst, off)
        row = ", ".join(f"{name} {found.row[name]:.4g}" for name in _AMOUNTS)
        require(
            off <= place.tolerance,
            f"at {place.name} the ledger does not balance ({row}): say with state.absorb what the inputs do not get, "
            "worked out by itself and not as the difference",
        )
    return f"off by {worst:.1g} at most"


_AMOUNTS = ("relevance_in", "relevance_out", "elsewhere", "bias", "stabilizer", "unaccounted")


@science
def linear_in_relevance(subject: BackwardSubject) -> None:
    """Twice the relevance comes out twice, and what comes of a sum is the sum: shares do not depend on relevance."""
    for place in subject.places():
        one, other = place.relevance(5), place.relevance(6)
        mixed = [None if a is None or b is None else 2.0 * a - 0.5 * b for a, b in zip(one, other, strict=True)]
        expected = 2.0 * place.walk(subject.mapping, one).total - 0.5 * place.walk(subject.mapping, other).total
        off = gap(place.walk(subject.mapping, mixed).total, expected)
        require(
            off <= place.tolerance, f"at {place.name} it is not linear in what arrives (relative difference {off:.2g})"
        )


@science
def outputs_add_up(subject: BackwardSubject) -> str:
    """Of a layer with several outputs: each may have relevance alone, and what they bring adds up."""
    tried = 0
    for place in subject.places():
        rs = place.relevance()
        given = [number for number, r in enumerate(rs) if r is not None]
        if len(given) < 2:
            continue
        tried += 1
        parts = [
            place.walk(subject.mapping, [r if n == number else None for n, r in enumerate(rs)]) for number in given
        ]
        for number, whole in enumerate(place.walk(subject.mapping, rs).relevance):
            found = [part.relevance[number] for part in parts]
            added = [r for r in found if r is not None]
            total = sum(added[1:], added[0]) if added else None
            if whole is None:
                require(total is None, f"at {place.name} input {number} gets relevance from single outputs only")
            else:
                off = float("inf") if total is None else gap(total, whole)
                require(
                    off <= place.tolerance,
                    f"at {place.name} single outputs do not add up to all (difference {off:.2g})",
                )
    return f"{tried} layers" if tried else "no layer has several outputs"
