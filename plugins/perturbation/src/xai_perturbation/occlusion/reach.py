"""Where windows lie, and what they reach behind a convolution or a pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Reach:
    """Rectangles of one size, one for each window, in a picture.

    Attributes
    ----------
    starts : sequence of (int, int)
        Top and left of each.
    size : (int, int)
        Height and width of all.
    within : (int, int)
        Height and width of the picture.
    """

    starts: Sequence[Pair]
    size: Pair
    within: Pair

    @property
    def share(self) -> float:
        """The share of the picture that a rectangle covers."""
        return self.size[0] * self.size[1] / (self.within[0] * self.within[1])


def reached(
    reach: Reach, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, sizes: Pair
) -> tuple[Reach, Reach]:
    """The outputs that rectangles of the input reach, and the inputs that these outputs look at.

    An output at ``o`` looks at the inputs ``o * stride - padding + k * dilation`` for k below ``kernel``. All
    rectangles get the size of the largest; those that would stick out of the picture are moved back into it.

    Returns
    -------
    tuple of Reach
        In the output, and in the input; the latter may stick out into the padding.
    """
    starts: list[list[int]] = []
    lengths: list[int] = []
    for dim in range(2):
        span = (kernel[dim] - 1) * dilation[dim]
        first = [start[dim] for start in reach.starts]
        low = [-(-(a + padding[dim] - span) // stride[dim]) for a in first]
        high = [(a + reach.size[dim] - 1 + padding[dim]) // stride[dim] for a in first]
        low = [min(max(each, 0), sizes[dim] - 1) for each in low]
        high = [min(max(each, 0), sizes[dim] - 1) for each in high]
        length = max(h - a + 1 for a, h in zip(low, high, strict=True))
        length = max(1, length)
        lengths.append(length)
        starts.append([min(each, sizes[dim] - length) for each in low])
    out = Reach(list(zip(*starts, strict=True)), (lengths[0], lengths[1]), sizes)
    takes = Reach(
        [(y * stride[0] - padding[0], x * stride[1] - padding[1]) for y, x in out.starts],
        (
            (lengths[0] - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1,
            (lengths[1] - 1) * stride[1] + (kernel[1] - 1) * dilation[1] + 1,
        ),
        reach.within,
    )
    return out, takes


def hull(reaches: Sequence[Reach]) -> Reach:
    """Rectangles that cover those of all, window by window."""
    first = reaches[0]
    if all(each is first for each in reaches):
        return first
    tops, sizes = [], []
    for dim in range(2):
        low = [min(each.starts[w][dim] for each in reaches) for w in range(len(first.starts))]
        high = [max(each.starts[w][dim] + each.size[dim] for each in reaches) for w in range(len(first.starts))]
        length = max(h - a for a, h in zip(low, high, strict=True))
        sizes.append(length)
        tops.append([min(a, first.within[dim] - length) for a in low])
    return Reach(list(zip(*tops, strict=True)), (sizes[0], sizes[1]), first.within)
