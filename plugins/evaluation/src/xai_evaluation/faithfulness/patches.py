"""Patches: which entries of the inputs are replaced together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers import cell_labels, default_cells
from xaicore.errors import InputError, ParameterError, nearest
from xaicore.scoring import Case


class Patches:
    """A partition of the entries of all inputs that have relevance into boxes of one size.

    A patch spans all channels where its size says nothing of them; where sizes do not divide an input, the patches at
    its far border are smaller. The patches of all inputs are numbered through, by position: the first input comes
    first, and the last dimension runs fastest.

    Parameters
    ----------
    labels : dict of str to Tensor
        The number of the patch of each entry of a sample, with 1 for the channels where patches span them.

    Attributes
    ----------
    count : int
        How many patches there are.

    Examples
    --------
    >>> patches = Patches({"x": torch.tensor([0, 0, 1])})
    >>> patches.sums({"x": torch.tensor([[1.0, 2.0, 3.0]])}).tolist()
    [[3.0, 3.0]]
    >>> patches.entries(torch.tensor([[5, 7]]))
    {'x': tensor([[5, 5, 7]])}
    """

    def __init__(self, labels: Mapping[str, Tensor]) -> None:
        self.labels = dict(labels)
        self.count = 1 + max(int(each.max()) for each in self.labels.values())

    @classmethod
    def of(cls, case: Case, patch: Any = None) -> Patches:
        """The patches of a case's inputs.

        Parameters
        ----------
        case : Case
        patch : int, tuple of int, dict of these by input, or None
            Size of a patch: along all dimensions behind the channels, along each of them, or along the channels too.
            None: single columns and tokens; at most 64 patches along a series, 8 x 8 in an image.

        Raises
        ------
        ParameterError
            For a size that does not fit an input.
        InputError
            For relevance that is not shaped like its input.
        """
        _check_names(patch, case)
        labels, count = {}, 0
        for name, relevance in case.relevance.items():
            shape = tuple(case.varied[name].shape)
            if tuple(relevance.shape) != shape:
                raise InputError(f"relevance of shape {tuple(relevance.shape)} for input {name!r} of shape {shape}")
            given = patch.get(name) if isinstance(patch, Mapping) else patch
            size = default_cells(shape[1:]) if given is None else given
            own = cell_labels(size, name, shape[1:], "patch") if shape[1:] else torch.zeros((), dtype=torch.long)
            labels[name] = (own + count).to(case.evaluation.device)
            count += int(own.max()) + 1
        return cls(labels)

    def sums(self, relevance: Mapping[str, Tensor]) -> Tensor:
        """The relevance of each patch, (B, count): the sum over its entries."""
        device = next(iter(self.labels.values())).device
        batch = len(next(iter(relevance.values())))
        found = torch.zeros(batch, self.count, dtype=torch.float64, device=device)
        for name, labels in self.labels.items():
            values = relevance[name].to(device, torch.float64)
            if labels.ndim and labels.shape != values.shape[1:]:
                values = values.sum(1)
            values = values.reshape(batch, -1)
            found.scatter_add_(1, labels.flatten().expand(batch, -1), values)
        return found

    def entries(self, values: Tensor) -> dict[str, Tensor]:
        """Values of patches as values of entries, (n, count) -> (n, ...), with 1 for channels that patches span."""
        return {
            name: values[:, labels.flatten()].reshape(len(values), *labels.shape)
            for name, labels in self.labels.items()
        }


def check_patch(patch: Any, name: str = "patch") -> None:
    """Refuse sizes of patches that are no positive integers."""
    if isinstance(patch, Mapping):
        for key, each in patch.items():
            check_patch(each, f"{name}[{key!r}]")
        return
    for size in patch if isinstance(patch, tuple) and patch else (1 if patch is None else patch,):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ParameterError(
                f"{name}={patch!r} must be a positive integer, a tuple of them, a dict of these by input, or None"
            )


def _check_names(patch: Any, case: Case) -> None:
    for name in patch if isinstance(patch, Mapping) else ():
        if name not in case.relevance:
            known = list(case.relevance)
            raise ParameterError(
                f"patch: no input {name!r} has relevance; these have: {', '.join(map(repr, known))}."
                f"{nearest(str(name), known)}"
            )
