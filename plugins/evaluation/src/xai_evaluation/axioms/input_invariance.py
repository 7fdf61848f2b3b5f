"""Whether relevance follows a shift of the input that the model does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xai_evaluation.axioms.shifting import Shifted, with_other_bias
from xai_evaluation.parameters import check_choice, check_number
from xai_evaluation.rebinding import check_data, rebound
from xai_evaluation.robustness.changes import distance
from xaicore.analyzers import check_is_module
from xaicore.analyzers.baselines import Constant
from xaicore.engine import Batch, Block, Inputs, batches_of, is_stream, prepare_arrays
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, Metric, Scores

_COMPENSATIONS = ("layer", "bias")


class InputInvariance(Metric):
    """The relative change of relevance when a shift of the inputs is taken back: ``|R2(x + s) - R1(x)|_2 / |R1(x)|_2``.

    R1 explains the model f1, and R2 a model f2 with ``f2(x + s) = f1(x)``: the same function of other numbers, with the
    same output and the same gradient. A method that explains the function should give it the same relevance, 0. The
    gradient does; input times gradient does not.

    The paper has the bias of the first layer take the shift back (``compensation="bias"``). That is exact only where
    linear layers, or convolutions without a padding of zeros, read the inputs; other models are refused. The default
    works for every model: f2 subtracts the shift before it calls f1, which is the same function. What rules of
    relevance do at that subtraction counts too, so that the two may differ for LRP. Parameters of the method, such as
    a baseline or a range of pixels, stay as they are. The model of the user is not touched.

    NaN where all relevance of f1 is 0, and where relevance is not finite.

    Parameters
    ----------
    shift : float or sequence of float
        What is added to every entry of the floating-point inputs; a sequence has one for each channel (dimension 1).
    compensation : {'layer', 'bias'}
        How f2 takes it back. ``'bias'`` takes a single number.
    data : optional
        What the method was fitted on, for methods that learn: the method for f2 is fitted on the same data, shifted. A
        tensor, or batches as ``fit`` takes them.

    References
    ----------
    Kindermans et al. 2019, "The (un)reliability of saliency methods".
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(self, *, shift: float | Sequence[float] = 1.0, compensation: str = "layer", data: Any = None) -> None:
        check_choice("compensation", compensation, _COMPENSATIONS)
        several = isinstance(shift, list | tuple)
        for each in shift if several else (shift,):  # type: ignore[union-attr]
            check_number("shift", each, "what is added to the inputs, or one number a channel")
        if several and compensation == "bias":
            raise ParameterError(f"shift={shift!r} must be a single number with compensation='bias'")
        self.shift, self.compensation, self.data = shift, compensation, data

    def score(self, case: Case) -> Scores:
        check_data(case.analyzer, self.data)
        model = check_is_module(case.model)
        moved = {name: self._shifted(name, x) for name, x in case.varied.items()}
        if not any(x.is_floating_point() for x in moved.values()):
            raise InputError(
                f"input_invariance shifts floating-point inputs; those of the model are integers: {', '.join(moved)}"
            )
        block = Block(0, len(case), 0, 1)
        given = case.evaluation.arguments(moved, block)
        clone = rebound(case.analyzer, self._other(model, case, given), self._shifted_data())
        explanation = case.explain(clone, case.evaluation.as_given(given), case.target)
        return self._compared(case.relevance, _renamed(explanation.relevance, case, given))

    def _shifted(self, name: str, x: Tensor) -> Tensor:
        return x + self._shift_of(name, x) if x.is_floating_point() else x

    def _shift_of(self, name: str, x: Tensor) -> Tensor:
        """What is added to an input, (1, ...)."""
        return Constant(self.shift).of(name, x[:1], 0).to(x.device, x.dtype)

    def _other(self, model: nn.Module, case: Case, given: Inputs) -> nn.Module:
        """The model that takes the shift back."""
        if self.compensation == "bias":
            assert not isinstance(self.shift, list | tuple)
            return with_other_bias(model, given, float(self.shift))  # type: ignore[arg-type]
        shifts = [
            self._shift_of(name, case.varied[name]) if name in case.varied and x.is_floating_point() else None
            for name, x in given.tensors().items()
        ]
        return Shifted(model, shifts)

    def _shifted_data(self) -> Any:
        """The data for a fit, with all floating-point tensors in them shifted."""
        if not is_stream(self.data):
            return self._shifted_batch(self.data)
        return (Batch(self._shifted_batch(batch.inputs), batch.target) for batch in batches_of(self.data))

    def _shifted_batch(self, inputs: Any) -> Any:
        if inputs is None:
            return None
        prepared = prepare_arrays(inputs)
        names = iter(prepared.tensors())
        moved = prepared.map(lambda leaf: self._shifted(next(names), leaf) if isinstance(leaf, Tensor) else leaf)
        return moved.kwargs or (moved.args if isinstance(inputs, tuple) else moved.args[0])

    def _compared(self, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Scores:
        size = distance(before, {}, 2.0)
        change = distance(after, before, 2.0)
        zero, broken = size == 0, ~(torch.isfinite(size) & torch.isfinite(change))
        notes = []
        if zero.any():
            notes.append("undefined where all relevance is 0")
        if broken.any():
            notes.append("undefined where relevance is not finite")
        values = torch.where(zero | broken, torch.nan, change / size)
        return self.scores(values, details={"change": change}, notes=notes)


def _renamed(found: Tensor | Mapping[str, Tensor], case: Case, given: Inputs) -> dict[str, Tensor]:
    """Relevance of the other model by the names of the first: the arguments come in the same order."""
    if isinstance(found, Tensor):
        return {next(iter(case.relevance)): found.detach().double()}
    # The forward(*args, **kwargs) of a wrapper calls its arguments by their position; a copy, as the model does.
    by_position = tuple(f"args.{number}" for number in range(len(given.args)))
    theirs = Inputs(given.args, given.kwargs, by_position).tensors()
    wrapped = dict(zip(given.tensors(), theirs, strict=True))
    return {name: found[name if name in found else wrapped[name]].detach().double() for name in case.relevance}
