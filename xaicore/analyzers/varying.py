"""Which inputs a method that needs no graph varies, and which it leaves as they are."""

from __future__ import annotations

from torch import Tensor

from xaicore.engine import Inputs


def varied_inputs(prepared: Inputs) -> dict[str, Tensor]:
    """The inputs that are varied, by name: those with the batch in front.

    An integer or boolean with one number a sample, beside inputs that have parts, is what the model needs to read them
    (the length of a sequence): filled with something else, it would say nothing about the sample. It stays as it is. A
    floating-point number may be a feature like any other.

    Parameters
    ----------
    prepared : Inputs
        As `xaicore.engine.prepare` and `prepare_arrays` return it.
    """
    own = {name: x for name, x in prepared.tensors().items() if x.ndim and len(x) == prepared.batch}
    if all(x.ndim == 1 for x in own.values()):
        return own
    return {name: x for name, x in own.items() if x.ndim > 1 or x.is_floating_point() or x.is_complex()}
