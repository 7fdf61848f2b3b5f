"""Analyzers that propagate backwards through the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from xaicore.analyzers.advice import Advice
from xaicore.analyzers.base import Analyzer, check_is_module
from xaicore.analyzers.jobs import Job, Options, Split, engine_of
from xaicore.analyzers.joint import explain_jointly
from xaicore.analyzers.streaming import streamed
from xaicore.analyzers.targets import Contrast, Target
from xaicore.engine import Engine
from xaicore.errors import ParameterError, TargetError
from xaicore.explanation import Explanation
from xaicore.graph import Graph, trace
from xaicore.graph.part_words import named_parts
from xaicore.propagation import Composite, Matching

TargetLike = None | int | Sequence[Any] | Tensor | Contrast | Any


class PropagationAnalyzer(Analyzer):
    """A method that is a composite of backward mappings; the base of the gradient and the relevance family.

    A subclass sets ``family`` and makes its composite in `build_composite`, from its parameters.
    """

    family = "gradient"

    def build_composite(self) -> Composite:
        """Which mapping handles which layer; the default is the family's own."""
        return Composite(family=self.family)

    def seed(self, output: Tensor, gradient: Tensor) -> Tensor:
        """What the walk starts from at the explained output, given the gradient of the explained quantity there.

        Relevance starts from the explained value itself (output times gradient), a gradient from the gradient.
        """
        return output * gradient if self.family == "relevance" else gradient

    def check_output(self, output: Tensor, target: Target) -> None:
        """Refuse, by a `TargetError`, what the method is not defined for; the default takes everything.

        Given the explained output, shape (B, ...), and the explained quantity, which knows its score and gradient.
        """

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """The explanation at an input or layer, from what arrived there and the forward value, both of its shape."""
        return relevance

    def graph(self, inputs: Any) -> Graph:
        """The graph this method works on, for inputs like these."""
        prepared = Engine().prepare(inputs, check_is_module(self.model))
        return self.build_composite().graph_of(trace(self.model, *prepared.args, **prepared.kwargs))

    def advise(self, matching: Matching) -> Sequence[Advice]:
        """What about a model would make its explanations by this method better, given what `match` found.

        The default is to say nothing; ``xaicore check`` prints what a method says.
        """
        return []

    def match(self, inputs: Any, *, strict: bool = True, fallback: str | None = None) -> Matching:
        """Which mapping handles which layer of the model, for inputs like these; nothing is propagated."""
        return self.build_composite().with_fallback(fallback).match(self.graph(inputs), strict=strict)

    @streamed
    def analyze(
        self,
        inputs: Any,
        target: TargetLike = None,
        *,
        output: str | int | None = None,
        layer: str | None = None,
        record: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,
        ledger: bool = False,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        engine: Engine | None = None,
        create_graph: bool = False,
        fallback: str | None = None,
        compile: bool | str = False,
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
            callable: any function of the output that returns one number a sample (of a model that ends in softmax it
            is given the logits).
        output : str or int, optional
            Which of several outputs of the model.
        layer : str, optional
            Explain at the output of this inner layer (or module) instead of at the inputs.
        record : sequence of str
            Inner layers (or modules) whose relevance is returned as well, in ``recorded``.
        filter : mapping, optional
            ``{layer: channels}``: relevance flows only through these channels (dimension 1) of the layer's output.
            An int, a sequence of ints, a part (``region[2:4, :]``, ``~heads(0, count=12)``), a boolean or numeric mask
            that broadcasts to the output, or a function that is given what arrived and returns what goes on.
        ledger : bool
            Keep the account of every layer: relevance in, out, absorbed by bias and stabilizer.
        batch_size : int, 'auto' or None
            Most samples to run at once. ``'auto'``: what memory allows and speed asks for. None: all of them.
        progress : bool, optional
            A progress bar. Default: where there are several batches and a terminal.
        engine : Engine, optional
            More settings (precision, memory limit), and the report of what was run.
        create_graph : bool
            Return an explanation that can be differentiated with respect to inputs and parameters.
        fallback : {None, 'gradient'}
            What becomes of layers that a relevance method has no mapping for. Default: an error that names them.
            ``'gradient'``: they are passed by the vector-Jacobian product, which does not conserve relevance; the
            diagnostics name them.
        compile : bool or str
            Run forward and walk as one function made by `torch.compile`: the same numbers, for many inputs of one
            shape. The first call for a method, a shape and a kind of target takes the compiler's time (seconds to a
            minute); classes and weights may change afterwards. A string is a mode of the compiler, such as
            ``"reduce-overhead"`` (CUDA graphs). Excludes ``ledger``, ``create_graph``, and functions as targets or
            filters. Needs a C++ compiler; on CUDA, Triton.

        Returns
        -------
        Explanation
            Its relevance has the shape, type and device of the inputs (integer inputs: one floating-point value an
            entry).

        Raises
        ------
        CaptureError, InputError, TargetError, LayerError, MatchError
        """
        engine = Engine.of(engine, batch_size, progress)
        choices = Options(output, layer, record, filter, ledger, create_graph, fallback, compile)
        return explain_jointly(check_is_module(self.model), inputs, [Job(self, target)], choices, engine)[0]

    def analyze_targets(self, inputs: Any, targets: Sequence[TargetLike], **options: Any) -> list[Explanation]:
        """Explain several targets of the same inputs with one forward pass; one explanation a target.

        ``options`` are those of `analyze`.
        """
        engine = engine_of(options)
        jobs = [Job(self, target) for target in targets]
        if not jobs:
            raise TargetError("targets= is empty: give one target an explanation, such as range(10) for ten classes.")
        return explain_jointly(check_is_module(self.model), inputs, jobs, Options.named(options), engine)

    def analyze_parts(
        self,
        inputs: Any,
        layer: str,
        parts: Mapping[str, Any] | Sequence[Any],
        /,
        target: TargetLike = None,
        **options: Any,
    ) -> dict[str, Explanation]:
        """Explain what flows through each part of a layer, with one forward pass.

        Only what passes the layer's output counts for a part. What goes around it (by a skip connection) or through
        neurons of no part is returned beside them as ``"elsewhere"``, so that the parts and this sum to the whole
        explanation, where parts do not overlap and the method is linear in what arrives (relevance methods and
        gradients are; the square or magnitude of a gradient is not, nor is a rectified one).

        Parameters
        ----------
        inputs, target, **options
            As for `analyze`. Layers of ``record`` that lie behind ``layer`` receive all of their relevance elsewhere.
        layer : str
            An inner layer or module.
        parts : list or dict by name
            Parts as `xaicore.channels`, `region`, `heads` and `neurons` name them; a number is a channel.

        Returns
        -------
        dict of str to Explanation
            By the names that were given, or as the parts are written (``"channels(3)"``), and ``"elsewhere"``.

        Raises
        ------
        LayerError
            There is no such layer between the inputs and the target, or it has no such part.
        """
        chosen = named_parts(parts)
        if not chosen or "elsewhere" in chosen:
            raise ParameterError("parts= needs at least one part, and none called 'elsewhere': that is all the others")
        engine = engine_of(options)
        choices = replace(Options.named(options), split=Split(layer, tuple(chosen), tuple(chosen.values())))
        found = explain_jointly(check_is_module(self.model), inputs, [Job(self, target)], choices, engine)
        return dict(zip([*chosen, "elsewhere"], found, strict=True))
