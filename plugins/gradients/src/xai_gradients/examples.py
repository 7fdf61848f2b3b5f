"""Parameters with which the conformance kit tries the methods: those without a default, and less work than usual."""

from __future__ import annotations

from typing import Any

from xaicore import baselines


def few_samples() -> dict[str, Any]:
    """For methods that average over noisy copies."""
    return {"samples": 4}


def few_steps() -> dict[str, Any]:
    """For integrated gradients: few steps, and more where the sum shows that these are too few."""
    return {"steps": 8, "tolerance": 0.01}


def few_draws() -> dict[str, Any]:
    """For Expected Gradients, which needs a distribution of baselines."""
    return {"baseline": baselines.UniformNoise(0.0, 1.0, samples=3), "samples": 6}


def few_references() -> dict[str, Any]:
    """For DeepSHAP, which needs references."""
    return {"baseline": baselines.UniformNoise(0.0, 1.0, samples=2)}
