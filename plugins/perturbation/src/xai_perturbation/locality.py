"""How near a variation is to the sample, and how much it counts for that in a local model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from xaicore.errors import ParameterError, nearest

_DISTANCES = ("cosine", "euclidean")


def check_locality(distance: Any, kernel: Any, kernel_width: Any) -> None:
    """Refuse distances and kernels that are not known, and widths that are not positive.

    Raises
    ------
    ParameterError
    """
    if distance is not None and not callable(distance) and distance not in _DISTANCES:
        raise ParameterError(
            f"distance={distance!r} is not known: choose 'cosine', 'euclidean' or a function."
            f"{nearest(str(distance), _DISTANCES)}"
        )
    if not callable(kernel) and kernel != "exponential":
        hint = nearest(str(kernel), ["exponential"])
        raise ParameterError(f"kernel={kernel!r} is not known: choose 'exponential' or a function.{hint}")
    if kernel_width is None:
        return
    if callable(kernel):
        raise ParameterError("kernel_width belongs to the exponential kernel: leave it out beside a kernel of your own")
    if isinstance(kernel_width, bool) or not isinstance(kernel_width, int | float) or not kernel_width > 0:
        raise ParameterError(f"kernel_width={kernel_width!r} must be a positive number, or None for the usual one")


def distances_of(distance: Any, presences: bool, design: np.ndarray) -> tuple[np.ndarray, float]:
    """The distance of each variation from the sample, (n,), and the usual width of a kernel for such distances.

    Parameters
    ----------
    distance
        A word, a function, or None: cosine for presences, else Euclidean.
    presences : bool
        Whether the design says which features are present.
    design : array (n, G)
        The sample itself in front.
    """
    sample = design[0]
    chosen: Any = ("cosine" if presences else "euclidean") if distance is None else distance
    usual = 0.25 if chosen == "cosine" else 0.75 * math.sqrt(len(sample))
    if chosen == "cosine":
        lengths = np.linalg.norm(design, axis=1) * np.linalg.norm(sample)
        # What has no direction is as far as what is at right angles.
        cosines = np.divide(design @ sample, lengths, out=np.zeros(len(design)), where=lengths > 0)
        found = (1 - cosines).clip(min=0).round(12)  # the sample itself is at 0, whatever rounding makes of it
    elif chosen == "euclidean":
        found = np.linalg.norm(design - sample, axis=1)
    else:
        found = np.asarray(chosen(design, sample), dtype=np.float64)
        _check("distance", found, len(design))
    return found, usual


def importance_of(kernel: Any, width: float, distances: np.ndarray) -> np.ndarray:
    """How much each variation counts, (n,)."""
    if not callable(kernel):
        exponential: np.ndarray = np.exp(-(distances**2) / (2 * width**2))
        return exponential
    found = np.asarray(kernel(distances), dtype=np.float64)
    _check("kernel", found, len(distances))
    if not found.sum() > 0:
        raise ParameterError("the kernel gives weight to no variation: it must be positive somewhere")
    return found


def counting(design: np.ndarray, importance: np.ndarray) -> float:
    """How many variations that differ from the sample count, one that counts less being a part of one."""
    differ = (design != design[0]).any(1)
    return float(importance[differ].sum() / importance.max())


def _check(what: str, found: np.ndarray, number: int) -> None:
    if found.shape != (number,) or not np.isfinite(found).all() or (found < 0).any():
        raise ParameterError(
            f"the {what} returned shape {found.shape} for {number} variations; it must return {number} finite numbers, "
            "none of them negative"
        )
