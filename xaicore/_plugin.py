"""What the core itself brings, by the same hooks as any plugin: the renderers of `xaicore.visualization`."""

from __future__ import annotations

from typing import Any

from xaicore.plugins import RendererSpec, hookimpl

XAICORE_API = "0.2"

_HOME = "xaicore.visualization"


@hookimpl
def xaicore_renderers() -> list[RendererSpec]:
    return [*_IMAGES, *_OTHERS]


def _of_images(name: str, summary: str, *, measured_in: str = "", **fields: Any) -> RendererSpec:
    measure = f"{_HOME}.{measured_in}" if measured_in else ""
    return RendererSpec(
        name=f"core.{name}", target=f"{_HOME}:{name}", summary=summary, inputs=("image",), given_as="image",
        measure=measure, **fields,
    )  # fmt: skip


_IMAGES = [
    _of_images("heatmap", "Red speaks for the target, blue against it, white is zero.", scale="signed"),
    _of_images("graymap", "Magnitudes of relevance from black to white.", scale="magnitude", colours="gray"),
    _of_images("overlay", "Heatmap over the image in grey.", needs_input=True, scale="signed"),
    _of_images(
        "gated", "The image, each pixel as bright as it is relevant.", needs_input=True, scale="magnitude",
        colours="gray",
    ),
    _of_images("segments", "The image with only its most relevant segments.", needs_input=True),
    _of_images("pattern", "The image with only its most relevant pixels.", needs_input=True),
    _of_images(
        "blend", "Blurred heatmap blended with the image.", needs_input=True, scale="signed",
        measured_in="smooth_forms:smoothed",
    ),
    _of_images(
        "contours", "Contour lines of smoothed relevance over the image.", needs_input=True, scale="signed",
        measured_in="smooth_forms:smoothed",
    ),
    _of_images(
        "projection", "Relevance of each channel as an image, zero at mid-grey.", scale="signed", colours="gray",
        measured_in="forms:by_channel",
    ),
]  # fmt: skip


def _other(name: str, summary: str, *inputs: str, **fields: Any) -> RendererSpec:
    return RendererSpec(name=f"core.{name}", target=f"{_HOME}:{name}", summary=summary, inputs=inputs, **fields)


_OTHERS = [
    _other("bars", "Features of largest relevance as bars.", "tabular", given_as="values"),
    _other("waterfall", "Bars from the reference to the explained value.", "tabular", given_as="values"),
    _other(
        "summary", "Relevance of each feature over all samples.", "tabular", given_as="values", all_samples=True
    ),
    _other(
        "tokens", "A text, each token on the colour of its relevance.", "text", scale="signed",
        example="xaicore.testing.renderers.subject:seven_words",
    ),
    _other("series", "A series over a band coloured by relevance.", "series", given_as="values", scale="signed"),
    _other("channels_time", "Channels by time, coloured by relevance.", "series", scale="signed"),
]  # fmt: skip
