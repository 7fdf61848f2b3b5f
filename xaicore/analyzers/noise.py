"""Averaging explanations over noisy copies of the input: SmoothGrad and VarGrad, around any method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers.averages import REDUCTIONS
from xaicore.analyzers.base import Analyzer
from xaicore.analyzers.meta import MetaAnalyzer
from xaicore.analyzers.noise_run import NoiseRun
from xaicore.analyzers.noisy_copies import DISTRIBUTIONS, NoisyCopies
from xaicore.analyzers.sizes import integer
from xaicore.analyzers.streaming import streamed
from xaicore.engine import Engine
from xaicore.errors import ParameterError, nearest
from xaicore.explanation import Explanation

_ONE_WALK = {"ledger": "is the account of one walk", "create_graph": "would keep the record of every copy"}


class NoiseAverage(MetaAnalyzer):
    """The mean of a method's explanations of noisy copies of the input, or their variance.

    Around ``gradients.saliency`` this is SmoothGrad (``reduce="mean"``, ``"abs"`` or ``"square"``) and VarGrad
    (``reduce="variance"``). It takes any other method as well. Relevance at inner layers (``layer=``, ``record=``) is
    averaged in the same way.

    The class is the one predicted for the input as it is, for all copies, unless a target is given; prediction and
    explained value are those of the input as it is. The noise depends on ``seed`` and the number of the copy alone, so
    that a sample has the same explanation in every batch. Relevance sums to no value that could be checked.

    Parameters
    ----------
    analyzer : Analyzer
        Any method, such as ``xaicore.create_analyzer("lrp.epsilon", model)``.
    noise : float
        The standard deviation of the noise, as a share of the range (largest minus smallest value) of each input of
        each sample.
    samples : int
        How many noisy copies of each sample.
    reduce : {'mean', 'abs', 'square', 'variance'}
        The mean of the relevance, of its size, or of its square; or its variance over the copies (divided by their
        number).
    seed : int
        Of the noise.
    relative : bool
        False: ``noise`` is in units of the input, the same for all samples.
    distribution : {'normal', 'uniform'}
        Of the noise; both with the same standard deviation.
    inputs : sequence of str, optional
        Which of several inputs get noise. Default: all that are floating-point; integers and booleans never do.

    References
    ----------
    Smilkov et al. 2017, "SmoothGrad: removing noise by adding noise", where the noise is 10 to 20 % of the range.
    Adebayo et al. 2018, "Sanity checks for saliency maps", for the variance.

    Examples
    --------
    >>> smooth = NoiseAverage(create_analyzer("lrp.epsilon", model), noise=0.1, samples=25)  # doctest: +SKIP
    >>> smooth.analyze(x).plot()  # doctest: +SKIP
    """

    name = "noise_average"

    def __init__(
        self,
        analyzer: Analyzer,
        *,
        noise: float = 0.15,
        samples: int = 50,
        reduce: str = "mean",
        seed: int = 0,
        relative: bool = True,
        distribution: str = "normal",
        inputs: Sequence[str] | None = None,
    ) -> None:
        super().__init__(analyzer)
        for name, value, known in (("reduce", reduce, REDUCTIONS), ("distribution", distribution, DISTRIBUTIONS)):
            if value not in known:
                raise ParameterError(f"{name}={value!r}: choose one of {', '.join(known)}.{nearest(str(value), known)}")
        if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < math.inf:
            raise ParameterError(
                f"noise={noise!r}: give the standard deviation of the noise, a number that is not negative, such as "
                "0.15 for 15 % of the range of each sample"
            )
        integer("samples", samples, least=2 if reduce == "variance" else 1)
        integer("seed", seed, least=0)
        if isinstance(inputs, str) or not (inputs is None or isinstance(inputs, Sequence)):
            raise ParameterError(f"inputs={inputs!r}: give a list of names of inputs, such as ['image']")
        self.noise, self.samples, self.reduce, self.seed = noise, samples, reduce, seed
        self.relative, self.distribution, self.inputs = relative, distribution, inputs

    def predict(self, inputs: Any, *, output: str | int | None = None) -> Tensor:
        """The output for the input as it is, (B, ...)."""
        return self.wrapped.predict(inputs, output=output)

    @streamed
    def analyze(
        self,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        engine: Engine | None = None,
        **options: Any,
    ) -> Explanation:
        """Explain noisy copies of the inputs, and take the mean or the variance.

        Parameters
        ----------
        inputs : as the wrapped analyzer takes them
            At least one of them floating-point, with the batch in front.
        target, output, **options
            As the wrapped analyzer takes them, but for ``ledger`` and ``create_graph``. No target: the class that is
            predicted for the input as it is.
        batch_size : int, 'auto' or None
            Most copies to explain at once. ``'auto'``: what memory allows and speed asks for; where the memory that a
            method takes is not known, one copy of each sample. None: all.
        progress : bool, optional
            A progress bar. Default: where it takes more than one batch and there is a terminal.
        engine : Engine, optional
            More settings (precision, memory limit), and the report of what was run.

        Returns
        -------
        Explanation
            After Ctrl-C, of the samples that were begun, averaged over the copies that were finished; a note tells.

        Raises
        ------
        InputError, ParameterError
            For inputs that noise cannot be added to. And what the wrapped analyzer raises.
        """
        engine = Engine.of(engine, batch_size, progress)
        for name, why in _ONE_WALK.items():
            if options.pop(name, False):
                raise ParameterError(
                    f"{type(self).__name__} averages many explanations; {name}=True {why}: leave it out"
                )
        if output is not None:
            options["output"] = output
        # Tensors made in inference mode leave no record; the caller's mode is not ours.
        with torch.inference_mode(False):
            with engine.report.phase("prepare"):
                copies = self._copies(inputs)
            run = NoiseRun(self.wrapped, copies, self.samples, self.reduce, target, output, engine, options)
            own = {name: value for name, value in self.get_params(deep=False).items() if name != "analyzer"}
            return run.explanation(method=self.method, parameters=own)

    def _copies(self, inputs: Any) -> NoisyCopies:
        return NoisyCopies(
            self.model,
            inputs,
            noise=self.noise,
            relative=self.relative,
            distribution=self.distribution,
            seed=self.seed,
            names=self.inputs,
        )
