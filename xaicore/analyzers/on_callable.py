"""Evaluating anything that can be called: a PyTorch model without its graph, or a function on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaicore.analyzers.evaluation import Evaluation, Varied
from xaicore.analyzers.meter import Meter
from xaicore.analyzers.originals import own_tensors
from xaicore.analyzers.targets import resolve_target
from xaicore.analyzers.varying import varied_inputs
from xaicore.engine import Block, Engine, Footprint, Inputs, prepare_arrays
from xaicore.engine.memory import ran_out
from xaicore.errors import InputError, XaicoreError
from xaicore.graph.capture import evaluation_mode
from xaicore.graph.returned import returned_tensors
from xaicore.graph.trial import refused_by
from xaicore.graph.untouched import Snapshot

_BYTES_A_NUMBER = 64
"""What a function is taken to need for each number of its input, since nothing is known of it."""

Restore = Callable[[Tensor], Any]


class CallableEvaluation(Evaluation):
    """The explained value of a model as it is called: no graph, no gradient, no inner layers.

    Parameters
    ----------
    model : torch.nn.Module or callable
        A module runs in evaluation mode, without gradients, and is left as it is. A function is given what the user
        passed: arrays for arrays and lists, tensors for tensors, a data frame for a data frame. It returns an array or
        tensor (B, ...), such as ``predict_proba`` of scikit-learn, or several in a tuple or dict.
    inputs, target, output
        As in `PropagationAnalyzer.analyze`. Integer inputs are varied as well, but for those with one number a sample
        beside others that have parts (lengths). What is explained is the output as the model returns it: of a model
        that ends in softmax, a probability.
    engine : Engine
    """

    def __init__(
        self, model: Any, inputs: Any, target: Any = None, *, output: str | int | None = None, engine: Engine
    ) -> None:
        if not callable(model):
            hint = next((name for name in ("predict_proba", "predict") if hasattr(model, name)), None)
            raise InputError(
                f"the model is a {type(model).__name__}, which cannot be called with inputs"
                + (f": give its method {hint} as the model" if hint else "")
            )
        self._model, self._engine = model, engine
        is_module = isinstance(model, nn.Module)
        self._arguments = engine.prepare(inputs, model) if is_module else prepare_arrays(inputs)
        self._restore = {} if is_module else restoring(inputs, self._arguments)
        self._own = own_tensors(inputs, self._arguments)
        tensors = self._arguments.tensors()
        self.batch = self._arguments.batch
        self.device = next(iter(tensors.values())).device
        self.varied = varied_inputs(self._arguments)
        self._fixed_batch = False
        if is_module:
            self._snapshot = Snapshot(model)
        with engine.report.phase("run"), engine.computing(self.device):
            outputs = self._measured_call()
        chosen = resolve_target(target, output)
        self._output = chosen.select(outputs)
        self.prediction = outputs[self._output]
        self._check_rows(self.prediction, self.batch)
        self.target = chosen.located(self.prediction)
        self.values = self.target.score(self.prediction).detach()
        left = [name for name, x in tensors.items() if self._is_per_sample(x) and name not in self.varied]
        self.notes = [f"not explained: {', '.join(left)} (integers with one number a sample)"] if left else []

    def outputs(self, varied: Varied, block: Block) -> Tensor:
        arguments = self.arguments(varied, block)
        if self._fixed_batch:
            return self._filled_up(arguments, block.rows)
        try:
            found = self._call(arguments)[self._output]
        except RuntimeError as error:
            if ran_out(error) or not isinstance(self._model, nn.Module) or block.rows == self.batch:
                raise
            # It took as many samples as the inputs have; perhaps it takes no other number.
            found = self._filled_up(arguments, block.rows)
            self._fixed_batch = True
        self._check_rows(found, block.rows)
        return found

    def arguments(self, varied: Varied, block: Block) -> Inputs:
        """The arguments of a call for the rows of a block; what is not varied is repeated for the rows of a sample."""
        names = iter(self._arguments.tensors())

        def rows(leaf: Any) -> Any:
            if not isinstance(leaf, Tensor):
                return leaf
            name = next(names)
            if name in varied:
                return varied[name].to(leaf.dtype)
            return block.repeat(leaf) if self._is_per_sample(leaf) else leaf

        return self._arguments.map(rows)

    def as_given(self, arguments: Inputs) -> Any:
        """Arguments as a user would pass them to ``analyze``: arrays where arrays were given, a tuple or a dict."""
        restore = iter(self._restore.values())
        if not isinstance(self._model, nn.Module):
            arguments = arguments.map(lambda leaf: next(restore)(leaf) if isinstance(leaf, Tensor) else leaf)
        return arguments.kwargs if arguments.kwargs else arguments.args

    def _filled_up(self, arguments: Inputs, rows: int) -> Tensor:
        """The outputs of these rows, run as many at a time as the inputs are; the last are filled up."""
        found = []
        for start in range(0, rows, self.batch):
            index = torch.arange(start, start + self.batch, device=self.device).clamp(max=rows - 1)
            outputs = self._call(_rows_at(arguments, index, rows))[self._output]
            self._check_rows(outputs, self.batch)
            found.append(outputs[: rows - start])
        return torch.cat(found)

    def _call(self, arguments: Inputs) -> dict[str, Tensor]:
        if isinstance(self._model, nn.Module):
            # The model may write to what it is given; the inputs are still needed.
            own = arguments.map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf)
            devices = [self.device] if self.device.type == "cuda" else []
            try:
                with torch.no_grad(), evaluation_mode(self._model), torch.random.fork_rng(devices=devices):
                    found = returned_tensors(self._model(*own.args, **own.kwargs))
            finally:
                self._snapshot.restore()
        else:
            restore = iter(self._restore.values())
            given = arguments.map(lambda leaf: next(restore)(leaf) if isinstance(leaf, Tensor) else leaf)
            found = returned_tensors(_as_tensors(self._model(*given.args, **given.kwargs)))
        if not found:
            raise InputError("the model returned no tensor or array; it must return one output for each sample")
        return {name: tensor.detach() for name, tensor in found.items()}

    def _is_per_sample(self, tensor: Tensor) -> bool:
        return tensor.ndim > 0 and len(tensor) == self.batch

    def _check_rows(self, found: Tensor, rows: int) -> None:
        if found.shape[:1] != (rows,):
            raise InputError(
                f"output '{self._output}' has shape {tuple(found.shape)} for inputs of {rows} samples: its first "
                "dimension, like that of the inputs, must be the batch"
            )

    def _measured_call(self) -> dict[str, Tensor]:
        """Call the model with the inputs as they are, and see how much memory a row takes."""
        if not isinstance(self._model, nn.Module):
            numbers = sum(tensor[0].numel() for tensor in self.varied.values())
            self.footprint = Footprint(_BYTES_A_NUMBER * numbers, _BYTES_A_NUMBER * numbers)
            return self._call(self._arguments)
        meter = Meter(self._model)
        try:
            with meter:
                outputs = self._call(self._arguments)
        except Exception as error:
            if isinstance(error, XaicoreError) or ran_out(error):
                raise
            raise refused_by(self._model, self._arguments.args, self._arguments.kwargs, error) from error
        self.footprint = Footprint(-(-meter.total // self.batch), -(-meter.largest // self.batch))
        return outputs

    def as_input(self, relevance: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        returned = {}
        for name, tensor in relevance.items():
            own = self._own.get(name)
            returned[name] = tensor if own is None else tensor.to(own.device, own.dtype)
        return next(iter(returned.values())) if len(self._arguments.tensors()) == 1 else returned

    def inputs(self) -> Tensor | dict[str, Tensor]:
        kept = {name: tensor.detach().clone() for name, tensor in self._arguments.tensors().items()}
        return next(iter(kept.values())) if len(kept) == 1 else kept


def _rows_at(arguments: Inputs, index: Tensor, rows: int) -> Inputs:
    """Some of the rows of what has one entry a row."""
    return arguments.map(lambda leaf: leaf[index] if isinstance(leaf, Tensor) and leaf.shape[:1] == (rows,) else leaf)


def restoring(inputs: Any, prepared: Inputs) -> dict[str, Restore]:
    """How each tensor becomes again what the user passed."""
    given = Inputs(
        args=() if isinstance(inputs, Mapping) else inputs if isinstance(inputs, tuple) else (inputs,),
        kwargs=dict(inputs) if isinstance(inputs, Mapping) else {},
        names=prepared.names,
    )
    return {name: _restore_like(leaf) for name, leaf in given.leaves() if name in prepared.tensors()}


def _restore_like(given: Any) -> Restore:
    if isinstance(given, Tensor):
        return lambda tensor: tensor
    if hasattr(given, "columns") and hasattr(given, "iloc"):  # a data frame, of pandas or alike
        kind, columns = type(given), given.columns
        return lambda tensor: kind(tensor.numpy(), columns=columns)
    return lambda tensor: tensor.numpy()


def _as_tensors(value: Any) -> Any:
    """What a function returned, with tensors for arrays."""
    if isinstance(value, Mapping):
        return {key: _as_tensors(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_as_tensors(each) for each in value)
    if isinstance(value, np.ndarray | list | np.generic):
        array = np.asarray(value)
        # Sharing memory with the function's own array would let it change what we keep.
        return torch.from_numpy(array.copy()) if array.dtype.kind in "fiub" else value
    return value
