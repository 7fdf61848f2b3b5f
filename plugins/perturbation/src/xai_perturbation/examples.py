"""Parameters with which the conformance kit tries the methods: less work than usual."""

from __future__ import annotations

from typing import Any


def few_samples() -> dict[str, Any]:
    """For LIME and Kernel SHAP."""
    return {"samples": 40}


def few_orders() -> dict[str, Any]:
    """For Shapley sampling."""
    return {"samples": 2}


def few_masks() -> dict[str, Any]:
    """For RISE."""
    return {"samples": 40, "cells": 3}


def few_steps() -> dict[str, Any]:
    """For learnt masks; what is random about them is the jitter."""
    return {"steps": 4, "size": 4, "jitter": 1}


def few_fillings() -> dict[str, Any]:
    """For prediction difference analysis."""
    return {"samples": 3}
