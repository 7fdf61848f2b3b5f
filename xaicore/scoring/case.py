"""What a metric judges: an explanation, and everything that can be asked about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from xaicore.analyzers import Analyzer, CallableEvaluation, GivenRelevance, Target, resolve_target, varied_inputs
from xaicore.engine import Block, Engine, Inputs, Sweep, prepare_arrays
from xaicore.errors import InputError, ParameterError, TargetError
from xaicore.explanation import Explanation
from xaicore.explanation.masks import as_masks, masks_from_boxes

Result = TypeVar("Result")
QUANTITIES = ("output", "probability")
"""What of the model's output a metric looks at: the explained value as it is, or after a softmax over the classes."""


def check_case(masks: Any, boxes: Any, options: Mapping[str, Any]) -> None:
    """Refuse what no case can be made of.

    Raises
    ------
    ParameterError
    """
    if options.get("layer") is not None:
        raise ParameterError("metrics judge the relevance of inputs: leave layer= out")
    if masks is not None and boxes is not None:
        raise ParameterError("give masks= or boxes=, not both")


class Case:
    """The explanation that one analyzer gives of B samples, the samples, and the model.

    Everything is computed on first use: a metric that asks for the explanation alone runs no model.

    Parameters
    ----------
    analyzer : Analyzer
        Gives the explanation, and others for changed samples.
    inputs, target
        As in its ``analyze``.
    explanation : Explanation, optional
        That of these samples, where it is there already.
    masks : tensor, array or dict, optional
        Where the object is, (B, H, W) or as `xaicore.explanation.as_masks` takes them. Of a model with several inputs,
        a dict with the name of the one in which the object is.
    boxes : optional
        The same as boxes; see `xaicore.explanation.masks_from_boxes`.
    engine : Engine, optional
        How everything is run.
    options : dict
        Further options of ``analyze``.
    evaluation : CallableEvaluation, optional
        That of the same samples and target by another case, which is shared.

    Attributes
    ----------
    analyzer : Analyzer
    engine : Engine
    """

    def __init__(
        self,
        analyzer: Analyzer,
        inputs: Any,
        target: Any = None,
        *,
        explanation: Explanation | None = None,
        masks: Any = None,
        boxes: Any = None,
        engine: Engine | None = None,
        options: Mapping[str, Any] | None = None,
        evaluation: CallableEvaluation | None = None,
    ) -> None:
        self.analyzer, self.inputs, self.engine = analyzer, inputs, engine or Engine()
        self._target, self._given_explanation, self._given_evaluation = target, explanation, evaluation
        self._masks, self._boxes, self._options = masks, boxes, dict(options or {})
        check_case(masks, boxes, self._options)

    @property
    def model(self) -> Any:
        """The model that is explained."""
        return self.analyzer.model

    @cached_property
    def explanation(self) -> Explanation:
        """The explanation that is judged."""
        if self._given_explanation is not None:
            return self._given_explanation
        found = self.analyzer.analyze(self.inputs, self._target, engine=self.engine.within(), **self._options)
        return found.detach()

    @cached_property
    def evaluation(self) -> CallableEvaluation:
        """The model as it is called: what it says to these samples, and to changed ones."""
        if self._given_evaluation is not None:
            return self._given_evaluation
        output = self._options.get("output")
        return CallableEvaluation(self.model, self.inputs, self._target, output=output, engine=self.engine.within())

    def __len__(self) -> int:
        """Number of samples, B."""
        return len(self.explanation)

    @cached_property
    def relevance(self) -> dict[str, Tensor]:
        """The relevance of each input by name, (B, ...), in float64; inputs that are not explained are left out."""
        found, shapes = self.explanation.relevance, self._shapes()
        if isinstance(found, Tensor):
            names = [name for name, shape in shapes.items() if shape == found.shape]
            if len(names) != 1:
                raise InputError(
                    f"relevance of shape {tuple(found.shape)} fits {'several' if names else 'none'} of the inputs: "
                    f"{ {name: tuple(shape) for name, shape in shapes.items()} }"
                )
            return {names[0]: found.double()}
        return {name: each.double() for name, each in found.items() if name in shapes}

    def _shapes(self) -> dict[str, torch.Size]:
        """The shapes of the inputs that can have relevance, found without running the model."""
        is_module = isinstance(self.model, nn.Module)
        prepared = self.engine.prepare(self.inputs, self.model) if is_module else prepare_arrays(self.inputs)
        return {name: x.shape for name, x in varied_inputs(prepared).items()}

    @property
    def varied(self) -> dict[str, Tensor]:
        """The inputs that can be changed, by name, (B, ...) each, where the model is."""
        return self.evaluation.varied

    @cached_property
    def located(self) -> str:
        """The name of the input in which masks or boxes say where the object is.

        Raises
        ------
        InputError
            Where there are neither masks nor boxes, or it is not clear to which input they belong.
        """
        given = self._masks if self._boxes is None else self._boxes
        if given is None:
            raise InputError("this metric needs to know where the object is: give masks=, or boxes=")
        names = ", ".join(map(repr, self.relevance))
        if isinstance(given, Mapping):
            if len(given) == 1 and set(given) <= set(self.relevance):
                return str(next(iter(given)))
            raise InputError(
                f"masks or boxes are given for {', '.join(map(repr, given)) or 'no input'}; give them for one of the "
                f"inputs with relevance: {names}"
            )
        if len(self.relevance) != 1:
            raise InputError(f"masks belong to one input; the model has {names}: say which, as in masks={{NAME: ...}}")
        return next(iter(self.relevance))

    @cached_property
    def masks(self) -> Tensor:
        """Where the object is: boolean (B, 1, ...), to broadcast against the relevance of the input `located`.

        Raises
        ------
        InputError
            Where no masks and no boxes were given, or they do not fit.
        """
        relevance = self.relevance[self.located]
        given = self._masks if self._boxes is None else self._boxes
        given = given[self.located] if isinstance(given, Mapping) else given
        if self._boxes is None:
            return as_masks(given, relevance).to(relevance.device)
        if relevance.ndim != 4 or len(given) != len(relevance):
            raise InputError(
                f"{len(given)} samples have boxes; the relevance has shape {tuple(relevance.shape)}: boxes= is for "
                "images and has one entry a sample, a box (x1, y1, x2, y2) or a list of boxes"
            )
        return masks_from_boxes(given, *relevance.shape[2:]).to(relevance.device)

    @property
    def target(self) -> Target:
        """The explained quantity; predicted classes are those of the samples as they are."""
        return self.evaluation.target

    def values(self, quantity: str = "output") -> Tensor:
        """The explained value of each sample as it is, (B,)."""
        return self._measured(self.evaluation.prediction, self.target, quantity, self._are_probable)

    def scores(self, varied: Mapping[str, Tensor], block: Block, quantity: str = "output") -> Tensor:
        """The explained value for each row of a block, (rows,): of the same class, whatever is predicted now.

        Parameters
        ----------
        varied : dict of str to Tensor
            The inputs of each row, (rows, ...).
        block : Block
            Which samples and steps the rows are.
        quantity : {"output", "probability"}
        """
        outputs = self.evaluation.outputs(varied, block)
        return self._measured(outputs, self.evaluation.target_of(block), quantity, block.repeat(self._are_probable))

    def relevance_of(self, varied: Mapping[str, Tensor], block: Block, *, predicted: bool = False) -> dict[str, Tensor]:
        """What the analyzer says of each row of a block, (rows, ...), in float64; see `relevance_by`.

        Parameters
        ----------
        varied : dict of str to Tensor
            The inputs of each row, (rows, ...).
        block : Block
            Which samples and steps the rows are.
        predicted : bool
            Of the class that is predicted for the row. Default: of the same class as before, whatever is predicted now.
        """
        arguments = self.evaluation.arguments(varied, block)
        target = resolve_target(None, self.target.output) if predicted else self.evaluation.target_of(block)
        return self.relevance_by(self.analyzer, arguments, target)

    def relevance_by(self, analyzer: Analyzer, arguments: Inputs, target: Target) -> dict[str, Tensor]:
        """What an analyzer says of other inputs, or of another target, by the names of `relevance`, in float64.

        NaN for samples whose target the method refuses: some have no explanation of a negative score.

        Parameters
        ----------
        analyzer : Analyzer
        arguments : Inputs
            As ``evaluation.arguments`` returns them.
        target : Target
        """
        try:
            return self.relevance_in(self.explain(analyzer, self.evaluation.as_given(arguments), target))
        except TargetError:
            if arguments.batch == 1:
                return {name: torch.full_like(each[:1], torch.nan) for name, each in self.relevance.items()}
        # Only some samples may be the cause.
        rows, middle = arguments.batch, arguments.batch // 2
        parts = [
            self.relevance_by(analyzer, arguments.slice(start, stop), target.chunk(start, stop, rows))
            for start, stop in ((0, middle), (middle, rows))
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in self.relevance}

    def relevance_in(self, explanation: Explanation) -> dict[str, Tensor]:
        """The relevance in another explanation of such inputs, by the names of `relevance`, in float64."""
        found = explanation.relevance
        named = {next(iter(self.relevance)): found} if isinstance(found, Tensor) else found
        return {name: named[name].detach().double() for name in self.relevance}

    def explain(self, analyzer: Analyzer, inputs: Any, target: Any) -> Explanation:
        """Explain other inputs, or by another analyzer, as this case was explained.

        Raises
        ------
        InputError
            For relevance that was given for the samples of this case alone.
        """
        if isinstance(analyzer, GivenRelevance):
            raise InputError(
                f"{analyzer.method}: relevance was given for these samples alone, and this metric asks for that of "
                "changed inputs, of another class or of another model: give the method itself, as in "
                "ExternalMethod(model, function=...)"
            )
        return analyzer.analyze(inputs, target, engine=self.engine.within(), **self._options)

    def sweep(self, steps: int, function: Callable[[Block], Result], *, explains: bool = False) -> Sweep[Result]:
        """Run ``function`` over all steps of all samples, in blocks that fit into memory; see `xaicore.Engine.sweep`.

        Parameters
        ----------
        steps : int
            How many changed versions of each sample there are.
        function : callable
            Given a `Block`, makes its rows, runs them, and returns something that does not hold on to them.
        explains : bool
            Whether it calls `relevance_of`, which sees to memory itself: then a block is one step of all samples.
        """
        footprint = None if explains else self.evaluation.footprint
        # Half of a judgement is none: Ctrl-C is passed on.
        engine = self.engine.within(nested=True)
        engine.progress = self.engine.progress
        return engine.sweep(
            len(self), steps, function, device=self.evaluation.device, footprint=footprint, outer=explains
        )

    def _measured(self, outputs: Tensor, target: Target, quantity: str, probable: Tensor) -> Tensor:
        if quantity not in QUANTITIES:
            raise ParameterError(f"quantity={quantity!r} must be one of {', '.join(QUANTITIES)}")
        if quantity == "probability":
            outputs = _as_probabilities(outputs, probable)
        return target.score(outputs).detach().double()

    @cached_property
    def _are_probable(self) -> Tensor:
        """For which samples the model returns probabilities already, (B,)."""
        prediction = self.evaluation.prediction
        if prediction.ndim != 2 or not prediction.is_floating_point():
            return torch.zeros(len(prediction), dtype=torch.bool, device=prediction.device)
        found = prediction.double()
        tolerance = max(1e-3, torch.finfo(prediction.dtype).eps)  # each is rounded to the type of the model
        return (found >= 0).all(1) & ((found.sum(1) - 1).abs() < tolerance)


def _as_probabilities(outputs: Tensor, probable: Tensor) -> Tensor:
    """The outputs of each row after a softmax; those of rows that are probabilities as they are."""
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        # Which of several dimensions has the classes, nobody said: images have them first, texts last.
        raise ParameterError(
            "quantity='probability' needs an output of several classes, (B, classes); this has shape "
            f"{tuple(outputs.shape)}: use quantity='output', or write the probability into a target function"
        )
    values = outputs.double()
    return torch.where(probable[:, None], values, torch.softmax(values, 1))
