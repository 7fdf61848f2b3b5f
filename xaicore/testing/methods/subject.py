"""A method on trial: its class, its parameters, and the models on which it is tried."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from xaicore.analyzers import Analyzer
from xaicore.analyzers.configured import registered_name
from xaicore.errors import InputError, XaicoreError
from xaicore.explanation import Explanation
from xaicore.plugins import MethodSpec, find_method, plugin_registry, resolve
from xaicore.testing.checks import Skip
from xaicore.testing.examples import EXAMPLES, TABLE, Example
from xaicore.testing.stated import stated_failures
from xaicore.testing.watching import process_put_back

LEARNT_FROM = 8
"""How many samples a method that learns is given."""


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

    def made(self, model: nn.Module) -> Analyzer:
        """One that has not learnt yet; for checks of the constructor."""
        try:
            return self._made(model)
        except XaicoreError as error:
            raise Skip(f"it cannot be made: {error}") from error

    def create(self, model: nn.Module, data: Any, **changes: Any) -> Analyzer:
        """The method on a model, learnt from data where it learns."""
        return self.fitted(self._made(model, **changes), data)

    def fitted(self, analyzer: Analyzer, data: Any) -> Analyzer:
        """The analyzer, learnt from data where it learns.

        Data that it refuses to learn from it may do without (LIME learns in some modes only): an analyzer that must
        have learnt says so when it explains.
        """
        if self.learns:
            with contextlib.suppress(InputError):
                analyzer.fit(data)
        return analyzer

    def _made(self, model: nn.Module, **changes: Any) -> Analyzer:
        parameters = {**self.parameters, **changes}
        self.cls.check_none_missing(parameters)
        return self.cls(model, **parameters)

    @property
    def learns(self) -> bool:
        """Whether it has a `fit` of its own."""
        return self.cls.fit is not Analyzer.fit

    def analyzer(self, example: Example, dtype: torch.dtype = torch.float64) -> Analyzer:
        """The method on the kit's own model, learnt where it learns; the same object each time, since learning takes.

        What changes it, or must see a new one, calls `create`.
        """
        key = (example, dtype)
        if key not in self._analyzers:
            self._analyzers[key] = self.create(example.model(dtype), example.inputs(LEARNT_FROM, dtype))
        return self._analyzers[key]

    def explain(self, example: Example, inputs: Any = None, target: Any = None, **options: Any) -> Explanation:
        """Explain an example of the kit, in float64."""
        inputs = example.inputs() if inputs is None else inputs
        return self.analyzer(example).analyze(inputs, target, **options)

    @functools.cached_property
    def _analyzers(self) -> dict[tuple[Example, torch.dtype], Analyzer]:
        return {}

    @property
    def made_for(self) -> Sequence[str]:
        """The kinds of inputs that its description names; all where nobody described it."""
        return self.spec.inputs if self.spec else sorted({example.kind for example in EXAMPLES})

    @functools.cached_property
    def examples(self) -> Sequence[Example]:
        """The kit's examples that the method takes: made for such inputs, and not refused."""
        return [each for each in EXAMPLES if each.kind in self.made_for and each not in self.refusals]

    @functools.cached_property
    def refusals(self) -> Mapping[Example, str]:
        """Why it does not take some examples, of those for whose inputs it is made."""
        tried = ((each, self._refusal(each)) for each in EXAMPLES if each.kind in self.made_for)
        return {each: reason for each, reason in tried if reason is not None}

    @property
    def example(self) -> Example:
        """The first of them; that every method takes one is a check of its own."""
        if not self.examples:
            raise Skip("it takes none of the models of the kit, and another check says why")
        return self.examples[0]

    @property
    def smallest(self) -> Example:
        """That whose model is captured and run in the shortest time, for checks that need many runs or a new model."""
        return self.example if TABLE not in self.examples else TABLE

    @property
    def family(self) -> str:
        return self.spec.family if self.spec else self.cls.family

    def needs_family(self, *families: str) -> None:
        """Skip, unless the method is of one of these families."""
        if self.family not in families:
            raise Skip(f"it is for methods of the family {' or '.join(families)}, and this is of {self.family!r}")

    def _refusal(self, example: Example) -> str | None:
        """Why the method does not take an example; None where it does. Errors that are no refusal come later."""
        try:
            with process_put_back():
                self.explain(example, example.inputs(1))
        except XaicoreError as error:
            return str(error)
        except Exception:
            return None
        return None


def _spec_of(cls: type[Analyzer]) -> MethodSpec | None:
    """The description of a registered class."""
    name = registered_name(cls, plugin_registry().methods())
    return next((spec for spec in plugin_registry().methods() if spec.name == name), None)
