"""Parts of a block."""

from __future__ import annotations

import itertools

from xaicore.engine import Block


def in_groups(block: Block, length: int) -> list[Block]:
    """The parts of a block by groups of ``length`` steps, where steps 0 to length - 1 are the first group.

    >>> [(part.first, part.last) for part in in_groups(Block(0, 1, 2, 8), 3)]
    [(2, 3), (3, 6), (6, 8)]
    """
    cuts = [block.first, *range((block.first // length + 1) * length, block.last, length), block.last]
    return [Block(block.start, block.stop, first, last) for first, last in itertools.pairwise(cuts)]
