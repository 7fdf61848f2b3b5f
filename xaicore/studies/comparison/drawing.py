"""A comparison as one figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xaicore.errors import InputError
from xaicore.visualization import class_grid, grid, model_grid, plot_side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xaicore.studies.comparison.result import Comparison


def draw(comparison: Comparison, options: Mapping[str, Any]) -> Figure:
    """Samples, classes or models by methods: images as a grid, all else side by side."""
    inputs = options.get("inputs")
    others = {name: value for name, value in options.items() if name != "inputs"}
    found = comparison.explanations
    if not _are_images(comparison):
        form = others.pop("form", "heatmap")
        if form != "heatmap":
            raise InputError(
                f"form={form!r} draws images, (B, C, H, W), and what is compared here is none: leave it out"
            )
        return plot_side_by_side(_flat(comparison), inputs=inputs, **others)
    if comparison.by == "models":
        return model_grid(inputs, found, **others)
    if comparison.by == "classes":
        by_method = {method: [found[group][method] for group in found] for method in comparison.methods}
        shown = next(iter(next(iter(found.values())).values())).inputs if inputs is None else inputs
        return class_grid(shown, by_method, **others)
    (methods,) = found.values()
    return grid(inputs, methods, **others)


def _are_images(comparison: Comparison) -> bool:
    relevance = next(iter(comparison.values())).relevance
    return not isinstance(relevance, dict) and relevance.ndim == 4


def _flat(comparison: Comparison) -> dict[str, Any]:
    """The explanations by one title each."""
    return {
        f"{group}: {method}" if group else method: each
        for group, methods in comparison.explanations.items()
        for method, each in methods.items()
    }
