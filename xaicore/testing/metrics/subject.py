"""A metric on trial: its class, its parameters, and the explanations that it is given to judge."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers import Analyzer
from xaicore.analyzers.configured import registered_name
from xaicore.errors import InputError
from xaicore.plugins import MetricSpec, find_metric, plugin_registry, resolve
from xaicore.scoring import Metric, Scores, evaluate
from xaicore.testing.examples import IMAGE, Example
from xaicore.testing.metrics.judged import InputTimesGradient
from xaicore.testing.stated import stated_failures


@dataclass(eq=False)
class MetricSubject:
    """A metric, and how one is made.

    Parameters
    ----------
    cls : the class.
    spec : its description; None for a class that no plugin registered.
    parameters : with which it is made.
    """

    cls: type[Metric]
    spec: MetricSpec | None
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, metric: str | type[Metric], parameters: Mapping[str, Any] | None = None) -> MetricSubject:
        """The metric of a name, or a class, with parameters: given, or of its example, or none."""
        if isinstance(metric, str):
            spec: MetricSpec | None = find_metric(metric)
            found = resolve(find_metric(metric).target)
        else:
            found, spec = metric, _spec_of(metric)
        if not isinstance(found, type) or not issubclass(found, Metric):
            raise InputError(f"{metric!r} is {found!r}; check_metric takes the name or the class of a Metric.")
        if parameters is None:
            parameters = resolve(spec.example)() if spec is not None and spec.example else {}
        return cls(found, spec, dict(parameters))

    @property
    def name(self) -> str:
        return self.spec.name if self.spec else self.cls.__qualname__

    @property
    def title(self) -> str:
        return f"metric {self.name}"

    def stated_failures(self) -> Mapping[str, str]:
        """The failures that its plugin expects."""
        return stated_failures(self.spec, self.name)

    def create(self, **changes: Any) -> Metric:
        return self.cls(**{**self.parameters, **changes})

    def judge(
        self, analyzer: Analyzer, inputs: Any, masks: Tensor | None = None, target: Any = None, **options: Any
    ) -> Scores:
        """What the metric says of the explanations that an analyzer gives; masks cover a quarter of an image."""
        if "masks" in self.create().needs:
            options["masks"] = quarter(inputs) if masks is None else masks
        (scores,) = evaluate(analyzer, inputs, self.create(), target=target, **options).values()
        return scores

    @functools.cached_property
    def usual(self) -> Scores:
        """What it says of input times gradient on the kit's images."""
        return self.judge(InputTimesGradient(self.example.model()), self.example.inputs())

    @property
    def example(self) -> Example:
        return IMAGE


def quarter(inputs: Tensor) -> Tensor:
    """Masks, (B, H, W), of which a quarter is set."""
    height, width = inputs.shape[-2:]
    masks = torch.zeros(len(inputs), height, width)
    masks[:, height // 4 : 3 * height // 4, width // 8 : 5 * width // 8] = 1
    return masks


def _spec_of(cls: type[Metric]) -> MetricSpec | None:
    """The description of a registered class."""
    name = registered_name(cls, plugin_registry().metrics())
    return next((spec for spec in plugin_registry().metrics() if spec.name == name), None)
