"""The result of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_activation_max import files
from xaicore.errors import FileError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KIND = "prototype"


@dataclass(frozen=True, eq=False, repr=False)
class Prototype:
    """N inputs that a search has found, each a prototype of something.

    Attributes
    ----------
    inputs : Tensor (N, *shape)
        In the type and on the device of the example.
    objective : Tensor (N,)
        What was maximised, at these inputs: score and prior together, less what ``diversity`` costs.
    score : Tensor (N,)
        The value of the model: log probability, logit or activation, as ``quantity`` says.
    probability : Tensor (N,) or None
        Of the class that was searched for, where it has one.
    prior : Tensor (N,)
        The sum of all priors, in nats.
    trace : Tensor (steps, N)
        The objective at the beginning of each step; NaN where a search had already come to rest.
    target : tuple of str
        What each is a prototype of.
    quantity : str
        What the score is.
    sample : Tensor (N,)
        The row of the inputs, or of the list of targets, that each belongs to.
    restart : Tensor (N,)
        Which of the restarts was the best.
    parameters : dict
        Of the search, as plain data; with the seed.
    method : str
    layer : str or None
    notes : tuple of str
        What a user should know.
    """

    inputs: Tensor
    objective: Tensor
    score: Tensor
    probability: Tensor | None
    prior: Tensor
    trace: Tensor
    target: tuple[str, ...]
    quantity: str
    sample: Tensor
    restart: Tensor
    parameters: Mapping[str, Any] = field(default_factory=dict)
    method: str = "activation_max.prototype"
    layer: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The seed of the search."""
        return int(self.parameters["seed"])

    @property
    def best(self) -> Prototype:
        """The one with the largest objective."""
        return self[int(self.objective.argmax())]

    def __len__(self) -> int:
        return len(self.inputs)

    def __iter__(self) -> Iterator[Prototype]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, chosen: int | slice) -> Prototype:
        if isinstance(chosen, int):
            if not -len(self) <= chosen < len(self):
                raise IndexError(f"there are {len(self)} prototypes; {chosen} is not one of them")
            chosen = slice(chosen % len(self), chosen % len(self) + 1)
        parts = {name: getattr(self, name)[chosen] for name in _PER_PROTOTYPE}
        probability = None if self.probability is None else self.probability[chosen]
        return Prototype(
            **parts,
            probability=probability,
            trace=self.trace[:, chosen],
            target=self.target[chosen],
            quantity=self.quantity,
            parameters=self.parameters,
            method=self.method,
            layer=self.layer,
            notes=self.notes,
        )

    def plot(self, **options: Any) -> Figure:
        """Draw the prototypes; see `xai_activation_max.pictures.plot_prototype` for the options."""
        from xai_activation_max.pictures import plot_prototype

        return plot_prototype(self, **options)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write everything to one safetensors file; `load_prototype` reads it.

        Raises
        ------
        FileError
        """
        tensors = {name: getattr(self, name) for name in (*_PER_PROTOTYPE, "trace")}
        if self.probability is not None:
            tensors["probability"] = self.probability
        header = {
            "target": list(self.target),
            "quantity": self.quantity,
            "parameters": {name: files.plain(value) for name, value in self.parameters.items()},
            "method": self.method,
            "layer": self.layer,
            "notes": list(self.notes),
        }
        return files.write(path, _KIND, header, tensors)

    def __repr__(self) -> str:
        heading = f"{len(self)} prototype{'s' if len(self) != 1 else ''} of shape {tuple(self.inputs.shape[1:])}"
        lines = [
            f"{heading} by {self.method}(prior={self.parameters.get('prior')!r}, seed={self.parameters.get('seed')})"
        ]
        shown = min(len(self), _SHOWN)
        for place in range(shown):
            likely = "" if self.probability is None else f", probability {float(self.probability[place]):.4g}"
            lines.append(
                f"  {self.target[place]}: {self.quantity} {float(self.score[place]):.4g}{likely}, "
                f"prior {float(self.prior[place]):.4g}"
            )
        if shown < len(self):
            lines.append(f"  ... and {len(self) - shown} more")
        return "\n".join([*lines, *(f"  note: {each}" for each in self.notes)])

    def _repr_png_(self) -> bytes:
        """What notebooks show."""
        import io

        buffer = io.BytesIO()
        self.plot().savefig(buffer, format="png")
        return buffer.getvalue()


_PER_PROTOTYPE = ("inputs", "objective", "score", "prior", "sample", "restart")
_SHOWN = 20


def load_prototype(path: str | PathLike[str], device: str | torch.device = "cpu") -> Prototype:
    """Read prototypes that `Prototype.save` wrote; nothing in the file is ever executed.

    Raises
    ------
    FileError
        The file is missing, damaged, or holds something else.
    """
    header, tensors = files.read(path, _KIND)
    try:
        placed = {name: tensors[name].to(device) for name in (*_PER_PROTOTYPE, "trace")}
        probability = tensors["probability"].to(device) if "probability" in tensors else None
        return Prototype(
            **placed,
            probability=probability,
            target=tuple(header["target"]),
            quantity=header["quantity"],
            parameters=header["parameters"],
            method=header["method"],
            layer=header["layer"],
            notes=tuple(header["notes"]),
        )
    except (KeyError, TypeError) as error:
        raise FileError(f"cannot load {path}: its contents are damaged or incomplete ({error!r})") from error
