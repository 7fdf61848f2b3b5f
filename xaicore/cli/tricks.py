"""Options of `xaicore explain` that wrap the method: windows over larger inputs, averages over shifts and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from xaicore.cli.options import size

if TYPE_CHECKING:
    from xaicore.analyzers import Analyzer


def trick_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--noise``, ``--noise-samples``, ``--translations``, ``--window`` and ``--window-stride``."""
    decorators = [
        click.option(
            "--noise", type=click.FloatRange(min=0, min_open=True), metavar="STD",
            help="Average over copies with noise of this standard deviation, as a share of each sample's range: 0.15.",
        ),
        click.option(
            "--noise-samples", type=click.IntRange(min=1), metavar="N",
            help="How many noisy copies of each sample. Default: 50.",
        ),
        click.option(
            "--translations", type=click.IntRange(min=1), metavar="K",
            help="Average over copies of the input moved by up to K positions.",
        ),
        click.option(
            "--window", type=size, metavar="SIZE",
            help="The model takes inputs of this size, 224 or HEIGHTxWIDTH: explain larger ones window by window.",
        ),
        click.option(
            "--window-stride", type=click.IntRange(min=1), metavar="N",
            help="How far windows lie apart. Default: as far as a window is large.",
        ),
    ]  # fmt: skip
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def wrapped(
    analyzer: Analyzer,
    translations: int | None,
    window: tuple[int, int] | None,
    window_stride: int | None,
    noise: float | None = None,
    noise_samples: int | None = None,
) -> Analyzer:
    """The analyzer of whole inputs: windows are explained, and whole inputs are moved and get noise."""
    from xaicore import NoiseAverage, SlidingWindow, TranslationAverage

    if window_stride is not None and window is None:
        raise click.UsageError("--window-stride needs --window.")
    if noise_samples is not None and noise is None:
        raise click.UsageError("--noise-samples needs --noise.")
    if window is not None:
        # One number serves series as well.
        square = window[0] == window[1]
        analyzer = SlidingWindow(analyzer, window=window[0] if square else window, stride=window_stride)
    if translations is not None:
        analyzer = TranslationAverage(analyzer, shifts=translations)
    if noise is not None:
        analyzer = NoiseAverage(analyzer, noise=noise, samples=50 if noise_samples is None else noise_samples)
    return analyzer
