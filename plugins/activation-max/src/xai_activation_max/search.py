"""The search for prototypes."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from xai_activation_max.ascent import Objective, climb
from xai_activation_max.choosing import chosen_parametrization, chosen_priors, listed
from xai_activation_max.explained import ModelValue
from xai_activation_max.learning import Learnt, learn
from xai_activation_max.parameters import check_integer
from xai_activation_max.parametrizations import Parametrization
from xai_activation_max.priors import Locality, Prior, TotalVariation
from xai_activation_max.prototype import Prototype
from xai_activation_max.results import prototypes_of
from xai_activation_max.rows import Rows
from xai_activation_max.settings import SearchSettings
from xai_activation_max.starts import Starts
from xaicore.analyzers import check_is_module
from xaicore.engine import Engine, device_and_dtype, is_stream
from xaicore.errors import InputError, NotFittedError

_CLASSIFIED_AT_ONCE = 256


class PrototypeSearch(SearchSettings):
    """Inputs for which a class, unit, channel or layer is most active (activation maximization).

    Maximises ``log p(class | x) + prior(x)``, or a logit or an activation in place of the log probability, by gradient
    ascent on x. The prior is what makes it look like data: a distance (Simonyan et al. 2014), a density (the *expert*:
    Nguyen et al. 2016; Montavon et al. 2018, sec. 3), or a decoder whose code is what moves (`CodeSpace`). The result
    is a `Prototype`: it explains the model, not one of its predictions.

    The parameters are those of `SearchSettings`.

    Attributes
    ----------
    learnt_ : Learnt
        After ``fit``: means, and samples of the data.
    expert_ : Expert
        After ``fit`` with ``prior='expert'``.
    """

    def fit(self, data: Any = None) -> Self:
        """Learn what priors and starts need: means of classes, samples for clusters, the density of the expert.

        Parameters
        ----------
        data : Tensor, array, pair (samples, labels), or iterable of these
            Samples of the input that moves, as the model takes them. Labels are numbers of classes; without them the
            classes are those that the model predicts, where it is a classifier of one input. Items of a DataLoader may
            be samples, pairs, or `xaicore.Batch` with targets.
        """
        learnt = learn(data, self.pool, self.seed, self._classify)
        self.learnt_ = learnt
        if "expert" in listed(self.prior):
            from xai_activation_max.experts import GaussianRBM

            self.expert_ = GaussianRBM(seed=self.seed).fit(learnt.samples)
        return self

    def search(self, shape: Sequence[int], target: Any = None, **options: Any) -> Prototype:
        """Search for prototypes without an example: of samples of this shape, ``(3, 224, 224)``.

        The other arguments are those of `analyze`.
        """
        if not shape or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in shape):
            raise InputError(f"shape={shape!r} is not the shape of a sample, without the batch: such as (3, 224, 224)")
        if self.locality or self.start == "input":
            raise InputError("locality= and start='input' need an input: call analyze(inputs, target)")
        device, dtype = device_and_dtype(check_is_module(self.model))
        blank = torch.zeros(1, *shape, device=device, dtype=dtype or torch.get_default_dtype())
        if target is None and options.get("layer") is None:
            outputs = self.predict(blank, output=options.get("output"))
            if outputs.ndim > 1 and outputs[0].numel() > 1:
                raise InputError("say what to search for: target=3 for a class, a list of classes, or layer=")
        return self.analyze(blank, target, **options)

    def analyze(  # type: ignore[override]
        self,
        inputs: Any,
        target: Any = None,
        *,
        count: int = 1,
        output: str | int | None = None,
        layer: str | None = None,
        input: str | int | None = None,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        engine: Engine | None = None,
    ) -> Prototype:
        """Search for prototypes.

        Parameters
        ----------
        inputs : Tensor, array, or tuple or dict of them
            An example of what the model takes, the batch first: its shape and type are those of the prototypes, and
            with ``locality`` they stay near it. Each sample gets prototypes of its own; a single one is repeated for a
            list of targets.
        target : optional
            What to search for. An int: a class. A sequence of ints: several classes, or one for each sample. A tuple:
            an element of an output with more dimensions. `Contrast(a, b)`: rather a than b. A callable: any function of
            the output. None: the class that is predicted for the example. With ``layer``: an int is a channel, by its
            mean over positions; a tuple a unit; a part, such as ``channels(3, 5)`` or ``region[2:4, :]``, is its mean;
            None is the squared norm of all of it.
        count : int
            How many prototypes of each target.
        output : str or int, optional
            Which of several outputs of the model.
        layer : str, optional
            Maximise at this layer instead of the output.
        input : str or int, optional
            Which of several inputs moves; the others stay as they are in the example.
        batch_size : int, 'auto' or None
            Most prototypes to run through the model at once.
        progress : bool, optional
            A progress bar over the steps. Default: where there is a terminal.
        engine : Engine, optional
            More settings (precision, memory limit), and the report of what was run.

        Returns
        -------
        Prototype
            ``count`` for each sample, one after the other.

        Raises
        ------
        CaptureError, InputError, TargetError, LayerError, ParameterError, NotFittedError
        """
        engine = Engine.of(engine, batch_size, progress)
        check_integer("count", count, least=1)
        if is_stream(inputs):
            raise InputError("a search takes one example, not a stream of batches: give the first batch")
        with torch.inference_mode(False):
            value = ModelValue(
                check_is_module(self.model),
                inputs,
                target,
                output=output,
                layer=layer,
                objective=self.objective,
                moved=input,
                engine=engine,
            )
            rows = Rows(value.samples, count, self.restarts)
            objective, leaves = self._prepared(value, rows)
            climbed = climb(
                objective,
                leaves,
                engine,
                optimizer=self.optimizer,
                learning_rate=self.learning_rate,
                steps=self.steps,
                tolerance=self.tolerance,
                patience=self.patience,
            )
            return prototypes_of(self, value, objective, climbed, rows, _example_of(inputs, value), layer)

    def _prepared(self, value: ModelValue, rows: Rows) -> tuple[Objective, list[Tensor]]:
        """The objective and what is optimised; all that can be refused is refused here."""
        shape = tuple(value.example.shape[1:])
        learnt: Learnt | None = getattr(self, "learnt_", None)
        if learnt is not None and learnt.shape != shape:
            raise InputError(f"the example has samples of shape {shape}; the data of fit had {learnt.shape}")
        parametrization: Parametrization = chosen_parametrization(self.parametrization, self.bounds)
        parametrization.check(shape)
        transforms = self._transforms
        transforms.check(shape)
        example = value.example.to(value.dtype)
        samples = rows.of_samples(example.device)
        priors = self._priors(value, example[samples], samples)
        for prior in priors:
            prior.check(shape)
        starts = Starts(self.start, self.noise, self.seed, learnt)
        centre = starts.middle(parametrization, example)[samples]
        diversity = self.diversity if rows.count > 1 else 0.0
        objective = Objective(value, parametrization, priors, transforms, rows, diversity, centre)
        return objective, starts.leaves(parametrization, example, value.classes, rows, bool(self.locality))

    def _priors(self, value: ModelValue, references: Tensor, samples: Tensor) -> list[Prior]:
        def mean() -> Tensor:
            learnt = self._fitted("learnt_", "the mean of the class")
            return torch.stack([learnt.mean_of(value.classes[sample]) for sample in samples.tolist()])

        priors = chosen_priors(
            self.prior, self.strength, mean, lambda: self._fitted("expert_", "the density of the data")
        )
        if self.total_variation:
            priors.append(TotalVariation(self.total_variation))
        if self.locality:
            priors.append(Locality(self.locality, references))
        return priors

    def _fitted(self, name: str, what: str) -> Any:
        if not hasattr(self, name):
            raise NotFittedError(
                f"prior={self.prior!r} needs {what}, which is learnt from data: call fit(data) first, with samples or "
                "a pair (samples, labels); without data, choose prior='l2'"
            )
        return getattr(self, name)

    def _classify(self, samples: Tensor) -> Tensor | None:
        """The classes that the model predicts, where it can be asked."""
        forward = inspect.signature(check_is_module(self.model).forward).parameters.values()
        needed = [each for each in forward if each.default is each.empty and each.kind not in (4, 2)]
        if len(needed) > 1:
            return None
        found = []
        for part in samples.split(_CLASSIFIED_AT_ONCE):
            outputs = self.predict(part)
            if outputs.ndim != 2 or outputs.shape[1] == 1:
                return None
            found.append(outputs.argmax(1).cpu())
        return torch.cat(found)


def _example_of(inputs: Any, value: ModelValue) -> Tensor:
    """The tensor whose type and device prototypes get: the user's own, where it is one."""
    return inputs if isinstance(inputs, Tensor) and inputs.is_floating_point() else value.example
