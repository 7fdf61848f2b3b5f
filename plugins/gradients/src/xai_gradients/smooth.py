"""Gradients of noisy copies of the input: their mean (SmoothGrad) and their variance (VarGrad)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from xai_gradients.methods import Saliency
from xaicore.analyzers import Analyzer, NoiseAverage
from xaicore.engine import Engine
from xaicore.errors import ParameterError
from xaicore.explanation import Explanation


class _OverNoise(Analyzer):
    """`NoiseAverage` around the gradient, under a name of its own."""

    family = "gradient"
    reduce: str = "mean"

    def __init__(
        self, model: nn.Module, *, noise: float, samples: int, seed: int, relative: bool, distribution: str
    ) -> None:
        super().__init__(model)
        self.noise, self.samples, self.seed = noise, samples, seed
        self.relative, self.distribution = relative, distribution

    def averaged(self) -> NoiseAverage:
        """What does the work."""
        return NoiseAverage(
            Saliency(self.model),
            noise=self.noise,
            samples=self.samples,
            reduce=self.reduce,
            seed=self.seed,
            relative=self.relative,
            distribution=self.distribution,
        )

    def analyze(
        self,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        layer: str | None = None,
        record: Sequence[str] = (),
        filter: Mapping[str, Any] | None = None,
        compile: bool | str = False,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        engine: Engine | None = None,
        **options: Any,
    ) -> Explanation:
        """Explain the model's output for these inputs: options as in `PropagationAnalyzer` and `NoiseAverage`."""
        engine = Engine.of(engine, batch_size, progress)
        options |= {"output": output, "layer": layer, "record": record, "filter": filter, "compile": compile}
        found = self.averaged().analyze(inputs, target, engine=engine, **options)
        own = {name: value for name, value in self.get_params().items() if name != "model"}
        return replace(found, method=self.method, parameters=own)


class Smooth(_OverNoise):
    """Mean gradient over noisy copies of the input (SmoothGrad; Smilkov et al. 2017).

    Parameters
    ----------
    noise : float
        The standard deviation of the noise, as a share of the range (largest minus smallest value) of each sample.
    samples : int
        How many noisy copies of each sample.
    reduce : {'mean', 'abs', 'square'}
        The mean of the signed gradient, of its size, or of its square.
    seed : int
        Of the noise.
    relative : bool
        False: ``noise`` is in units of the input, the same for all samples.
    distribution : {'normal', 'uniform'}
        Of the noise; both with the same standard deviation.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        noise: float = 0.15,
        samples: int = 50,
        reduce: str = "mean",
        seed: int = 0,
        relative: bool = True,
        distribution: str = "normal",
    ) -> None:
        super().__init__(model, noise=noise, samples=samples, seed=seed, relative=relative, distribution=distribution)
        self.reduce = reduce
        if reduce == "variance":
            raise ParameterError("reduce='variance': that is the method gradients.variance")
        self.averaged()  # refuses what it does not take


class Variance(_OverNoise):
    """Variance of the gradient over noisy copies of the input (VarGrad; Adebayo et al. 2018).

    The variance of a gradient is never negative and has the units of its square. Divided by the number of copies.

    Parameters
    ----------
    noise : float
        The standard deviation of the noise, as a share of the range (largest minus smallest value) of each sample.
    samples : int
        How many noisy copies of each sample, two or more.
    seed : int
        Of the noise.
    relative : bool
        False: ``noise`` is in units of the input, the same for all samples.
    distribution : {'normal', 'uniform'}
        Of the noise; both with the same standard deviation.
    """

    reduce = "variance"

    def __init__(
        self,
        model: nn.Module,
        *,
        noise: float = 0.15,
        samples: int = 50,
        seed: int = 0,
        relative: bool = True,
        distribution: str = "normal",
    ) -> None:
        super().__init__(model, noise=noise, samples=samples, seed=seed, relative=relative, distribution=distribution)
        self.averaged()  # refuses what it does not take
