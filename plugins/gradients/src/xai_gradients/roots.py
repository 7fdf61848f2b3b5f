"""Roots of a function along lines, one line a sample, all samples together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

_BISECTIONS = 40

Scores = Callable[[Sequence[int], Sequence[float]], list[float]]


def nearest_roots(
    scores: Scores, at_start: Sequence[float], *, points: int, tolerance: float
) -> tuple[list[float], list[bool]]:
    """For each sample the first root on its line.

    Parameters
    ----------
    scores : callable
        The function at a position, 0 to 1, on the line of a sample, for lists of samples and of positions.
    at_start : sequence of float
        The function at position 0.
    points : int
        Evenly spaced positions, of which the last is 1, between which to look for a change of sign.
    tolerance : float
        The function is zero where it is below this part of that at position 0.

    Returns
    -------
    list of float
        Positions. Where the function changes its sign, the last position found before that does; where it does not
        change it, that of the point at which it is nearest to zero.
    list of bool
        Whether the function is zero there.
    """
    samples = range(len(at_start))
    grid = [(number + 1) / points for number in range(points)]
    found = scores([sample for sample in samples for _ in grid], grid * len(at_start))
    searches = [
        _Search(value, found[sample * points : (sample + 1) * points], grid, tolerance)
        for sample, value in zip(samples, at_start, strict=True)
    ]
    for _ in range(_BISECTIONS):
        active = [sample for sample in samples if not searches[sample].done]
        if not active:
            break
        for sample, value in zip(active, scores(active, [searches[each].middle for each in active]), strict=True):
            searches[sample].learn(value)
    return [search.near for search in searches], [search.is_root for search in searches]


class _Search:
    """One line: a root lies between ``near``, where the function has the sign of the start, and ``far``."""

    def __init__(self, start: float, values: Sequence[float], grid: Sequence[float], tolerance: float) -> None:
        self.sign = -1.0 if start < 0 else 1.0
        self.allowed = tolerance * abs(start)
        self.near, self.value, self.far = 0.0, abs(start), 0.0
        if start == 0:
            return
        changed = next((place for place, value in enumerate(values) if value * self.sign <= 0), None)
        if changed is None:
            best = min(range(len(values)), key=lambda place: abs(values[place]))
            self.near = self.far = grid[best]
            self.value = abs(values[best])
        else:
            self.far = grid[changed]
            if changed:
                self.near, self.value = grid[changed - 1], abs(values[changed - 1])

    @property
    def is_root(self) -> bool:
        return self.value <= self.allowed

    @property
    def done(self) -> bool:
        return self.is_root or self.near == self.far

    @property
    def middle(self) -> float:
        return (self.near + self.far) / 2

    def learn(self, value: float) -> None:
        """Take the function in the middle."""
        if value * self.sign > 0:
            self.near, self.value = self.middle, abs(value)
        else:
            self.far = self.middle
