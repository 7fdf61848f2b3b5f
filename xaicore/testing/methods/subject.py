"""A method on trial: its class, its parameters, and the models on which it is tried."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xaicore.analyzers import Analyzer
from xaicore.errors import InputError, XaicoreError
from xaicore.explanation import Explanation
from xaicore.plugins import MethodSpec, find_method, plugin_registry, resolve
from xaicore.testing.checks import Failure, Skip
from xaicore.testing.examples import EXAMPLES, Example
from xaicore.testing.stated import stated_failures


@dataclass(eq=False)
class MethodSubject:
    """A method, and how one is made.

    Parameters
    ----------
    cls : the analyzer class.
    spec : its description; None for a class that no plugin registered.
    parameters : with which it is made.
    """

    cls: type[Analyzer]
    spec: MethodSpec | None
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, method: str | type[Analyzer], parameters: Mapping[str, Any] | None = None) -> MethodSubject:
        """The method of a name, or a class, with parameters: given, or of its example, or none."""
        spec = find_method(method) if isinstance(method, str) else _spec_of(method)
        found = resolve(spec.target) if isinstance(method, str) and spec is not None else method
        if not isinstance(found, type) or not issubclass(found, Analyzer):
            raise InputError(f"{method!r} is {found!r}; check_method takes the name or the class of an Analyzer.")
        if parameters is None:
            parameters = resolve(spec.example)() if spec is not None and spec.example else {}
        return cls(found, spec, dict(parameters))

    @property
    def name(self) -> str:
        return self.spec.name if self.spec else self.cls.__qualname__

    @property
    def title(self) -> str:
        return f"method {self.name}"

    def stated_failures(self) -> Mapping[str, str]:
        """The failures that its plugin expects."""
        return stated_failures(self.spec, self.name)

    def create(self, model: nn.Module, data: Any, **changes: Any) -> Analyzer:
        """The method on a model, learnt from data where it learns."""
        analyzer = self.cls(model, **{**self.parameters, **changes})
        if type(analyzer).fit is not Analyzer.fit:
            analyzer.fit(data)
        return analyzer

    def explain(self, example: Example, inputs: Any = None, target: Any = None, **options: Any) -> Explanation:
        """Explain an example of the kit, in float64."""
        inputs = example.inputs() if inputs is None else inputs
        return self.create(example.model(), example.inputs(8)).analyze(inputs, target, **options)

    @functools.cached_property
    def examples(self) -> Sequence[Example]:
        """The kit's examples that the method takes: made for such inputs, and not refused."""
        made_for = self.spec.inputs if self.spec else tuple({example.kind for example in EXAMPLES})
        return [example for example in EXAMPLES if example.kind in made_for and self._refusal(example) is None]

    @property
    def example(self) -> Example:
        """The first of them; every method must take one."""
        if not self.examples:
            reasons = "; ".join(f"{example.name}: {self._refusal(example)}" for example in EXAMPLES)
            raise Failure(f"it takes none of the models of the kit: {reasons}")
        return self.examples[0]

    def needs_family(self, *families: str) -> None:
        """Skip, unless the method is of one of these families."""
        family = self.spec.family if self.spec else self.cls.family
        if family not in families:
            raise Skip(f"it is for methods of the family {' or '.join(families)}, and this is of {family!r}")

    def _refusal(self, example: Example) -> str | None:
        """Why the method does not take an example; None where it does. Errors that are no refusal come later."""
        try:
            self._tried(example)
        except XaicoreError as error:
            return str(error)
        except Exception:
            return None
        return None

    @functools.cache  # noqa: B019  (a subject lives as long as its card is made)
    def _tried(self, example: Example) -> None:
        with torch.random.fork_rng(devices=[]):
            self.explain(example, example.inputs(1))


def _spec_of(cls: type[Analyzer]) -> MethodSpec | None:
    """The description of a registered class."""
    package = cls.__module__.partition(".")[0]
    alike = (s for s in plugin_registry().methods() if s.target.partition(".")[0].partition(":")[0] == package)
    return next((s for s in alike if s.target.endswith(f":{cls.__qualname__}") and resolve(s.target) is cls), None)
