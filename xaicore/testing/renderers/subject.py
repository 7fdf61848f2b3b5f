"""A renderer on trial: its function, its options, and relevance for it to draw."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from xaicore.plugins import RendererSpec, find_renderer, resolve
from xaicore.testing.stated import stated_failures
from xaicore.visualization.renderers import call

Array = NDArray[Any]

SHAPES: Mapping[str, tuple[int, ...]] = {"image": (3, 8, 8), "tabular": (6,), "series": (2, 12), "text": (7,)}
"""The relevance of one sample, by what was explained."""
SAMPLES = 5


def seven_words() -> dict[str, Any]:
    """The options of a renderer of the kit's texts."""
    return {"words": ["why", "did", "this", "network", "say", "<that>", "?"]}


@dataclass(eq=False)
class RendererSubject:
    """A renderer, by its description, with the options with which it is tried."""

    spec: RendererSpec
    options: Mapping[str, Any]

    @classmethod
    def of(cls, renderer: str | RendererSpec, options: Mapping[str, Any] | None = None) -> RendererSubject:
        """The renderer of a name or a description, with options: given, or of its example, or none."""
        spec = find_renderer(renderer) if isinstance(renderer, str) else renderer
        if options is None:
            options = resolve(spec.example)() if spec.example else {}
        return cls(spec, dict(options))

    @property
    def title(self) -> str:
        return f"renderer {self.spec.name}"

    def stated_failures(self) -> Mapping[str, str]:
        """The failures that its plugin expects."""
        return stated_failures(self.spec, self.spec.name)

    @functools.cached_property
    def function(self) -> Callable[..., Any]:
        found: Callable[..., Any] = resolve(self.spec.target)
        return found

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the relevance that it is given."""
        kind = next((each for each in self.spec.inputs if each in SHAPES), "image")
        return (SAMPLES, *SHAPES[kind]) if self.spec.all_samples else SHAPES[kind]

    def relevance(self, seed: int = 0) -> Array:
        """Relevance of both signs."""
        return np.random.default_rng(seed).normal(size=self.shape)

    def explained(self) -> Array:
        """What was explained, between 0 and 1."""
        return np.random.default_rng(99).uniform(size=self.shape)

    def draw(self, relevance: Any, ax: Axes | None = None, *, given: bool = True, **options: Any) -> Axes:
        """`draw_freely`, with the settings of matplotlib put back, so that checks do not disturb each other."""
        with matplotlib.rc_context():
            return self.draw_freely(relevance, ax, given=given, **options)

    def draw_freely(self, relevance: Any, ax: Axes | None = None, *, given: bool = True, **options: Any) -> Axes:
        """Draw as `xaicore.visualization.render` does, with what was explained where the renderer takes it."""
        explained = self.explained() if given and self.spec.given_as else None
        return call(self.spec, relevance, ax, explained, {**self.options, **options})

    def picture(self, relevance: Any, **options: Any) -> Array:
        """What is drawn on axes of a figure of its own, as pixels."""
        figure = Figure(figsize=(3, 3), dpi=60)
        canvas = FigureCanvasAgg(figure)
        self.draw(np.array(relevance) if isinstance(relevance, np.ndarray) else relevance, figure.subplots(), **options)
        canvas.draw()  # type: ignore[no-untyped-call]
        return np.asarray(canvas.buffer_rgba()).copy()  # type: ignore[no-untyped-call]
