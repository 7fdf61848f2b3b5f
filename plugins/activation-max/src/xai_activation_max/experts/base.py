"""Experts: densities learnt from data, which say how likely an input is."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from torch import Tensor

from xai_activation_max import files
from xai_activation_max.experts.samples import all_samples
from xaicore.errors import FileError, InputError, NotFittedError, ParameterError

Kind = TypeVar("Kind", bound="Expert")


class Expert(ABC):
    """A density of inputs that is learnt from data and can be climbed by gradients.

    The "expert" of activation maximization (Montavon, Samek and Müller 2018, section 3.2): a prototype of class c
    maximises log p(c | x) + log p(x), and p(x) comes from here. A subclass takes its parameters by keyword, lists in
    `learnt` the names of the tensors that fitting finds, and says how in `_learn` and `_log_density`.
    """

    learnt: ClassVar[tuple[str, ...]]
    shape_: tuple[int, ...]

    def fit(self, data: Any) -> Self:
        """Learn the density.

        Parameters
        ----------
        data : Tensor, array, or iterable of batches
            The samples, (N, *shape), or batches of them; all are held in memory, in double precision, on the device
            they are given on. Of a DataLoader with labels: ``xaicore.batches(loader, inputs=0)``.

        Raises
        ------
        InputError
            For data that is empty, holds NaN or infinity, or has too few samples.
        """
        # What is learnt must be usable with autograd, wherever fit was called.
        with torch.inference_mode(False), torch.no_grad():
            samples = all_samples(data)
            learnt = self._learn(samples.reshape(len(samples), math.prod(samples.shape[1:])))
        for name, value in learnt.items():
            setattr(self, name, value)
        self.shape_ = tuple(samples.shape[1:])
        self._placed: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = {}
        return self

    def log_density(self, x: Tensor) -> Tensor:
        """Log density of each input, in nats; see the class for the constant it may lack.

        Parameters
        ----------
        x : Tensor
            Inputs, (N, *shape), of a floating-point type and on any device. The result is differentiable in them.

        Returns
        -------
        Tensor
            (N,), of the type and on the device of ``x``; computed in single precision or better.
        """
        self.check(tuple(x.shape[1:]))
        if not x.is_floating_point():
            raise InputError(f"the inputs of {type(self).__name__} are {x.dtype}; make them floating-point numbers")
        wide = torch.promote_types(x.dtype, torch.float32)
        values = self._log_density(x.to(wide).reshape(len(x), math.prod(self.shape_)), self._tensors(x.device, wide))
        return values.to(x.dtype)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ParameterError where inputs of this shape, without the batch, are not what the expert learnt."""
        if tuple(shape) != self._fitted().shape_:
            raise ParameterError(
                f"the expert {type(self).__name__} was fitted to samples of shape {self.shape_}, and the inputs have "
                f"shape {tuple(shape)}; fit it to data of the model's input shape"
            )

    @property
    def centres(self) -> Tensor:
        """Inputs of high density, (K, *shape), from which a search may start; in double precision."""
        return self._fitted()._centres().reshape(-1, *self.shape_)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the fitted expert to a safetensors file."""
        fitted = self._fitted()
        header = {"expert": type(self).__name__, "parameters": self._parameters(), "shape": list(self.shape_)}
        return files.write(path, "expert", header, {name: getattr(fitted, name) for name in self.learnt})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read an expert that `save` wrote; `Expert.load` reads any kind, a subclass its own. No code is executed.

        Raises
        ------
        FileError
            If the file is missing, damaged, or holds something else.
        """
        header, tensors = files.read(path, "expert")
        kinds = {kind.__name__: kind for kind in _kinds(cls)}
        kind = kinds.get(str(header.get("expert")))
        if kind is None:
            raise FileError(f"cannot load {path} as {' or '.join(sorted(kinds))}: it holds {header.get('expert')!r}")
        try:
            expert = kind(**header["parameters"])
            for name in kind.learnt:
                setattr(expert, name, tensors[name])
            expert.shape_ = tuple(int(size) for size in header["shape"])
        except (KeyError, TypeError, ParameterError) as error:
            raise FileError(f"cannot load {path}: its contents are damaged or incomplete ({error!r})") from error
        expert._placed = {}
        return expert

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._parameters().items())})"

    @abstractmethod
    def _learn(self, samples: Tensor) -> dict[str, Tensor]:
        """The tensors named in `learnt`, from samples (N, D) in double precision."""

    @abstractmethod
    def _log_density(self, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Log density (N,) of inputs (N, D), from the learnt tensors in the type and on the device of the inputs."""

    @abstractmethod
    def _centres(self) -> Tensor:
        """Inputs of high density, (K, D)."""

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def _fitted(self) -> Self:
        if not hasattr(self, "shape_"):
            name = type(self).__name__
            raise NotFittedError(f"this {name} has not learnt a density yet: call fit(data), or {name}.load(path)")
        return self

    def _tensors(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """The learnt tensors in a type and on a device, kept for the next step of a search."""
        if (device, dtype) not in self._placed:
            with torch.inference_mode(False):  # the next step may be one that is differentiated
                self._placed[device, dtype] = {name: getattr(self, name).to(device, dtype) for name in self.learnt}
        return self._placed[device, dtype]


def _kinds(cls: type[Kind]) -> Iterator[type[Kind]]:
    # Only those that can be made: the base class is read from, too.
    if not inspect.isabstract(cls):
        yield cls
    for kind in cls.__subclasses__():
        yield from _kinds(kind)
