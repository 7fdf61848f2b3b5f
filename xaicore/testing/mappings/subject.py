"""A mapping on trial, at all layers that it is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.errors import InputError, XaicoreError, nearest
from xaicore.graph import Kind, Layer
from xaicore.plugins import MappingSpec, plugin_registry, resolve
from xaicore.propagation import BackwardMapping
from xaicore.testing.backward.place import Place
from xaicore.testing.backward.subject import BackwardSubject
from xaicore.testing.checks import Failure
from xaicore.testing.mappings.captures import captured_as
from xaicore.testing.mappings.models import NEVER_PASSED, model_of
from xaicore.testing.stated import stated_failures
from xaicore.testing.titles import subject_of as name_of
from xaicore.testing.titles import title_of

_FORMS = {"relevance": ("folded", "one", "two"), "gradient": ("plain",)}


@dataclass(eq=False)
class MappingSubject(BackwardSubject):
    """A backward mapping, and the layers that it is registered for.

    Parameters
    ----------
    spec : its description; of a mapping that no plugin registered, one that was made for it.
    given : models with inputs that contain its layers; none: those of the kit.
    mapping : what is called.
    registered : whether a plugin brings it.
    """

    spec: MappingSpec
    given: Sequence[tuple[nn.Module, tuple[Tensor, ...]]]
    mapping: BackwardMapping
    registered: bool
    _places: dict[torch.dtype, Sequence[Place]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return title_of(self.spec)

    @property
    def family(self) -> str:
        """Of the methods that use it."""
        return self.spec.family

    def stated_failures(self) -> Mapping[str, str]:
        """The failures that its plugin expects."""
        return stated_failures(self.spec, name_of(self.spec)) if self.registered else {}

    def places(self, dtype: torch.dtype = torch.float64) -> Sequence[Place]:
        """The layers that it takes."""
        if dtype not in self._places:
            self._places[dtype] = [place for place in self.all_places(dtype) if self.refusal(place) is None]
        if not self._places[dtype]:
            raise Failure("there is no layer in the models that it was tried on which it takes")
        return self._places[dtype]

    def all_places(self, dtype: torch.dtype = torch.float64) -> list[Place]:
        """The layers of its kinds and operators, also those that it refuses."""
        found: list[Place] = []
        for model, inputs in self.models():
            seen: set[tuple[str, str]] = set()
            for form in _FORMS[self.family]:
                captured = captured_as(model, inputs, form, dtype)
                layers = [] if captured is None else [x for x in captured.graph.layers if self.is_for(x)]
                layers = [layer for layer in layers if (layer.kind, layer.op_name) not in seen]
                seen |= {(layer.kind, layer.op_name) for layer in layers}
                found += [Place(captured, each, f"{each.op_name} ({each.kind})") for each in layers if captured]
        return found

    def models(self) -> list[tuple[nn.Module, tuple[Tensor, ...]]]:
        """Those that were given, or one for each of its kinds."""
        if self.given:
            return list(self.given)
        kinds = [Kind(kind) for kind in self.spec.kinds if kind in {k.value for k in Kind}]
        return [model_of(kind) for kind in kinds if kind not in NEVER_PASSED]

    def is_for(self, layer: Layer) -> bool:
        """Whether a walk would ask it at this layer: kind and operator fit, and nothing more special stands there."""
        spec = self.spec
        if layer.constant or layer.kind.value not in spec.kinds or not any(r.info.differentiable for r in layer.inputs):
            return False
        if spec.ops or not self.registered:
            return not spec.ops or layer.op_name in spec.ops
        others = (other for other, _ in plugin_registry().mappings(spec.family))
        return not any(layer.kind.value in other.kinds and layer.op_name in other.ops for other in others)

    def refusal(self, place: Place) -> str | None:
        """Why it does not take a layer; None where it does. Errors that are no refusal come later."""
        try:
            place.walk(self.mapping, place.relevance())
        except XaicoreError as error:
            return str(error)
        except Exception:
            return None
        return None


def subject_of(
    mapping: MappingSpec | str | BackwardMapping,
    model: nn.Module | None = None,
    inputs: Any = None,
    family: str = "relevance",
    kinds: Sequence[str] = (),
    ops: Sequence[str] = (),
) -> MappingSubject:
    """What `check_mapping` was given, as a subject."""
    if (model is None) != (inputs is None):
        raise InputError("give both, model= and inputs= for it, or neither")
    registered = {spec.target: spec for spec, _ in plugin_registry().mappings()}
    if isinstance(mapping, str):
        if mapping not in registered:
            raise InputError(f"no installed plugin registers a mapping {mapping!r}.{nearest(mapping, registered)}")
        mapping = registered[mapping]
    if isinstance(mapping, MappingSpec):
        spec, called = mapping, resolve(mapping.target)
    else:
        if isinstance(mapping, type) or not callable(mapping):
            raise InputError(f"{mapping!r} is no mapping: it must be called with (xs, ys, rs, state)")
        if not kinds:
            raise InputError("say which kinds of layers it is for: kinds=('add',)")
        name = getattr(mapping, "__name__", None) or type(mapping).__name__
        spec = MappingSpec(family=family, kinds=tuple(kinds), ops=tuple(ops), target=f"given:{name}", summary=name)
        called = mapping
    given = [] if model is None else [(model, _as_tuple(inputs))]
    if not given and spec.example:
        made, its_inputs = resolve(spec.example)()
        given = [(made, _as_tuple(its_inputs))]
    known = any(spec is other for other, _ in plugin_registry().mappings())
    return MappingSubject(spec, given, called, known)


def _as_tuple(inputs: Any) -> tuple[Tensor, ...]:
    return tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
