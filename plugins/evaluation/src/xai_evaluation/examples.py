"""Parameters with which the conformance kit tries the metrics: few draws, patches for small images."""

from __future__ import annotations

from typing import Any


def few_samples() -> dict[str, Any]:
    return {"samples": 3}


def few_subsets() -> dict[str, Any]:
    return {"subsets": 12, "patch": 2}


def small_patches() -> dict[str, Any]:
    return {"patch": 2}


def large_patches() -> dict[str, Any]:
    return {"patch": 4}
