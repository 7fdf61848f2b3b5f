"""Random numbers that depend on a seed and on what they are for, and on nothing else."""

from __future__ import annotations

import numpy as np
import torch

from xaicore.errors import ParameterError


def generator(seed: int, *keys: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for one purpose: the same seed and keys give the same numbers, in whatever order they are asked for.

    A method that draws something at each step makes the generator of that step, ``generator(seed, step)``. So its
    numbers do not depend on which steps are run together. Samples share them: then an explanation does not depend on
    the batch that a sample came in either, and a batch costs one draw.

    >>> float(torch.rand(1, generator=generator(0, 7))) == float(torch.rand(1, generator=generator(0, 7)))
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ParameterError(f"seed={seed!r} must be an integer of at least 0")
    # The number of keys is one of them: NumPy takes no notice of zeros at the end.
    state = np.random.SeedSequence([len(keys), seed, *keys]).generate_state(1, np.uint64)
    return torch.Generator(device=device).manual_seed(int(state[0]))
