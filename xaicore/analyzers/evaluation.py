"""The explained value of a model as a function of the tensors that a method varies.

Methods that call a model many times (integrated gradients, occlusion, Shapley values) vary its inputs, or the tensor at
an inner layer, and look at what becomes of one number a sample. An `Evaluation` is that function: of a graph, which has
gradients and inner layers (`on_graph`), or of anything that can be called (`on_callable`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers.baselines import Baseline
from xaicore.analyzers.quantities import Target
from xaicore.engine import Block, Footprint
from xaicore.explanation import Diagnostics, Explanation

Varied = Mapping[str, Tensor]


class Evaluation(ABC):
    """A model, one batch of inputs and a target: one value for every variation of every sample.

    Attributes
    ----------
    varied : dict of str to Tensor
        What a method may vary, each (B, ...): the inputs by name, or the one inner layer.
    batch : int
        B, the number of samples.
    device : torch.device
    target : Target
        The explained quantity; predicted classes are those of the inputs as they are.
    prediction : Tensor (B, ...)
        The output for the inputs as they are.
    values : Tensor (B,)
        The explained value there.
    footprint : Footprint
        About how much memory a row takes, for `Engine.sweep`.
    notes : list of str
        What the user should know about this evaluation.
    start, total : int
        Where these samples begin in the batch that the user passed, and how many that has: for parameters with one
        entry a sample. Large batches are explained some samples at a time.
    """

    varied: dict[str, Tensor]
    batch: int
    device: torch.device
    target: Target
    prediction: Tensor
    values: Tensor
    footprint: Footprint
    notes: list[str]
    start: int = 0
    total: int = 0

    @abstractmethod
    def outputs(self, varied: Varied, block: Block) -> Tensor:
        """The model's output for each row of a block, (rows, ...).

        ``varied`` has one entry a row, (rows, ...), for each of ``self.varied``; what is not varied (other inputs) is
        repeated for the rows of each sample.
        """

    def scores(self, varied: Varied, block: Block) -> Tensor:
        """The explained value of each row of a block, (rows,)."""
        return self.target_of(block).score(self.outputs(varied, block)).detach()

    def baseline(self, baseline: Baseline, number: int = 0) -> dict[str, Tensor]:
        """Variant ``number`` of a baseline of the inputs, where things are varied: (B, ...) or (1, ...) each."""
        return self.own(baseline).at(self.varied, number)

    def own(self, baseline: Baseline) -> Baseline:
        """A baseline for the samples of this evaluation, where each sample of the user's batch has one of its own."""
        return baseline.part(self.start, self.start + self.batch, self.total) if self.total else baseline

    def target_of(self, block: Block) -> Target:
        """The target of each row of a block."""
        return self.target.take(block.numbers().tolist(), self.batch)

    @abstractmethod
    def as_input(self, relevance: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Relevance shaped like ``varied`` in the form in which it is returned: like the user's own inputs."""

    @abstractmethod
    def inputs(self) -> Tensor | dict[str, Tensor]:
        """The inputs, as an explanation keeps them."""

    layer: str | None = None

    def explanation(
        self,
        analyzer: Any,
        relevance: Mapping[str, Tensor],
        *,
        reference: Tensor | None = None,
        conserving: bool = False,
        recorded: Mapping[str, Tensor] | None = None,
        notes: Sequence[str] = (),
        finished: int | None = None,
    ) -> Explanation:
        """Put together what a method found.

        Parameters
        ----------
        analyzer : Analyzer
            The method.
        relevance : mapping of str to Tensor
            Shaped like ``varied``.
        reference : Tensor (B,), optional
            The explained value at the baseline, for methods that explain the difference to it.
        conserving : bool
            Whether relevance is to sum to the explained value, or to its difference to the reference.
        recorded : mapping of str to Tensor, optional
            More results, (B, ...) each.
        finished : int, optional
            After Ctrl-C: how many samples, from the first, are finished; the others are left out.
        """
        parameters = {name: value for name, value in analyzer.get_params().items() if name != "model"}
        returned = self.as_input(relevance)
        explanation = Explanation(
            relevance=returned,
            prediction=self.prediction.detach(),
            target=self.target.describe(self.prediction.detach()),
            diagnostics=Diagnostics.measure(
                returned,
                self.values,
                conserving=conserving,
                reference=reference,
                notes=[*self.notes, *notes],
            ),
            method=analyzer.method,
            parameters=parameters,
            inputs=self.inputs(),
            recorded=dict(recorded or {}),
            layer=self.layer,
        )
        if finished is None or finished >= self.batch:
            return explanation
        if not finished:
            raise KeyboardInterrupt
        explanation = explanation[:finished]
        explanation.diagnostics.notes.append(f"interrupted: the first {finished} of {self.batch} samples are explained")
        return explanation
