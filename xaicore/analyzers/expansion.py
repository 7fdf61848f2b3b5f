"""The base of methods that run the model on many variations of each input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from xaicore.analyzers.base import Analyzer, check_is_module
from xaicore.analyzers.evaluation import Evaluation
from xaicore.analyzers.on_callable import CallableEvaluation
from xaicore.analyzers.on_graph import GraphEvaluation
from xaicore.analyzers.streaming import streamed
from xaicore.analyzers.targets import Target, resolve_target
from xaicore.engine import Block, Engine, batch_of, has_shared, samples_of
from xaicore.errors import ParameterError
from xaicore.explanation import Explanation
from xaicore.graph.trace import one_at_a_time

_SAMPLES_AT_ONCE = {"cpu": 32, "cuda": 256}


@dataclass(frozen=True)
class Attribution:
    """What a method found for one batch; the arguments of `Evaluation.explanation`.

    Attributes
    ----------
    relevance : mapping of str to Tensor
        Shaped like the evaluation's ``varied``.
    reference : Tensor (B,), optional
        The explained value at the baseline, where relevance explains the difference to it.
    conserving : bool
        Whether relevance is to sum to the explained value, or to that difference.
    recorded : mapping of str to Tensor
        More results, (B, ...) each.
    notes : sequence of str
        What the user should know.
    finished : int, optional
        After Ctrl-C: how many samples are finished (`Sweep.finished`).
    """

    relevance: Mapping[str, Tensor]
    reference: Tensor | None = None
    conserving: bool = False
    recorded: Mapping[str, Tensor] = field(default_factory=dict)
    notes: Sequence[str] = ()
    finished: int | None = None


class ExpansionAnalyzer(Analyzer):
    """A method that runs the model on many variations of each input: steps of a path, noise, masks, windows.

    A subclass implements `attribute`. It makes the variations block by block, in the function that it gives to
    `Engine.sweep`, so that memory does not grow with their number.
    """

    needs_gradient: ClassVar[bool] = False
    """Whether `attribute` calls ``evaluation.gradients``: then the model must be a module that can be captured."""

    needs_whole_batch: ClassVar[bool] = False
    """Whether a sample's result depends on the others of its batch: then all are explained in one evaluation."""

    def graph_form(self, layer: str | None) -> str:
        """The form of batch norm in the graph that is evaluated, from the inputs or this layer on; see `Graph.form`.

        Gradients at the inputs are the same in every form, and cost least where batch norm is folded. The values of
        inner layers are those of the model as it is.
        """
        return "folded" if layer is None else "plain"

    @abstractmethod
    def attribute(self, evaluation: Any, engine: Engine) -> Attribution:
        """Explain the samples of an evaluation (a `GraphEvaluation` where gradients or a layer are asked for)."""

    @streamed
    def analyze(
        self,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        layer: str | None = None,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        engine: Engine | None = None,
    ) -> Explanation:
        """Explain the model's output for these inputs.

        Parameters
        ----------
        inputs : Tensor, array, or tuple or dict of them; or an iterable of batches
            What the model takes; a tuple is passed by position, a dict by keyword. The first dimension is the batch.
            A DataLoader, a generator or another iterable is explained batch by batch (see `xaicore.batches`).
        target : optional
            What is explained. None: the predicted class of each sample. An int: a class. A sequence of ints: one
            class a sample. A tuple: an element of an output with more dimensions. `Contrast(a, b)`: a difference. A
            callable: any function of the output that returns one number a sample.
        output : str or int, optional
            Which of several outputs of the model.
        layer : str, optional
            Explain at the output of this inner layer (or module) instead of at the inputs: it is what is varied.
        batch_size : int, 'auto' or None
            Most variations to run at once. ``'auto'``: what memory allows and speed asks for. None: all of them.
        progress : bool, optional
            A progress bar. Default: where it takes more than one batch and there is a terminal.
        engine : Engine, optional
            More settings (precision, memory limit), and the report of what was run.

        Returns
        -------
        Explanation
            Its relevance has the shape, type and device of the inputs (integer inputs: one floating-point value an
            entry). After Ctrl-C, of the samples that were finished.

        Raises
        ------
        CaptureError, InputError, TargetError, LayerError, OutOfMemoryError
        """
        engine = Engine.of(engine, batch_size, progress)
        if engine.compile:
            raise ParameterError(f"{self.method}: compile= is for methods that walk the graph once; leave it out here")

        def explain_part(start: int, stop: int, chosen: Target, engine: Engine) -> Explanation:
            part = inputs if stop - start == total else samples_of(inputs, start, stop)
            evaluation = self.evaluation(part, chosen, output, layer, engine)
            evaluation.start, evaluation.total = start, total or evaluation.batch
            found = self.attribute(evaluation, engine)
            return evaluation.explanation(self, **vars(found))

        with torch.inference_mode(False), one_at_a_time:
            total = batch_of(inputs)
            chosen = resolve_target(target, output)
            # What is the same for all samples could not be told from theirs in a group of as many samples.
            if total is None or self.needs_whole_batch or has_shared(inputs):
                return explain_part(0, total or 0, chosen, engine)
            at_once = self._samples_at_once(engine) or total
            inner = engine if total <= at_once else engine.within(nested=engine.nested)
            groups = engine.within(batch_size=at_once, nested=engine.nested)
            groups.progress = False if inner is engine else engine.progress  # one bar: of rows, or of samples

            def run(block: Block) -> Explanation:
                return explain_part(block.start, block.stop, chosen.chunk(block.start, block.stop, total), inner)

            return Explanation.concat([part for _, part in groups.sweep(total, 1, run, unit="sample", outer=True)])

    def predict(self, inputs: Any, *, output: str | int | None = None) -> Tensor:
        with torch.inference_mode(False), one_at_a_time:
            return self.evaluation(inputs, _first_number, output, None, Engine()).prediction

    def evaluation(
        self, inputs: Any, target: Any, output: str | int | None, layer: str | None, engine: Engine
    ) -> Evaluation:
        """The model on one batch, as `attribute` is given it; a method that varies something else makes its own."""
        if self.needs_gradient or layer is not None:
            return GraphEvaluation(
                check_is_module(self.model),
                inputs,
                target,
                output=output,
                layer=layer,
                engine=engine,
                form=self.graph_form(layer),
            )
        return CallableEvaluation(self.model, inputs, target, output=output, engine=engine)

    def _samples_at_once(self, engine: Engine) -> int | None:
        """How many samples share one evaluation: their results, not their variations, are all kept at once."""
        if engine.batch_size is None:
            return None
        if isinstance(engine.batch_size, int):
            return engine.batch_size
        first = next(self.model.parameters(), None) if isinstance(self.model, torch.nn.Module) else None
        return _SAMPLES_AT_ONCE.get("cpu" if first is None else first.device.type, _SAMPLES_AT_ONCE["cpu"])


def _first_number(output: Tensor) -> Tensor:
    """A target that every output has, for runs that explain nothing."""
    return output.reshape(len(output), -1)[:, 0]
