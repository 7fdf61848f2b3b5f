"""The kinds of explained quantity: an element of the output, the difference of two, a function of the user's.

Every kind answers the same few questions: which output, its value for each sample, and the gradient of that value
with respect to the output, from which a backward walk starts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import TargetError, nearest

Index = tuple[int, ...]
"""One element of a sample's output: as many integers as the output has dimensions after the batch."""


class Target(ABC):
    """The explained quantity: one number per sample, made from one output of the model.

    Attributes
    ----------
    output
        Name of the output it is taken from; None chooses the only one, or the one called "logits".
    """

    def __init__(self, output: str | None = None) -> None:
        self.output = output

    @abstractmethod
    def score(self, output: Tensor) -> Tensor:
        """Return the explained value of each sample, shape (B,), differentiable in `output`."""

    @abstractmethod
    def gradient(self, output: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
        """Return the scores (B,) and the gradient of their sum with respect to `output`, shaped like it."""

    @abstractmethod
    def describe(self, output: Tensor) -> dict[str, Any]:
        """Return what was explained as plain data: "kind", "labels", "index" and "values", one entry a sample."""

    def take(self, samples: Sequence[int], total: int) -> Target:
        """Return the target of these samples of a batch of `total`, in this order; a sample may come several times."""
        return self

    def chunk(self, start: int, stop: int, total: int) -> Target:
        """Return the target of the samples from `start` to `stop` of a batch of `total`."""
        return self.take(range(start, stop), total)

    def fixed(self, output: Callable[[], Tensor]) -> Target:
        """Return the target with predicted classes replaced by those in `output()`, which is only called for them."""
        return self

    def located(self, output: Tensor) -> Target:
        """Return the target with its elements looked up in this output (B, ...), once for the many runs that follow."""
        return self

    def of(self, output: str) -> Target:
        """Return the same target, of this output of the model."""
        found = copy(self)
        found.output = output
        return found

    def select(self, outputs: Mapping[str, Tensor]) -> str:
        """Return the name of the output to explain; raise TargetError where the choice is not clear."""
        if self.output is not None:
            if self.output in outputs:
                return self.output
            hint = nearest(self.output, list(outputs))
            raise TargetError(f"The model has no output {self.output!r}; it has {_listing(outputs)}.{hint}")
        if len(outputs) == 1:
            return next(iter(outputs))
        if "logits" in outputs:
            return "logits"
        raise TargetError(
            f"The model has {len(outputs)} outputs: {_listing(outputs)}. Say which one to explain with output=NAME."
        )


class Picked(Target):
    """One element of each sample's output; the gradient is one-hot and needs no automatic differentiation."""

    @abstractmethod
    def positions(self, output: Tensor) -> Tensor:
        """Return the index of the chosen element of each sample: (B, number of dimensions after the batch)."""

    def score(self, output: Tensor) -> Tensor:
        return output[self._address(output)]

    def gradient(self, output: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
        address = self._address(output)
        gradient = torch.zeros_like(output, requires_grad=False)
        gradient[address] = 1
        scores = output[address]
        return (scores if create_graph else scores.detach()), gradient

    def describe(self, output: Tensor) -> dict[str, Any]:
        rows: list[list[int]] = self.positions(_checked(output)).tolist()
        values = self.score(output).detach()
        if output.dim() == 1:
            samples = len(rows)
            return {"kind": "output", "labels": ["output"] * samples, "index": [None] * samples, "values": values}
        labels = [_written(tuple(row)) for row in rows]
        if output.dim() == 2:
            return {"kind": "class", "labels": labels, "index": [row[0] for row in rows], "values": values}
        return {"kind": "index", "labels": labels, "index": [tuple(row) for row in rows], "values": values}

    def located(self, output: Tensor) -> Target:
        return Located(self.positions(_checked(output)), self.output)

    def _address(self, output: Tensor) -> tuple[Tensor, ...]:
        positions = self.positions(_checked(output))
        return (torch.arange(len(output), device=output.device), *positions.unbind(1))


class Predicted(Picked):
    """The class with the largest output, sample by sample; of an output with one value a sample, that value."""

    def positions(self, output: Tensor) -> Tensor:
        if output.dim() == 1:
            return torch.empty(len(output), 0, dtype=torch.long, device=output.device)
        if output.dim() == 2:
            return output.detach().argmax(dim=1, keepdim=True)
        dimensions = output.dim() - 1
        raise TargetError(
            f"The output has shape {tuple(output.shape)}: {dimensions} dimensions after the batch, so there is no one "
            f"predicted class. Give a tuple of {dimensions} integers, such as target={_example(output)}."
        )

    def fixed(self, output: Callable[[], Tensor]) -> Target:
        found = output()
        rows: list[list[int]] = self.positions(_checked(found)).tolist()
        return self if found.dim() == 1 else ElementPerSample([tuple(row) for row in rows], self.output)


class Ranked(Picked):
    """The class with the largest output but ``rank``, sample by sample: 0 is the predicted one."""

    def __init__(self, rank: int, output: str | None = None) -> None:
        super().__init__(output)
        self.rank = rank

    def positions(self, output: Tensor) -> Tensor:
        if output.dim() != 2 or not 0 <= self.rank < output.shape[1]:
            raise TargetError(
                f"There is no class of rank {self.rank + 1} in an output of shape {tuple(output.shape)}; it must be "
                f"(B, classes), with at least {self.rank + 1} classes."
            )
        return output.detach().argsort(dim=1, descending=True, stable=True)[:, self.rank : self.rank + 1]

    def fixed(self, output: Callable[[], Tensor]) -> Target:
        rows: list[list[int]] = self.positions(_checked(output())).tolist()
        return ElementPerSample([tuple(row) for row in rows], self.output)


class Element(Picked):
    """The same element of every sample's output: a class, or an index into several dimensions."""

    def __init__(self, index: Index, output: str | None = None) -> None:
        super().__init__(output)
        self.index = index

    def positions(self, output: Tensor) -> Tensor:
        row = _resolve(self.index, output)
        return torch.tensor([row], dtype=torch.long, device=output.device).expand(len(output), -1)


class ElementPerSample(Picked):
    """One element for each sample of the batch."""

    def __init__(self, indices: Sequence[Index], output: str | None = None) -> None:
        super().__init__(output)
        self.indices = list(indices)

    def positions(self, output: Tensor) -> Tensor:
        self._check_length(len(output))
        rows = [_resolve(index, output, f" (sample {sample})") for sample, index in enumerate(self.indices)]
        return torch.tensor(rows, dtype=torch.long, device=output.device)

    def take(self, samples: Sequence[int], total: int) -> Target:
        self._check_length(total)
        return ElementPerSample([self.indices[sample] for sample in samples], self.output)

    def _check_length(self, total: int) -> None:
        if len(self.indices) != total:
            raise TargetError(
                f"{len(self.indices)} targets for a batch of {total}: give one target a sample, "
                "or a single one for all samples (an integer, or a tuple for an output of several dimensions)."
            )


class Located(Picked):
    """One element for each sample, known to exist: positions (B, number of dimensions after the batch)."""

    def __init__(self, positions: Tensor, output: str | None = None) -> None:
        super().__init__(output)
        self.at = positions

    def positions(self, output: Tensor) -> Tensor:
        return self.at.to(output.device)

    def take(self, samples: Sequence[int], total: int) -> Target:
        return Located(self.at[torch.as_tensor(samples, device=self.at.device, dtype=torch.long)], self.output)


class Difference(Target):
    """The difference of two picked elements."""

    def __init__(self, first: Target, second: Target, output: str | None = None) -> None:
        super().__init__(output)
        self.first, self.second = first, second

    def score(self, output: Tensor) -> Tensor:
        return self.first.score(output) - self.second.score(output)

    def gradient(self, output: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
        scores, gradient = self.first.gradient(output, create_graph)
        minus_scores, minus_gradient = self.second.gradient(output, create_graph)
        return scores - minus_scores, gradient - minus_gradient

    def describe(self, output: Tensor) -> dict[str, Any]:
        first, second = self.first.describe(output), self.second.describe(output)
        return {
            "kind": "contrast",
            "labels": [f"{a} - {b}" for a, b in zip(first["labels"], second["labels"], strict=True)],
            "index": [None] * len(output),
            "values": first["values"] - second["values"],
        }

    def take(self, samples: Sequence[int], total: int) -> Target:
        return Difference(self.first.take(samples, total), self.second.take(samples, total), self.output)

    def located(self, output: Tensor) -> Target:
        return Difference(self.first.located(output), self.second.located(output), self.output)

    def fixed(self, output: Callable[[], Tensor]) -> Target:
        return Difference(self.first.fixed(output), self.second.fixed(output), self.output)


class Function(Target):
    """A function of the user's: from the chosen output, shape (B, ...), to one value a sample, shape (B,).

    The value of a sample must depend on that sample's output alone; otherwise the explanations of a batch mix.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], output: str | None = None) -> None:
        super().__init__(output)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def score(self, output: Tensor) -> Tensor:
        values: Any = self.function(_checked(output))
        if not isinstance(values, Tensor):
            raise TargetError(f"The target function {self.name!r} returned {type(values).__name__}, not a tensor.")
        if values.shape != output.shape[:1]:
            raise TargetError(
                f"The target function {self.name!r} returned shape {tuple(values.shape)} for an output of shape "
                f"{tuple(output.shape)}; it must return one value a sample: shape ({len(output)},)."
            )
        return values

    def gradient(self, output: Tensor, create_graph: bool = False) -> tuple[Tensor, Tensor]:
        attached = create_graph and output.requires_grad
        with torch.enable_grad():
            source = output if attached else output.detach().requires_grad_()
            values = self.score(source)
            gradient = None
            if values.requires_grad:
                (gradient,) = torch.autograd.grad(values.sum(), source, create_graph=create_graph, allow_unused=True)
        if gradient is None:
            raise TargetError(
                f"The target function {self.name!r} returned values that do not depend on the model's output in a "
                "differentiable way; compute them from its argument with torch operations."
            )
        return (values, gradient) if create_graph else (values.detach(), gradient)

    def describe(self, output: Tensor) -> dict[str, Any]:
        samples = len(_checked(output))
        values = self.score(output).detach()
        return {"kind": "callable", "labels": [self.name] * samples, "index": [None] * samples, "values": values}


def _checked(output: Tensor) -> Tensor:
    if output.dim() == 0:
        raise TargetError("The output is a single number with no batch dimension; the model must return one a sample.")
    if not output.is_floating_point():
        raise TargetError(f"The output has type {output.dtype}; only floating-point outputs can be explained.")
    return output


def _resolve(index: Index, output: Tensor, where: str = "") -> Index:
    """Return `index` with non-negative entries, or say why the output has no such element."""
    sizes = output.shape[1:]
    if not sizes:
        raise TargetError("The output has one value a sample and no classes: leave the target out (None).")
    if len(index) != len(sizes):
        one = "one integer" if len(sizes) == 1 else f"a tuple of {len(sizes)} integers, such as {_example(output)}"
        raise TargetError(
            f"Target {_written(index)}{where} has {len(index)} of the {len(sizes)} dimensions after the batch of an "
            f"output of shape {tuple(output.shape)}; give {one} (for one target a sample, a list of these)."
        )
    for dimension, (position, size) in enumerate(zip(index, sizes, strict=True), start=1):
        if not -size <= position < size:
            place = "" if len(sizes) == 1 else f" in dimension {dimension}"
            raise TargetError(
                f"Target {_written(index)}{where} does not exist: the output has shape {tuple(output.shape)}, "
                f"so valid values{place} are 0 to {size - 1}, or -{size} to -1 counted from the end."
            )
    return tuple(position % size for position, size in zip(index, sizes, strict=True))


def _example(output: Tensor) -> Index:
    return (0,) * (output.dim() - 1)


def _written(index: Index) -> str:
    return str(index[0]) if len(index) == 1 else str(index)


def _listing(outputs: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name!r} of shape {tuple(each.shape)}" for name, each in outputs.items())
