"""Whether a picture shows the relevance: its size, its sign, and the scale that the description promises."""

from __future__ import annotations

import inspect

import numpy as np

from xaicore.testing.checks import Skip, require, science
from xaicore.testing.renderers.subject import RendererSubject
from xaicore.visualization.renderers import measured


@science
def shows_the_relevance(subject: RendererSubject) -> None:
    """Other relevance gives another picture."""
    pictures = [subject.picture(subject.relevance(seed)) for seed in range(3)]
    alike = all(np.array_equal(pictures[0], other) for other in pictures[1:])
    require(not alike, "three different explanations give the same picture: it does not draw the relevance.")


@science
def tells_signs_apart(subject: RendererSubject) -> None:
    """Where the scale is signed, relevance and its negative look different."""
    if subject.spec.scale == "magnitude":
        raise Skip("it shows magnitudes")
    relevance = subject.relevance()
    picture = subject.picture(relevance)
    if np.array_equal(picture, subject.picture(subject.relevance(1))):
        raise Skip("it does not show the relevance at all")
    require(
        not np.array_equal(picture, subject.picture(-relevance)),
        "relevance for and against the target look the same; say scale='magnitude' if that is meant.",
    )


@science
def scale_as_described(subject: RendererSubject) -> None:
    """Its colours stand for shares of `scale`: relevance and scale doubled, the picture is the same."""
    if not subject.spec.scale:
        raise Skip("its description promises no scale of colours")
    require(
        "scale" in inspect.signature(subject.function).parameters,
        f"its description says scale={subject.spec.scale!r}, and it has no option `scale`, by which pictures in a grid "
        "get one scale.",
    )
    relevance = subject.relevance()
    once, twice = subject.picture(relevance, scale=2.5), subject.picture(2 * relevance, scale=5.0)
    differing = float((np.abs(once.astype(float) - twice).max(-1) > 8).mean())
    require(differing < 0.01, f"with relevance and scale doubled {differing:.0%} of the picture differ.")
    louder = subject.picture(relevance, scale=0.5)
    require(not np.array_equal(once, louder), "it takes `scale` and does not follow it.")


@science
def measure_as_described(subject: RendererSubject) -> None:
    """What stands on its scale is finite for finite relevance, and never negative where it shows magnitudes."""
    if not subject.spec.scale or subject.spec.all_samples or "image" not in subject.spec.inputs:
        raise Skip("grids share a scale of images only")
    values = measured(subject.spec, subject.relevance(), subject.options)
    require(bool(np.isfinite(values).all()), "its measure is not finite for finite relevance.")
    require(values.size > 0, "its measure is empty.")
