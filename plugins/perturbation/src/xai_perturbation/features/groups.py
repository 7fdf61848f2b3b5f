"""A partition of the entries of the inputs into groups, each of which is there or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from xaicore.engine import Block

Varied = Mapping[str, Tensor]
OUTSIDE = -1
"""The label of entries that belong to no feature: they always stay as they are."""


@dataclass(eq=False)
class Features:
    """Groups of entries, the players of a game in which each is present or absent.

    The groups of all inputs are numbered through: those of the first input come first. In each sample b they are
    numbered ``0 .. counts[b] - 1`` without gaps. Made by `resolve_features`.

    Parameters
    ----------
    labels : dict of str to Tensor
        For each input that has features, the number of the group that each entry belongs to, or -1: to none. Integers,
        (B or 1, ...) shaped like the input or with 1 for the channels. B: each sample has groups of its own
        (superpixels); 1: all have the same.
    counts : list of int
        How many groups each of the B samples has.
    shapes : dict of str to tuple of int
        The shape of one sample of each varied input, with or without features.

    Attributes
    ----------
    count : int
        The most groups that a sample has; the width of ``present`` and ``values`` below. **Draw random numbers for each
        sample by its own** ``counts[b]``, **not by this one**, where `shared` is False: ``count`` depends on which
        samples are in the batch, and an explanation must not.
    shared : bool
        Whether all samples have the same groups.

    Examples
    --------
    >>> features = Features({"x": torch.tensor([[0, 1, 1]])}, [2, 2], {"x": (3,)})
    >>> block = Block(0, 2, 0, 2)  # two samples, two steps
    >>> present = torch.tensor([[True, False], [False, True]])  # of each step
    >>> x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> features.masked({"x": x}, {"x": torch.zeros(1, 3)}, present, block)["x"]
    tensor([[1., 0., 0.],
            [0., 2., 3.],
            [4., 0., 0.],
            [0., 5., 6.]])
    >>> features.spread(torch.tensor([[1.0, 4.0], [0.0, 6.0]]), how="share")["x"]
    tensor([[1., 2., 2.],
            [0., 3., 3.]])
    """

    labels: dict[str, Tensor]
    counts: list[int]
    shapes: dict[str, tuple[int, ...]]
    count: int = field(init=False)
    shared: bool = field(init=False)
    _has_outside: dict[str, bool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.count = max(self.counts)
        self.shared = all(len(labels) == 1 for labels in self.labels.values())
        # Asked once: looking into a tensor on a GPU makes the program wait for it.
        self._has_outside = {name: bool((labels < 0).any()) for name, labels in self.labels.items()}

    @property
    def batch(self) -> int:
        """B, the number of samples."""
        return len(self.counts)

    def exists(self) -> Tensor:
        """Which groups each sample has, boolean (B, count); all True where `shared`."""
        counts = torch.tensor(self.counts, device=self._device)
        return torch.arange(self.count, device=self._device) < counts[:, None]

    def sizes(self) -> Tensor:
        """How many entries each group has, (B or 1, count); 0 for groups that a sample does not have."""
        rows = 1 if self.shared else self.batch
        sizes = torch.zeros(rows, self.count + 1, dtype=torch.long, device=self._device)
        for name, labels in self.labels.items():
            index = labels.expand(-1, *self.shapes[name]).flatten(1)
            # The entries of no group are counted in an extra column.
            index = torch.where(index < 0, self.count, index).expand(rows, -1)
            sizes.scatter_add_(1, index, torch.ones_like(index))
        return sizes[:, :-1]

    def only(self, numbers: Tensor) -> Tensor:
        """Of each step, the one group with this number: boolean (steps, count), for numbers (steps,)."""
        return torch.arange(self.count, device=self._device) == numbers.to(self._device)[:, None]

    def masked(self, varied: Varied, fills: Varied, present: Tensor, block: Block) -> dict[str, Tensor]:
        """The rows of a block, with a fill in place of the groups that are absent.

        Parameters
        ----------
        varied : mapping of str to Tensor
            The inputs, (B, ...) each: ``evaluation.varied``.
        fills : mapping of str to Tensor
            What stands in place of what is absent, (B, ...) or (1, ...):
            ``evaluation.own(baseline).at(evaluation.varied, number)``.
        present : Tensor
            Boolean, (steps of the block, count): the same for all samples; or (rows of the block, count).
        block : Block

        Returns
        -------
        dict of str to Tensor
            (rows, ...) each, in the type of the inputs, ordered as the block's rows: sample by sample.
        """
        present = present.to(self._device)
        rows = {}
        for name, x in varied.items():
            if name not in self.labels:
                rows[name] = block.repeat(x)
                continue
            keep = self._kept(name, present, block)
            rows[name] = torch.where(keep, block.cross(x), _crossed(fills[name], len(x), block)).flatten(0, 1)
        return rows

    def entries(self, name: str, present: Tensor, block: Block) -> Tensor:
        """Which entries of an input are there in the rows of a block.

        ``present`` as in `masked`. Boolean, (samples, steps, 1 or C, ...): a `Block.grid` to broadcast against
        ``block.cross(x)``; the first dimension is 1 where samples do not differ.
        """
        return self._kept(name, present.to(self._device), block)

    def spread(self, values: Tensor, how: str = "each") -> dict[str, Tensor]:
        """Values of the groups as values of the entries, for `Attribution`.

        Parameters
        ----------
        values : Tensor (B, count)
            What is in columns of groups that a sample does not have is ignored.
        how : {'each', 'share'}
            ``'each'``: every entry gets the value of its group. ``'share'``: that divided by the size of the group, so
            that the sum over the entries is the sum over the groups.

        Returns
        -------
        dict of str to Tensor
            Like the varied inputs, in the type of ``values``; 0 at entries without a feature.
        """
        if how == "share":
            values = values / self.sizes().clamp(min=1)
        elif how != "each":
            raise ValueError(f"how={how!r}: choose 'each' or 'share'")
        found = {}
        for name, shape in self.shapes.items():
            if name not in self.labels:
                found[name] = values.new_zeros(self.batch, *shape)
                continue
            labels = self.labels[name]
            index = labels.clamp(min=0).flatten(1).expand(self.batch, -1)
            entries = values.gather(1, index).unflatten(1, labels.shape[1:])
            if self._has_outside[name]:
                entries = entries.masked_fill(labels < 0, 0)
            found[name] = entries.expand(-1, *shape).contiguous()
        return found

    def _kept(self, name: str, present: Tensor, block: Block) -> Tensor:
        labels = self.labels[name]
        labels = block.of(labels) if len(labels) > 1 else labels
        index = labels.clamp(min=0)
        steps = len(block.steps)
        if len(present) == steps and len(labels) == 1:
            keep = present[:, index[0]].unsqueeze(0)
        else:
            table = present.expand(block.samples, -1, -1) if len(present) == steps else block.grid(present)
            places = index.flatten(1).unsqueeze(1).expand(block.samples, steps, -1)
            keep = table.gather(2, places).unflatten(2, labels.shape[1:])
        return keep | (labels < 0).unsqueeze(1) if self._has_outside[name] else keep

    @property
    def _device(self) -> torch.device:
        return next(iter(self.labels.values())).device


def _crossed(fill: Tensor, batch: int, block: Block) -> Tensor:
    return block.cross(fill) if len(fill) == batch else fill.unsqueeze(1)
