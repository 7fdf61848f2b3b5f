"""A rule on trial, at the linear layers that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError, XaicoreError
from xaicore.propagation import BackwardMapping
from xaicore.testing.backward.place import Place
from xaicore.testing.backward.subject import BackwardSubject
from xaicore.testing.checks import Failure
from xaicore.testing.rules.layers import places_of
from xaicore.testing.stated import failures_of_package

JacobianForm = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(eq=False)
class RuleSubject(BackwardSubject):
    """A backward mapping of the relevance family for layers with ``state.linear``.

    Parameters
    ----------
    mapping : the rule.
    jacobian_form : its shares from the matrix of a layer; None where there is none.
    """

    mapping: BackwardMapping
    jacobian_form: JacobianForm | None = None
    _places: dict[torch.dtype, Sequence[Place]] = field(default_factory=dict)

    @classmethod
    def of(cls, rule: Any, jacobian_form: JacobianForm | None = None) -> RuleSubject:
        """Refuses what is no rule."""
        if isinstance(rule, type) or not callable(rule):
            raise InputError(
                f"{rule!r} is no rule: a rule is an object that is called with (xs, ys, rs, state)"
                + (f"; give an instance, {rule.__name__}(...)" if isinstance(rule, type) else "")
            )
        return cls(rule, jacobian_form or getattr(rule, "jacobian_form", None))

    @property
    def name(self) -> str:
        """The class of the rule, or the name of a function."""
        return getattr(self.mapping, "__qualname__", None) or type(self.mapping).__qualname__

    @property
    def title(self) -> str:
        return f"rule {self.name.rpartition('<locals>.')[2]}"

    def stated_failures(self) -> Mapping[str, str]:
        """The failures that the plugin which the rule's code belongs to expects, under "rule Name"."""
        module = getattr(self.mapping, "__module__", None) or type(self.mapping).__module__
        return failures_of_package(module.partition(".")[0], self.title)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the rule was made with, by name."""
        if inspect.isfunction(self.mapping):
            return {}
        names = inspect.signature(type(self.mapping)).parameters
        missing = [name for name in names if not hasattr(self.mapping, name)]
        if missing:
            raise Failure(
                f"{type(self.mapping).__name__} does not store its parameters {', '.join(missing)} under their own "
                "names; a frozen dataclass does"
            )
        return {name: getattr(self.mapping, name) for name in names}

    def places(self, dtype: torch.dtype = torch.float64) -> Sequence[Place]:
        """The kit's linear layers, without those that the rule refuses by an `XaicoreError`."""
        if not self.taken(dtype):
            raise Failure(f"it takes none of the linear layers of the kit: {self._refusal(places_of(dtype)[0])}")
        return self._places[dtype]

    def taken(self, dtype: torch.dtype = torch.float64) -> Sequence[Place]:
        """Those of the kit's linear layers that the rule does not refuse; none where it is for other layers."""
        if dtype not in self._places:
            self._places[dtype] = [place for place in places_of(dtype) if self._refusal(place) is None]
        return self._places[dtype]

    def _refusal(self, place: Place) -> str | None:
        try:
            place.walk(self.mapping, place.relevance())
        except XaicoreError as error:
            return str(error)
        except Exception:
            return None  # no refusal: the checks will meet it
        return None
